//! One process, ended in every way and started again: nothing that was answered is lost, nothing is left
//! half-done.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{
    client::Call,
    eventually::{eventually, holds},
    mesh::Shape,
    patience::pause,
    process::Signal,
    solos,
    suite::Solo,
    world::{World, all_at_once, text, unique},
};
use tokio::time::sleep;

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::SingleSqlite, Shape::SinglePostgres];
    everything_is_kept_over_sigterm,
    everything_is_kept_over_kill_9,
    charges_cut_by_kill_9_are_applied_once,
    payments_cut_by_kill_9_end_in_one_outcome,
    a_request_in_flight_is_finished_before_the_process_ends,
    ctrl_c_ends_it_cleanly,
];

/// Everything a client could read before and after.
async fn snapshot(world: &World, paths: &[String]) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in paths {
        let mut body = world.rest.get(path).expect(200).await;
        // What is told about the future may differ by a second.
        for field in ["estimatedWaitSeconds", "pollAfterSeconds"] {
            body.as_object_mut().map(|object| object.remove(field));
        }
        seen.push(body);
    }
    seen
}

async fn everything_is_kept(shape: Shape, signal: Signal) {
    let world = World::start(shape, &[]).await;
    let sale = world.sale(4_000, 10).await;
    let (paid, held) = (world.buyer_with(&sale, 10_000).await, world.buyer_with(&sale, 7_000).await);
    let bought = world.hold(&paid, sale.show, &[1, 2]).await;
    let key = unique("pay");
    let payment = world.paying(&paid, &bought).key(&key).expect(201).await;
    let kept = world.hold(&held, sale.show, &[3]).await;
    let line = world.queue(json!({"maxActive": 1})).await;
    let mut tokens = Vec::new();
    for _ in 0..4 {
        tokens.push(text(&world.join(&line, &unique("user")).await["token"]));
    }
    world.until(&paid.token, "COMPLETED").await;
    let mut paths: Vec<_> =
        tokens.iter().chain([&paid.token, &held.token]).map(|token| format!("/v1/tokens/{token}")).collect();
    paths.extend([
        format!("/v1/reservations/{bought}"),
        format!("/v1/reservations/{kept}"),
        format!("/v1/queues/{line}"),
    ]);
    paths.extend([
        format!("/v1/wallets/{}/entries", paid.user),
        format!("/v1/wallets/{}", held.user),
        "/v1/concerts".to_owned(),
    ]);
    paths.push(format!("/v1/payments/{}", text(&payment["paymentId"])));
    let before = snapshot(&world, &paths).await;

    let process = &world.mesh.nodes[0].process;
    process.signal(signal);
    let ended = process.wait(Duration::from_secs(20)).await.unwrap();
    assert_eq!(ended.success(), matches!(signal, Signal::Term), "{ended}");
    world.mesh.restart().await;

    assert_eq!(snapshot(&world, &paths).await, before);
    assert_eq!(world.paying(&paid, &bought).key(&key).expect(201).await["paymentId"], payment["paymentId"]);
    let _ = world.paying(&held, &kept).expect(201).await;
    let _ = world.rest.delete(&format!("/v1/tokens/{}", tokens[0])).expect(204).await;
    world.until(&tokens[1], "ACTIVE").await;
    let last = text(&world.join(&line, &unique("user")).await["token"]);
    assert_eq!(
        world.rest.get(&format!("/v1/tokens/{last}")).expect(200).await["ticket"],
        5,
        "tickets go on where they were"
    );
    world.finish().await;
}

async fn everything_is_kept_over_sigterm(shape: Shape) {
    everything_is_kept(shape, Signal::Term).await;
}

async fn everything_is_kept_over_kill_9(shape: Shape) {
    everything_is_kept(shape, Signal::Kill).await;
}

/// Sends each of these until it is answered with 201, as a client with keys may, and returns the answers.
async fn stubbornly(
    calls: impl Iterator<Item = impl Fn() -> Call + Send + Sync + 'static>,
) -> Vec<tokio::task::JoinHandle<Value>> {
    let send = |call: Box<dyn Fn() -> Call + Send + Sync>| async move {
        eventually(Duration::from_secs(40), || async {
            let answer = call().try_send().await?;
            assert!(
                answer.status < 500 || answer.status == 503 || answer.status == 504,
                "{} {}",
                answer.status,
                answer.text
            );
            holds(answer, |answer| answer.status == 201).map(|answer| answer.body)
        })
        .await
    };
    calls.map(|call| tokio::spawn(send(Box::new(call)))).collect()
}

