//! More than the database can take: requests are refused quickly, with a time to come back, instead of piling
//! up; memory stays bounded; and when it is over, all is as before.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;
use tests::{
    client::Answer,
    eventually::{eventually, holds},
    faults::Faults,
    mesh::{Mesh, Role, Shape, Wiring},
    patience::is_prompt,
    solos,
    suite::Solo,
    wire::Wire,
    world::{World, unique},
};
use tokio::time::sleep;

pub(crate) const SOLOS: &[Solo] = &[
    solos![&[Shape::SingleSqlite, Shape::Cluster]; a_database_that_stands_still_is_not_waited_for_by_a_thousand]
        [0],
    solos![&[Shape::Cluster]; a_database_that_is_slow_slows_only_what_it_can_take][0],
];

/// A connection is waited for two seconds at most, here or at the other replica.
const REFUSED_WITHIN: Duration = Duration::from_secs(5);
/// Who has a connection waits for the database no longer than the edge's caller waits for the edge.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);
/// What a thousand requests in flight may take of any process, in KiB: 128 a request.
const MEMORY: u64 = 128 * 1024;
const REQUESTS: usize = 1_000;

/// What each process of a mesh keeps in memory, in KiB.
fn memory(mesh: &Mesh) -> Vec<u64> {
    let of = |node: &tests::mesh::Node| {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", node.process.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default()
    };
    mesh.nodes.iter().map(of).collect()
}

/// A thousand charges of a thousand users, a millisecond apart and waiting for nothing; each answer with how
/// long it took.
async fn charges(world: &World) -> Vec<(Answer, Duration)> {
    let mut sent = Vec::new();
    for _ in 0..REQUESTS {
        let call = world
            .rest
            .post(&format!("/v1/wallets/{}/charges", unique("user")), json!({"amount": 5}))
            .key(&unique("key"));
        sent.push(tokio::spawn(async move {
            let begun = Instant::now();
            (call.once().await, begun.elapsed())
        }));
        sleep(Duration::from_millis(1)).await;
    }
    join_all(sent).await.into_iter().map(Result::unwrap).collect()
}

/// Everything that was refused was refused properly and soon; answers how many that were.
fn refused_soon(answers: &[(Answer, Duration)]) -> usize {
    let refused: Vec<_> = answers.iter().filter(|(answer, _)| answer.status != 201).collect();
    let soon = refused.iter().filter(|(_, took)| is_prompt(*took, REFUSED_WITHIN)).count();
    for (answer, took) in &refused {
        assert!(matches!(answer.status, 503 | 504), "{} {}", answer.status, answer.text);
        assert!(answer.headers.contains_key("retry-after"), "{} without a time to come back", answer.status);
        assert!(is_prompt(*took, ANSWERED_WITHIN), "refused after {took:?}");
    }
    // Those that came before anybody knew, and those that had a connection, may have waited for the database
    // itself.
    assert!(
        soon * 2 >= refused.len(),
        "only {soon} of {} refusals came within {REFUSED_WITHIN:?}",
        refused.len()
    );
    refused.len()
}

/// As before: a charge, a join and a hold at once, and nothing is left in flight.
async fn is_as_before(world: &World, before: &[u64]) {
    let charged = || async {
        let begun = Instant::now();
        let answer = world
            .rest
            .post(&format!("/v1/wallets/{}/charges", unique("user")), json!({"amount": 5}))
            .once()
            .await;
        holds((answer.status, begun.elapsed()), |(status, took)| {
            *status == 201 && is_prompt(*took, Duration::from_secs(1))
        })
    };
    for _ in 0..4 {
        eventually(Duration::from_secs(15), charged).await;
    }
    let sale = world.sale(100, 5).await;
    let buyer = world.buyer_with(&sale, 100).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    let _ = world.paying(&buyer, &reservation).expect(201).await;
    let after = memory(&world.mesh);
    let grown = after
        .iter()
        .zip(before)
        .map(|(after, before)| after.saturating_sub(*before))
        .max()
        .unwrap_or_default();
    assert!(grown < MEMORY, "{before:?} KiB became {after:?}");
}

async fn a_database_that_stands_still_is_not_waited_for_by_a_thousand(shape: Shape) {
    let world = World::start(shape, &[]).await;
    world.charge(&unique("user"), 1).await;
    let before = memory(&world.mesh);
    let lock = world.mesh.databases.hold_up("wallet").await;
    let answers = charges(&world).await;
    let refused = refused_soon(&answers);
    assert!(refused + 40 >= REQUESTS, "{refused} of {REQUESTS} were refused by a database that stood still");
    // What does not need the wallet goes on meanwhile.
    let sale = world.sale(100, 5).await;
    let buyer = world.buyer(&sale).await;
    world.hold(&buyer, sale.show, &[1]).await;
    lock.release().await;
    is_as_before(&world, &before).await;
    world.finish().await;
}

/// The wallet's database behind a wire that can be slowed.
struct Slow(std::sync::Mutex<Vec<Wire>>);

impl Wiring for Slow {
    fn database(&self, role: Role, url: &str) -> String {
        if role != Role::Wallet {
            return url.to_owned();
        }
        let (wire, url) = Wire::before_postgres(url, Faults::default());
        self.0.lock().unwrap().push(wire);
        url
    }
}

async fn a_database_that_is_slow_slows_only_what_it_can_take(shape: Shape) {
    let slow = Slow(std::sync::Mutex::default());
    let world = World::new(std::sync::Arc::new(Mesh::start_wired(shape, &[], None, &slow).await));
    world.charge(&unique("user"), 1).await;
    let before = memory(&world.mesh);
    let late_by = |by| slow.0.lock().unwrap().iter().for_each(|wire| wire.slow(by));
    // Twenty connections at some six round trips of 100 ms each: thirty charges a second, where hundreds are
    // asked for.
    late_by(Duration::from_millis(50));
    let answers = charges(&world).await;
    let refused = refused_soon(&answers);
    let done = REQUESTS - refused;
    assert!(done >= 20, "only {done} of {REQUESTS} got through: what can be done must be done");
    late_by(Duration::ZERO);
    is_as_before(&world, &before).await;
    world.finish().await;
}
