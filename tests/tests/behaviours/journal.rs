//! The operators' journal: what operators change is written down before it is changed, and stays, also when
//! the edge is killed in between.

use std::time::Duration;

use boxoffice_proto::{
    checkout::{ListOperatorActionsRequest, OperatorActionOutcome},
    queue::GetQueueRequest,
};
use serde_json::{Value, json};
use tests::{
    client::Rest,
    eventually::{eventually, holds},
    mesh::{Role, Shape},
    scenarios, solos,
    suite::{Scenario, Solo},
    world::{World, text},
};

pub(crate) const TOGETHER: &[Scenario] =
    scenarios![what_operators_change_is_written_down_and_what_users_do_is_not];

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::ApartSqlite]; an_edge_that_is_killed_around_a_change_leaves_the_intent_and_invents_nothing];

/// The actions about this, newest first.
async fn about(rest: &Rest, target: &str) -> Vec<Value> {
    let page = rest.get(&format!("/v1/operator/journal?target={target}")).expect(200).await;
    page["actions"].as_array().unwrap().clone()
}

fn words(actions: &[Value]) -> Vec<String> {
    actions.iter().map(|one| format!("{} {}", text(&one["what"]), text(&one["outcome"]))).collect()
}

async fn what_operators_change_is_written_down_and_what_users_do_is_not(world: World) {
    let queue = world.queue(json!({"maxActive": 7})).await;
    let path = format!("/v1/queues/{queue}");
    let change = json!({"maxActive": 8, "opensAt": "2099-12-24T20:00:00+09:00", "message": {"en": "Soon"}});
    world.rest.put(&path, change).expect(200).await;
    let actions = about(&world.rest, &queue).await;
    assert_eq!(words(&actions), ["UpdateQueue DONE", "CreateQueue DONE", "UpdateQueue REFUSED"]);
    let (change, refused) = (&actions[0], &actions[2]);
    let most = |state: &Value| state["policy"]["max_active"].clone();
    assert_eq!((most(&change["before"]), most(&change["after"])), (json!(7), json!(8)));
    assert_eq!(change["after"]["policy"]["opens_at"], json!("2099-12-24T11:00:00Z"));
    let said = |state: &Value| state["policy"]["message"].clone();
    assert_eq!((said(&change["before"]), said(&change["after"])), (json!(null), json!({"en": "Soon"})));
    assert_eq!((&change["who"], &change["role"]), (&json!("anyone"), &json!(null)));
    assert_eq!((&refused["reason"], &refused["before"]), (&json!("QUEUE_NOT_FOUND"), &json!(null)));
    assert!(text(&change["createdAt"]) <= text(&change["endedAt"]) && text(&change["traceId"]).len() == 32);

    // A page at a time, and over gRPC.
    let narrowed = format!("/v1/operator/journal?target={queue}&what=UpdateQueue&who=anyone&pageSize=1");
    let first = world.rest.get(&narrowed).expect(200).await;
    let next = format!("{narrowed}&pageToken={}", text(&first["nextPageToken"]));
    let second = world.rest.get(&next).expect(200).await;
    assert_eq!((&first["actions"][0], &second["actions"][0]), (change, refused));
    assert_eq!(second["nextPageToken"], json!(""));
    let request = ListOperatorActionsRequest { target: queue, ..ListOperatorActionsRequest::default() };
    let listed = world.grpc.checkout().list_operator_actions(request).await.unwrap().into_inner().actions;
    assert_eq!((listed.len(), listed[0].outcome()), (3, OperatorActionOutcome::Done));
    assert_eq!(listed[0].action_id, text(&change["actionId"]));
    assert_eq!(most(&serde_json::from_str(&listed[0].after).unwrap()), json!(8));

    let sale = world.sale(1_000, 5).await;
    assert_eq!(words(&about(&world.rest, &sale.concert.to_string()).await), ["CreateShow DONE"]);
    let buyer = world.buyer_with(&sale, 5_000).await;
    assert!(
        about(&world.rest, &buyer.user).await.is_empty(),
        "who is charged where nobody is asked is not told"
    );
    let long = "x".repeat(65);
    let _problem = world
        .rest
        .get(&format!("/v1/operator/journal?who={long}"))
        .send()
        .await
        .problem(400, "INVALID_ARGUMENT");
}

async fn an_edge_that_is_killed_around_a_change_leaves_the_intent_and_invents_nothing(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let databases = &world.mesh.databases;
    let edge = || &world.mesh.of(Role::Edge)[0].process;
    let most = async |queue: &str| {
        let request = GetQueueRequest { queue_id: queue.to_owned() };
        let queue = world.grpc.queue().get_queue(request).await.unwrap().into_inner().queue.unwrap();
        queue.policy.unwrap().max_active
    };
    for is_changed in [false, true] {
        let queue = world.queue(json!({"maxActive": 7})).await;
        // The queue's service cannot write, so the edge stands between the intent and its outcome.
        let service = databases.hold_up("queue").await;
        let path = format!("/v1/queues/{queue}");
        let changing = tokio::spawn({
            let call = world.rest.put(&path, json!({"maxActive": 8}));
            async move { call.once().await }
        });
        let before = eventually(Duration::from_secs(20), || async {
            holds(about(&world.rest, &queue).await, |actions| words(actions)[0] == "UpdateQueue INTENT")
        })
        .await;
        let journal = databases.hold_up("operator_outcome").await;
        if is_changed {
            service.release().await;
            eventually(Duration::from_secs(20), || async {
                holds(most(&queue).await, |most| *most == Some(8))
            })
            .await;
            edge().kill();
        } else {
            edge().kill();
            service.release().await;
        }
        changing.abort();
        let _cut_off = changing.await;
        journal.release().await;
        edge().restart();
        world.mesh.ready().await;
        assert_eq!(about(&world.rest, &queue).await, before, "changed: {is_changed}");
        // The operator sees what is open, and does it again.
        world.rest.put(&path, json!({"maxActive": 9})).expect(200).await;
        assert_eq!(words(&about(&world.rest, &queue).await)[..2], ["UpdateQueue DONE", "UpdateQueue INTENT"]);
    }
    world.finish().await;
}
