//! The edge is killed, stopped and told to end while checkouts stand at every step and at every write of the
//! journal, all at once: before the service was asked, and when its answer is on the way. What was on the way
//! is lost, or arrives at once, or arrives when somebody else has long finished the checkout.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tests::{
    client::{Answer, Rest},
    faults::{
        COMMIT, Meeting, Mishap,
        Moment::{After, Before},
        Rule, Then,
    },
    mesh::{Role, Shape},
    process::Signal,
    solos,
    suite::Solo,
    trial::{
        BOUND,
        Course::{self, Cancelled, CancelledEarly, Lapsed, Paid, Poor},
        Court, Ending, Plan, Trial,
    },
};
use tokio::{task::JoinHandle, time::sleep};

pub(crate) const SOLOS: &[Solo] = &[
    solos![&[Shape::ApartSqlite, Shape::Cluster]; an_edge_that_is_killed_at_every_step_leaves_nothing_half_done]
        [0],
    solos![&[Shape::Cluster]; an_edge_that_stands_still_at_every_step_and_comes_back_changes_nothing][0],
    solos![&[Shape::Cluster]; an_edge_that_is_told_to_end_at_every_step_hands_over][0],
];

/// The calls of each course at which it may stand.
const STEPS: &[(Course, &[&str])] = &[
    (
        Paid,
        &[
            "GetReservation",
            "VerifyToken",
            "ExtendHold",
            "CreatePayment",
            "ConfirmReservation",
            "CompleteToken",
        ],
    ),
    (Poor, &["CreatePayment", "CancelReservation"]),
    (Cancelled, &["ConfirmReservation", "CancelPayment"]),
    (CancelledEarly, &["CancelPayment"]),
    (Lapsed, &["ConfirmReservation", "CancelPayment"]),
];

/// Where messages stand: those that arrive at once (or are lost) when the blow has fallen, and those that
/// arrive at the very end.
#[derive(Default)]
struct Stands {
    soon: Arc<Meeting>,
    late: Arc<Meeting>,
    /// Those that would have gone past a message that stands, and arrive with the late ones. Nobody counts
    /// them.
    again: Arc<Meeting>,
    plans: Vec<Plan>,
    counts: (usize, usize),
}

impl Stands {
    fn add(
        &mut self,
        course: Course,
        method: &'static str,
        moment: tests::faults::Moment,
        then: Then,
        late: bool,
    ) -> &mut Plan {
        let meeting = if late { &self.late } else { &self.soon };
        let count = if late { &mut self.counts.1 } else { &mut self.counts.0 };
        *count += 1;
        let nth = usize::from(method == COMMIT && course == Poor);
        let mishap = Mishap::Stands(moment, then, Arc::clone(meeting));
        self.plans.push(course.with(Rule { method, first: nth, times: 1, mishap }));
        self.plans.last_mut().unwrap()
    }

    /// Everywhere, three times: lost, at once, late.
    fn everywhere() -> Self {
        let mut all = Self::default();
        for &(course, steps) in STEPS {
            for &method in steps {
                for moment in [Before, After] {
                    all.add(course, method, moment, Then::Vanishes, false);
                    all.add(course, method, moment, Then::Goes, false);
                    all.add(course, method, moment, Then::Goes, true);
                }
            }
        }
        all
    }

    /// Of the journal's two writes `Paid` stands at the first and `Poor` at the second; each keeps a
    /// connection of the edge's ten.
    fn at_commits(&mut self, shape: Shape) -> std::ops::Range<usize> {
        let first = self.plans.len();
        if shape == Shape::Cluster {
            for course in [Paid, Poor] {
                self.add(course, COMMIT, Before, Then::Vanishes, false);
                self.add(course, COMMIT, Before, Then::Goes, false);
                self.add(course, COMMIT, After, Then::Vanishes, false);
            }
        }
        first..self.plans.len()
    }

    /// Payments that stand before the wallet, however often they are asked for, until somebody else has
    /// cancelled them: the cancellation overtakes the payment.
    fn overtaken(&mut self) -> std::ops::Range<usize> {
        let (first, again) = (self.plans.len(), Arc::clone(&self.again));
        for _ in 0..4 {
            let plan = self.add(Paid, "CreatePayment", Before, Then::Goes, true);
            plan.ending = Ending::Nothing;
            let mishap = Mishap::Stands(Before, Then::Goes, Arc::clone(&again));
            plan.rules.push(Rule { method: "CreatePayment", first: 1, times: 1_000, mishap });
        }
        first..self.plans.len()
    }
}

