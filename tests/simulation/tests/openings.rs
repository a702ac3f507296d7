//! When an opening is told: in virtual time, where no machine is busy, never before its instant and at most a
//! quarter of a second after it, at every replica, whichever of them has opened the line and whatever the
//! clock of one of them says.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{cell::RefCell, collections::BTreeMap, io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use boxoffice_proto::{
    queue::{
        CreateQueueRequest, GetTokenRequest, IssueTokenRequest, Opening, QueuePolicy, TokenStatus,
        queue_service_client::QueueServiceClient,
    },
    time::timestamp,
};
use chassis::{
    channel::{Channel, Target},
    db::{self, Fate},
    network::{Connection, Network},
};
use futures::future::BoxFuture;
use simulation::{
    history,
    mesh::{Mesh, START},
    plan::Plan,
};
use turmoil::{Builder, Sim, net::TcpStream};

const TICK: Duration = Duration::from_millis(10);
/// The replicas of queue-svc.
const QUEUES: [&str; 2] = ["queue-1", "queue-2"];
/// How long a message takes.
const LATENCY: Duration = Duration::from_millis(1);
/// When the line opens.
const OPENS: Duration = Duration::from_secs(4);
/// How late it is told at most.
const LATE: Duration = Duration::from_millis(250);
/// Those who registered, half of them at each replica.
const PEOPLE: usize = 60;

/// The simulated network, where a name leads to one host.
#[derive(Debug)]
struct Direct;

impl Network for Direct {
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let found = vec![SocketAddr::new(turmoil::lookup(host), port)];
        Box::pin(async move { Ok(found) })
    }

    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Connection>> {
        Box::pin(async move { Ok(Connection::new(TcpStream::connect(to).await?)) })
    }
}

type Queue = QueueServiceClient<Channel>;

fn replica(name: &str) -> Queue {
    let target: Target = format!("http://{name}:1").parse().unwrap();
    QueueServiceClient::new(Channel::new(&target.on(Arc::new(Direct))))
}

/// Sets up a line that opens at [`OPENS`], once a replica answers.
async fn set_up(queue: &mut Queue, opening: Opening) {
    let micros = i64::try_from(OPENS.as_micros()).unwrap();
    let policy = QueuePolicy {
        opens_at: Some(timestamp(START + micros)),
        opening: opening.into(),
        max_active: Some(10),
        ..QueuePolicy::default()
    };
    let request = CreateQueueRequest {
        queue_id: "prompt".to_owned(),
        policy: Some(policy),
        request_id: "line".to_owned(),
    };
    while queue.create_queue(request.clone()).await.is_err() {
        tokio::time::sleep(TICK).await;
    }
}

async fn join(queue: &mut Queue, number: usize) -> String {
    let request = IssueTokenRequest {
        queue_id: "prompt".to_owned(),
        user_id: format!("user-{number}"),
        ..IssueTokenRequest::default()
    };
    queue.issue_token(request).await.unwrap().into_inner().token.unwrap().token
}

/// When a replica told first that a token is registered no more.
async fn told(queue: &mut Queue, token: &str) -> Duration {
    loop {
        let request = GetTokenRequest { token: token.to_owned(), ..GetTokenRequest::default() };
        let answer = queue.get_token(request).await.unwrap().into_inner().token.unwrap();
        let now = history::now();
        if answer.status() != TokenStatus::Registered {
            return now;
        }
        assert!(now < OPENS + 10 * LATE, "{answer:?} at {now:?}");
        tokio::time::sleep(TICK / 2).await;
    }
}

/// A mesh in which nothing goes wrong, and a network in which its line is.
fn quiet(folder: &std::path::Path) -> (Mesh, Sim<'static>) {
    let calm = Plan {
        latency: (LATENCY, LATENCY),
        loss: 0.0,
        commit_trouble: 0.0,
        skew: 0,
        draw: None,
        beacon: None,
        called_off: None,
        troubles: Vec::new(),
        ..Plan::of(1)
    };
    db::simulate(|| Fate::Done);
    let mesh = Mesh::new(Rc::new(calm), folder.to_owned());
    let sim = Builder::new()
        .tick_duration(TICK)
        .simulation_duration(4 * OPENS)
        .min_message_latency(LATENCY)
        .max_message_latency(LATENCY)
        .build();
    (mesh, sim)
}

