//! What time alone does, with a clock that is moved by hand.

use boxoffice_proto::queue as pb;
use chassis::{clock::Clock, testing::databases};
use pb::TokenStatus::{Active, Expired, Waiting};
use queue_svc::{Expiry, Policy};

use crate::harness::{Client, Replica, SECOND, START, eventually, get, join, policy, queue, reason, verify};

async fn until(client: &Client, token: &str, status: pb::TokenStatus) -> pb::Token {
    eventually("the status", || async {
        Some(get(client, token).await.unwrap()).filter(|token| token.status() == status)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_that_was_not_used_goes_back_to_the_tail() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let replica = Replica::start(&database.config, Policy { max_active: 1, ..policy() }, &clock).await;
        let client = &replica.client;
        let first = join(client, "a").await.unwrap();
        clock.advance(SECOND);
        let second = join(client, "b").await.unwrap();
        assert_eq!((first.status(), second.status()), (Active, Waiting), "{}", database.name);
        clock.advance(299 * SECOND);
        // The clock decides at once, whether or not the timer has been there.
        assert_eq!(
            reason(verify(client, &first.token, "", "", false).await),
            boxoffice_proto::Reason::TokenNotActive
        );
        let second = until(client, &second.token, Active).await;
        let first = get(client, &first.token).await.unwrap();
        assert_eq!((first.status(), first.position, first.ticket, first.requeues), (Waiting, 1, 3, 1));
        assert_eq!(first.version, second.version, "the place was filled in the commit that freed it");
        assert_eq!(join(client, "a").await.unwrap().token, first.token, "the place belongs to the user");
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_expires_where_the_policy_says_so() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let replica = Replica::start(
            &database.config,
            Policy { max_active: 1, on_expiry: Expiry::Expire, ..policy() },
            &clock,
        )
        .await;
        let client = &replica.client;
        let first = join(client, "a").await.unwrap();
        let second = join(client, "b").await.unwrap();
        assert_eq!(first.valid_until, first.active_until, "{}", database.name);
        clock.advance(300 * SECOND);
        until(client, &second.token, Active).await;
        let first = get(client, &first.token).await.unwrap();
        assert_eq!(
            (first.status(), first.active_until, first.poll_after.unwrap().seconds),
            (Expired, None, 0)
        );
        let anew = join(client, "a").await.unwrap();
        assert_ne!(anew.token, first.token);
        assert_eq!((anew.status(), anew.ticket), (Waiting, 3));
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_not_wait_beyond_its_validity() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let short = Policy { max_active: 0, waiting_ttl: std::time::Duration::from_secs(60), ..policy() };
        let replica = Replica::start(&database.config, short, &clock).await;
        let waiting = join(&replica.client, "a").await.unwrap();
        clock.advance(60 * SECOND);
        until(&replica.client, &waiting.token, Expired).await;
        assert_eq!(queue(&replica.client).await.waiting, 0, "{}", database.name);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_that_passed_while_nobody_ran_are_kept_at_the_start() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let replica = Replica::start(&database.config, Policy { max_active: 1, ..policy() }, &clock).await;
        let first = join(&replica.client, "a").await.unwrap();
        let second = join(&replica.client, "b").await.unwrap();
        replica.stop().await;
        clock.advance(1_000 * SECOND);
        let replica = Replica::start(&database.config, policy(), &clock).await;
        until(&replica.client, &second.token, Active).await;
        assert_eq!(get(&replica.client, &first.token).await.unwrap().requeues, 1, "{}", database.name);
        replica.stop().await;
    }
}
