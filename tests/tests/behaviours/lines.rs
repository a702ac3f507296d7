//! The waiting room: who is let in, in which order, and how many at once.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use boxoffice_proto::{
    Reason,
    knobs::KNOBS,
    queue::{
        BatchGetTokensRequest, CompleteTokenRequest, CreateQueueRequest, IssueTokenRequest,
        LeaveQueueRequest, QueuePolicy, TokenStatus, VerifyTokenRequest,
    },
};
use futures::future::join_all;
use prost_types::Timestamp;
use serde_json::{Value, json};
use tests::{
    eventually::{eventually, holds},
    grpc::refused,
    patience::{Patience, is_prompt},
    scenarios,
    suite::Scenario,
    world::{World, all_at_once, int, text, unique},
};
use tokio::time::sleep;

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    the_next_is_admitted_the_moment_one_leaves,
    two_hundred_departures_leak_no_slot,
    replicas_admit_nobody_twice_and_in_order,
    a_lower_lane_goes_first_and_inside_a_lane_fifo,
    an_unused_admission_goes_to_the_tail,
    an_unused_admission_ends_when_the_policy_says_so,
    a_waiter_who_never_comes_back_leaves_the_line,
    a_full_line_says_so_and_when_to_come_back,
    admissions_keep_to_the_rate,
    a_paused_line_admits_nobody_until_it_goes_on,
    raising_the_limit_admits_at_once_and_lowering_it_throws_nobody_out,
    a_changed_policy_keeps_what_is_left_out,
    waiters_are_told_their_place_and_when_to_ask_again,
    leaving_twice_changes_nothing,
    a_line_that_was_to_open_in_2099_is_opened_at_once,
    a_token_is_completed_once_and_only_when_active,
];

fn position(token: &Value) -> i64 {
    int(&token["position"])
}

async fn leave(world: &World, id: &str) {
    let _ = world.rest.delete(&format!("/v1/tokens/{id}")).expect(204).await;
}

async fn complete(world: &World, id: &str) {
    let request = CompleteTokenRequest { token: id.to_owned(), request_id: String::new() };
    world.grpc.queue().complete_token(request).await.unwrap();
}

/// Joins users one after the other; their tokens in order.
async fn joined(world: &World, queue: &str, count: usize) -> Vec<String> {
    let mut tokens = Vec::new();
    for _ in 0..count {
        tokens.push(text(&world.join(queue, &unique("user")).await["token"]));
    }
    tokens
}

async fn the_next_is_admitted_the_moment_one_leaves(world: World) {
    let queue = world.queue(json!({"maxActive": 2})).await;
    let tokens = joined(&world, &queue, 6).await;
    world.until(&tokens[1], "ACTIVE").await;
    assert_eq!(position(&world.token(&tokens[2]).await), 1);
    for (leaves, enters) in [(0, 2), (1, 3), (2, 4)] {
        let begun = Instant::now();
        if leaves == 1 {
            complete(&world, &tokens[leaves]).await;
        } else {
            leave(&world, &tokens[leaves]).await;
        }
        world.until(&tokens[enters], "ACTIVE").await;
        assert!(
            is_prompt(begun.elapsed(), Duration::from_secs(2)),
            "no scheduler lag: {:?}",
            begun.elapsed()
        );
        assert_eq!(world.token(&tokens[5]).await["status"], "WAITING");
    }
    leave(&world, &tokens[5]).await; // from the middle of nowhere: no slot is freed
    sleep(Duration::from_millis(300)).await;
    let queue = world.line(&queue).await;
    assert_eq!((int(&queue["active"]), int(&queue["waiting"])), (2, 0));
}

