//! People who went away do not block the queue, and nobody is given up for a silence that was ours.

use std::time::Duration;

use boxoffice_proto::queue as pb;
use chassis::{clock::Clock, testing::databases};
use pb::TokenStatus::{Active, Expired, Waiting};
use queue_svc::{Expiry, Policy};

use crate::harness::{Client, Replica, SECOND, START, eventually, get, join, policy, queue};

fn patient(max_active: i64) -> Policy {
    Policy { max_active, waiting_grace: Duration::from_secs(100), ..policy() }
}

/// Time passes in steps, and at each of them these ask at every replica. The replicas find the time to do
/// what is due.
async fn pass(clock: &Clock, seconds: i64, clients: &[&Client], asking: &[&str]) {
    for _ in 0..seconds / 10 {
        clock.advance(10 * SECOND);
        for client in clients {
            for token in asking {
                get(client, token).await.unwrap();
            }
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
}

async fn waiting(client: &Client, people: i64) {
    eventually("so many wait", || async { (queue(client).await.waiting == people).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_who_is_not_heard_of_leaves_and_one_who_asks_anywhere_stays() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let here = Replica::start(&database.config, patient(0), &clock).await;
        let there = Replica::start(&database.config, patient(0), &clock).await;
        let gone = join(&here.client, "gone").await.unwrap();
        let there_all_along = join(&here.client, "asks").await.unwrap();
        let neighbour = join(&here.client, "neighbour").await.unwrap();
        // The first replica hears of the neighbour only; whoever is heard of at the other is there all the
        // same.
        for _ in 0..10 {
            pass(&clock, 10, &[&here.client], &[&neighbour.token]).await;
            get(&there.client, &there_all_along.token).await.unwrap();
        }
        assert_eq!(queue(&here.client).await.waiting, 3, "{}: the grace is not over", database.name);
        for _ in 0..4 {
            pass(&clock, 10, &[&here.client], &[&neighbour.token]).await;
            get(&there.client, &there_all_along.token).await.unwrap();
        }
        waiting(&here.client, 2).await;
        let gone = get(&here.client, &gone.token).await.unwrap();
        assert_eq!((gone.status(), gone.active_until), (Expired, None), "{}", database.name);
        assert_eq!(get(&here.client, &there_all_along.token).await.unwrap().position, 1);
        // Whoever comes back joins anew.
        let again = join(&here.client, "gone").await.unwrap();
        assert_eq!((again.status(), again.position), (Waiting, 3));
        here.stop().await;
        there.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_that_nobody_takes_up_goes_to_the_next() {
    for database in databases().await {
        let clock = Clock::manual(START);
        for on_expiry in [Expiry::Requeue, Expiry::Expire] {
            let config = queue_svc::Policy { on_expiry, ..patient(1) };
            let replica = Replica::start(&database.config, config, &clock).await;
            let client = &replica.client;
            let name = |user: &str| format!("{user}-{on_expiry:?}");
            let change = pb::QueuePolicy {
                on_expiry: if on_expiry == Expiry::Requeue { 1 } else { 2 },
                max_active: Some(1),
                ..pb::QueuePolicy::default()
            };
            crate::harness::update(client, change).await;
            let first = join(client, &name("first")).await.unwrap();
            let [second, third] =
                [join(client, &name("second")).await.unwrap(), join(client, &name("third")).await.unwrap()];
            clock.advance(SECOND);
            assert_eq!((first.status(), second.status()), (Active, Waiting), "{}", database.name);
            crate::harness::leave(client, &first.token, "").await.unwrap();
            // The second is admitted and does not ask; the third does, and is next after a minute and a half.
            pass(&clock, 80, &[client], &[&third.token]).await;
            assert_eq!(get(client, &third.token).await.unwrap().status(), Waiting);
            pass(&clock, 20, &[client], &[&third.token]).await;
            eventually("the next has the place", || async {
                (get(client, &third.token).await.unwrap().status() == Active).then_some(())
            })
            .await;
            let second = get(client, &second.token).await.unwrap();
            match on_expiry {
                Expiry::Requeue => {
                    assert_eq!((second.status(), second.position, second.requeues), (Waiting, 1, 1))
                }
                Expiry::Expire => assert_eq!(second.status(), Expired),
            }
            // The third asked once it was in, and keeps the place for its whole time.
            pass(&clock, 150, &[client], &[&second.token]).await;
            assert_eq!(get(client, &third.token).await.unwrap().status(), Active, "{}", database.name);
            crate::harness::leave(client, &third.token, "").await.unwrap();
            crate::harness::leave(client, &second.token, "").await.unwrap();
            replica.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_no_shows_in_a_row_cost_the_fourth_half_a_second_each() {
    for database in databases().await {
        let clock = Clock::manual(START);
        for replicas in [1, 2] {
            let config =
                Policy { show_up_within: Duration::from_secs(2), on_expiry: Expiry::Expire, ..patient(1) };
            let mut all = Vec::new();
            for _ in 0..replicas {
                all.push(Replica::start(&database.config, config.clone(), &clock).await);
            }
            let client = &all[0].client;
            let change = pb::QueuePolicy {
                max_active: Some(1),
                on_expiry: 2,
                show_up_within: Some(prost_types::Duration { seconds: 2, nanos: 0 }),
                ..pb::QueuePolicy::default()
            };
            crate::harness::update(client, change).await;
            let mut tokens = Vec::new();
            for number in 0..5 {
                tokens.push(join(client, &format!("{replicas}-{number}")).await.unwrap());
            }
            // Whoever is heard of in the moment of the admission has shown up.
            clock.advance(SECOND);
            crate::harness::leave(client, &tokens[0].token, "").await.unwrap();
            // Looking at the queue is no word from anybody in it.
            let served = |ticket: i64| {
                let all = &all;
                eventually("every replica knows the admission", move || async move {
                    for replica in all {
                        if queue(&replica.client).await.serving_ticket != ticket {
                            return None;
                        }
                    }
                    Some(())
                })
            };
            for silent in &tokens[1..=3] {
                served(silent.ticket).await;
                clock.advance(2 * SECOND + 300_000);
                tokio::time::sleep(Duration::from_millis(100)).await;
                assert_eq!(
                    queue(client).await.serving_ticket,
                    silent.ticket,
                    "{}: not before the rule",
                    database.name
                );
                clock.advance(200_000);
            }
            served(tokens[4].ticket).await;
            assert_eq!(get(client, &tokens[4].token).await.unwrap().status(), Active, "{}", database.name);
            crate::harness::leave(client, &tokens[4].token, "").await.unwrap();
            for replica in all {
                replica.stop().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_showed_up_at_one_replica_has_shown_up_for_all_and_after_a_restart() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let here = Replica::start(&database.config, patient(1), &clock).await;
        let first = join(&here.client, "first").await.unwrap();
        let second = join(&here.client, "second").await.unwrap();
        let third = join(&here.client, "third").await.unwrap();
        clock.advance(SECOND);
        crate::harness::leave(&here.client, &first.token, "").await.unwrap();
        assert_eq!(get(&here.client, &second.token).await.unwrap().status(), Active);
        // Stopped before word of it was written down: then it is now.
        here.stop().await;
        let there = Replica::start(&database.config, patient(1), &clock).await;
        pass(&clock, 250, &[&there.client], &[&third.token]).await;
        assert_eq!(get(&there.client, &second.token).await.unwrap().status(), Active, "{}", database.name);
        there.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_that_was_ours_counts_for_nobody() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let replica = Replica::start(&database.config, patient(0), &clock).await;
        let quiet = join(&replica.client, "quiet").await.unwrap();
        let asks = join(&replica.client, "asks").await.unwrap();
        // Down for longer than the grace: a restart counts as a word from everybody.
        replica.stop().await;
        clock.advance(1_000 * SECOND);
        let replica = Replica::start(&database.config, patient(0), &clock).await;
        pass(&clock, 100, &[&replica.client], &[&asks.token]).await;
        assert_eq!(queue(&replica.client).await.waiting, 2, "{}", database.name);
        // Up, and nobody at all is heard for as long: it may be the network.
        clock.advance(1_000 * SECOND);
        tokio::time::sleep(Duration::from_millis(200)).await;
        pass(&clock, 100, &[&replica.client], &[&asks.token]).await;
        assert_eq!(queue(&replica.client).await.waiting, 2, "{}", database.name);
        // Then others are heard, and this one is not.
        pass(&clock, 50, &[&replica.client], &[&asks.token]).await;
        waiting(&replica.client, 1).await;
        assert_eq!(get(&replica.client, &quiet.token).await.unwrap().status(), Expired);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stricter_rules_give_up_nobody_who_is_there() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let never = Policy { waiting_grace: Duration::ZERO, show_up_within: Duration::ZERO, ..patient(1) };
        let here = Replica::start(&database.config, never.clone(), &clock).await;
        let there = Replica::start(&database.config, never, &clock).await;
        let client = &here.client;
        let first = join(client, "first").await.unwrap();
        let [inside, asks, gone] = [
            join(client, "inside").await.unwrap(),
            join(client, "asks").await.unwrap(),
            join(client, "gone").await.unwrap(),
        ];
        clock.advance(SECOND);
        crate::harness::leave(client, &first.token, "").await.unwrap();
        // While nobody is ever given up, nothing of what is heard is written down.
        let present = [inside.token.as_str(), asks.token.as_str()];
        pass(&clock, 200, &[client], &present).await;
        let span = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let strict = pb::QueuePolicy {
            waiting_grace: span(60),
            show_up_within: span(10),
            ..pb::QueuePolicy::default()
        };
        crate::harness::update(client, strict).await;
        pass(&clock, 60, &[client], &present).await;
        assert_eq!(queue(client).await.waiting, 2, "{}: the grace begins with the rule", database.name);
        pass(&clock, 30, &[client], &present).await;
        waiting(client, 1).await;
        assert_eq!(get(client, &inside.token).await.unwrap().status(), Active, "{}", database.name);
        assert_eq!(get(client, &asks.token).await.unwrap().status(), Waiting);
        assert_eq!(get(client, &gone.token).await.unwrap().status(), Expired);
        here.stop().await;
        there.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_repeats_the_join_or_shows_the_token_is_there() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let replica = Replica::start(&database.config, patient(0), &clock).await;
        let client = &replica.client;
        let again =
            async || crate::harness::join_as(client, "again", None, "the-same").await.unwrap().token.unwrap();
        let again_and_again = again().await;
        let shows = join(client, "shows").await.unwrap();
        join(client, "gone").await.unwrap();
        for _ in 0..20 {
            pass(&clock, 10, &[client], &[]).await;
            assert_eq!(again().await.token, again_and_again.token);
            assert!(
                crate::harness::verify(client, &shows.token, "default", "shows", false).await.is_err(),
                "not let in yet"
            );
        }
        waiting(client, 2).await;
        for token in [&again_and_again.token, &shows.token] {
            assert_eq!(get(client, token).await.unwrap().status(), Waiting, "{}", database.name);
        }
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_stream_is_somebody_who_is_there() {
    for database in databases().await {
        let impatient = Policy { max_active: 0, waiting_grace: Duration::from_secs(1), ..policy() };
        let replica = Replica::start(&database.config, impatient, &Clock::system()).await;
        let follows = join(&replica.client, "follows").await.unwrap();
        let gone = join(&replica.client, "gone").await.unwrap();
        let request = pb::WatchTokenRequest { token: follows.token.clone() };
        let stream = replica.client.clone().watch_token(request).await.unwrap().into_inner();
        waiting(&replica.client, 1).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(queue(&replica.client).await.waiting, 1, "{}", database.name);
        drop(stream);
        waiting(&replica.client, 0).await;
        for token in [&follows.token, &gone.token] {
            assert_eq!(get(&replica.client, token).await.unwrap().status(), Expired);
        }
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hearing_rules_are_part_of_the_policy() {
    for database in databases().await {
        let replica = Replica::start(&database.config, policy(), &Clock::system()).await;
        let told = queue(&replica.client).await.policy.unwrap();
        let seconds = |span: Option<prost_types::Duration>| span.unwrap().seconds;
        assert_eq!(
            (seconds(told.waiting_grace), seconds(told.show_up_within)),
            (600, 90),
            "{}",
            database.name
        );
        let of = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let change =
            pb::QueuePolicy { waiting_grace: of(0), show_up_within: of(7), ..pb::QueuePolicy::default() };
        let told = crate::harness::update(&replica.client, change).await.policy.unwrap();
        assert_eq!((seconds(told.waiting_grace), seconds(told.show_up_within)), (0, 7));
        let waits = crate::harness::update(
            &replica.client,
            pb::QueuePolicy { max_active: Some(0), ..Default::default() },
        );
        waits.await;
        let token = join(&replica.client, "a").await.unwrap();
        assert!(token.poll_after.unwrap().seconds < 3, "often enough to show up in time");
        let half = pb::QueuePolicy {
            waiting_grace: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
            ..Default::default()
        };
        let request = pb::UpdateQueueRequest { policy: Some(half), ..Default::default() };
        let fault =
            boxoffice_proto::Fault::from(&replica.client.clone().update_queue(request).await.unwrap_err());
        assert_eq!(fault.violations[0].field, "policy.waiting_grace");
        replica.stop().await;
    }
}
