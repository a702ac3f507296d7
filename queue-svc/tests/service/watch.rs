//! Following one token.

use std::time::Duration;

use boxoffice_proto::{Reason, queue as pb};
use chassis::{
    clock::Clock,
    testing::{databases, patience::timeout},
};
use pb::TokenStatus::{Active, Completed, Waiting};

use crate::harness::{Client, Replica, complete, join, leave, policy, reason};

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
