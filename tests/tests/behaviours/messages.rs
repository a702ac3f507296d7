//! What a seller says to everybody who waits: in whatever way somebody follows a place, soon, and without a
//! question more.

use std::time::Duration;

use boxoffice_proto::queue as pb;
use serde_json::{Value, json};
use tests::{
    eventually::{eventually, holds},
    scenarios,
    suite::Scenario,
    world::{World, text, unique},
};

use crate::streams::Events;

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    what_a_seller_says_is_with_every_answer_about_the_queue,
    who_follows_a_place_hears_what_is_said_and_when_nothing_is_any_more,
];

const SOON: Duration = Duration::from_secs(10);

async fn say(world: &World, queue: &str, message: Value) -> Value {
    let told = world.rest.put(&format!("/v1/queues/{queue}"), json!({"message": message})).expect(200).await;
    world.level().await;
    told["message"].clone()
}

async fn what_a_seller_says_is_with_every_answer_about_the_queue(world: World) {
    let queue = world.queue(json!({"maxActive": 1})).await;
    let (admitted, waits) =
        (world.join(&queue, &unique("user")).await, world.join(&queue, &unique("user")).await);
    let path = format!("/v1/tokens/{}", text(&waits["token"]));
    world.level().await;
    assert_eq!((&waits["message"], &world.line(&queue).await["message"]), (&json!(null), &json!(null)));
    let tag = world.rest.get(&path).send().await.header("etag");
    let both = json!({"ko": "10분 늦어집니다", "en": "<b>Ten</b> minutes & more: Caf\u{e9}"});
    let written = json!({"ko": " 10분 늦어집니다", "en": "<b>Ten</b> minutes & more: Cafe\u{301} "});
    assert_eq!(say(&world, &queue, written).await, both, "in form C, without surrounding space");
    let fresh = world.rest.get(&path).header("if-none-match", &tag).send().await;
    assert_eq!((fresh.status, &fresh.body["message"]), (200, &both), "who knows the answer before is told");
    let tag = fresh.header("etag");
    let same = world.rest.get(&path).header("if-none-match", &tag).send().await;
    assert_eq!(same.status, 304, "{}", same.text);
    assert_eq!(world.line(&queue).await["message"], both);
    assert_eq!(world.token(&text(&admitted["token"])).await["message"], both, "who is admitted sees it, too");
    assert_eq!(world.join(&queue, &unique("user")).await["message"], both, "and who joins now");

    // Over gRPC a token by itself has it, and many have it once.
    let message = pb::QueueMessage { ko: text(&both["ko"]), en: text(&both["en"]) };
    let tokens = vec![text(&admitted["token"]), text(&waits["token"])];
    let one = pb::GetTokenRequest { token: tokens[1].clone(), ..pb::GetTokenRequest::default() };
    let told = world.grpc.queue().get_token(one).await.unwrap().into_inner().token.unwrap();
    assert_eq!(told.message.as_ref(), Some(&message));
    let many = pb::BatchGetTokensRequest { tokens: tokens.clone() };
    let told = world.grpc.queue().batch_get_tokens(many).await.unwrap().into_inner();
    let notice = pb::QueueNotice { queue_id: queue.clone(), message: Some(message) };
    assert_eq!((told.tokens.len(), told.notices), (2, vec![notice]));

    // Another knob leaves it alone; a message replaces the whole of the one before; null takes it away.
    world.rest.put(&format!("/v1/queues/{queue}"), json!({"paused": true})).expect(200).await;
    assert_eq!(world.line(&queue).await["message"], both);
    assert_eq!(say(&world, &queue, json!({"en": "Soon"})).await, json!({"ko": null, "en": "Soon"}));
    let _ = world.rest.delete(&path).expect(204).await;
    assert_eq!(world.token(&tokens[1]).await["message"], json!(null), "who has left is not spoken to");
    assert_eq!(say(&world, &queue, json!(null)).await, json!(null));
    assert_eq!(world.token(&tokens[0]).await["message"], json!(null));
}

async fn who_follows_a_place_hears_what_is_said_and_when_nothing_is_any_more(world: World) {
    let far = json!({"opensAt": "2099-12-24T11:00:00Z"});
    let (waiting, closed) = (world.queue(json!({"maxActive": 0})).await, world.queue(far).await);
    for queue in [&waiting, &closed] {
        let mut streams = Vec::new();
        for _ in 0..20 {
            let token = text(&world.join(queue, &unique("user")).await["token"]);
            let mut events = Events::open(&world.rest, &token, None).await;
            assert_eq!(events.next().await.unwrap().token["message"], json!(null));
            streams.push(events);
        }
        for said in [json!({"ko": null, "en": "Doors at 7"}), json!({"ko": "곧", "en": null}), json!(null)] {
            assert_eq!(say(&world, queue, said.clone()).await, said);
            for events in &mut streams {
                while events.next().await.unwrap().token["message"] != said {}
            }
        }
        let told = eventually(SOON, || async {
            holds(world.line(queue).await["message"].clone(), |message| message.is_null())
        });
        assert_eq!(told.await, json!(null));
    }
}
