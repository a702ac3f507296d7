//! The door to the database means the same on both dialects.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use chassis::{
    args,
    clock::{Clock, SECOND},
    db::{self, Contended, Db, DbConfig, Dialect, Error, Fate, Migrations, Sql},
    idempotency::{self, BRIEF, BRIEFLY, Key, RequestRetention},
    prune,
    testing::{
        self, TestDatabase,
        patience::{is_prompt, timeout},
    },
};
use futures::future::join_all;
use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};
use uuid::Uuid;

async fn open(database: &TestDatabase) -> Db {
    let migrations = Migrations {
        postgres: sqlx::migrate!("./tests/migrations/postgres"),
        sqlite: sqlx::migrate!("./tests/migrations/sqlite"),
    };
    Db::open(&database.config, &migrations).await.unwrap()
}

const INSERT: &str = "INSERT INTO thing (id, name, size, fresh) VALUES ($1, $2, $3, $4)";

#[tokio::test]
async fn every_kind_of_value_comes_back_as_it_went_in() {
    for database in testing::databases().await {
        let db = open(&database).await;
        let (full, bare) = (Uuid::from_u128(7), Uuid::from_u128(u128::MAX));
        let mut tx = db.begin().await.unwrap();
        tx.execute(INSERT, args![full, "Zoë 🎟", i64::MAX, true]).await.unwrap();
        tx.execute(INSERT, args![bare, None::<String>, 0, false]).await.unwrap();
        tx.commit().await.unwrap();

        let rows =
            db.read().await.unwrap().all("SELECT * FROM thing ORDER BY size DESC", vec![]).await.unwrap();
        let read = |i: usize| {
            let row = &rows[i];
            (
                row.get::<Uuid>("id").unwrap(),
                row.get::<Option<String>>("name").unwrap(),
                row.get::<i64>("size").unwrap(),
            )
        };
        assert_eq!(read(0), (full, Some("Zoë 🎟".to_owned()), i64::MAX), "{}", database.name);
        assert_eq!(read(1), (bare, None, 0), "{}", database.name);
        assert!(rows[0].get::<bool>("fresh").unwrap() && !rows[1].get::<bool>("fresh").unwrap());
    }
}

#[tokio::test]
async fn a_list_is_one_argument() {
    const BY_IDS: Sql = Sql {
        postgres: "SELECT size FROM thing WHERE id = ANY($1) AND size = ANY($2) ORDER BY size",
        sqlite: "SELECT size FROM thing WHERE id IN (SELECT unhex(value) FROM json_each($1))
                 AND size IN (SELECT value FROM json_each($2)) ORDER BY size",
    };
    const INSERT_MANY: Sql = Sql {
        postgres: "INSERT INTO thing (id, name, size, fresh)
                   SELECT id, name, size, true FROM UNNEST($1::uuid[], $2::text[], $3::bigint[]) AS a (id, name, size)",
        sqlite: "INSERT INTO thing (id, name, size, fresh) SELECT unhex(a.value), b.value, c.value, true
                 FROM json_each($1) a JOIN json_each($2) b ON b.key = a.key JOIN json_each($3) c ON c.key = a.key",
    };
    for database in testing::databases().await {
        let db = open(&database).await;
        let ids: Vec<Uuid> = (0..300).map(Uuid::from_u128).collect();
        let names: Vec<Option<String>> = (0..300).map(|i| (i % 2 == 0).then(|| format!("n{i}"))).collect();
        let mut tx = db.begin().await.unwrap();
        let written =
            tx.execute(INSERT_MANY, args![ids.clone(), names, (0..300).collect::<Vec<i64>>()]).await.unwrap();
        assert_eq!(written, 300);
        tx.commit().await.unwrap();
        let found = db.read().await.unwrap().all(BY_IDS, args![ids, vec![3_i64, 5, 999]]).await.unwrap();
        let sizes: Vec<i64> = found.iter().map(|row| row.get("size").unwrap()).collect();
        assert_eq!(sizes, [3, 5], "{}", database.name);
    }
}

