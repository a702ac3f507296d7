//! Two replicas of everything: one that is killed or hangs is not felt beyond a retry, and what it was doing
//! is done by the other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{
    client::Call,
    eventually::{eventually, holds},
    mesh::{Role, Shape},
    patience::{Patience, is_prompt},
    process::Signal,
    solos,
    suite::Solo,
    world::{Buyer, Sale, World, text, unique},
};
use tokio::{task::JoinHandle, time::sleep};

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::Cluster];
    one_replica_of_each_killed_under_load_is_not_felt_beyond_a_retry,
    a_rolling_restart_of_the_services_is_not_felt_at_all,
    polls_go_on_when_the_replica_that_answers_them_is_killed,
    a_payment_goes_on_when_its_edge_is_killed,
    a_service_without_any_replica_is_unavailable_until_it_is_back,
    calls_are_balanced_over_the_replicas,
    replicas_that_hang_are_stepped_around,
];

/// Sends a call again while there is no answer or a 503 (a 504 leaves the outcome open too): all that a
/// client is asked to do.
async fn retried(felt: &AtomicU64, success: &[u16], call: impl Fn() -> Call) -> Value {
    let patience = Patience::new(Duration::from_secs(20));
    loop {
        match call().try_send().await {
            Ok(answer) if success.contains(&answer.status) => return answer.body,
            Ok(answer) if !matches!(answer.status, 503 | 504) => {
                panic!("{}: {} {}", answer.what, answer.status, answer.text)
            }
            other => {
                felt.fetch_add(1, Ordering::Relaxed);
                assert!(!patience.is_over(), "{other:?}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// From the line to the paid seat, each step with a key of its own.
async fn purchase(world: &World, sale: &Sale, seat: i32, felt: &AtomicU64) {
    let user = unique("user");
    let keys: [String; 3] = std::array::from_fn(|_| unique("key"));
    let join = || world.rest.post(&format!("/v1/queues/{}/tokens", sale.queue), json!({"userId": user}));
    let token = text(&retried(felt, &[200, 201], join).await["token"]);
    let buyer = Buyer { user: user.clone(), token };
    let charge =
        || world.rest.post(&format!("/v1/wallets/{user}/charges"), json!({"amount": 1_500})).key(&keys[0]);
    retried(felt, &[201], charge).await;
    let held = retried(felt, &[201], || world.holding(&buyer, sale.show, &[seat]).key(&keys[1])).await;
    let reservation = text(&held["reservationId"]);
    let paid = retried(felt, &[201, 202], || world.paying(&buyer, &reservation).key(&keys[2])).await;
    let id = text(&paid["paymentId"]);
    let patience = Patience::new(Duration::from_secs(60));
    loop {
        let payment = retried(felt, &[200], || world.rest.get(&format!("/v1/payments/{id}"))).await;
        if payment["status"] == "COMPLETED" {
            break;
        }
        assert!(payment["status"] == "PENDING" && !patience.is_over(), "{payment}");
        sleep(Duration::from_millis(100)).await;
    }
    let wallet = retried(felt, &[200], || world.rest.get(&format!("/v1/wallets/{user}"))).await;
    assert_eq!(wallet["balance"], 500);
}

/// Eight buyers who buy one seat after the other.
struct Rush {
    over: Arc<AtomicBool>,
    felt: Arc<AtomicU64>,
    seats: Arc<AtomicU64>,
    buyers: Vec<JoinHandle<()>>,
}

impl Rush {
    async fn start(world: &World) -> Self {
        let queue = world.queue(json!({"maxActive": 1_000, "admitPerMinute": 1_000_000})).await;
        let sale = world.sale_behind(queue, 1_000, 5_000).await;
        let (over, felt, seats) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let buyers = (0..8)
            .map(|_| {
                let (world, sale, over, felt, seats) =
                    (world.clone(), sale.clone(), Arc::clone(&over), Arc::clone(&felt), Arc::clone(&seats));
                tokio::spawn(async move {
                    while !over.load(Ordering::Relaxed) {
                        let seat = i32::try_from(seats.fetch_add(1, Ordering::Relaxed)).unwrap() + 1;
                        purchase(&world, &sale, seat, &felt).await;
                    }
                })
            })
            .collect();
        Self { over, felt, seats, buyers }
    }

    /// How many seats were sold, and how often a client had to ask again.
    async fn end(self) -> (u64, u64) {
        self.over.store(true, Ordering::Relaxed);
        for buyer in self.buyers {
            buyer.await.unwrap();
        }
        (self.seats.load(Ordering::Relaxed), self.felt.load(Ordering::Relaxed))
    }
}

async fn one_replica_of_each_killed_under_load_is_not_felt_beyond_a_retry(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let rush = Rush::start(&world).await;
    for role in [Role::Queue, Role::Booking, Role::Wallet, Role::Edge] {
        sleep(Duration::from_millis(1_000)).await;
        world.mesh.of(role)[0].process.kill();
        sleep(Duration::from_millis(1_500)).await;
        world.mesh.of(role)[0].process.restart();
        world.mesh.ready().await;
    }
    let (sold, felt) = rush.end().await;
    assert!(sold >= 20, "only {sold} purchases in all that time");
    // Clients of a killed edge meet a refused connection while it is down; beyond that retries are rare.
    assert!(felt < sold * 10, "{felt} retries for {sold} purchases");
    world.finish().await;
}

async fn a_rolling_restart_of_the_services_is_not_felt_at_all(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let rush = Rush::start(&world).await;
    for role in [Role::Queue, Role::Booking, Role::Wallet] {
        for node in world.mesh.of(role) {
            sleep(Duration::from_millis(500)).await;
            node.process.signal(Signal::Term);
            let ended = node.process.wait(Duration::from_secs(20)).await.unwrap();
            assert!(ended.success(), "{role:?}: {ended}");
            node.process.restart();
            world.mesh.ready().await;
        }
    }
    let (sold, felt) = rush.end().await;
    assert!(sold >= 20, "only {sold} purchases in all that time");
    assert_eq!(felt, 0, "of {sold} purchases");
    world.finish().await;
}

/// How many streams of polls have been opened at the replicas of queue-svc.
async fn streams_of_polls(world: &World) -> usize {
    let mut opened = 0;
    for node in world.mesh.of(Role::Queue) {
        let text = reqwest::get(format!("http://{}/metrics", node.http)).await.unwrap().text().await.unwrap();
        let counts = |line: &&str| line.starts_with("grpc_requests_total") && line.contains("\"PollTokens\"");
        let count = |line: &str| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
        opened += text.lines().filter(counts).map(count).sum::<usize>();
    }
    opened
}

async fn polls_go_on_when_the_replica_that_answers_them_is_killed(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let queue = world.queue(json!({"maxActive": 0})).await;
    let mut people = Vec::new();
    for _ in 0..16 {
        let user = unique("user");
        let joined = world.joining(&queue, &user).expect(201).await;
        people.push((user, text(&joined["token"])));
    }
    let over = Arc::new(AtomicBool::new(false));
    let polling: Vec<_> = people
        .into_iter()
        .map(|(user, token)| {
            let (world, over) = (world.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let mut polls = 0_u64;
                while !over.load(Ordering::Relaxed) {
                    // Whatever happens behind the edge, it is asked once.
                    let told = world.rest.get(&format!("/v1/tokens/{token}")).once().await;
                    assert_eq!(told.status, 200, "{}", told.text);
                    assert_eq!(
                        (text(&told.body["token"]), text(&told.body["userId"])),
                        (token.clone(), user.clone())
                    );
                    polls += 1;
                }
                polls
            })
        })
        .collect();
    for nth in [0, 1] {
        eventually(Duration::from_secs(10), || async {
            holds(streams_of_polls(&world).await, |opened| *opened >= 2)
        })
        .await;
        world.mesh.of(Role::Queue)[nth].process.kill();
        sleep(Duration::from_secs(2)).await;
        world.mesh.of(Role::Queue)[nth].process.restart();
        world.mesh.ready().await;
    }
    over.store(true, Ordering::Relaxed);
    for polls in polling {
        assert!(polls.await.unwrap() > 20);
    }
    world.finish().await;
}

async fn a_payment_goes_on_when_its_edge_is_killed(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let sale = world.sale(1_000, 20).await;
    let mut holds_made = Vec::new();
    for seat in 1..=6 {
        let buyer = world.buyer_with(&sale, 1_500).await;
        let reservation = world.hold(&buyer, sale.show, &[seat]).await;
        holds_made.push((buyer, reservation));
    }
    let lock = world.mesh.databases.hold_up("wallet").await;
    let calls: Vec<_> = holds_made
        .iter()
        .map(|(buyer, reservation)| tokio::spawn(world.paying(buyer, reservation).try_send()))
        .collect();
    for (buyer, _) in &holds_made {
        world.checkout_begun(&buyer.user).await;
    }
    world.mesh.of(Role::Edge)[0].process.kill();
    lock.release().await;
    for call in calls {
        drop(call.await.unwrap());
    }
    let survivor = tests::client::Rest::new(vec![world.mesh.rest()[1].clone()]);
    for (buyer, reservation) in &holds_made {
        eventually(Duration::from_secs(60), || async {
            holds(survivor.get(&format!("/v1/reservations/{reservation}")).send().await.body, |body| {
                body["status"] == "CONFIRMED"
            })
        })
        .await;
        assert_eq!(survivor.get(&format!("/v1/wallets/{}", buyer.user)).expect(200).await["balance"], 500);
        eventually(Duration::from_secs(30), || async {
            holds(survivor.get(&format!("/v1/tokens/{}", buyer.token)).send().await.body, |body| {
                body["status"] == "COMPLETED"
            })
        })
        .await;
    }
    world.mesh.restart().await;
    world.finish().await;
}

async fn a_service_without_any_replica_is_unavailable_until_it_is_back(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 5_000).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    for node in world.mesh.of(Role::Wallet) {
        node.process.kill();
    }
    for _ in 0..4 {
        let begun = Instant::now();
        let answer = world.rest.get(&format!("/v1/wallets/{}", buyer.user)).once().await;
        assert!(!answer.header("retry-after").is_empty(), "{:?}", answer.headers);
        let _ = answer.problem(503, "UNAVAILABLE");
        assert!(is_prompt(begun.elapsed(), Duration::from_secs(15)), "{:?}", begun.elapsed());
    }
    // The payment cannot settle now, and does later by itself.
    let pending = world.paying(&buyer, &reservation).send().await;
    assert_eq!(pending.status, 202, "{}", pending.text);
    let payment = text(&pending.body["paymentId"]);
    for node in world.mesh.of(Role::Wallet) {
        node.process.restart();
    }
    world.mesh.ready().await;
    eventually(Duration::from_secs(30), || async {
        holds(world.rest.get(&format!("/v1/wallets/{}", buyer.user)).send().await, |answer| {
            answer.status == 200
        })
    })
    .await;
    eventually(Duration::from_secs(60), || async {
        holds(world.rest.get(&format!("/v1/payments/{payment}")).send().await.body, |body| {
            body["status"] == "COMPLETED"
        })
    })
    .await;
    assert_eq!(world.balance(&buyer.user).await, 4_000);
    world.finish().await;
}

async fn calls_are_balanced_over_the_replicas(shape: Shape) {
    let world = World::start(shape, &[]).await;
    for _ in 0..100 {
        world.charge(&unique("user"), 5).await;
    }
    // Log lines of ChargeWallet by replica; the log is written behind.
    let lines = || {
        world
            .mesh
            .of(Role::Wallet)
            .iter()
            .map(|node| node.process.log().matches("ChargeWallet").count())
            .collect()
    };
    eventually(Duration::from_secs(5), || async {
        holds(lines(), |lines: &Vec<usize>| lines.iter().all(|&count| count >= 15))
    })
    .await;
    world.finish().await;
}

async fn replicas_that_hang_are_stepped_around(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let user = unique("user");
    world.charge(&user, 100).await;
    let hung = world.mesh.of(Role::Wallet)[0];
    hung.process.signal(Signal::Stop);
    let felt = AtomicU64::new(0);
    let begun = Instant::now();
    for _ in 0..20 {
        retried(&felt, &[200], || world.rest.get(&format!("/v1/wallets/{user}"))).await;
    }
    hung.process.signal(Signal::Cont);
    assert!(is_prompt(begun.elapsed(), Duration::from_secs(60)), "20 reads took {:?}", begun.elapsed());
    world.mesh.ready().await;
    world.finish().await;
}
