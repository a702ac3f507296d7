//! A database behind a real PgBouncer: by transaction, by session, and told wrong.
#![allow(clippy::unwrap_used, reason = "tests")]

use chassis::{
    args,
    db::{Db, DbConfig, Error, Migrations, Pooler},
    testing::postgres_url,
};
use futures::{StreamExt, future::try_join_all, stream};
use sqlx::{
    Connection, PgConnection, SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};
use tests::server::PgBouncer;

/// What people set so that clients which put more into their startup packet than PgBouncer knows can connect.
const IGNORING: &str = "ignore_startup_parameters = extra_float_digits,options";
const INSERT: &str = "INSERT INTO thing (id, name) VALUES ($1, current_schema())";

fn migrations() -> Migrations {
    // Fails where it runs twice, and is slow enough that the others come while it runs.
    let made = |number, sql: &'static str| {
        Migration::new(number, "m".into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let all = vec![
        made(1, "SELECT pg_sleep(0.2); CREATE TABLE thing (id BIGINT PRIMARY KEY, name TEXT NOT NULL)"),
        made(2, "ALTER TABLE thing ADD COLUMN size BIGINT"),
    ];
    Migrations { postgres: Migrator::with_migrations(all), sqlite: Migrator::DEFAULT }
}

async fn open(url: &str, schema: Option<&str>, pooler: Pooler) -> Result<Db, Error> {
    let config = DbConfig { schema: schema.map(str::to_owned), pooler, ..DbConfig::at(url) };
    Db::open(&config, &migrations()).await
}

/// A row of its own and a look at it, as a request would.
async fn visit(db: &Db, id: i64) -> Result<String, Error> {
    let mut tx = db.begin().await?;
    tx.execute(INSERT, args![id]).await?;
    tx.commit().await?;
    let mut session = db.read().await?;
    let row = session.one(
        "SELECT name, current_setting('statement_timeout') AS bound FROM thing WHERE id = $1",
        args![id],
    );
    let row = row.await?;
    assert_eq!(row.get::<String>("bound")?, "10s");
    row.get("name")
}

/// Six programs of two services start together and work side by side; each keeps to its schema.
async fn everybody_keeps_to_their_schema(url: &str, pooler: Pooler) {
    let schemas = ["north", "south", "north", "south", "north", "south"];
    let all = try_join_all(schemas.map(|schema| open(url, Some(schema), pooler))).await.unwrap();
    let visits = (0..240).map(|number| {
        let (db, schema) = (&all[number % 6], schemas[number % 6]);
        async move { (schema, visit(db, i64::try_from(number).unwrap()).await.unwrap()) }
    });
    for (expected, seen) in stream::iter(visits).buffer_unordered(12).collect::<Vec<_>>().await {
        assert_eq!(seen, expected);
    }
    let count = "SELECT count(*) AS n, max(name) AS name, min(name) AS least FROM thing";
    for (db, schema) in all.iter().zip(schemas) {
        db.ping().await.unwrap();
        let row = db.read().await.unwrap().one(count, vec![]).await.unwrap();
        assert_eq!(
            (row.get::<i64>("n").unwrap(), row.get::<String>("name").unwrap()),
            (120, schema.to_owned())
        );
        assert_eq!(row.get::<String>("least").unwrap(), schema);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_transaction_two_schemas_share_two_sessions_and_nothing_is_mixed() {
    let url = postgres_url().await;
    let pooler = PgBouncer::before(&url, "transaction", &["default_pool_size = 2"]);
    everybody_keeps_to_their_schema(&pooler.to(&url), Pooler::Transaction).await;
    let mut bare = PgConnection::connect(&url).await.unwrap();
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert!(
        sqlx::query_scalar::<_, i64>(sessions).fetch_one(&mut bare).await.unwrap() <= 2,
        "two were enough"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn by_session_what_the_startup_packet_would_lose_is_set_all_the_same() {
    let url = postgres_url().await;
    let pooler = PgBouncer::before(&url, "session", &[IGNORING, "default_pool_size = 80"]);
    everybody_keeps_to_their_schema(&pooler.to(&url), Pooler::Session).await;
    // So is what the URL asks for.
    let theirs = format!("{}?options=-c%20search_path%3Dnorth%20-c%20work_mem%3D5MB", pooler.to(&url));
    let db = open(&theirs, None, Pooler::Session).await.unwrap();
    assert_eq!(visit(&db, 1_000).await.unwrap(), "north");
    let set =
        db.read().await.unwrap().one("SELECT current_setting('work_mem') AS set", vec![]).await.unwrap();
    assert_eq!(set.get::<String>("set").unwrap(), "5MB");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_programs_work_with_no_pooler_whatever_they_are_told() {
    everybody_keeps_to_their_schema(&postgres_url().await, Pooler::Session).await;
    everybody_keeps_to_their_schema(&postgres_url().await, Pooler::Transaction).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_transaction_without_being_told_is_refused_with_the_flag_to_say() {
    let url = postgres_url().await;
    for settings in [&[IGNORING][..], &["default_pool_size = 1"], &["server_round_robin = 1"]] {
        let pooler = PgBouncer::before(&url, "transaction", settings);
        let why =
            open(&pooler.to(&url), Some("north"), Pooler::Session).await.map(drop).unwrap_err().to_string();
        assert!(
            why.contains("--database-pooler transaction") && why.contains("DATABASE_POOLER"),
            "{settings:?}: {why}"
        );
    }
    let mut bare = PgConnection::connect(&url).await.unwrap();
    let made = "SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'north'";
    assert_eq!(
        sqlx::query_scalar::<_, i64>(made).fetch_one(&mut bare).await.unwrap(),
        0,
        "nothing was touched"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_cannot_be_lived_in_is_told_before_anything_is_served() {
    let url = postgres_url().await;
    drop(open(&url, Some("north"), Pooler::Session).await.unwrap());
    let mut bare = PgConnection::connect(&url).await.unwrap();
    let user = format!("u{}", uuid::Uuid::new_v4().simple());
    let grants = format!(
        "CREATE ROLE {user} LOGIN; GRANT CREATE ON DATABASE {} TO {user}; GRANT CREATE ON SCHEMA public TO {user}",
        url.rsplit('/').next().unwrap()
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(grants)).execute(&mut bare).await.unwrap();
    let theirs = url.replacen("postgres@", &format!("{user}@"), 1);
    let why = open(&theirs, Some("north"), Pooler::Session).await.map(drop).unwrap_err().to_string();
    assert!(why.contains("north") || why.contains("schema"), "{why}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP OWNED BY {user}; DROP ROLE {user}")))
        .execute(&mut bare)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_connection_is_told_that_its_server_goes_none_of_the_others_fails_after_it() {
    let url = postgres_url().await;
    let db = open(&url, None, Pooler::Session).await.unwrap();
    let open = try_join_all((0..8).map(|_| db.read())).await.unwrap();
    drop(open);
    let mut bare = PgConnection::connect(&url).await.unwrap();
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert!(sqlx::query_scalar::<_, i64>(end).fetch_one(&mut bare).await.unwrap() >= 8);
    let failed = join_some(&db).await;
    assert!(failed <= 1, "{failed} failed, each on a connection of its own");
}

/// How many of twenty calls fail, one after the other.
async fn join_some(db: &Db) -> usize {
    let mut failed = 0;
    for _ in 0..20 {
        let looked = async { db.read().await?.one("SELECT 1 AS one", vec![]).await };
        failed += usize::from(looked.await.is_err());
    }
    failed
}