/// Clicks until the answer is final, or there is none any more.
async fn insistent(trial: &Trial, rest: &Rest) -> Option<Answer> {
    loop {
        let answer = trial.click(rest).await.ok()?;
        if trial.is_final(&answer) {
            return Some(answer);
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Checkouts that stand at their places on the first edge, with the clients that wait for them there.
struct Standing {
    court: Court,
    trials: Vec<Arc<Trial>>,
    overtaken: std::ops::Range<usize>,
    clients: Vec<JoinHandle<Option<Answer>>>,
    turns: Vec<JoinHandle<Result<(), String>>>,
    soon: Arc<Meeting>,
    late: [Arc<Meeting>; 2],
}

async fn standing(shape: Shape, overtaken: bool) -> Standing {
    let court = Court::open(shape).await;
    let mut stands = Stands::everywhere();
    let overtaken = if overtaken { stands.overtaken() } else { 0..0 };
    let at_commits = stands.at_commits(shape);
    let first = Rest::new(vec![court.world.mesh.rest()[0].clone()]);
    // Each clicks as soon as it has its hold, which does not wait for the others.
    let begun = async |plan: &Plan| {
        let (trial, first) = (Arc::new(court.begin(plan.clone()).await), first.clone());
        let (turn, clicking) = (trial.turning(), Arc::clone(&trial));
        (trial, turn, tokio::spawn(async move { insistent(&clicking, &first).await }))
    };
    let stand = async |meeting: &Meeting, count| {
        if let Err(there) = meeting.of(count, BOUND).await {
            panic!("only {there} of {count} stand at their places");
        }
    };
    // Those that stand at a commit come last, one after the other: who shares it with them could not go on to
    // a place of its own.
    let mut all = join_all(stands.plans[..at_commits.start].iter().map(&begun)).await;
    stand(&stands.late, stands.counts.1).await;
    for nth in at_commits.clone() {
        stand(&stands.soon, stands.counts.0 - (at_commits.end - nth)).await;
        all.push(begun(&stands.plans[nth]).await);
    }
    stand(&stands.soon, stands.counts.0).await;
    let (mut trials, mut turns, mut clients) = (Vec::new(), Vec::new(), Vec::new());
    for (trial, turn, client) in all {
        trials.push(trial);
        turns.push(turn);
        clients.push(client);
    }
    Standing {
        court,
        trials,
        overtaken,
        clients,
        turns,
        soon: stands.soon,
        late: [stands.late, stands.again],
    }
}

impl Standing {
    fn edge(&self) -> &tests::process::Process {
        &self.court.world.mesh.of(Role::Edge)[0].process
    }

    /// What every client is told by the other edge (or by the only one, once it is back), while the late ones
    /// still stand.
    async fn told(&self) -> Vec<Answer> {
        for trial in &self.trials[self.overtaken.clone()] {
            trial.cancel().await;
        }
        self.soon.end();
        let other = Rest::new(vec![self.court.world.mesh.rest().pop().unwrap()]);
        let told = join_all(self.trials.iter().map(|trial| trial.told(&other))).await;
        told.into_iter().map(|told| told.unwrap_or_else(|wrong| panic!("{wrong}"))).collect()
    }

    /// The late messages arrive, and nothing is different for them. Answers what the first clients were told
    /// in the end.
    async fn judge(self, told: Vec<Answer>) {
        self.late.iter().for_each(|late| late.end());
        sleep(Duration::from_millis(1_500)).await;
        let clients = join_all(self.clients).await;
        for turned in join_all(self.turns).await {
            turned.unwrap().unwrap();
        }
        let verdicts = join_all(self.trials.iter().zip(&told).map(|(trial, told)| trial.verdict(told))).await;
        let first = self.trials.iter().zip(&told).zip(clients).filter_map(|((trial, told), client)| {
            let first = client.unwrap()?;
            Some(trial.agree(told, &first))
        });
        let wrong: Vec<_> = verdicts.into_iter().chain(first).filter_map(Result::err).collect();
        assert!(
            wrong.is_empty(),
            "{} of {} are wrong:\n  {}",
            wrong.len(),
            told.len(),
            wrong[..wrong.len().min(12)].join("\n  ")
        );
        drop(self.trials);
        self.court.close().await;
    }
}

async fn an_edge_that_is_killed_at_every_step_leaves_nothing_half_done(shape: Shape) {
    let standing = standing(shape, true).await;
    standing.edge().kill();
    if shape == Shape::ApartSqlite {
        standing.court.world.mesh.restart_ended().await;
    }
    let told = standing.told().await;
    standing.court.world.mesh.restart_ended().await;
    standing.judge(told).await;
}

async fn an_edge_that_stands_still_at_every_step_and_comes_back_changes_nothing(shape: Shape) {
    let standing = standing(shape, true).await;
    standing.edge().signal(Signal::Stop);
    let told = standing.told().await;
    standing.edge().signal(Signal::Cont);
    standing.court.world.mesh.ready().await;
    standing.judge(told).await;
}

async fn an_edge_that_is_told_to_end_at_every_step_hands_over(shape: Shape) {
    // An edge that is told to end asks again before it ends, so that nothing can overtake it.
    let standing = standing(shape, false).await;
    standing.edge().signal(Signal::Term);
    let told = standing.told().await;
    standing.edge().wait(BOUND).await.unwrap();
    standing.court.world.mesh.restart_ended().await;
    standing.judge(told).await;
}
