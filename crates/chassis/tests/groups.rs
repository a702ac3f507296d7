//! Group commit: many callers, few transactions, and to each caller an outcome of its own.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chassis::{
    args,
    db::{self, Db, Error, Group, Migrations, Sql},
    testing,
};
use futures::future::join_all;
use tokio::{sync::Notify, time::sleep};
use uuid::Uuid;

const INSERT: Sql = Sql {
    postgres: "INSERT INTO thing (id, name, size, fresh) SELECT id, name, size, TRUE \
               FROM UNNEST($1::uuid[], $2::text[], $3::bigint[]) AS t (id, name, size)",
    sqlite: "INSERT INTO thing (id, name, size, fresh) SELECT unhex(value ->> 0), value ->> 1, value ->> 2, TRUE FROM json_each($1)",
};

async fn databases(test: impl AsyncFn(Db)) {
    for database in testing::databases().await {
        let migrations = Migrations {
            postgres: sqlx::migrate!("./tests/migrations/postgres"),
            sqlite: sqlx::migrate!("./tests/migrations/sqlite"),
        };
        test(Db::open(&database.config, &migrations).await.unwrap()).await;
    }
}

async fn insert(db: &Db, sizes: &[i64]) -> Result<Vec<bool>, Error> {
    let mut session = db.begin().await?;
    let rows = sizes.iter().map(|size| args![Uuid::new_v4(), Some(format!("n{size}")), *size]).collect();
    session.execute(INSERT, db::table(session.dialect(), rows)).await?;
    session.commit().await?;
    Ok(sizes.iter().map(|size| size % 10 == 7).collect())
}

async fn things(db: &Db) -> i64 {
    let count = "SELECT COUNT(*) AS n FROM thing WHERE name = 'n' || size";
    db.read().await.unwrap().one(count, vec![]).await.unwrap().get("n").unwrap()
}

#[tokio::test]
async fn many_callers_share_few_transactions_and_each_gets_its_own_answer() {
    databases(async |db| {
        let transactions = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&transactions);
        let group = Group::of_writes(db.clone(), "insert", move |db, sizes: Arc<[i64]>| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move { insert(&db, &sizes).await }
        });
        let answers = join_all((0..300).map(|size| group.ask(size))).await;
        for (size, answer) in (0..).zip(answers) {
            assert_eq!(answer.unwrap(), size % 10 == 7);
        }
        assert_eq!(things(&db).await, 300);
        let transactions = transactions.load(Ordering::SeqCst);
        assert!(transactions < 60, "{transactions} transactions");
    })
    .await;
}

#[tokio::test]
async fn what_the_database_refuses_to_one_is_refused_to_that_one_alone() {
    databases(async |db| {
        let batches = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&batches);
        let group = Group::of_writes(db.clone(), "insert", move |db, sizes: Arc<[i64]>| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move {
                // So that those who come meanwhile are one batch.
                sleep(Duration::from_millis(20)).await;
                insert(&db, &sizes).await
            }
        });
        let first = group.ask(1);
        let others = join_all([2, -1, 7].map(|size| group.ask(size)));
        let (first, others) = tokio::join!(first, others);
        assert_eq!(first.ok(), Some(false));
        let told: Vec<_> = others.iter().map(|told| told.as_ref().ok()).collect();
        assert_eq!(told, [Some(&false), None, Some(&true)]);
        assert!(matches!(&others[1], Err(Error::Check { .. })));
        assert_eq!((things(&db).await, batches.load(Ordering::SeqCst)), (3, 2 + 3));
    })
    .await;
}

#[tokio::test]
async fn an_unknown_outcome_is_unknown_to_every_caller() {
    databases(async |db| {
        let group = Group::<i64, ()>::of_writes(db.clone(), "unknown", |_, _| async {
            sleep(Duration::from_millis(5)).await;
            Err(Error::Unavailable(sqlx::Error::PoolTimedOut))
        });
        for answer in join_all((0..20).map(|size| group.ask(size))).await {
            assert!(answer.is_err_and(|error| error.is_unavailable()));
        }
        let group = Group::<i64, ()>::of_writes(db, "panics", |_, _| async { panic!("a mistake") });
        assert!(group.ask(1).await.is_err_and(|error| error.is_unavailable()));
        assert!(
            group.ask(2).await.is_err_and(|error| error.is_unavailable()),
            "the next batch is another one"
        );
    })
    .await;
}

#[tokio::test]
async fn a_batch_of_reads_that_failed_is_read_one_by_one() {
    databases(async |db| {
        let group = Group::of_reads(db, "reads", |_, asks: Arc<[u64]>| async move {
            sleep(Duration::from_millis(5)).await;
            if asks.len() > 1 {
                Err(Error::Unavailable(sqlx::Error::PoolTimedOut))
            } else {
                Ok(asks.to_vec())
            }
        });
        let answers = join_all((0..20).map(|ask| group.ask(ask))).await;
        assert!(answers.into_iter().map(Result::unwrap).eq(0..20));
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_is_late_does_not_hold_up_the_next() {
    databases(async |db| {
        let gate = Arc::new(Notify::new());
        let closed = Arc::clone(&gate);
        let group = Group::of_writes(db, "late", move |_, asks: Arc<[&str]>| {
            let gate = Arc::clone(&closed);
            async move {
                if asks[0] == "late" {
                    gate.notified().await;
                }
                Ok(asks.iter().map(|_| ()).collect())
            }
        });
        let late = group.ask("late");
        let next = async {
            sleep(Duration::from_millis(10)).await;
            group.ask("next").await.unwrap();
            gate.notify_one();
        };
        let (late, ()) = tokio::join!(late, next);
        late.unwrap();
    })
    .await;
}