/// Fails where a statement may not take its time, and is slow enough that the others come while it runs.
const SLOW: &str = "DO $$ BEGIN
    ASSERT current_setting('statement_timeout') = '0', 'a migration may take longer than a request';
    PERFORM pg_sleep(0.5);
END $$; CREATE TABLE made_once (id bigint)";

#[tokio::test]
async fn replicas_that_start_together_migrate_once_and_all_start() {
    let slow = Migration::new(1, "slow".into(), MigrationType::Simple, SLOW.into_sql_str(), false);
    let postgres = Migrator::with_migrations(vec![slow]);
    let migrations = Migrations { postgres, sqlite: Migrator::DEFAULT };
    let config = DbConfig::at(testing::postgres_url().await);
    let began = Instant::now();
    let opened = join_all((0..6).map(|_| Db::open(&config, &migrations))).await;
    assert!(is_prompt(began.elapsed(), Duration::from_secs(5)));
    for db in opened {
        let row = db
            .unwrap()
            .read()
            .await
            .unwrap()
            .one("SELECT count(*) AS n FROM _sqlx_migrations", vec![])
            .await
            .unwrap();
        assert_eq!(row.get::<i64>("n").unwrap(), 1);
    }
    Db::migrate(&config, &migrations).await.unwrap();
}

