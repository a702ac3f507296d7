//! Draws with a beacon, on whole meshes: a relay of a network of one tells the rounds, comes late, lies, or
//! never comes, and programs are killed between the opening and the draw.

use std::time::Duration;

use audit::draw::{root, sha256};
use chassis::{clock::Clock, hex, rfc3339::Rfc3339};
use serde_json::{Value, json};
use tests::{
    eventually::eventually,
    mesh::{Role, Shape},
    patience::pause,
    relay::{DrandRelay, Mood},
    solos,
    suite::Solo,
    world::{World, all_at_once, int, text, unique},
};
use uuid::Uuid;

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::SingleSqlite, Shape::SinglePostgres, Shape::Cluster];
    a_line_opens_with_the_round_that_was_announced,
    a_relay_that_is_away_or_lies_delays_an_opening_and_a_kill_changes_nothing,
    an_operator_may_draw_without_a_beacon_that_does_not_come_and_all_see_it,
];

async fn world(shape: Shape, relay: &DrandRelay) -> World {
    World::start(shape, &["--beacon-url", &relay.url]).await
}

/// A line that opens by lot in some seconds, and the people who registered: the line, the instant, its draw
/// before, and their tokens.
async fn opening(world: &World, people: usize) -> (String, i64, Value, Vec<String>) {
    let opens = Clock::system().now() + 4_000_000;
    let policy = json!({"maxActive": 0, "opening": "DRAW", "opensAt": Rfc3339::of(opens).as_str()});
    let queue = world.queue(policy).await;
    let before = draw(world, &queue).await;
    let users: Vec<String> = (0..people).map(|_| unique("user")).collect();
    let joined = all_at_once(users.iter().map(|user| world.joining(&queue, user))).await;
    let tokens = joined.into_iter().map(|one| text(&one.expect(201)["token"])).collect();
    (queue, opens, before, tokens)
}

async fn draw(world: &World, queue: &str) -> Value {
    world.rest.get(&format!("/v1/queues/{queue}/draw")).expect(200).await
}

/// The draw, once it has this member.
async fn once(world: &World, queue: &str, member: &str) -> Value {
    eventually(Duration::from_secs(40), || async {
        let draw = world.rest.get(&format!("/v1/queues/{queue}/draw")).try_send().await?;
        if draw.body[member].is_string() { Ok(draw.body) } else { Err(draw.text) }
    })
    .await
}

fn bytes(of: &Value) -> Vec<u8> {
    hex::read(&text(of)).unwrap()
}

/// Checks a draw that was held against what was told before it, and everybody's number.
async fn checked(world: &World, queue: &str, fixed: &Value, signature: &[u8], tokens: &[String]) {
    let held = once(world, queue, "secret").await;
    for member in ["commitment", "root", "rootAt", "beaconChain", "beaconRound", "beaconAt", "beaconInfo"] {
        assert_eq!(held[member], fixed[member], "{member}");
    }
    assert_eq!(int(&held["registered"]), tokens.len() as i64);
    let ids: Vec<Uuid> = tokens.iter().map(|token| token.parse().unwrap()).collect();
    let hashes = ids.iter().map(|id| sha256(&[id.as_bytes()])).collect();
    assert_eq!(root(hashes)[..], bytes(&held["root"]));
    let beacon = if signature.is_empty() { Vec::new() } else { sha256(&[signature]).to_vec() };
    assert_eq!(bytes(&held["beacon"]), beacon);
    let seed = sha256(&[&bytes(&held["secret"]), &bytes(&held["root"]), &beacon]);
    assert_eq!(bytes(&held["seed"]), seed);
    let mut order: Vec<_> = ids.iter().map(|id| sha256(&[&seed, id.as_bytes()])).zip(tokens).collect();
    order.sort_unstable();
    for (number, (_, token)) in (1..).zip(order) {
        let own = world.rest.get(&format!("/v1/tokens/{token}/draw")).expect(200).await;
        assert_eq!(int(&own["number"]), number, "{own}");
    }
}

