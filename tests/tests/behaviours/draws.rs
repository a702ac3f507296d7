//! Openings by lot: everybody can check the draw, all replicas tell the same numbers, and a program that is
//! killed around the instant changes nothing of it.

use std::time::Duration;

use audit::draw::{Hash, leads, root, sha256};
use boxoffice_proto::queue::{GetTokenDrawRequest, queue_service_client::QueueServiceClient};
use chassis::{clock::Clock, rfc3339::Rfc3339};
use serde_json::{Value, json};
use tests::{
    eventually::eventually,
    mesh::{Role, Shape},
    scenarios, solos,
    suite::{Scenario, Solo},
    world::{World, all_at_once, int, text, unique},
};
use uuid::Uuid;

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    a_line_opens_by_lot_and_everybody_can_check_it,
    who_leaves_and_registers_again_has_no_second_lot,
    a_draw_is_fixed_once_somebody_has_registered,
];

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::SingleSqlite, Shape::SinglePostgres, Shape::Cluster];
    programs_killed_at_the_opening_change_nothing_of_the_draw,
];

/// The instant so many seconds from now.
fn soon(seconds: i64) -> String {
    Rfc3339::of(Clock::system().now() + seconds * 1_000_000).as_str().to_owned()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = text(hex);
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn hash(hex: &Value) -> Hash {
    bytes(hex).try_into().unwrap()
}

async fn draw(world: &World, queue: &str) -> Value {
    world.rest.get(&format!("/v1/queues/{queue}/draw")).expect(200).await
}

async fn register(world: &World, queue: &str, people: usize) -> Vec<String> {
    let users: Vec<String> = (0..people).map(|_| unique("user")).collect();
    let answers = all_at_once(users.iter().map(|user| world.joining(queue, user))).await;
    answers
        .into_iter()
        .map(|answer| {
            assert_eq!(
                (answer.status, &answer.body["status"]),
                (201, &json!("REGISTERED")),
                "{}",
                answer.text
            );
            text(&answer.body["token"])
        })
        .collect()
}

/// The draw, once it was held.
async fn held(world: &World, queue: &str) -> Value {
    eventually(Duration::from_secs(30), || async {
        let draw = world.rest.get(&format!("/v1/queues/{queue}/draw")).try_send().await?;
        if draw.body["secret"].is_string() { Ok(draw.body) } else { Err(draw.text) }
    })
    .await
}

/// Checks everything that can be checked with these tokens, which are all that took part; answers them by
/// their numbers.
async fn checked(world: &World, queue: &str, commitment: &Value, tokens: &[String]) -> Vec<String> {
    let draw = held(world, queue).await;
    assert_eq!(&draw["commitment"], commitment, "it is that of before");
    assert_eq!(sha256(&[&bytes(&draw["secret"])]), hash(commitment));
    assert_eq!((int(&draw["registered"]), text(&draw["beacon"])), (tokens.len() as i64, String::new()));
    let ids: Vec<Uuid> = tokens.iter().map(|token| token.parse().unwrap()).collect();
    assert_eq!(root(ids.iter().map(|id| sha256(&[id.as_bytes()])).collect()), hash(&draw["root"]));
    let seed = sha256(&[&bytes(&draw["secret"]), &bytes(&draw["root"])]);
    assert_eq!(seed, hash(&draw["seed"]));
    let mut order: Vec<(Hash, &String)> =
        ids.iter().map(|id| sha256(&[&seed, id.as_bytes()])).zip(tokens).collect();
    order.sort_unstable();
    for (number, (_, token)) in (1..).zip(&order) {
        let own = world.rest.get(&format!("/v1/tokens/{token}/draw")).expect(200).await;
        assert_eq!((int(&own["number"]), int(&own["of"])), (number, tokens.len() as i64), "{own}");
        let id: Uuid = token.parse().unwrap();
        assert_eq!((hash(&own["hash"]), &own["token"]), (sha256(&[id.as_bytes()]), &json!(token)));
        let proof = &own["proof"];
        let path: Vec<Hash> = proof["path"].as_array().unwrap().iter().map(hash).collect();
        let (index, size) = (proof["index"].as_u64().unwrap(), proof["size"].as_u64().unwrap());
        assert!(leads(&hash(&draw["root"]), &hash(&own["hash"]), index, size, &path), "{own}");
    }
    order.into_iter().map(|(_, token)| token.clone()).collect()
}

async fn a_line_opens_by_lot_and_everybody_can_check_it(world: World) {
    let opens_at = soon(6);
    let queue = world.queue(json!({"maxActive": 3, "opening": "DRAW", "opensAt": opens_at})).await;
    let before = draw(&world, &queue).await;
    assert_eq!((&before["opensAt"], &before["algorithm"]), (&json!(opens_at), &json!("boxoffice-draw-1")));
    for hidden in ["secret", "root", "beacon", "seed"] {
        assert_eq!(before[hidden], json!(null), "{before}");
    }
    let tokens = register(&world, &queue, 30).await;
    let early = world.rest.get(&format!("/v1/tokens/{}/draw", tokens[0])).send().await;
    let _ = early.problem(409, "FAILED_PRECONDITION");
    let order = checked(&world, &queue, &before["commitment"], &tokens).await;
    for (number, token) in (1..).zip(&order) {
        if number <= 3 {
            world.until(token, "ACTIVE").await;
        } else {
            let told = world.token(token).await;
            assert_eq!((&told["status"], int(&told["position"])), (&json!("WAITING"), number - 3), "{told}");
        }
    }
    let late = world.join(&queue, &unique("late")).await;
    assert_eq!(int(&late["position"]), 28, "behind all who took part");
    let path = format!("/v1/tokens/{}/draw", text(&late["token"]));
    let _ = world.rest.get(&path).send().await.problem(404, "NOT_FOUND");
}

async fn who_leaves_and_registers_again_has_no_second_lot(world: World) {
    let queue = world.queue(json!({"opening": "DRAW", "opensAt": "2099-12-24T11:00:00Z"})).await;
    let user = unique("user");
    let token = text(&world.join(&queue, &user).await["token"]);
    for _ in 0..3 {
        let _ = world.rest.delete(&format!("/v1/tokens/{token}")).expect(204).await;
        let again = world.joining(&queue, &user).send().await;
        assert_eq!((again.status, &again.body["token"]), (201, &json!(token)), "{}", again.text);
        assert_eq!(world.token(&token).await["status"], "REGISTERED");
    }
    assert_eq!(int(&draw(&world, &queue).await["registered"]), 1);
}

async fn a_draw_is_fixed_once_somebody_has_registered(world: World) {
    let plain = world.queue(json!({})).await;
    let _ = world.rest.get(&format!("/v1/queues/{plain}/draw")).send().await.problem(404, "NOT_FOUND");
    let nowhere = format!("/v1/queues/{}/draw", unique("nowhere"));
    let _ = world.rest.get(&nowhere).send().await.problem(404, "QUEUE_NOT_FOUND");
    let put = |queue: &str, policy: Value| world.rest.put(&format!("/v1/queues/{queue}"), policy).send();
    let no_instant = put(&plain, json!({"opening": "DRAW"})).await.problem(400, "INVALID_ARGUMENT");
    assert_eq!(tests::client::violated(&no_instant), ["opensAt"]);
    let _ = put(&unique("line"), json!({"opening": "DRAW"})).await.problem(400, "INVALID_ARGUMENT");

    let queue = world.queue(json!({"opening": "DRAW", "opensAt": "2099-12-24T11:00:00Z"})).await;
    let before = draw(&world, &queue).await;
    let moved = put(&queue, json!({"opensAt": "2099-12-24T12:00:00Z"})).await;
    assert_eq!((moved.status, &moved.body["opening"]), (200, &json!("DRAW")), "{}", moved.text);
    let _ = world.join(&queue, &unique("user")).await;
    for change in [json!({"opensAt": "2099-12-24T11:00:00Z"}), json!({"opening": "FIFO"})] {
        let _ = put(&queue, change).await.problem(409, "FAILED_PRECONDITION");
    }
    assert_eq!(put(&queue, json!({"maxActive": 5})).await.status, 200);
    assert_eq!(draw(&world, &queue).await["commitment"], before["commitment"]);
    // Somebody has come already, and whoever draws now may know for whom.
    let _ = world.join(&plain, &unique("user")).await;
    let late = json!({"opening": "DRAW", "opensAt": "2099-12-24T11:00:00Z"});
    let _ = put(&plain, late).await.problem(409, "FAILED_PRECONDITION");
}

/// The programs that hold draws are killed at the instant and a little before and after it, again and again.
async fn programs_killed_at_the_opening_change_nothing_of_the_draw(shape: Shape) {
    let world = World::start(shape, &[]).await;
    for nth in 0..4_u64 {
        let opens = Clock::system().now() + 4_000_000;
        let policy = json!({"maxActive": 0, "opening": "DRAW", "opensAt": Rfc3339::of(opens).as_str()});
        let queue = world.queue(policy).await;
        let commitment = draw(&world, &queue).await["commitment"].clone();
        let tokens = register(&world, &queue, 60).await;
        let left = u64::try_from(opens - Clock::system().now()).unwrap_or(0);
        tokio::time::sleep(Duration::from_micros(left + nth * 7_000)).await;
        let nodes = world.mesh.nodes.iter().filter(|node| matches!(node.role, Role::Queue | Role::Launcher));
        nodes.for_each(|node| node.process.restart());
        world.mesh.ready().await;
        let order = checked(&world, &queue, &commitment, &tokens).await;
        for channel in world.grpc.queue.all() {
            let mut client = QueueServiceClient::new(channel.clone());
            for (number, token) in (1..).zip(&order) {
                let drawn =
                    client.get_token_draw(GetTokenDrawRequest { token: token.clone() }).await.unwrap();
                assert_eq!(drawn.into_inner().token_draw.unwrap().number, number);
            }
        }
        for (place, token) in (1..).zip(&order).step_by(7) {
            assert_eq!(int(&world.token(token).await["position"]), place);
        }
    }
    world.finish().await;
}