/// How late each replica told it.
fn lateness(opening: Opening) -> Vec<Duration> {
    let folder = tempfile::tempdir().unwrap();
    let (mesh, mut sim) = quiet(folder.path());
    for name in QUEUES {
        mesh.add(&mut sim, name);
    }
    let late = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&late);
    sim.client("crowd", async move {
        let mut replicas = QUEUES.map(replica);
        set_up(&mut replicas[0], opening).await;
        let mut tokens = Vec::new();
        for number in 0..PEOPLE {
            tokens.push(join(&mut replicas[number % 2], number).await);
        }
        assert!(history::now() < OPENS, "all are registered before: {:?}", history::now());
        tokio::time::sleep(OPENS - history::now()).await;
        let [one, other] = &mut replicas;
        // The last of all, and the first, each at the replica that did not issue its token.
        let (one, other) = tokio::join!(told(one, tokens.last().unwrap()), told(other, &tokens[0]));
        seen.borrow_mut().extend([one, other].map(|at| at.saturating_sub(OPENS)));
        Ok(())
    });
    sim.run().unwrap();
    late.take()
}

/// What a replica told of somebody who registered, and when.
#[derive(Clone, Copy, Debug)]
struct Place {
    person: usize,
    at: Duration,
    status: TokenStatus,
    ticket: i64,
}

/// Asks a replica for every place again and again, until well after the opening.
async fn asked(mut queue: Queue, tokens: Vec<String>) -> Vec<Place> {
    let mut places = Vec::new();
    while history::now() < OPENS + 4 * LATE {
        for (person, token) in tokens.iter().enumerate() {
            let request = GetTokenRequest { token: token.clone(), ..GetTokenRequest::default() };
            let answer = queue.get_token(request).await.unwrap().into_inner().token.unwrap();
            let (status, ticket) = (answer.status(), answer.ticket);
            places.push(Place { person, at: history::now(), status, ticket });
        }
        tokio::time::sleep(2 * TICK).await;
    }
    places
}

/// What each replica told from before the opening over it, when the clock of the second is off.
fn over_the_opening(opening: Opening, off: i64) -> Vec<Vec<Place>> {
    const FEW: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let (mesh, mut sim) = quiet(folder.path());
    mesh.set_clock(QUEUES[1], off);
    for name in QUEUES {
        mesh.add(&mut sim, name);
    }
    let all = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&all);
    sim.client("crowd", async move {
        let mut replicas = QUEUES.map(replica);
        set_up(&mut replicas[0], opening).await;
        let mut tokens = Vec::new();
        for number in 0..FEW {
            tokens.push(join(&mut replicas[number % 2], number).await);
        }
        assert!(history::now() < OPENS / 2, "all are registered before: {:?}", history::now());
        let [one, other] = replicas.map(|queue| asked(queue, tokens.clone()));
        let (one, other) = tokio::join!(one, other);
        seen.borrow_mut().extend([one, other]);
        Ok(())
    });
    sim.run().unwrap();
    all.take()
}

#[test]
fn an_opening_is_told_at_both_replicas_a_quarter_second_after_its_instant_at_most() {
    for opening in [Opening::Fifo, Opening::Draw] {
        // A thread has one run: its databases are simulated, and its history is the run's.
        let late = std::thread::spawn(move || lateness(opening)).join().unwrap();
        assert!(late.len() == 2 && late.iter().all(|late| *late <= LATE), "{opening:?}: {late:?}");
    }
}

#[test]
fn polls_from_before_an_opening_over_it_agree_though_a_clock_is_off() {
    for (opening, off) in
        [Opening::Fifo, Opening::Draw].into_iter().flat_map(|one| [(one, -400_000), (one, 400_000)])
    {
        let told = std::thread::spawn(move || over_the_opening(opening, off)).join().unwrap();
        // Whoever is ahead opens the line by its own clock; nobody waits for whoever is behind.
        let ahead = Duration::from_micros(off.max(0).unsigned_abs());
        let (first, last) = (OPENS - ahead, OPENS - ahead + LATE);
        let mut tickets = BTreeMap::new();
        assert_eq!(told.len(), 2);
        for places in told {
            assert!(places.iter().any(|place| place.at < first), "asked before");
            for place in places {
                let is_open = place.status != TokenStatus::Registered;
                let context = format!("{opening:?}, {off} µs off: {place:?}");
                assert!(place.at >= first || !is_open, "before the instant: {context}");
                assert!(place.at <= last || is_open, "too late: {context}");
                // In the order of coming tickets stay from the first; by lot from the draw on.
                if is_open || opening == Opening::Fifo {
                    let kept = tickets.entry(place.person).or_insert(place.ticket);
                    assert_eq!(*kept, place.ticket, "{context}");
                }
            }
        }
        let numbers: Vec<i64> = tickets.into_values().collect();
        assert!(numbers.is_sorted() || opening == Opening::Draw, "in the order of coming: {numbers:?}");
    }
}