async fn a_line_opens_with_the_round_that_was_announced(shape: Shape) {
    let relay = DrandRelay::start().await;
    let world = world(shape, &relay).await;
    let (queue, opens, before, tokens) = opening(&world, 30).await;
    assert_eq!(before["beaconChain"], json!(relay.drand.hash()));
    // A round a second: the first that is five seconds after the opening.
    let at = (opens + 5_999_999).div_euclid(1_000_000) * 1_000_000;
    let round = int(&before["beaconRound"]);
    assert_eq!((round, &before["root"]), (relay.drand.latest(at), &json!(null)));
    assert_eq!(before["beaconAt"], json!(Rfc3339::of(at).as_str()));
    let fixed = once(&world, &queue, "root").await;
    assert_eq!((int(&fixed["registered"]), &fixed["secret"]), (30, &json!(null)), "{fixed}");
    assert!(text(&fixed["rootAt"]) < text(&fixed["beaconAt"]), "{fixed}");
    let late = world.join(&queue, &unique("late")).await;
    assert_eq!((&late["status"], int(&late["position"])), (&json!("REGISTERED"), 0));
    checked(&world, &queue, &fixed, &relay.drand.signature(round), &tokens).await;
    let late = world.token(&text(&late["token"])).await;
    assert_eq!(
        (&late["status"], int(&late["position"])),
        (&json!("WAITING"), 31),
        "behind all who took part"
    );
    world.finish().await;
}

async fn a_relay_that_is_away_or_lies_delays_an_opening_and_a_kill_changes_nothing(shape: Shape) {
    let relay = DrandRelay::start().await;
    let world = world(shape, &relay).await;
    let (queue, _, before, tokens) = opening(&world, 30).await;
    relay.is(Mood::IsAway);
    let fixed = once(&world, &queue, "root").await;
    for mood in [Mood::IsAway, Mood::Forges, Mood::SendsElsewhere] {
        relay.is(mood);
        let asked = relay.asked();
        eventually(Duration::from_secs(30), || async {
            if relay.asked() > asked + 1 { Ok(()) } else { Err(format!("{mood:?}: asked {asked}")) }
        })
        .await;
        assert_eq!(draw(&world, &queue).await, fixed, "{mood:?}");
        assert_eq!(world.token(&tokens[0]).await["status"], "REGISTERED", "{mood:?}");
    }
    for why in ["503", "is not the network's signature", "302"] {
        assert!(world.mesh.logs(usize::MAX).contains(why), "{why}\n{}", world.mesh.logs(40));
    }
    // kill -9 between the opening and the draw; and at about the moment of the draw.
    for pauses in [0, 300] {
        pause(Duration::from_millis(pauses)).await;
        let nodes = world.mesh.nodes.iter().filter(|node| matches!(node.role, Role::Queue | Role::Launcher));
        nodes.for_each(|node| node.process.restart());
        relay.is(Mood::Tells);
        world.mesh.ready().await;
    }
    let signature = relay.drand.signature(int(&before["beaconRound"]));
    checked(&world, &queue, &fixed, &signature, &tokens).await;
    world.finish().await;
}

async fn an_operator_may_draw_without_a_beacon_that_does_not_come_and_all_see_it(shape: Shape) {
    let relay = DrandRelay::start().await;
    let world = world(shape, &relay).await;
    let (queue, _, _, tokens) = opening(&world, 20).await;
    relay.is(Mood::IsAway);
    let put = || world.rest.put(&format!("/v1/queues/{queue}"), json!({"withoutBeacon": true})).send();
    let _ = put().await.problem(409, "FAILED_PRECONDITION");
    let fixed = once(&world, &queue, "root").await;
    let is_told =
        |line: &String| line.contains("\"alert\":true") && line.contains("a draw waits for its beacon");
    eventually(Duration::from_secs(60), || async {
        let complaints = world.mesh.complaints();
        if complaints.iter().any(is_told) { Ok(()) } else { Err(format!("no alert: {complaints:?}")) }
    })
    .await;
    let told = put().await;
    assert_eq!((told.status, &told.body["withoutBeacon"]), (200, &json!(true)), "{}", told.text);
    checked(&world, &queue, &fixed, &[], &tokens).await;
    let held = draw(&world, &queue).await;
    assert_eq!((&held["beacon"], &held["beaconSignature"]), (&json!(""), &json!(null)), "{held}");
    world.finish().await;
}