async fn charges_cut_by_kill_9_are_applied_once(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let user = unique("user");
    let charges = (0..200).map(|_| {
        let (rest, path, key) = (world.rest.clone(), format!("/v1/wallets/{user}/charges"), unique("key"));
        move || rest.post(&path, json!({"amount": 10})).key(&key)
    });
    let sent = stubbornly(charges).await;
    for _ in 0..3 {
        sleep(Duration::from_millis(60)).await;
        world.mesh.nodes[0].process.kill();
        sleep(Duration::from_millis(100)).await;
        world.mesh.restart().await;
    }
    for task in sent {
        task.await.unwrap();
    }
    assert_eq!(world.balance(&user).await, 2_000);
    world.finish().await;
}

async fn payments_cut_by_kill_9_end_in_one_outcome(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let sale = world.sale(1_000, 50).await;
    let mut buyers = Vec::new();
    for seat in 1..=30 {
        let buyer = world.buyer_with(&sale, 1_500).await;
        let reservation = world.hold(&buyer, sale.show, &[seat]).await;
        buyers.push((buyer, reservation, unique("pay")));
    }
    let calls: Vec<_> =
        buyers.iter().map(|(buyer, reservation, key)| world.paying(buyer, reservation).key(key)).collect();
    let first =
        tokio::spawn(async move { futures::future::join_all(calls.into_iter().map(Call::try_send)).await });
    sleep(Duration::from_millis(80)).await;
    world.mesh.nodes[0].process.kill();
    drop(first.await.unwrap());
    world.mesh.restart().await;
    for (buyer, reservation, key) in &buyers {
        let id = eventually(Duration::from_secs(60), || async {
            let answer = world.paying(buyer, reservation).key(key).send().await;
            holds(answer, |answer| matches!(answer.status, 201 | 202))
                .map(|answer| text(&answer.body["paymentId"]))
        })
        .await;
        eventually(Duration::from_secs(60), || async {
            holds(world.rest.get(&format!("/v1/payments/{id}")).send().await, |answer| {
                answer.body["status"] == "COMPLETED"
            })
        })
        .await;
        assert_eq!(world.balance(&buyer.user).await, 500);
        assert_eq!(world.reservation(reservation).await["status"], "CONFIRMED");
    }
    world.finish().await;
}

async fn a_request_in_flight_is_finished_before_the_process_ends(shape: Shape) {
    /// For so long a charge waits for its turn at the ledger; then it is refused, whoever ends.
    const TURN: Duration = Duration::from_secs(2);
    let world = World::start(shape, &[]).await;
    let user = unique("user");
    world.charge(&user, 100).await;
    let mut balance = 100;
    for _ in 0..10 {
        let charge = || world.rest.post(&format!("/v1/wallets/{user}/charges"), json!({"amount": 5}));
        let (charges, begun): (Vec<_>, _) = ((0..5).map(|_| charge()).collect(), Instant::now());
        let lock = world.mesh.databases.hold_up("wallet").await;
        let in_flight = tokio::spawn(all_at_once(charges));
        pause(Duration::from_millis(500)).await;
        world.mesh.nodes[0].process.signal(Signal::Term);
        pause(Duration::from_millis(200)).await;
        lock.release().await;
        let answers = in_flight.await.unwrap();
        let too_slow = begun.elapsed() >= TURN;
        let ended = world.mesh.nodes[0].process.wait(Duration::from_secs(20)).await.unwrap();
        assert!(ended.success(), "{ended}");
        assert!(world.rest.get("/readyz").try_send().await.is_err(), "nothing listens any more");
        world.mesh.restart().await;
        let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
        balance += 5 * i64::try_from(done.len()).unwrap();
        assert_eq!(world.balance(&user).await, balance);
        if refused.is_empty() {
            return world.finish().await;
        }
        assert!(too_slow, "{refused:?}");
    }
    panic!("this machine never let five charges stand for less than {TURN:?}");
}

async fn ctrl_c_ends_it_cleanly(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let queue = world.queue(json!({"maxActive": 0})).await;
    let token = text(&world.join(&queue, &unique("user")).await["token"]);
    // Somebody follows a token all the while: an open stream must not hold the process up.
    let stream = world.rest.get(&format!("/v1/tokens/{token}/events")).stream().await;
    let process = &world.mesh.nodes[0].process;
    process.signal(Signal::Int);
    let ended = process.wait(Duration::from_secs(20)).await.unwrap();
    assert!(ended.success(), "{ended}\n{}", world.mesh.logs(20));
    drop(stream);
    world.mesh.restart().await;
    world.finish().await;
}
