//! More than fits: a storm of joins while the database stands still, and a start with a long queue.
#![allow(clippy::print_stdout, reason = "the figures are for whoever reads")]

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use boxoffice_proto::{Fault, Reason};
use chassis::{
    args,
    background::Vital,
    clock::Clock,
    db::{Db, Dialect},
    testing::{databases, patience::is_prompt},
};
use futures::future::join_all;
use queue_svc::{
    Error, Policy, Retention,
    app::Queues,
    domain::{QueuePolicy, TokenStatus},
};

use crate::harness::{Replica, eventually, join, policy, queue};

/// More than one queue has space for.
const CROWD: usize = 3_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_is_told_at_once_to_come_back_and_loses_nothing() {
    for database in databases().await {
        let db = Db::open(&database.config, &queue_svc::store::migrations()).await.unwrap();
        let queues =
            Queues::open(db, Clock::system(), Retention::default(), None, Vital::default()).await.unwrap();
        let policy = QueuePolicy { max_active: 1, ..QueuePolicy::default() };
        queues.create_queue("rock", policy.clone(), None).await.unwrap();
        let active = queues.join("rock", "active", 5, None).await.unwrap().0;
        let early = queues.join("rock", "early", 5, None).await.unwrap().0;
        let holder = Db::open(&database.config, &queue_svc::store::migrations()).await.unwrap();
        let mut lock = holder.begin().await.unwrap();
        lock.execute("UPDATE queue SET version = version", args![]).await.unwrap();
        let began = Instant::now();
        let joins: Vec<_> = (0..CROWD)
            .map(|number| {
                let queues = queues.clone();
                tokio::spawn(async move {
                    (queues.join("rock", &format!("u{number}"), 5, None).await, began.elapsed())
                })
            })
            .collect();
        eventually("the others are sent away", || async {
            (joins.iter().filter(|join| join.is_finished()).count() >= CROWD / 5).then_some(())
        })
        .await;
        // While all of this waits, whoever has a place is answered, and whoever pays is not sent away.
        assert!(
            matches!(queues.join("rock", "one-more", 5, None).await, Err(Error::Busy(_))),
            "{}",
            database.name
        );
        let again = queues.join("rock", "early", 5, None).await.unwrap();
        assert_eq!(
            (again.0.token, again.1, queues.token(early.token).await.unwrap().position),
            (early.token, false, 1)
        );
        let pays = tokio::spawn({
            let queues = queues.clone();
            async move { queues.complete(active.token, None).await }
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
        lock.rollback().await;
        let (mut written, mut slowest) = (Vec::new(), Duration::ZERO);
        for answer in join_all(joins).await {
            match answer.unwrap() {
                (Ok((token, created)), _) => {
                    assert!(created);
                    written.push(token);
                }
                (Err(error), after) => {
                    let fault = Fault::from(error);
                    assert_eq!(fault.reason, Reason::RateLimited, "{fault}");
                    assert!(
                        (1..=60).contains(&fault.retry_after.unwrap().as_secs()),
                        "{:?}",
                        fault.retry_after
                    );
                    slowest = slowest.max(after);
                }
            }
        }
        println!(
            "{}: {} written of {CROWD}, the others sent away within {slowest:?}",
            database.name,
            written.len()
        );
        assert!((1_900..2_500).contains(&written.len()), "{} written", written.len());
        assert!(is_prompt(slowest, Duration::from_secs(2)), "at once, not after the stall: {slowest:?}");
        assert_eq!(pays.await.unwrap().unwrap().status, TokenStatus::Completed);
        assert_eq!(
            queues.token(early.token).await.unwrap().status,
            TokenStatus::Active,
            "in the same transaction"
        );
        let people = i64::try_from(written.len()).unwrap();
        let tickets: BTreeSet<_> = written.iter().map(|token| token.ticket).collect();
        assert_eq!(tickets, (3..=people + 2).collect(), "no gap, no duplicate");
        let commits: BTreeSet<_> = written.iter().map(|token| token.version).collect();
        assert!(commits.len() <= 12, "{} commits for {people} joins", commits.len());
        assert_eq!(queues.join("rock", "later", 5, None).await.unwrap().0.position, people + 1);
        queues.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_leaves_and_completions_become_few_transactions() {
    const EACH: usize = 200;
    for database in databases().await {
        let db = Db::open(&database.config, &queue_svc::store::migrations()).await.unwrap();
        let queues =
            Queues::open(db, Clock::system(), Retention::default(), None, Vital::default()).await.unwrap();
        let policy = QueuePolicy { max_active: 200, ..QueuePolicy::default() };
        queues.create_queue("rock", policy, None).await.unwrap();
        let joined = async |from: usize| {
            let names: Vec<_> = (from..from + EACH).map(|number| format!("u{number}")).collect();
            let joins = join_all(names.iter().map(|name| queues.join("rock", name, 5, None))).await;
            joins.into_iter().map(|join| join.unwrap().0).collect::<Vec<_>>()
        };
        let (inside, behind) = (joined(0).await, joined(EACH).await);
        assert!(inside.iter().all(|token| token.status == TokenStatus::Active), "{}", database.name);
        let (more, paid, gone) = tokio::join!(
            joined(2 * EACH),
            join_all(inside.iter().step_by(2).map(|token| queues.complete(token.token, None))),
            join_all(behind.iter().step_by(2).map(|token| queues.leave(token.token, None, None))),
        );
        let ended: Vec<_> = paid.into_iter().chain(gone).map(Result::unwrap).collect();
        let commits: BTreeSet<_> = more.iter().chain(&ended).map(|token| token.version).collect();
        println!("{}: {} commits for {} commands", database.name, commits.len(), 2 * EACH);
        assert!(commits.len() <= 20, "{} commits for {} commands", commits.len(), 2 * EACH);
        // Whoever was next has the places, in order, and nobody else.
        let next: Vec<_> = behind.iter().skip(1).step_by(2).map(|token| token.token).collect();
        for token in &next {
            assert_eq!(queues.token(*token).await.unwrap().status, TokenStatus::Active, "{}", database.name);
        }
        for (token, position) in more.iter().zip(1..) {
            assert_eq!(queues.token(token.token).await.unwrap().position, position);
        }
        queues.close().await;
    }
}

const WAITING: i64 = 110_000;

/// A queue of 110,000, and as many who came and went, as rows.
async fn fill(db: &Db) {
    const STEP: usize = 10_000;
    let statement = match db.dialect() {
        Dialect::Postgres => {
            "INSERT INTO token (token, queue_id, user_id, status, priority, ticket, entered_at, valid_until, requeues, version, heard_at) \
             SELECT gen_random_uuid(), 'default', 'user-' || n, CASE WHEN n % 2 = 0 THEN 1 ELSE 3 END, n % 10, n, 1, $2, 0, 1, 1 \
             FROM generate_series($1::bigint, $3::bigint) AS n"
        }
        Dialect::Sqlite => {
            "WITH RECURSIVE numbers (n) AS (SELECT $1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $3) \
             INSERT INTO token (token, queue_id, user_id, status, priority, ticket, entered_at, valid_until, requeues, version, heard_at) \
             SELECT randomblob(16), 'default', 'user-' || n, CASE WHEN n % 2 = 0 THEN 1 ELSE 3 END, n % 10, n, 1, $2, 0, 1, 1 FROM numbers"
        }
    };
    let mut session = db.begin().await.unwrap();
    // In steps, because a busy machine may need longer for all at once than a statement may take.
    for first in (1..=2 * WAITING).step_by(STEP) {
        let last = first + i64::try_from(STEP).unwrap() - 1;
        session.execute(statement, args![first, i64::MAX / 2, last]).await.unwrap();
    }
    session.execute("UPDATE queue SET version = 1, last_ticket = $1", args![2 * WAITING]).await.unwrap();
    session.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_hundred_and_ten_thousand_waiting_takes_seconds() {
    for database in databases().await {
        let closed = Policy { max_active: 0, max_waiting: 1_000_000, ..policy() };
        Replica::start(&database.config, closed.clone(), &Clock::system()).await.stop().await;
        let db = Db::open(&database.config, &queue_svc::store::migrations()).await.unwrap();
        fill(&db).await;
        let began = Instant::now();
        let replica = Replica::start(&database.config, closed, &Clock::system()).await;
        let took = began.elapsed();
        println!("{}: ready with {WAITING} waiting after {took:?}", database.name);
        assert!(is_prompt(took, Duration::from_secs(15)), "{took:?}");
        let line = queue(&replica.client).await;
        assert_eq!((line.waiting, line.lanes.len()), (WAITING, 5), "{}", database.name);
        let last = join(&replica.client, "one-more").await.unwrap();
        // Lanes 0, 2 and 4 go before the fifth, in which nobody else waits.
        assert_eq!((last.ticket, last.position), (2 * WAITING + 1, WAITING / 5 * 3 + 1));
        replica.stop().await;
    }
}