#[tokio::test]
async fn programs_that_start_together_on_one_fresh_file_migrate_it_once_and_all_start() {
    // Slow enough that the others come while it runs, and failing where it runs twice.
    const SLOW: &str = "CREATE TABLE made_once AS
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT max(i) AS i FROM n";
    let migration = |number, sql: &'static str| {
        Migration::new(number, "m".into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let both = vec![migration(1, SLOW), migration(2, "CREATE TABLE later (id INTEGER)")];
    let migrations = Migrations { postgres: Migrator::DEFAULT, sqlite: Migrator::with_migrations(both) };
    let databases = testing::databases().await;
    let file = &databases.iter().find(|database| database.name == "sqlite").unwrap().config.url;
    for round in 0..10 {
        let config = DbConfig::at(format!("{file}.{round}"));
        for db in join_all((0..6).map(|_| Db::open(&config, &migrations))).await {
            let row = db
                .unwrap()
                .read()
                .await
                .unwrap()
                .one("SELECT count(*) AS n FROM _sqlx_migrations", vec![])
                .await
                .unwrap();
            assert_eq!(row.get::<i64>("n").unwrap(), 2);
        }
    }
}

#[tokio::test]
async fn a_migration_that_fails_frees_its_lock_and_is_tried_again() {
    let with = |sql: &'static str| {
        let migration = Migration::new(1, "one".into(), MigrationType::Simple, sql.into_sql_str(), false);
        Migrations { postgres: Migrator::with_migrations(vec![migration]), sqlite: Migrator::DEFAULT }
    };
    let config = DbConfig::at(testing::postgres_url().await);
    Db::migrate(&config, &with("CREATE TABLE t (id bigint); SELECT 1/0")).await.unwrap_err();
    let mended = with("CREATE TABLE t (id bigint)");
    timeout(Duration::from_secs(5), Db::migrate(&config, &mended)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_program_starts_on_tables_that_a_newer_one_has_migrated() {
    let migration = |number, sql: &'static str| {
        Migration::new(number, "m".into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let first = || migration(1, "CREATE TABLE t (id BIGINT)");
    let later = || migration(2, "CREATE TABLE later (id BIGINT); INSERT INTO later (id) VALUES (7)");
    let set = |all: Vec<Migration>| Migrations {
        postgres: Migrator::with_migrations(all.clone()),
        sqlite: Migrator::with_migrations(all),
    };
    for database in testing::databases().await {
        Db::migrate(&database.config, &set(vec![first(), later()])).await.unwrap();
        let older = Db::open(&database.config, &set(vec![first()])).await;
        let older = older.unwrap_or_else(|error| panic!("{}: {error}", database.name));
        let mut tx = older.begin().await.unwrap();
        tx.execute("INSERT INTO t (id) VALUES ($1)", args![1]).await.unwrap();
        tx.commit().await.unwrap();
        let row = older.read().await.unwrap().one("SELECT id FROM later", vec![]).await.unwrap();
        assert_eq!(
            row.get::<i64>("id").unwrap(),
            7,
            "{}: what the newer one added is still there",
            database.name
        );
        drop(older);
        // What has another text than when it was made is still refused, and the newer one starts again.
        let changed = set(vec![migration(1, "CREATE TABLE t (id BIGINT, more BIGINT)")]);
        Db::open(&database.config, &changed).await.unwrap_err();
        Db::migrate(&database.config, &set(vec![first(), later()])).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_committed_is_undone_and_constraints_have_names() {
    for database in testing::databases().await {
        let db = open(&database).await;
        let mut tx = db.begin().await.unwrap();
        tx.execute(INSERT, args![Uuid::from_u128(1), "x", 1, true]).await.unwrap();
        drop(tx);
        let mut tx = db.begin().await.unwrap();
        tx.execute(INSERT, args![Uuid::from_u128(1), "x", 1, true]).await.unwrap();
        let again = tx.execute(INSERT, args![Uuid::from_u128(1), "x", 1, true]).await.unwrap_err();
        assert!(again.is_unique(), "{}: {again}", database.name);
        tx.rollback().await;

        let mut tx = db.begin().await.unwrap();
        let negative = tx.execute(INSERT, args![Uuid::from_u128(2), "x", -1, true]).await.unwrap_err();
        assert!(
            matches!(&negative, Error::Check { constraint: Some(name), .. } if name.contains("size_is_not_negative"))
                || {
                    // SQLite tells the name in its message only.
                    db.dialect() == Dialect::Sqlite && negative.to_string().contains("size_is_not_negative")
                }
        );
        tx.rollback().await;
        let rows = db.read().await.unwrap().all("SELECT id FROM thing", vec![]).await.unwrap();
        assert_eq!(rows.len(), 0, "{}", database.name);
    }
}

#[tokio::test]
async fn a_contended_transaction_is_made_again_and_a_bounded_number_of_times() {
    for database in testing::databases().await {
        let db = open(&database).await;
        let tries = AtomicU32::new(0);
        let lucky = db.transact("lucky", async || match tries.fetch_add(1, Ordering::SeqCst) {
            0..3 => Err(Error::lost_race("a test")),
            n => Ok(n),
        });
        assert_eq!(lucky.await.unwrap(), 3);
        let hopeless: Result<(), Error> =
            db.transact("hopeless", async || Err(Error::lost_race("a test"))).await;
        assert!(hopeless.unwrap_err().is_contended());
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Db(#[from] Error),
    #[error(transparent)]
    Request(#[from] idempotency::Error),
}

impl Contended for Failure {
    fn is_contended(&self) -> bool {
        match self {
            Self::Db(error) | Self::Request(idempotency::Error::Db(error)) => error.is_contended(),
            Self::Request(idempotency::Error::Reused) => false,
        }
    }
}

/// Counts, in a transaction, unless this request was answered before.
async fn count_once(db: &Db, key: &Key) -> Result<i64, Failure> {
    db.transact("count_once", async || {
        let mut tx = db.begin().await?;
        if let Some(answer) = idempotency::recall(&mut tx, key).await? {
            return Ok(answer);
        }
        tx.execute(INSERT, args![Uuid::new_v4(), "x", 1, true]).await?;
        let count = tx.one("SELECT count(*) AS n FROM thing", vec![]).await?.get::<i64>("n")?;
        idempotency::record(&mut tx, key, &count, 0).await?;
        tx.commit().await?;
        Ok(count)
    })
    .await
}

#[tokio::test]
async fn fifty_equal_requests_at_once_are_one_and_another_request_is_refused() {
    for database in testing::databases().await {
        let db = open(&database).await;
        let key = Key::new("k".to_owned(), "Count", "ann", &("ann", 1));
        let all = futures::future::join_all((0..50).map(|_| count_once(&db, &key))).await;
        assert!(all.into_iter().all(|answer| answer.unwrap() == 1), "{}", database.name);
        let other = Key::new("k".to_owned(), "Count", "ann", &("ann", 2));
        let reused = count_once(&db, &other).await.unwrap_err();
        assert!(
            matches!(reused, Failure::Request(idempotency::Error::Reused)),
            "{}: {reused}",
            database.name
        );
    }
}

async fn count(db: &Db, sql: &'static str) -> i64 {
    db.read().await.unwrap().one(sql, vec![]).await.unwrap().get("n").unwrap()
}

#[tokio::test]
async fn a_request_id_is_its_owners_own() {
    for database in testing::databases().await {
        let db = open(&database).await;
        let keys =
            ["ann", "bob", "cid"].map(|user| Key::new("order-2".to_owned(), "Count", user, &(user, 1)));
        let all = join_all(keys.iter().map(|key| count_once(&db, key))).await;
        let all: Vec<i64> = all.into_iter().map(Result::unwrap).collect();
        assert_eq!(count(&db, "SELECT count(*) AS n FROM thing").await, 3, "{}", database.name);
        for (key, first) in keys.iter().zip(all) {
            assert_eq!(count_once(&db, key).await.unwrap(), first, "each gets their own answer again");
        }
    }
}

/// What a program of release 0.1 does: it finds and records answers under the bare id.
async fn older_program(db: &Db, key: &Key) -> Result<i64, Failure> {
    db.transact("older_program", async || {
        let mut tx = db.begin().await?;
        let find = "SELECT fingerprint, answer FROM request WHERE request_id = $1";
        if let Some(row) = tx.optional(find, args![key.bare()]).await? {
            let same = row.get::<String>("fingerprint")? == key.fingerprint();
            return if same { Ok(row.get::<String>("answer")?.parse().unwrap()) } else { Err(idempotency::Error::Reused.into()) };
        }
        tx.execute(INSERT, args![Uuid::new_v4(), "x", 1, true]).await?;
        let count = tx.one("SELECT count(*) AS n FROM thing", vec![]).await?.get::<i64>("n")?;
        let record =
            "INSERT INTO request (request_id, fingerprint, answer, created_at) VALUES ($1, $2, $3, 0) ON CONFLICT DO NOTHING";
        match tx.execute(record, args![key.bare(), key.fingerprint(), count.to_string()]).await? {
            1 => tx.commit().await?,
            _ => return Err(Error::lost_race("the request id").into()),
        }
        Ok(count)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_repeated_between_old_programs_and_new_ones_is_done_once() {
    for database in testing::databases().await {
        let db = open(&database).await;
        let key = |id: &str| Key::new(id.to_owned(), "Count", "ann", &("ann", 1));
        let (first, second) = (key("old first"), key("new first"));
        assert_eq!(older_program(&db, &first).await.unwrap(), 1, "{}", database.name);
        assert_eq!(count_once(&db, &first).await.unwrap(), 1);
        assert_eq!(count_once(&db, &second).await.unwrap(), 2);
        assert_eq!(older_program(&db, &second).await.unwrap(), 2);
        for round in 0..10_i64 {
            let key = key(&format!("at once {round}"));
            let old = async || older_program(&db, &key).await.unwrap();
            let new = async || count_once(&db, &key).await.unwrap();
            let (a, b, c, d) = tokio::join!(old(), new(), old(), new());
            assert_eq!([a, b, c, d], [round + 3; 4], "{}", database.name);
        }
        // What an older program was asked under this id by somebody else is no concern of ours.
        let bobs = Key::new("old first".to_owned(), "Count", "bob", &("bob", 1));
        assert_eq!(count_once(&db, &bobs).await.unwrap(), 13);
    }
}

#[tokio::test]
async fn answers_are_forgotten_when_their_time_is_over_and_the_id_is_free_again() {
    const MINUTE: i64 = 60 * SECOND;
    for database in testing::databases().await {
        let db = open(&database).await;
        let old = RequestRetention { request_retention: Duration::from_secs(3_600) }.old();
        let clock = Clock::manual(0);
        let key = |id: &str| Key::new(id.to_owned(), "Count", "ann", &("ann", 1));
        let (lasting, brief) = (key("order-1"), key(&format!("{BRIEF}1")));
        assert_eq!(
            (count_once(&db, &lasting).await.unwrap(), count_once(&db, &brief).await.unwrap()),
            (1, 2)
        );
        for (minutes, left) in [(10, 3), (1, 2), (49, 2), (1, 0)] {
            clock.advance(minutes * MINUTE);
            prune::round(&db, &clock, &old).await;
            let rows = count(&db, "SELECT count(*) AS n FROM request").await;
            assert_eq!(rows, left, "{} at {} min", database.name, clock.now() / MINUTE);
            if left == 3 {
                assert_eq!(
                    (count_once(&db, &lasting).await.unwrap(), count_once(&db, &brief).await.unwrap()),
                    (1, 2)
                );
            }
        }
        assert_eq!(
            (count_once(&db, &lasting).await.unwrap(), count_once(&db, &brief).await.unwrap()),
            (3, 4)
        );
    }
}

#[tokio::test]
async fn however_many_rows_are_old_all_of_them_go_and_none_that_is_young() {
    const FILL: Sql = Sql {
        postgres: "INSERT INTO request SELECT 'brief/' || n, '', '', n / 10 FROM generate_series(1, 3000) AS n",
        sqlite: "INSERT INTO request WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 3000)
                 SELECT 'brief/' || n, '', '', n / 10 FROM s",
    };
    for database in testing::databases().await {
        let db = open(&database).await;
        let mut tx = db.begin().await.unwrap();
        tx.execute(FILL, vec![]).await.unwrap();
        tx.commit().await.unwrap();
        let now = i64::try_from(BRIEFLY.as_micros()).unwrap() + 200;
        let replicas = [(); 2].map(|()| Clock::manual(now));
        let old = RequestRetention::default().old();
        tokio::join!(prune::round(&db, &replicas[0], &old), prune::round(&db, &replicas[1], &old));
        // Two that prune side by side leave to each other what the other has in hand.
        prune::round(&db, &replicas[0], &old).await;
        assert_eq!(count(&db, "SELECT MIN(created_at) AS n FROM request").await, 200, "{}", database.name);
        assert_eq!(count(&db, "SELECT count(*) AS n FROM request").await, 3_000 - 1_999);
    }
}

/// The plan of a prepared statement is kept while its table grows.
#[tokio::test]
async fn a_row_of_a_small_table_is_found_by_its_index_as_that_of_a_large_one() {
    for database in testing::databases().await {
        let db = open(&database).await;
        if db.dialect() == Dialect::Sqlite {
            continue;
        }
        let mut tx = db.begin().await.unwrap();
        let few = "INSERT INTO request SELECT n, '', '', n FROM generate_series(1, 20) AS n";
        tx.execute(few, vec![]).await.unwrap();
        tx.execute("ANALYZE request", vec![]).await.unwrap();
        tx.commit().await.unwrap();
        let explain = "EXPLAIN SELECT answer FROM request WHERE request_id = '7'";
        let plan = db.read().await.unwrap().all(explain, vec![]).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|line| line.get("QUERY PLAN").unwrap()).collect();
        assert!(plan.iter().any(|line| line.contains("Index")), "{}: {plan:?}", database.name);
    }
}

#[tokio::test]
async fn a_simulated_database_gives_its_commits_the_fates_that_it_is_told() {
    let databases = testing::databases().await;
    let mut fates = [Fate::Done, Fate::Lost, Fate::Unheard].into_iter();
    db::simulate(move || fates.next().unwrap_or(Fate::Done));
    let db = open(&databases[0]).await;
    for (size, is_told) in [(1, true), (2, false), (3, false)] {
        let mut tx = db.begin().await.unwrap();
        tx.execute(INSERT, args![Uuid::new_v4(), "x", size, true]).await.unwrap();
        let told = tx.commit().await;
        assert!(
            if is_told { told.is_ok() } else { told.is_err_and(|error| error.is_unavailable()) },
            "{size}"
        );
    }
    let rows = db.read().await.unwrap().all("SELECT size FROM thing ORDER BY size", vec![]).await.unwrap();
    let sizes: Vec<_> = rows.iter().map(|row| row.get::<i64>("size").unwrap()).collect();
    assert_eq!(sizes, [1, 3], "what was lost is undone");
}
