//! A scheduled opening as its callers see it, at two replicas, over restarts.

use boxoffice_proto::{Reason, queue as pb, time::timestamp};
use chassis::{clock::Clock, testing::databases};
use futures::StreamExt;
use pb::TokenStatus::{Active, Registered, Waiting};
use queue_svc::Policy;

use crate::harness::{
    Client, Replica, SECOND, START, events, eventually, get, join, leave, policy, queue, reason, update,
    verify,
};

const OPENS: i64 = START + 3_600 * SECOND;

async fn opens_at(client: &Client, at: i64) -> pb::Queue {
    update(client, pb::QueuePolicy { opens_at: Some(timestamp(at)), ..pb::QueuePolicy::default() }).await
}

async fn until_registered(client: &Client, count: i64) {
    eventually("all are known", || async { (queue(client).await.registered == count).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_registers_at_two_replicas_enters_in_one_order_at_the_opening() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let policy = Policy { max_active: 2, ..policy() };
        let replicas = [
            Replica::start(&database.config, policy.clone(), &clock).await,
            Replica::start(&database.config, policy, &clock).await,
        ];
        let [one, other] = [&replicas[0].client, &replicas[1].client];
        assert_eq!(opens_at(one, OPENS).await.policy.unwrap().opens_at, Some(timestamp(OPENS)));
        eventually("the other replica has heard of it", || async {
            queue(other).await.policy.unwrap().opens_at.map(drop)
        })
        .await;
        let mut tokens = Vec::new();
        for (number, user) in ["a", "b", "c", "d"].into_iter().enumerate() {
            tokens.push(join([one, other][number % 2], user).await.unwrap());
        }
        for token in &tokens {
            assert_eq!((token.status(), token.position), (Registered, 0), "{}", database.name);
            assert_eq!(token.opens_at, Some(timestamp(OPENS)));
        }
        assert_eq!(join(other, "a").await.unwrap().token, tokens[0].token, "one place a user");
        assert_eq!(leave(one, &tokens[0].token, "").await.unwrap().status(), pb::TokenStatus::Left);
        let refused = verify(other, &tokens[1].token, "", "", false).await;
        assert_eq!(reason(refused), Reason::TokenNotActive);
        for replica in &replicas {
            until_registered(&replica.client, 3).await;
        }
        let mut stream = one
            .clone()
            .watch_token(pb::WatchTokenRequest { token: tokens[1].token.clone() })
            .await
            .unwrap()
            .into_inner();
        let first = stream.next().await.unwrap().unwrap().token.unwrap();
        assert_eq!((first.status(), first.opens_at), (Registered, Some(timestamp(OPENS))));

        clock.advance(3_600 * SECOND);
        let second = stream.next().await.unwrap().unwrap().token.unwrap();
        assert_eq!((second.status(), second.opens_at), (Active, None), "{}", database.name);
        drop(stream);
        for replica in &replicas {
            let last = eventually("the replica is open", || async {
                Some(get(&replica.client, &tokens[3].token).await.unwrap())
                    .filter(|token| token.status() == Waiting)
            })
            .await;
            assert_eq!((last.position, last.opens_at), (1, None), "{}", database.name);
            let now = queue(&replica.client).await;
            assert_eq!((now.waiting, now.registered, now.active), (1, 0, 2));
        }
        // It is told once, and again until it is taken.
        let told = events(one, &[]).await;
        let [opened] = &told[..] else { panic!("{}: {told:?}", database.name) };
        assert_eq!(
            (opened.queue_id.as_str(), opened.opening(), opened.registered),
            ("default", pb::Opening::Fifo, 3)
        );
        assert_eq!((opened.opens_at, opened.opened_at), (Some(timestamp(OPENS)), Some(timestamp(OPENS))));
        assert_eq!(events(other, &[opened.number + 1]).await, told);
        assert!(
            events(other, &[opened.number]).await.is_empty()
                && events(one, &[opened.number]).await.is_empty()
        );
        let many = pb::TakeQueueEventsRequest { taken: vec![1; 501] };
        assert_eq!(reason(one.clone().take_queue_events(many).await), Reason::InvalidArgument);
        for replica in replicas {
            replica.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_that_passed_while_nobody_ran_happens_at_the_start() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let replica = Replica::start(&database.config, policy(), &clock).await;
        opens_at(&replica.client, OPENS).await;
        let token = join(&replica.client, "a").await.unwrap().token;
        replica.stop().await;
        let replica = Replica::start(&database.config, policy(), &clock).await;
        let now = get(&replica.client, &token).await.unwrap();
        assert_eq!((now.status(), now.opens_at), (Registered, Some(timestamp(OPENS))), "{}", database.name);
        replica.stop().await;
        clock.advance(7_200 * SECOND);
        let replica = Replica::start(&database.config, policy(), &clock).await;
        eventually("it is open", || async {
            (get(&replica.client, &token).await.unwrap().status() == Active).then_some(())
        })
        .await;
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instant_beyond_the_calendar_is_refused_and_one_that_passed_opens_at_once() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let replica = Replica::start(&database.config, policy(), &clock).await;
        let client = &replica.client;
        let beyond = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
        let request = pb::UpdateQueueRequest {
            policy: Some(pb::QueuePolicy { opens_at: Some(beyond), ..pb::QueuePolicy::default() }),
            ..pb::UpdateQueueRequest::default()
        };
        assert_eq!(reason(client.clone().update_queue(request).await), Reason::InvalidArgument);
        opens_at(client, OPENS).await;
        assert_eq!(join(client, "a").await.unwrap().status(), Registered, "{}", database.name);
        assert_eq!(opens_at(client, START - SECOND).await.active, 1);
        assert_eq!(join(client, "a").await.unwrap().status(), Active);
        replica.stop().await;
    }
}
