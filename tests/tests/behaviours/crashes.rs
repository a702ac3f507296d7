//! Programs killed and stopped, connections cut and PostgreSQL restarted, again and again under load: nothing
//! that was acknowledged is lost, and work goes on soon (usually within [`RECOVERY`]). `KILLS=300 tests/run
//! behaviours crashes` strikes 300 times instead of a few.

use std::{sync::Mutex, time::Duration};

use tests::{
    faults::Faults,
    load::{Bought, Load, kills},
    mesh::{Mesh, Role, Shape, Wiring},
    patience::is_prompt,
    process::Signal,
    server::Server,
    suite::Solo,
    wire::Wire,
    world::World,
};
use tokio::time::sleep;

pub(crate) const SOLOS: &[Solo] = &[
    tests::solos![&[Shape::SingleSqlite]; a_process_that_is_killed_again_and_again_loses_nothing_it_has_answered]
        [0],
    tests::solos![&[Shape::Cluster]; a_mesh_that_is_struck_again_and_again_loses_nothing_it_has_answered][0],
];

/// From the blow to the first success of every step, the program's start included; one time in ten it may
/// take longer.
const RECOVERY: Duration = Duration::from_secs(5);
const AT_MOST: Duration = Duration::from_secs(30);
const BUYERS: usize = 8;
/// As many as a show may have, for the long run; making them takes a second.
const SEATS: i32 = 100_000;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    async fn pause(&mut self, from: u64, to: u64) {
        sleep(Duration::from_millis(from + self.below(to - from))).await;
    }
}

/// The blows of one kind.
struct Blows {
    kind: &'static str,
    /// How long work stood still after each.
    took: Vec<Duration>,
}

impl Blows {
    fn of(kind: &'static str) -> Self {
        Self { kind, took: Vec::new() }
    }
}

/// Says how long work stood still, and fails when that was too long too often.
#[expect(clippy::print_stdout, reason = "the figures are what the long run is for")]
fn conclude(blows: impl IntoIterator<Item = Blows>, bought: Bought) {
    println!("    {bought:?}");
    for Blows { kind, mut took } in blows {
        took.sort_unstable();
        let at = |share: usize| took[((took.len() - 1) * share).div_ceil(100)];
        let (median, most, last) = (at(50), at(90), at(100));
        let times = took.len();
        println!(
            "    {kind} {times} times: work went on after {median:.1?} (median), {most:.1?} (90 %), {last:.1?} (at most)"
        );
        // Of a few one may be the slow one.
        let bound = if times < 20 { median } else { most };
        assert!(is_prompt(bound, RECOVERY), "{kind}: work went on after {took:?}");
    }
}

async fn a_process_that_is_killed_again_and_again_loses_nothing_it_has_answered(shape: Shape) {
    let world = World::start(shape, &["--hold-ttl", "1h"]).await;
    let load = Load::start(&world, BUYERS, SEATS).await;
    let (mut dice, mut killed) = (Dice(1), Blows::of("killed"));
    for nth in 0..kills(12) {
        dice.pause(20, 400).await;
        let process = &world.mesh.nodes[0].process;
        process.restart();
        match load.recovered(AT_MOST).await {
            Ok(after) => killed.took.push(after),
            Err(why) => panic!("kill {nth}: {why}\n{}", world.mesh.logs(15)),
        }
    }
    let bought = load.finish(&world).await.unwrap_or_else(|why| panic!("{why}"));
    conclude([killed], bought);
    world.finish().await;
}

/// Every connection of the mesh goes through a wire that can be cut.
#[derive(Default)]
struct Wires(Mutex<Vec<(&'static str, Wire)>>);

impl Wires {
    fn cut(&self, what: &str) {
        for (_, wire) in self.0.lock().unwrap().iter().filter(|(name, _)| *name == what) {
            wire.cut();
        }
    }
}

const SERVICES: &str = "services";
const DATABASES: &str = "databases";

impl Wiring for Wires {
    fn service(&self, _: Role, at: std::net::SocketAddr) -> std::net::SocketAddr {
        let wire = Wire::before(at, Faults::default());
        let address = wire.address;
        self.0.lock().unwrap().push((SERVICES, wire));
        address
    }

    fn database(&self, _: Role, url: &str) -> String {
        let (wire, url) = Wire::before_postgres(url, Faults::default());
        self.0.lock().unwrap().push((DATABASES, wire));
        url
    }
}

async fn a_mesh_that_is_struck_again_and_again_loses_nothing_it_has_answered(shape: Shape) {
    let server = Server::start();
    let wires = Wires::default();
    let mesh = Mesh::start_wired(shape, &["--hold-ttl", "1h"], Some(&server.url), &wires).await;
    let world = World::new(std::sync::Arc::new(mesh));
    let load = Load::start(&world, BUYERS, SEATS).await;
    let mut dice = Dice(2);
    let mut blows = [
        "a program killed",
        "a program stopped",
        "services cut off",
        "databases cut off",
        "PostgreSQL restarted",
    ]
    .map(Blows::of);
    for nth in 0..kills(12) {
        dice.pause(20, 400).await;
        let node = &world.mesh.nodes[usize::try_from(dice.below(8)).unwrap()].process;
        // Every other one kills.
        let kind = [0, 1, 0, 2, 0, 3, 0, 4][nth as usize % 8];
        match kind {
            0 => node.kill(),
            1 => node.signal(Signal::Stop),
            2 => wires.cut(SERVICES),
            3 => wires.cut(DATABASES),
            _ => server.restart().await,
        }
        match load.recovered(AT_MOST).await {
            Ok(after) => blows[kind].took.push(after),
            Err(why) => {
                panic!("blow {nth} ({}, {}): {why}\n{}", blows[kind].kind, node.name(), world.mesh.logs(8))
            }
        }
        node.signal(Signal::Cont);
        world.mesh.restart_ended().await;
    }
    let bought = load.finish(&world).await.unwrap_or_else(|why| panic!("{why}"));
    conclude(blows, bought);
    world.finish().await;
    drop(server);
}