/// 200 users pass a counter of three in every way there is; then the counter is as it was.
async fn two_hundred_departures_leak_no_slot(world: World) {
    let queue = world
        .queue(
            json!({"maxActive": 3, "activeTtlSeconds": 1, "onExpiry": "EXPIRE", "admitPerMinute": 1_000_000}),
        )
        .await;
    let joins = (0..200)
        .map(|_| world.rest.post(&format!("/v1/queues/{queue}/tokens"), json!({"userId": unique("user")})));
    let mut live: HashMap<String, usize> = HashMap::new();
    for (i, answer) in all_at_once(joins).await.into_iter().enumerate() {
        live.insert(text(&answer.expect(201)["token"]), i);
    }
    let patience = Patience::new(Duration::from_secs(90));
    while !live.is_empty() {
        assert!(!patience.is_over(), "{} are stuck", live.len());
        let active = int(&world.line(&queue).await["active"]);
        assert!(active <= 3, "{active} active of at most 3");
        let request = BatchGetTokensRequest { tokens: live.keys().cloned().collect() };
        let answer = world.grpc.queue().batch_get_tokens(request).await.unwrap().into_inner();
        let actives: Vec<_> =
            answer.tokens.iter().filter(|token| token.status() == TokenStatus::Active).collect();
        for token in &actives {
            let id = token.token.clone();
            match live[&id] % 8 {
                0 | 4 => {
                    // Its second may have run out meanwhile.
                    let request = CompleteTokenRequest { token: id.clone(), request_id: String::new() };
                    if let Err(status) = world.grpc.queue().complete_token(request).await {
                        refused::<()>(Err(status), Reason::TokenNotActive);
                    }
                }
                1 | 5 | 7 => leave(&world, &id).await,
                2 | 6 => {
                    let request = CompleteTokenRequest { token: id.clone(), request_id: String::new() };
                    let (mut one, mut two) = (world.grpc.queue(), world.grpc.queue());
                    let leave = LeaveQueueRequest {
                        token: id.clone(),
                        request_id: String::new(),
                        user_id: String::new(),
                    };
                    let _ = tokio::join!(one.complete_token(request), two.leave_queue(leave));
                }
                _ => continue, // runs out of time
            }
            live.remove(&id);
        }
        let ended = answer
            .tokens
            .iter()
            .filter(|token| !matches!(token.status(), TokenStatus::Waiting | TokenStatus::Active));
        ended.for_each(|token| {
            live.remove(&token.token);
        });
        sleep(Duration::from_millis(20)).await;
    }
    eventually(Duration::from_secs(5), || async {
        holds(world.line(&queue).await, |line| line["active"] == 0 && line["waiting"] == 0)
    })
    .await;
    let _ = world.rest.put(&format!("/v1/queues/{queue}"), json!({"activeTtlSeconds": 60})).expect(200).await;
    let tokens = joined(&world, &queue, 4).await;
    for token in &tokens[..3] {
        world.until(token, "ACTIVE").await;
    }
    assert_eq!(world.token(&tokens[3]).await["status"], "WAITING");
}

async fn replicas_admit_nobody_twice_and_in_order(world: World) {
    let queue = world.queue(json!({"maxActive": 5, "admitPerMinute": 1_000_000})).await;
    let joins = (0..60).map(|_| {
        let (mut queue_svc, queue_id) = (world.grpc.queue(), queue.clone());
        tokio::spawn(async move {
            let request = IssueTokenRequest {
                queue_id,
                user_id: unique("user"),
                priority: None,
                request_id: String::new(),
            };
            queue_svc.issue_token(request).await.unwrap().into_inner().token.unwrap()
        })
    });
    let mut tokens: Vec<_> = join_all(joins).await.into_iter().map(Result::unwrap).collect();
    tokens.sort_by_key(|token| token.ticket);
    let ids: Vec<_> = tokens.iter().map(|token| token.token.clone()).collect();
    let mut gone = HashSet::new();
    while gone.len() < ids.len() {
        let expected: Vec<_> = ids.iter().filter(|id| !gone.contains(*id)).take(5).cloned().collect();
        for id in &expected {
            world.until(id, "ACTIVE").await;
        }
        let request = BatchGetTokensRequest { tokens: ids.clone() };
        for replica in world.grpc.queue.all() {
            let mut client =
                boxoffice_proto::queue::queue_service_client::QueueServiceClient::new(replica.clone());
            let seen = client.batch_get_tokens(request.clone()).await.unwrap().into_inner().tokens;
            let active = seen.iter().filter(|token| token.status() == TokenStatus::Active).count();
            assert!(active <= 5, "{active} active at one replica");
        }
        // Three leave at once, through different replicas.
        let leaving: Vec<_> = expected.into_iter().take(3).collect();
        join_all(leaving.iter().map(|id| leave(&world, id))).await;
        gone.extend(leaving);
    }
}

