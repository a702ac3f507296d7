//! One seed: the network, everybody on it, what goes wrong, and the judgement.

use std::{
    cell::{Cell, RefCell},
    path::Path,
    rc::Rc,
    time::Duration,
};

use chassis::db::{self, Fate};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use tokio::{task::JoinSet, time::sleep};
use turmoil::{Builder, Sim};

use crate::{
    clerk::Clerk,
    history::{self, History},
    mending::Menders,
    mesh::Mesh,
    mistake,
    model::Model,
    office,
    person::{Person, Scene},
    plan::{CROWDS, EDGES, OFFICE, Plan, SERVERS, Trouble},
    weather::Weather,
};

/// How much time passes for one server before it passes for the next.
const TICK: Duration = Duration::from_millis(10);
/// When everything must be over, once nothing goes wrong any more.
const OVER_WITHIN: Duration = Duration::from_secs(180);
/// How often those who wait for the others look.
const LOOK: Duration = Duration::from_millis(50);

/// A mistake made on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Sabotage {
    /// The model is told another price than the sale has.
    Price,
    /// The model is told that fewer may be in than the line lets in.
    Line,
    /// A balance is changed in the file that the wallets leave.
    Ledger,
    /// Two numbers are exchanged in what the line leaves of its draw.
    Lots,
    /// The one who is first in what the line leaves of its draw is second as well.
    Twice,
    /// Replicas do not follow the log of the seats.
    Stale,
    /// Now and then what has changed of seats is not written down.
    Unlogged,
    /// A seat that somebody has is given to whoever asks.
    Double,
    /// What comes free is not written down.
    Unfreed,
    /// A show that is called off is said to have no sales left.
    Forgotten,
    /// No sale can be undone.
    Grudging,
    /// The money of a sale that is undone is not given back.
    Kept,
    /// The seats of a sale that is undone stay sold.
    Bolted,
    /// A change of a show is told and not written.
    Unwritten,
    /// A hold costs more when it is read than when it was made.
    Repriced,
    /// Nobody is said to have any seat of a show that limits how many one may have.
    Unlimited,
    /// Now and then a batch of holds is answered though it was never committed.
    Vanished,
    /// A request that comes again is done again.
    Repeated,
    /// Whenever a line is written, it opens two seconds earlier.
    Early,
    /// Tickets are written down in the reverse of the order in which people came.
    Backwards,
    /// What is said to all who wait is not written down.
    Mute,
    /// The draw that the line leaves is as if it had been held without the beacon.
    Ignored,
    /// It is as if who takes part had been read again after the beacon was there, when one had left.
    Reread,
    /// It is as if it had been held again with another secret.
    Again,
}

/// Who comes, and how far they are.
#[derive(Clone, Debug)]
struct Cast {
    scene: Scene,
    /// The show, once it is on sale.
    show: Rc<Cell<Option<i64>>>,
    /// The crowds that have gone home.
    gone: Rc<Cell<usize>>,
}

/// Runs a seed on this thread, which must have run no other one; its databases are left in the folder.
#[must_use]
pub fn run(seed: u64, folder: &Path, sabotage: Option<Sabotage>) -> History {
    let plan = Rc::new(Plan::of(seed));
    history::note_at(Duration::ZERO, OFFICE, format!("{plan:?}"));
    let (troubled, holds_written) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
    db::simulate(fates(&plan, &troubled, &holds_written));
    if sabotage == Some(Sabotage::Vanished) {
        db::misspeak(mistake::noted(&holds_written));
    }
    if let Some(mistaken) = sabotage.and_then(mistake::of) {
        db::misspeak(mistaken);
    }
    let scene = Scene {
        model: Rc::new(RefCell::new(Model::new(&Rc::new(believed(&plan, sabotage))))),
        plan: Rc::clone(&plan),
        weather: Weather::new(&plan),
    };
    let mesh = Mesh::new(Rc::clone(&plan), folder.to_owned());
    let mut sim = network(&plan);
    for server in SERVERS {
        mesh.add(&mut sim, server);
    }
    Cast { scene: scene.clone(), show: Rc::default(), gone: Rc::default() }.add(&mut sim);
    drive(&mut sim, &scene, &mesh, &troubled);
    drop(sim);
    history::take()
}

/// The plan as the model is told.
fn believed(plan: &Plan, sabotage: Option<Sabotage>) -> Plan {
    let mut plan = plan.clone();
    match sabotage {
        Some(Sabotage::Price) => plan.hall.sections.iter_mut().for_each(|section| section.price += 1),
        Some(Sabotage::Line) => plan.sale.max_active = 0,
        Some(
            Sabotage::Ledger
            | Sabotage::Lots
            | Sabotage::Twice
            | Sabotage::Stale
            | Sabotage::Unlogged
            | Sabotage::Double
            | Sabotage::Unfreed
            | Sabotage::Forgotten
            | Sabotage::Grudging
            | Sabotage::Kept
            | Sabotage::Bolted
            | Sabotage::Unwritten
            | Sabotage::Repriced
            | Sabotage::Unlimited
            | Sabotage::Vanished
            | Sabotage::Repeated
            | Sabotage::Early
            | Sabotage::Backwards
            | Sabotage::Mute
            | Sabotage::Ignored
            | Sabotage::Reread
            | Sabotage::Again,
        )
        | None => {}
    }
    plan
}

fn network(plan: &Plan) -> Sim<'static> {
    let over = plan.calm + OVER_WITHIN;
    Builder::new()
        .rng_seed(plan.seed)
        .epoch(std::time::UNIX_EPOCH)
        .tick_duration(TICK)
        .simulation_duration(over + OVER_WITHIN)
        .min_message_latency(plan.latency.0)
        .max_message_latency(plan.latency.1)
        .repair_rate(0.2)
        .tcp_capacity(4_096)
        .enable_random_order()
        .build()
}

