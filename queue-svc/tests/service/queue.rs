//! One replica: joining, order, lanes, places that become free, request ids, restart.

use std::collections::BTreeSet;

use boxoffice_proto::queue as pb;
use chassis::{clock::Clock, db::Db, testing::databases};
use futures::future::join_all;
use pb::TokenStatus::{Active, Completed, Left, Waiting};

use crate::harness::{
    Replica, SECOND, START, complete, eventually, get, join, join_as, leave, policy, queue, update, verify,
};

#[tokio::test(flavor = "multi_thread")]
async fn ten_users_who_join_at_once_all_get_a_place_of_their_own() {
    for database in databases().await {
        let replica = Replica::start(
            &database.config,
            queue_svc::Policy { max_active: 0, ..policy() },
            &Clock::system(),
        )
        .await;
        let users: Vec<_> = (0..10).map(|user| format!("user-{user}")).collect();
        let tokens = join_all(users.iter().map(|user| join(&replica.client, user))).await;
        let tokens: Vec<_> = tokens.into_iter().map(Result::unwrap).collect();
        let tickets: BTreeSet<_> = tokens.iter().map(|token| token.ticket).collect();
        assert_eq!(tickets, (1..=10).collect(), "{}", database.name);
        let mut positions = BTreeSet::new();
        for token in &tokens {
            let now = get(&replica.client, &token.token).await.unwrap();
            assert_eq!((now.position, now.waiting_behind), (now.ticket, 10 - now.ticket));
            positions.insert(now.position);
        }
        assert_eq!(positions.len(), 10);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_who_joins_ten_times_at_once_has_one_token_and_one_row() {
    for database in databases().await {
        let replica = Replica::start(&database.config, policy(), &Clock::system()).await;
        let joins = join_all((0..10).map(|_| join_as(&replica.client, "ann", None, ""))).await;
        let answers: Vec<_> = joins.into_iter().map(Result::unwrap).collect();
        let tokens: BTreeSet<_> =
            answers.iter().map(|answer| answer.token.as_ref().unwrap().token.clone()).collect();
        assert_eq!(tokens.len(), 1, "{}", database.name);
        assert_eq!(answers.iter().filter(|answer| answer.created).count(), 1);
        let db = Db::open(&database.config, &queue_svc::store::migrations()).await.unwrap();
        let rows = db.read().await.unwrap().one("SELECT COUNT(*) AS n FROM token", vec![]).await.unwrap();
        assert_eq!(rows.get::<i64>("n").unwrap(), 1);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_becomes_free_is_filled_in_the_same_commit() {
    for database in databases().await {
        let replica = Replica::start(&database.config, policy(), &Clock::system()).await;
        let client = &replica.client;
        let mut tokens = Vec::new();
        for user in ["a", "b", "c", "d", "e"] {
            tokens.push(join(client, user).await.unwrap());
        }
        let statuses: Vec<_> = tokens.iter().map(pb::Token::status).collect();
        assert_eq!(statuses, [Active, Active, Waiting, Waiting, Waiting], "{}", database.name);
        let done = complete(client, &tokens[0].token, "").await.unwrap();
        assert_eq!(done.status(), Completed);
        let next = get(client, &tokens[2].token).await.unwrap();
        assert_eq!((next.status(), next.version), (Active, done.version), "the same commit");
        assert!(next.active_until.is_some());
        leave(client, &tokens[1].token, "").await.unwrap();
        assert_eq!(get(client, &tokens[3].token).await.unwrap().status(), Active);
        let last = get(client, &tokens[4].token).await.unwrap();
        assert_eq!((last.position, last.waiting_behind), (1, 0));
        // A waiter who gives up frees nothing but its place in line.
        assert_eq!(leave(client, &tokens[4].token, "").await.unwrap().status(), Left);
        let now = queue(client).await;
        assert_eq!((now.waiting, now.active, now.serving_ticket), (0, 2, 4));
        // Repeating what is done changes nothing.
        assert_eq!(complete(client, &tokens[0].token, "").await.unwrap(), done);
        assert_eq!(leave(client, &tokens[4].token, "").await.unwrap().status(), Left);
        assert_eq!(leave(client, &tokens[0].token, "").await.unwrap().status(), Completed);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lower_lanes_go_first_and_first_come_goes_first_inside_a_lane() {
    for database in databases().await {
        let replica = Replica::start(
            &database.config,
            queue_svc::Policy { max_active: 0, ..policy() },
            &Clock::system(),
        )
        .await;
        let client = &replica.client;
        let mut tokens = Vec::new();
        for (user, lane) in [("a", Some(9)), ("b", None), ("c", Some(0)), ("d", Some(5)), ("e", Some(0))] {
            tokens.push(join_as(client, user, lane, "").await.unwrap().token.unwrap().token);
        }
        let mut positions = Vec::new();
        for token in &tokens {
            positions.push(get(client, token).await.unwrap().position);
        }
        assert_eq!(positions, [5, 3, 1, 4, 2], "{}", database.name);
        update(client, pb::QueuePolicy { max_active: Some(3), ..pb::QueuePolicy::default() }).await;
        let mut active = Vec::new();
        for token in &tokens {
            active.push(get(client, token).await.unwrap().status() == Active);
        }
        assert_eq!(active, [false, true, true, false, true]);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_line_admits_nobody_and_goes_on_where_it_stopped() {
    for database in databases().await {
        let replica = Replica::start(&database.config, policy(), &Clock::system()).await;
        let client = &replica.client;
        let paused =
            update(client, pb::QueuePolicy { paused: Some(true), ..pb::QueuePolicy::default() }).await;
        assert_eq!(paused.policy.unwrap().paused, Some(true));
        let first = join(client, "a").await.unwrap();
        let second = join(client, "b").await.unwrap();
        assert_eq!(
            (first.status(), second.status(), second.position),
            (Waiting, Waiting, 2),
            "{}",
            database.name
        );
        let resumed =
            update(client, pb::QueuePolicy { paused: Some(false), ..pb::QueuePolicy::default() }).await;
        assert_eq!((resumed.active, resumed.waiting), (2, 0), "admitted in the same transaction");
        // Lowering the cap throws nobody out.
        let lowered =
            update(client, pb::QueuePolicy { max_active: Some(1), ..pb::QueuePolicy::default() }).await;
        assert_eq!((lowered.active, lowered.policy.unwrap().max_active), (2, Some(1)));
        leave(client, &first.token, "").await.unwrap();
        assert_eq!(join(client, "c").await.unwrap().status(), Waiting);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_answered_like_the_first_time() {
    for database in databases().await {
        let replica = Replica::start(&database.config, policy(), &Clock::system()).await;
        let client = &replica.client;
        let first = join_as(client, "ann", None, "r-1").await.unwrap();
        let again = join_as(client, "ann", None, "r-1").await.unwrap();
        assert_eq!((first.created, again.created), (true, true), "{}", database.name);
        let token = first.token.unwrap().token;
        assert_eq!(again.token.unwrap().token, token);
        complete(client, &token, "r-2").await.unwrap();
        // The place is used up: the replay still finds the first token and makes no new one.
        let late = join_as(client, "ann", None, "r-1").await.unwrap().token.unwrap();
        assert_eq!((late.token.as_str(), late.status()), (token.as_str(), Completed));
        assert_eq!(complete(client, &token, "r-2").await.unwrap().status(), Completed);
        // Ten times at once is once.
        let burst = join_all((0..10).map(|_| join_as(client, "bob", Some(3), "r-3"))).await;
        let tokens: BTreeSet<_> =
            burst.into_iter().map(|answer| answer.unwrap().token.unwrap().token).collect();
        assert_eq!(tokens.len(), 1);
        let change = pb::UpdateQueueRequest {
            queue_id: "default".to_owned(),
            policy: Some(pb::QueuePolicy { max_waiting: Some(7), ..pb::QueuePolicy::default() }),
            request_id: "r-4".to_owned(),
        };
        let changed = client.clone().update_queue(change.clone()).await.unwrap().into_inner();
        update(client, pb::QueuePolicy { max_waiting: Some(8), ..pb::QueuePolicy::default() }).await;
        assert_eq!(client.clone().update_queue(change).await.unwrap().into_inner(), changed);
        assert_eq!(queue(client).await.policy.unwrap().max_waiting, Some(8), "a replay changes nothing");
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nobody_and_keeps_every_place() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let replica = Replica::start(&database.config, policy(), &clock).await;
        let mut before = Vec::new();
        for number in 0..30 {
            before.push(
                join_as(&replica.client, &format!("u{number}"), Some(number % 10), "")
                    .await
                    .unwrap()
                    .token
                    .unwrap()
                    .token,
            );
        }
        complete(&replica.client, &before[0], "").await.unwrap();
        leave(&replica.client, &before[7], "").await.unwrap();
        let mut seen = Vec::new();
        for token in &before {
            seen.push(get(&replica.client, token).await.unwrap());
        }
        let line = queue(&replica.client).await;
        replica.stop().await;
        let replica =
            Replica::start(&database.config, queue_svc::Policy { max_active: 77, ..policy() }, &clock).await;
        for (token, seen) in before.iter().zip(seen) {
            assert_eq!(get(&replica.client, token).await.unwrap(), seen, "{}", database.name);
        }
        assert_eq!(queue(&replica.client).await, line, "the flags count only when the queue is first made");
        assert_eq!(join(&replica.client, "new").await.unwrap().ticket, 31);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cap_of_a_minute_holds_and_opens_by_itself() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let slow = queue_svc::Policy { max_active: 100, admit_per_minute: 3, ..policy() };
        let replica = Replica::start(&database.config, slow, &clock).await;
        let client = &replica.client;
        join_all((0..8).map(|user| async move { join(client, &format!("u{user}")).await.unwrap() })).await;
        assert_eq!((queue(client).await.active, queue(client).await.waiting), (3, 5), "{}", database.name);
        clock.advance(60 * SECOND - 1);
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        assert_eq!(queue(client).await.active, 3);
        // After the minute they come one by one, not as a crowd again.
        for (wait, active) in [(1, 4), (SECOND, 5), (SECOND, 6), (57 * SECOND, 6), (SECOND, 7)] {
            clock.advance(wait);
            eventually("the next", || async { (queue(client).await.active == active).then_some(()) }).await;
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
            assert_eq!(queue(client).await.active, active);
        }
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_made_listed_and_kept_apart() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let replica = Replica::start(&database.config, policy(), &clock).await;
        let mut client = replica.client.clone();
        for name in ["rock", "jazz"] {
            clock.advance(SECOND);
            let policy = pb::QueuePolicy { max_active: Some(1), ..pb::QueuePolicy::default() };
            let request = pb::CreateQueueRequest {
                queue_id: name.to_owned(),
                policy: Some(policy),
                request_id: name.to_owned(),
            };
            let made = client.create_queue(request.clone()).await.unwrap().into_inner();
            assert_eq!(
                client.create_queue(request.clone()).await.unwrap().into_inner(),
                made,
                "{}",
                database.name
            );
            let unnamed = pb::CreateQueueRequest { request_id: String::new(), ..request };
            assert_eq!(
                client.create_queue(unnamed).await.unwrap().into_inner(),
                made,
                "the same policy is the same queue"
            );
            assert_eq!(
                made.queue.unwrap().policy.unwrap().max_waiting,
                Some(100_000),
                "the contract's default"
            );
        }
        let page =
            |size, token: &str| pb::ListQueuesRequest { page_size: size, page_token: token.to_owned() };
        let first = client.list_queues(page(2, "")).await.unwrap().into_inner();
        let names: Vec<_> = first.queues.iter().map(|queue| queue.queue_id.as_str()).collect();
        assert_eq!(names, ["jazz", "rock"]);
        let second = client.list_queues(page(2, &first.next_page_token)).await.unwrap().into_inner();
        assert_eq!((second.queues.len(), second.queues[0].queue_id.as_str()), (1, "default"));
        assert_eq!(second.next_page_token, "");
        let in_rock = pb::IssueTokenRequest {
            queue_id: "rock".to_owned(),
            user_id: "ann".to_owned(),
            ..Default::default()
        };
        let rock = client.issue_token(in_rock).await.unwrap().into_inner().token.unwrap();
        let default = join(&client, "ann").await.unwrap();
        assert_ne!(rock.token, default.token);
        assert!(verify(&client, &rock.token, "rock", "ann", true).await.is_ok());
        let of_user = pb::GetTokenRequest {
            queue_id: "rock".to_owned(),
            user_id: "ann".to_owned(),
            ..Default::default()
        };
        assert_eq!(client.get_token(of_user).await.unwrap().into_inner().token.unwrap().token, rock.token);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tokens_are_read_at_once_ended_and_unknown_ones_too() {
    for database in databases().await {
        let replica = Replica::start(&database.config, policy(), &Clock::system()).await;
        let mut client = replica.client.clone();
        let mut tokens = Vec::new();
        for user in ["a", "b", "c"] {
            tokens.push(join(&client, user).await.unwrap().token);
        }
        complete(&client, &tokens[0], "").await.unwrap();
        let unknown = "00000000-0000-4000-8000-000000000000".to_owned();
        tokens.insert(1, unknown.clone());
        tokens.push(tokens[0].clone());
        let answer = client
            .batch_get_tokens(pb::BatchGetTokensRequest { tokens: tokens.clone() })
            .await
            .unwrap()
            .into_inner();
        let found: Vec<_> = answer.tokens.iter().map(|token| token.token.clone()).collect();
        assert_eq!(
            found,
            [&tokens[0], &tokens[2], &tokens[3], &tokens[0]].map(Clone::clone),
            "{}",
            database.name
        );
        let statuses: Vec<_> = answer.tokens.iter().map(pb::Token::status).collect();
        assert_eq!(statuses, [Completed, Active, Active, Completed]);
        assert_eq!(answer.not_found, [unknown]);
        replica.stop().await;
    }
}