async fn a_lower_lane_goes_first_and_inside_a_lane_fifo(world: World) {
    let queue = world.queue(json!({"maxActive": 0})).await;
    let mut tokens = Vec::new();
    for priority in [json!(5), json!(9), json!(0), json!(null), json!(0)] {
        let body = json!({"userId": unique("user"), "priority": priority});
        tokens.push(text(
            &world.rest.post(&format!("/v1/queues/{queue}/tokens"), body).expect(201).await["token"],
        ));
    }
    for (i, place) in [(2, 1), (4, 2), (0, 3), (3, 4), (1, 5)] {
        let seen = world.token(&tokens[i]).await;
        assert_eq!((position(&seen), int(&seen["waitingBehind"])), (place, 5 - place), "{seen}");
    }
    for (admitted, i) in [2, 4, 0, 3, 1].into_iter().enumerate() {
        let _ = world
            .rest
            .put(&format!("/v1/queues/{queue}"), json!({"maxActive": admitted + 1}))
            .expect(200)
            .await;
        world.until(&tokens[i], "ACTIVE").await;
    }
}

async fn an_unused_admission_goes_to_the_tail(world: World) {
    let queue = world.queue(json!({"maxActive": 1, "activeTtlSeconds": 1})).await;
    let tokens = joined(&world, &queue, 2).await;
    let first = world.until(&tokens[0], "ACTIVE").await;
    assert!(first["activeUntil"].is_string() && position(&first) == 0);
    world.until(&tokens[1], "ACTIVE").await;
    // Once, if it is asked before its next turn.
    let back = world.until(&tokens[0], "WAITING").await;
    assert!(position(&back) == 1 && int(&back["requeues"]) >= 1, "{back}");
    assert!(int(&back["ticket"]) > int(&first["ticket"]), "a new ticket at the tail");
    assert_eq!(back["activeUntil"], Value::Null);
}

async fn an_unused_admission_ends_when_the_policy_says_so(world: World) {
    let queue = world.queue(json!({"maxActive": 1, "activeTtlSeconds": 1, "onExpiry": "EXPIRE"})).await;
    let user = unique("user");
    let first = world.join(&queue, &user).await;
    let id = text(&first["token"]);
    world.until(&id, "EXPIRED").await;
    let fresh =
        world.rest.post(&format!("/v1/queues/{queue}/tokens"), json!({"userId": user})).expect(201).await;
    assert_ne!(fresh["token"], first["token"]);
    let verify = VerifyTokenRequest { token: id, queue_id: queue, user_id: user, fresh: true };
    refused(world.grpc.queue().verify_token(verify).await, Reason::TokenNotActive);
}

async fn a_waiter_who_never_comes_back_leaves_the_line(world: World) {
    let queue = world.queue(json!({"maxActive": 0, "waitingTtlSeconds": 1})).await;
    let tokens = joined(&world, &queue, 2).await;
    world.until(&tokens[0], "EXPIRED").await;
    world.until(&tokens[1], "EXPIRED").await;
    eventually(Duration::from_secs(2), || async {
        holds(world.line(&queue).await, |line| line["waiting"] == 0)
    })
    .await;
}

