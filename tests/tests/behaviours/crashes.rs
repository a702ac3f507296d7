//! Programs killed and stopped, connections cut and PostgreSQL restarted, again and again under load: nothing that was acknowledged is
//! lost, and work goes on within [`RECOVERY`]. `KILLS=300 tests/run behaviours crashes` strikes 300 times instead of a few.

use std::{sync::Mutex, time::Duration};

use tests::{
    faults::Faults,
    load::{Bought, Load, kills},
    mesh::{Mesh, Role, Shape, Wiring},
    process::Signal,
    server::Server,
    suite::Solo,
    wire::Wire,
    world::World,
};
use tokio::time::sleep;

pub(crate) const SOLOS: &[Solo] = &[
    tests::solos![&[Shape::SingleSqlite]; a_process_that_is_killed_again_and_again_loses_nothing_it_has_answered][0],
    tests::solos![&[Shape::Cluster]; a_mesh_that_is_struck_again_and_again_loses_nothing_it_has_answered][0],
];

/// From the blow to the first success of every step, the program's start included: nine times in ten,
const RECOVERY: Duration = Duration::from_secs(5);
/// and however slow the machine is just then.
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

/// Says how long work stood still, and fails when that was too long too often.
#[expect(clippy::print_stdout, reason = "the figure is what the long run is for")]
fn conclude(what: &str, mut took: Vec<Duration>, bought: Bought) {
    took.sort_unstable();
    let at = |share: usize| took[((took.len() - 1) * share).div_ceil(100)];
    let (median, most, last) = (at(50), at(90), at(100));
    println!(
        "    {what} {} times, {bought:?}; work went on after {median:.1?} (median), {most:.1?} (90 %), {last:.1?} (at most)",
        took.len()
    );
    assert!(most < RECOVERY, "work went on after {most:?} or more one time in ten");
}

async fn a_process_that_is_killed_again_and_again_loses_nothing_it_has_answered(shape: Shape) {
    let world = World::start(shape, &["--hold-ttl", "1h"]).await;
    let load = Load::start(&world, BUYERS, SEATS).await;
    let (mut dice, mut took) = (Dice(1), Vec::new());
    for nth in 0..kills(12) {
        dice.pause(20, 400).await;
        let process = &world.mesh.nodes[0].process;
        process.restart();
        match load.recovered(AT_MOST).await {
            Ok(after) => took.push(after),
            Err(why) => panic!("kill {nth}: {why}\n{}", world.mesh.logs(15)),
        }
    }
    let bought = load.finish(&world).await.unwrap_or_else(|why| panic!("{why}"));
    conclude("killed", took, bought);
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
    let (mut dice, mut took) = (Dice(2), Vec::new());
    for nth in 0..kills(12) {
        dice.pause(20, 400).await;
        let node = &world.mesh.nodes[usize::try_from(dice.below(8)).unwrap()].process;
        let blow = nth % 6;
        match blow {
            0 | 1 => node.kill(),
            2 => node.signal(Signal::Stop),
            3 => wires.cut(SERVICES),
            4 => wires.cut(DATABASES),
            _ => server.restart().await,
        }
        match load.recovered(AT_MOST).await {
            Ok(after) => took.push(after),
            Err(why) => panic!("blow {nth} (kind {blow}, {}): {why}\n{}", node.name(), world.mesh.logs(8)),
        }
        node.signal(Signal::Cont);
        world.mesh.restart_ended().await;
    }
    let bought = load.finish(&world).await.unwrap_or_else(|why| panic!("{why}"));
    conclude("struck", took, bought);
    world.finish().await;
    drop(server);
}