/// What becomes of commits: as the seed says, while things go wrong.
fn fates(
    plan: &Plan,
    troubled: &Rc<Cell<bool>>,
    holds_written: &Rc<Cell<bool>>,
) -> impl FnMut() -> Fate + 'static {
    let (mut rng, rate, troubled) =
        (StdRng::seed_from_u64(plan.seed ^ 0xC0), plan.commit_trouble, Rc::clone(troubled));
    let (holds_written, mut batches) = (Rc::clone(holds_written), 0_u32);
    move || {
        if holds_written.take() {
            batches += 1;
            if batches.is_multiple_of(5) {
                return Fate::Untrue;
            }
        }
        if !troubled.get() || !rng.random_bool(rate) {
            return Fate::Done;
        }
        let fate = if rng.random() { Fate::Lost } else { Fate::Unheard };
        history::count(format!("commits {fate:?}"));
        history::note("-", format!("a commit is {fate:?}"));
        fate
    }
}

impl Cast {
    /// Adds everybody who is no server.
    fn add(&self, sim: &mut Sim<'_>) {
        for (number, crowd) in CROWDS.into_iter().enumerate() {
            sim.client(crowd, self.clone().crowd(number));
        }
        sim.client(OFFICE, self.clone().office());
    }

    async fn crowd(self, number: usize) -> turmoil::Result {
        let show = loop {
            match self.show.get() {
                Some(show) => break show,
                None => sleep(LOOK).await,
            }
        };
        let mut people = JoinSet::new();
        for person in (number..self.scene.plan.people).step_by(CROWDS.len()) {
            for tab in 0..self.scene.plan.tabs(person) {
                people.spawn_local(Person::new(person, tab, &self.scene, show).live());
            }
        }
        while people.join_next().await.is_some() {}
        self.gone.set(self.gone.get() + 1);
        Ok(())
    }

    async fn office(self) -> turmoil::Result {
        let (plan, show) = (&self.scene.plan, office::open(&self.scene.plan).await);
        self.show.set(Some(show));
        let mut others = JoinSet::new();
        others.spawn_local(Menders::new(&self.scene, show).work());
        others.spawn_local(office::say(Rc::clone(plan), Rc::clone(&self.scene.model)));
        if plan.refunds {
            others.spawn_local(Clerk::new(&self.scene).work());
        }
        if let Some(at) = plan.called_off {
            sleep(at.saturating_sub(history::now())).await;
            office::call_off(show).await;
        }
        let mut never_comes = plan.beacon.is_some_and(|rounds| rounds.late.is_none());
        // Also where everybody has given up by then: a draw that has no beacon is ended by nobody else.
        while self.gone.get() < CROWDS.len() || history::now() < plan.calm || never_comes {
            sleep(LOOK).await;
            let waits = plan.beacon.is_some() && office::watch_the_draw(&self.scene.model).await;
            if waits && never_comes && history::now() >= plan.calm {
                never_comes = false;
                office::draw_without_a_beacon().await;
            }
        }
        while others.join_next().await.is_some() {}
        office::close(plan, show, &self.scene.model).await;
        Ok(())
    }
}

/// Lets time pass until everybody is done, and things go wrong in time.
fn drive(sim: &mut Sim<'_>, scene: &Scene, mesh: &Mesh, troubled: &Rc<Cell<bool>>) {
    let plan = &scene.plan;
    let mut is_calm = false;
    let over = plan.calm + OVER_WITHIN;
    loop {
        let now = sim.elapsed();
        if !troubled.get() && !is_calm && now > Duration::from_secs(2) {
            troubled.set(true);
            sim.set_fail_rate(plan.loss);
        }
        for trouble in scene.weather.due(now) {
            strike(sim, mesh, trouble);
        }
        if !is_calm && now >= plan.calm {
            is_calm = true;
            troubled.set(false);
            calm(sim, mesh);
        }
        if now > over {
            return history::violated(
                "SETTLED",
                &[OFFICE],
                format!("not over {OVER_WITHIN:?} after the last mishap"),
            );
        }
        for server in mesh.ended() {
            sim.crash(server);
        }
        match sim.step() {
            Ok(true) => return history::note_at(sim.elapsed(), OFFICE, "over"),
            Ok(false) => {}
            Err(error) => return history::violated("ALIVE", &[OFFICE], format!("a host failed: {error}")),
        }
    }
}

/// Everything is mended, and everybody is up.
fn calm(sim: &mut Sim<'_>, mesh: &Mesh) {
    sim.set_fail_rate(0.0);
    for edge in EDGES {
        for other in SERVERS.into_iter().take(6).chain(CROWDS).chain([OFFICE]) {
            sim.release(edge, other);
        }
    }
    for server in SERVERS {
        if !sim.is_host_running(server) {
            strike(sim, mesh, Trouble::Start(server));
        }
    }
    history::note_at(sim.elapsed(), OFFICE, "all is calm");
}

fn strike(sim: &mut Sim<'_>, mesh: &Mesh, trouble: Trouble) {
    history::count(format!("{trouble:?}").split('(').next().unwrap_or_default().to_owned());
    history::note_at(sim.elapsed(), OFFICE, format!("{trouble:?}"));
    match trouble {
        Trouble::Cut(a, b) => sim.partition(a, b),
        Trouble::CutOneWay(a, b) => sim.partition_oneway(a, b),
        Trouble::Stall(a, b) => sim.hold(a, b),
        Trouble::Mend(a, b) => sim.release(a, b),
        Trouble::Crash(server) => sim.crash(server),
        Trouble::Stop(server) => mesh.stop(server),
        Trouble::Start(server) => {
            sim.crash(server);
            sim.bounce(server);
        }
    }
}