async fn a_full_line_says_so_and_when_to_come_back(world: World) {
    let queue = world.queue(json!({"maxActive": 1, "maxWaiting": 2})).await;
    let user = unique("user");
    world.join(&queue, &user).await;
    joined(&world, &queue, 2).await;
    let refusal = world
        .rest
        .post(&format!("/v1/queues/{queue}/tokens"), json!({"userId": unique("user")}))
        .send()
        .await;
    assert!(
        refusal.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1),
        "{:?}",
        refusal.headers
    );
    let _ = refusal.problem(429, "QUEUE_FULL");
    let issue = IssueTokenRequest {
        queue_id: queue.clone(),
        user_id: unique("user"),
        priority: None,
        request_id: String::new(),
    };
    assert!(refused(world.grpc.queue().issue_token(issue).await, Reason::QueueFull).retry_after.is_some());
    // Is in already.
    let _ = world.rest.post(&format!("/v1/queues/{queue}/tokens"), json!({"userId": user})).expect(200).await;
}

async fn admissions_keep_to_the_rate(world: World) {
    let queue = world.queue(json!({"maxActive": 100, "admitPerMinute": 5})).await;
    let tokens = joined(&world, &queue, 12).await;
    world.until(&tokens[4], "ACTIVE").await;
    let (sixth, last) = (world.token(&tokens[5]).await, world.token(&tokens[11]).await);
    assert_eq!((position(&sixth), position(&last)), (1, 7));
    let (soon, late) = (int(&sixth["estimatedWaitSeconds"]), int(&last["estimatedWaitSeconds"]));
    assert!(soon > 0 && late > soon, "an estimate that grows with the line: {soon} s, {late} s");
    leave(&world, &tokens[0]).await; // a free place is not enough
    sleep(Duration::from_millis(500)).await;
    assert_eq!(world.line(&queue).await["active"], 4);
}

async fn a_paused_line_admits_nobody_until_it_goes_on(world: World) {
    let queue = world.queue(json!({"maxActive": 5, "paused": true})).await;
    let tokens = joined(&world, &queue, 2).await;
    assert_eq!(world.token(&tokens[0]).await["status"], "WAITING");
    let _ = world.rest.put(&format!("/v1/queues/{queue}"), json!({"paused": false})).expect(200).await;
    world.until(&tokens[1], "ACTIVE").await;
}

async fn raising_the_limit_admits_at_once_and_lowering_it_throws_nobody_out(world: World) {
    let queue = world.queue(json!({"maxActive": 1})).await;
    let tokens = joined(&world, &queue, 4).await;
    let changed = world.rest.put(&format!("/v1/queues/{queue}"), json!({"maxActive": 3})).expect(200).await;
    assert_eq!((int(&changed["active"]), int(&changed["waiting"])), (3, 1), "in the same transaction");
    let _ = world.rest.put(&format!("/v1/queues/{queue}"), json!({"maxActive": 1})).expect(200).await;
    leave(&world, &tokens[0]).await;
    sleep(Duration::from_millis(300)).await;
    let now = world.line(&queue).await;
    assert_eq!((int(&now["active"]), int(&now["waiting"])), (2, 1));
}

async fn a_changed_policy_keeps_what_is_left_out(world: World) {
    let queue = world.queue(json!({"maxActive": 7, "activeTtlSeconds": 90, "onExpiry": "EXPIRE"})).await;
    let _ = world.rest.put(&format!("/v1/queues/{queue}"), json!({"maxWaiting": 10})).expect(200).await;
    let seen = world.line(&queue).await;
    for (field, value) in [("maxWaiting", json!(10)), ("onExpiry", json!("EXPIRE")), ("paused", json!(false))]
    {
        assert_eq!(seen[field], value, "{field} of {seen}");
    }
    for knob in KNOBS.iter().filter(|knob| knob.json != "maxWaiting") {
        let value = match knob.json {
            "maxActive" => 7,
            "activeTtlSeconds" => 90,
            _ => knob.default,
        };
        assert_eq!(int(&seen[knob.json]), value, "{} of {seen}", knob.json);
    }
}

