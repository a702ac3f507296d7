//! Two replicas on one database: no gap, no duplicate, no overtaking, never too many admitted.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use boxoffice_proto::queue as pb;
use chassis::{
    clock::Clock,
    db::{Db, DbConfig},
    testing::{databases, patience::is_prompt},
};
use futures::future::join_all;
use pb::TokenStatus::{Active, Completed, Waiting};
use queue_svc::Policy;

use crate::harness::{
    Client, Replica, complete, eventually, get, join, join_as, leave, policy, queue, verify,
};

async fn two(database: &DbConfig, policy: Policy, clock: &Clock) -> [Replica; 2] {
    let first = Replica::start(database, policy.clone(), clock).await;
    [first, Replica::start(database, policy, clock).await]
}

async fn count(database: &DbConfig, statement: &'static str) -> i64 {
    let db = Db::open(database, &queue_svc::store::migrations()).await.unwrap();
    db.read().await.unwrap().one(statement, vec![]).await.unwrap().get("n").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_who_join_two_replicas_at_once_stand_in_one_line() {
    for database in databases().await {
        let replicas = two(&database.config, Policy { max_active: 50, ..policy() }, &Clock::system()).await;
        let client = |number: usize| &replicas[number % 2].client;
        let names: Vec<_> = (0..300).map(|number| format!("u{number}")).collect();
        let joined =
            join_all(names.iter().enumerate().map(|(number, user)| join(client(number), user))).await;
        let tokens: Vec<_> = joined.into_iter().map(Result::unwrap).collect();
        let tickets: BTreeSet<_> = tokens.iter().map(|token| token.ticket).collect();
        assert_eq!(tickets, (1..=300).collect(), "{}: no gap, no duplicate", database.name);
        // Whoever is admitted came before everybody who waits, and both replicas say so.
        for replica in &replicas {
            eventually("the replica has followed", || async {
                let now = queue(&replica.client).await;
                (now.active == 50 && now.waiting == 250).then_some(())
            })
            .await;
            let all = pb::BatchGetTokensRequest {
                tokens: tokens.iter().map(|token| token.token.clone()).collect(),
            };
            let now = replica.client.clone().batch_get_tokens(all).await.unwrap().into_inner().tokens;
            for token in now {
                let expected = if token.ticket <= 50 { (Active, 0) } else { (Waiting, token.ticket - 50) };
                assert_eq!((token.status(), token.position), expected, "{}", database.name);
            }
        }
        for replica in replicas {
            replica.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_at_two_replicas_at_once_has_one_token() {
    for database in databases().await {
        let replicas = two(&database.config, policy(), &Clock::system()).await;
        let joins = (0..40).map(|number| {
            join_as(&replicas[number % 2].client, "ann", None, if number < 20 { "r" } else { "" })
        });
        let answers: Vec<_> = join_all(joins).await.into_iter().map(Result::unwrap).collect();
        let tokens: BTreeSet<_> =
            answers.iter().map(|answer| answer.token.as_ref().unwrap().token.clone()).collect();
        assert_eq!(tokens.len(), 1, "{}", database.name);
        assert_eq!(count(&database.config, "SELECT COUNT(*) AS n FROM token").await, 1);
        for replica in replicas {
            replica.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freed_place_is_filled_and_seen_at_the_other_replica_at_once() {
    for database in databases().await {
        let [here, there] =
            two(&database.config, Policy { max_active: 1, ..policy() }, &Clock::system()).await;
        let first = join(&here.client, "a").await.unwrap();
        let second = join(&there.client, "b").await.unwrap();
        assert_eq!(second.status(), Waiting, "{}: the other replica's admission is known", database.name);
        complete(&here.client, &first.token, "").await.unwrap();
        // Verify catches up before it refuses, so it needs no waiting.
        assert!(verify(&there.client, &second.token, "default", "b", false).await.is_ok());
        let third = join(&here.client, "c").await.unwrap();
        leave(&there.client, &second.token, "").await.unwrap();
        let began = Instant::now();
        eventually("admitted", || async {
            let token = get(&here.client, &third.token).await.unwrap();
            (token.status() == Active).then_some(())
        })
        .await;
        assert!(is_prompt(began.elapsed(), Duration::from_secs(1)), "{:?}", began.elapsed());
        assert_eq!(get(&here.client, &second.token).await.unwrap().status(), pb::TokenStatus::Left);
        here.stop().await;
        there.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_made_at_one_replica_is_there_at_the_other() {
    for database in databases().await {
        let [here, there] = two(&database.config, policy(), &Clock::system()).await;
        let request = pb::CreateQueueRequest { queue_id: "rock".to_owned(), ..Default::default() };
        here.client.clone().create_queue(request).await.unwrap();
        let user = pb::IssueTokenRequest {
            queue_id: "rock".to_owned(),
            user_id: "a".to_owned(),
            ..Default::default()
        };
        let token = there.client.clone().issue_token(user).await.unwrap().into_inner().token.unwrap();
        assert_eq!(get(&here.client, &token.token).await.unwrap().status(), Active, "{}", database.name);
        assert!(verify(&here.client, &token.token, "rock", "a", true).await.is_ok());
        here.stop().await;
        there.stop().await;
    }
}

/// Joins, and when admitted pays or leaves; some give up while they wait. Tells who was admitted with which
/// ticket at which version.
async fn visit(client: Client, other: Client, number: usize) -> Option<(i64, i64)> {
    let token = join(&client, &format!("u{number}")).await.unwrap();
    if number.is_multiple_of(7) && token.status() == Waiting {
        leave(&other, &token.token, "").await.unwrap();
        return None;
    }
    let asker = if number.is_multiple_of(3) { &other } else { &client };
    let admitted = eventually("admitted", || async {
        let now = get(asker, &token.token).await.unwrap();
        (now.status() == Active).then_some(now)
    })
    .await;
    if number.is_multiple_of(2) {
        assert_eq!(complete(&other, &token.token, "").await.unwrap().status(), Completed);
    } else {
        leave(&client, &token.token, "").await.unwrap();
    }
    Some((admitted.version, admitted.ticket))
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_come_and_go_at_two_replicas_in_order_and_never_too_many_inside() {
    for database in databases().await {
        let replicas = two(&database.config, Policy { max_active: 5, ..policy() }, &Clock::system()).await;
        let (here, there) = (replicas[0].client.clone(), replicas[1].client.clone());
        let watching = tokio::spawn({
            let clients = [here.clone(), there.clone()];
            async move {
                let mut most = 0;
                loop {
                    for client in &clients {
                        most = most.max(queue(client).await.active);
                    }
                    if most > 5 {
                        return most;
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });
        let visits = (0_usize..300).map(|number| {
            let (mine, other) = if number.is_multiple_of(2) { (&here, &there) } else { (&there, &here) };
            tokio::spawn(visit(mine.clone(), other.clone(), number))
        });
        let admitted: Vec<_> = join_all(visits).await.into_iter().filter_map(Result::unwrap).collect();
        assert!(!watching.is_finished(), "{}: more were inside than may be", database.name);
        watching.abort();
        // In commit order, each commit admits later tickets than the one before: nobody overtook anybody.
        let mut by_commit: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (version, ticket) in admitted {
            by_commit.entry(version).or_default().push(ticket);
        }
        let order: Vec<_> = by_commit
            .into_values()
            .flat_map(|mut tickets| {
                tickets.sort_unstable();
                tickets
            })
            .collect();
        assert!(order.is_sorted(), "{}: {order:?}", database.name);
        let tickets = "SELECT COUNT(DISTINCT ticket) * 1000 + MAX(ticket) AS n FROM token";
        assert_eq!(count(&database.config, tickets).await, 300_300, "no gap, no duplicate");
        assert_eq!(
            count(&database.config, "SELECT COUNT(*) AS n FROM token WHERE status IN (1, 2)").await,
            0
        );
        for replica in replicas {
            replica.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_in_the_middle_lose_nobody_and_give_nobody_two_places() {
    for database in databases().await.into_iter().filter(|database| database.name == "postgres") {
        let replicas = two(&database.config, Policy { max_active: 10, ..policy() }, &Clock::system()).await;
        let cutter = Db::open(&database.config, &queue_svc::store::migrations()).await.unwrap();
        let cut = "SELECT COUNT(pg_terminate_backend(pid)) AS n FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let joins = (0..200).map(|number| {
            let client = replicas[number % 2].client.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(number as u64 * 5)).await;
                eventually("joined", || async { join(&client, &format!("u{number}")).await.ok() }).await
            })
        });
        let joins: Vec<_> = joins.collect();
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(180)).await;
            let mut session = cutter.read().await.unwrap();
            session.one(cut, vec![]).await.unwrap();
        }
        let tickets: BTreeSet<_> =
            join_all(joins).await.into_iter().map(|token| token.unwrap().ticket).collect();
        assert_eq!(tickets, (1..=200).collect());
        for replica in &replicas {
            eventually("the replica has followed", || async {
                let now = replica
                    .client
                    .clone()
                    .get_queue(pb::GetQueueRequest::default())
                    .await
                    .ok()?
                    .into_inner()
                    .queue?;
                (now.active == 10 && now.waiting == 190).then_some(())
            })
            .await;
        }
        for replica in replicas {
            replica.stop().await;
        }
    }
}
