//! Following one token.

use std::time::Duration;

use boxoffice_proto::{Reason, queue as pb};
use chassis::{
    args,
    clock::Clock,
    db::Db,
    testing::{databases, patience::timeout},
};
use futures::future::join_all;
use pb::TokenStatus::{Active, Completed, Waiting};
use prost::Message as _;
use queue_svc::store::migrations;

use crate::harness::{Client, Replica, complete, get, join, leave, policy, queue, reason, update};

async fn watch(
    client: &Client,
    token: &str,
) -> Result<tonic::Streaming<pb::WatchTokenResponse>, tonic::Status> {
    let request = pb::WatchTokenRequest { token: token.to_owned() };
    client.clone().watch_token(request).await.map(tonic::Response::into_inner)
}

async fn next(stream: &mut tonic::Streaming<pb::WatchTokenResponse>) -> Option<pb::Token> {
    let message = timeout(Duration::from_secs(5), stream.message()).await.expect("a message").unwrap();
    message.map(|message| message.token.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_every_step_near_the_front_and_the_end() {
    for database in databases().await {
        let replica = Replica::start(
            &database.config,
            queue_svc::Policy { max_active: 1, ..policy() },
            &Clock::system(),
        )
        .await;
        let client = &replica.client;
        let mut tokens = Vec::new();
        for user in ["a", "b", "c", "d"] {
            tokens.push(join(client, user).await.unwrap().token);
        }
        let mut stream = watch(client, &tokens[3]).await.unwrap();
        let mut told = Vec::new();
        told.push(next(&mut stream).await.unwrap());
        for (step, gone) in tokens.iter().enumerate() {
            if step < 3 {
                leave(client, gone, "").await.unwrap();
            } else {
                complete(client, gone, "").await.unwrap();
            }
            told.push(next(&mut stream).await.unwrap());
        }
        let told: Vec<_> = told.iter().map(|token| (token.status(), token.position)).collect();
        assert_eq!(
            told,
            [(Waiting, 3), (Waiting, 2), (Waiting, 1), (Active, 0), (Completed, 0)],
            "{}",
            database.name
        );
        assert_eq!(next(&mut stream).await, None, "it ends after a final status");
        let mut late = watch(client, &tokens[3]).await.unwrap();
        assert_eq!(next(&mut late).await.unwrap().status(), Completed);
        assert_eq!(next(&mut late).await, None);
        assert_eq!(
            reason(watch(client, "00000000-0000-4000-8000-000000000000").await.map(drop)),
            Reason::TokenNotFound
        );
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_far_back_is_told_about_once_a_second_and_never_left_behind() {
    for database in databases().await {
        let replica = Replica::start(
            &database.config,
            queue_svc::Policy { max_active: 0, ..policy() },
            &Clock::system(),
        )
        .await;
        let client = &replica.client;
        let mut tokens = Vec::new();
        for user in 0..40 {
            tokens.push(join(client, &format!("u{user}")).await.unwrap().token);
        }
        let mut stream = watch(client, &tokens[39]).await.unwrap();
        assert_eq!(next(&mut stream).await.unwrap().position, 40, "{}", database.name);
        for token in &tokens[..20] {
            leave(client, token, "").await.unwrap();
        }
        let mut messages = 0;
        loop {
            messages += 1;
            if next(&mut stream).await.unwrap().position == 20 {
                break;
            }
        }
        assert!(messages <= 3, "{messages} messages for 20 steps in a moment");
        replica.stop().await;
    }
}

/// The policy that says this to everybody.
fn says(ko: &str, en: &str) -> pb::QueuePolicy {
    let message = Some(pb::QueueMessage { ko: ko.into(), en: en.into() });
    pb::QueuePolicy { message, ..pb::QueuePolicy::default() }
}

/// What the seller says is a row of the queue and a part of an answer, whether few wait or many.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_writes_no_token_and_stands_once_in_an_answer_however_many_wait() {
    for database in databases().await {
        let policy = queue_svc::Policy { max_active: 0, max_waiting: 10_000, ..policy() };
        let replica = Replica::start(&database.config, policy, &Clock::system()).await;
        let (client, db) = (&replica.client, Db::open(&database.config, &migrations()).await.unwrap());
        let (mut tokens, mut costs) = (Vec::new(), Vec::new());
        for wait in [10, 1_000] {
            let joins = (tokens.len()..wait)
                .map(|user| async move { join(client, &format!("u{user}")).await.unwrap().token });
            tokens.extend(join_all(joins).await);
            let newest = "SELECT version FROM queue WHERE queue_id = 'default'";
            let before: i64 =
                db.read().await.unwrap().one(newest, args![]).await.unwrap().get("version").unwrap();
            update(client, says("잠시만요", "Soon")).await;
            let changed = "SELECT COUNT(*) AS rows FROM token WHERE version > $1";
            let changed: i64 =
                db.read().await.unwrap().one(changed, args![before]).await.unwrap().get("rows").unwrap();
            let ask = pb::BatchGetTokensRequest { tokens: tokens.clone() };
            let told = client.clone().batch_get_tokens(ask).await.unwrap().into_inner();
            let notices = told.notices.iter().map(pb::QueueNotice::encoded_len).sum::<usize>();
            assert!(told.tokens.len() == wait && told.tokens.iter().all(|token| token.message.is_none()));
            costs.push((changed, notices));
            update(client, says("", "")).await;
        }
        let notice = "default".len() + "잠시만요".len() + "Soon".len();
        assert_eq!(costs[0], costs[1], "{}", database.name);
        assert!(costs[1].0 == 0 && costs[1].1 < notice + 20, "{costs:?} on {}", database.name);
        db.close().await.unwrap();
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_seller_says_reaches_all_who_wait_at_every_replica() {
    for database in databases().await {
        let clock = Clock::system();
        let policy = queue_svc::Policy { max_active: 1, ..policy() };
        let one = Replica::start(&database.config, policy.clone(), &clock).await;
        let other = Replica::start(&database.config, policy, &clock).await;
        let mut tokens = Vec::new();
        for user in 0..30 {
            tokens.push(join(&one.client, &format!("u{user}")).await.unwrap().token);
        }
        let mut stream = watch(&other.client, &tokens[29]).await.unwrap();
        assert_eq!(next(&mut stream).await.unwrap().message, None, "{}", database.name);
        let said = update(&one.client, says(" 잠시만요 ", "Cafe\u{301}")).await.policy.unwrap().message;
        let expected = Some(pb::QueueMessage { ko: "잠시만요".into(), en: "Caf\u{e9}".into() });
        assert_eq!(said, expected);
        assert_eq!(next(&mut stream).await.unwrap().message, expected);
        // Each alone says it, and many together once.
        assert_eq!(get(&other.client, &tokens[0]).await.unwrap().message, expected, "who is admitted, too");
        let request = pb::BatchGetTokensRequest { tokens: tokens.clone() };
        let batch = other.client.clone().batch_get_tokens(request).await.unwrap().into_inner();
        assert!(batch.tokens.iter().all(|token| token.message.is_none()));
        assert_eq!(
            batch.notices,
            [pb::QueueNotice { queue_id: "default".into(), message: expected.clone() }]
        );
        // Another knob leaves it as it is; a new message replaces it whole; an empty one takes it away.
        let paused = pb::QueuePolicy { paused: Some(true), ..pb::QueuePolicy::default() };
        assert_eq!(update(&one.client, paused).await.policy.unwrap().message, expected);
        let english = update(&one.client, says("", "Hello")).await.policy.unwrap().message.unwrap();
        assert_eq!((english.ko.as_str(), english.en.as_str()), ("", "Hello"));
        assert_eq!(leave(&one.client, &tokens[5], "").await.unwrap().message, None, "it has ended");
        one.stop().await;
        let again = Replica::start(&database.config, queue_svc::Policy::default(), &clock).await;
        assert_eq!(queue(&again.client).await.policy.unwrap().message, Some(english), "it is kept");
        assert_eq!(update(&again.client, says("", "")).await.policy.unwrap().message, None);
        while next(&mut stream).await.unwrap().message.is_some() {}
        again.stop().await;
        other.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_does_not_hold_up_the_shutdown() {
    for database in databases().await {
        let replica = Replica::start(
            &database.config,
            queue_svc::Policy { max_active: 0, ..policy() },
            &Clock::system(),
        )
        .await;
        let token = join(&replica.client, "a").await.unwrap().token;
        let mut stream = watch(&replica.client, &token).await.unwrap();
        next(&mut stream).await.unwrap();
        timeout(Duration::from_secs(3), replica.stop()).await.expect(database.name);
        assert_eq!(reason(stream.message().await), Reason::Unavailable, "come again, to another replica");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_to_whom_nothing_happens_hears_how_things_are_all_the_same() {
    for database in databases().await {
        let replica = Replica::start(
            &database.config,
            queue_svc::Policy { max_active: 0, ..policy() },
            &Clock::system(),
        )
        .await;
        let token = join(&replica.client, "a").await.unwrap().token;
        let mut stream = watch(&replica.client, &token).await.unwrap();
        let first = next(&mut stream).await.unwrap();
        // A proxy would wait half a minute; a busy machine may take longer.
        let again = timeout(Duration::from_secs(90), stream.message())
            .await
            .expect("a sign of life")
            .unwrap()
            .unwrap();
        let again = again.token.unwrap();
        let state = |token: &pb::Token| (token.token.clone(), token.status(), token.position, token.ticket);
        assert_eq!(state(&again), state(&first), "{}", database.name);
        replica.stop().await;
    }
}