async fn waiters_are_told_their_place_and_when_to_ask_again(world: World) {
    let queue = world.queue(json!({"maxActive": 0})).await;
    let tokens = joined(&world, &queue, 3).await;
    world.level().await;
    let answer = world.rest.get(&format!("/v1/tokens/{}", tokens[1])).send().await;
    let seconds: i64 = answer.header("retry-after").parse().unwrap();
    let body = answer.expect(200);
    assert_eq!((position(&body), int(&body["waitingBehind"]), int(&body["priority"])), (2, 1, 5));
    assert_eq!(int(&body["pollAfterSeconds"]), seconds);
    assert!((1..=10).contains(&seconds), "{seconds}");
    for field in ["enteredAt", "validUntil"] {
        let at = text(&body[field]);
        assert!(at.ends_with('Z') && at.contains('T'), "{field} is RFC 3339 in UTC: {at}");
    }
}

async fn leaving_twice_changes_nothing(world: World) {
    let queue = world.queue(json!({"maxActive": 1})).await;
    let tokens = joined(&world, &queue, 3).await;
    leave(&world, &tokens[0]).await;
    leave(&world, &tokens[0]).await;
    world.until(&tokens[1], "ACTIVE").await;
    world.until(&tokens[0], "LEFT").await;
    let now = world.line(&queue).await;
    assert_eq!((int(&now["active"]), int(&now["waiting"])), (1, 1), "the second time freed nothing");
}

async fn a_line_that_was_to_open_in_2099_is_opened_at_once(world: World) {
    let queue = world.queue(json!({"maxActive": 1, "opensAt": "2099-12-24T11:00:00Z"})).await;
    let tokens = joined(&world, &queue, 2).await;
    for token in &tokens {
        assert_eq!(world.token(token).await["status"], "REGISTERED");
    }
    let put = |queue: &str| world.rest.put(&format!("/v1/queues/{queue}"), json!({"opensAt": null}));
    let opened = text(&put(&queue).expect(200).await["opensAt"]);
    assert!(!opened.starts_with("2099") && !opened.starts_with("1970"), "when it opened: {opened}");
    world.until(&tokens[0], "ACTIVE").await;
    world.until(&tokens[1], "WAITING").await;
    assert_eq!(world.line(&queue).await["opensAt"], json!(opened));
    assert_eq!(text(&put(&queue).expect(200).await["opensAt"]), opened, "it is open already");
    // One that never was closed has never opened, whether it is there or is made so, however often.
    let open = world.queue(json!({"maxActive": 1})).await;
    assert_eq!(put(&open).expect(200).await["opensAt"], json!(null));
    assert_eq!(put(&unique("line")).expect(201).await["opensAt"], json!(null));
    let at_once = QueuePolicy { opens_at: Some(Timestamp::default()), ..QueuePolicy::default() };
    let new = CreateQueueRequest { queue_id: unique("line"), policy: Some(at_once), ..Default::default() };
    for _ in 0..2 {
        let made = world.grpc.queue().create_queue(new.clone()).await.unwrap().into_inner().queue.unwrap();
        assert_eq!(made.policy.unwrap().opens_at, None);
    }
}

async fn a_token_is_completed_once_and_only_when_active(world: World) {
    let queue = world.queue(json!({"maxActive": 1})).await;
    let tokens = joined(&world, &queue, 2).await;
    let request = |i: usize| CompleteTokenRequest { token: tokens[i].clone(), request_id: String::new() };
    refused(world.grpc.queue().complete_token(request(1)).await, Reason::TokenNotActive);
    complete(&world, &tokens[0]).await;
    complete(&world, &tokens[0]).await;
    world.until(&tokens[1], "ACTIVE").await;
    leave(&world, &tokens[0]).await;
    assert_eq!(world.token(&tokens[0]).await["status"], "COMPLETED");
}
