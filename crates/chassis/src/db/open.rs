//! Opening a database: its tables brought up to date first, then a pool of connections.
//!
//! Programs that start together migrate one after the other: on PostgreSQL whoever migrates holds an advisory lock of the database (on a
//! session of its own, so that the lock goes when the program does), and the others wait for it and find the work done. On SQLite it
//! is the file's write lock, and all migrations are one transaction under it.
//!
//! A program also opens what a newer one has migrated further, or an update could not be rolled back.

use std::{path::Path, str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    Connection, PgPool, SqlitePool, SqliteTransaction,
    migrate::Migrator,
    pool::PoolOptions,
    postgres::{PgConnectOptions, PgConnection},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::time::{Instant, sleep, timeout};

use super::{Db, DbConfig, Dialect, Error, Line, Migrations, Pools, simulated};

/// Connections a service keeps to PostgreSQL at most: eight processes of ten fit the server's default of one hundred.
const POSTGRES_CONNECTIONS: u32 = 10;
/// Reading connections beside SQLite's one writer.
const SQLITE_READERS: u32 = 4;
/// How long a request waits for a connection before it is refused as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long another process may hold a SQLite file's write lock before we give up.
const SQLITE_BUSY: Duration = Duration::from_secs(5);
/// How often we try where SQLite does not wait by itself.
const SQLITE_AGAIN: Duration = Duration::from_millis(10);

impl Db {
    /// Connects, and brings the tables up to date.
    ///
    /// # Errors
    /// The address makes no sense, the database is out of reach, or a migration failed.
    pub async fn open(config: &DbConfig, migrations: &Migrations) -> Result<Self, Error> {
        let opened = match config.dialect() {
            Some(Dialect::Sqlite) if simulated::is_on() => {
                simulated::File::open(&config.url, &or_newer(&migrations.sqlite)).map(Pools::Simulated)
            }
            Some(Dialect::Sqlite) => open_sqlite(&config.url, &or_newer(&migrations.sqlite)).await,
            Some(Dialect::Postgres) => open_postgres(config, &or_newer(&migrations.postgres)).await,
            None => Err(Error::Other("a database URL starts with sqlite: or postgres://".into())),
        };
        let pools = opened.map_err(|error| Error::Other(format!("{} cannot be opened: {error}", config.place()).into()))?;
        Ok(Self { pools, away: Arc::default(), readers: Line::default(), writers: Line::default() })
    }

    /// Brings the tables up to date, and nothing else.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn migrate(config: &DbConfig, migrations: &Migrations) -> Result<(), Error> {
        Self::open(config, migrations).await?.close().await;
        tracing::info!("the database is up to date");
        Ok(())
    }

    async fn close(self) {
        match self.pools {
            Pools::Postgres(pool) => pool.close().await,
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Simulated(file) => file.close(),
        }
    }
}

/// The same migrations, on tables that may know later ones as well. Those only add (`tests/tests/tidy.rs` sees to it), so who does not
/// know them can do without.
fn or_newer(migrations: &Migrator) -> Migrator {
    let mut migrations = Migrator::with_migrations(migrations.iter().cloned().collect());
    migrations.set_ignore_missing(true);
    migrations
}

async fn open_sqlite(url: &str, migrations: &Migrator) -> Result<Pools, Error> {
    let options = sqlite(SqliteConnectOptions::from_str(url)?).busy_timeout(SQLITE_BUSY);
    if let Some(folder) = options.get_filename().parent().filter(|folder| *folder != Path::new("")) {
        tokio::fs::create_dir_all(folder).await.map_err(sqlx::Error::Io)?;
    }
    let writer = connect_sqlite(&options).await?;
    let mut migrating: SqliteTransaction<'_> = writer.begin_with("BEGIN IMMEDIATE").await?;
    // Not `run`, whose bounds the compiler cannot see through when a service is boxed.
    migrations.run_direct(None, &mut *migrating, false).await.map_err(|error| Error::Other(Box::new(error)))?;
    migrating.commit().await?;
    let readers = pool(SQLITE_READERS).connect_lazy_with(options.pragma("query_only", "ON"));
    Ok(Pools::Sqlite { writer, readers })
}

/// How a file is opened, by whomever.
pub(super) fn sqlite(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full).foreign_keys(true)
}

/// The one writing connection. Programs that make the same file at once all want to turn it into a WAL file, and there SQLite tells who comes
/// second that it is locked instead of waiting.
async fn connect_sqlite(options: &SqliteConnectOptions) -> Result<SqlitePool, Error> {
    let last = Instant::now() + SQLITE_BUSY;
    loop {
        match pool(1).connect_with(options.clone()).await.map_err(Error::from) {
            Err(error) if error.is_contended() && Instant::now() < last => sleep(SQLITE_AGAIN).await,
            done => return done,
        }
    }
}

async fn open_postgres(config: &DbConfig, migrations: &Migrator) -> Result<Pools, Error> {
    let mut options = PgConnectOptions::from_str(&config.url)?;
    if let Some(schema) = &config.schema {
        make_schema(schema, &options).await?;
        options = options.options([("search_path", schema)]);
    }
    // Without the bounds below: a migration of a large table may take its time, and others wait for it.
    let migrating: PgPool = match pool(1).connect_with(options.clone()).await {
        Err(sqlx::Error::PoolTimedOut) => return Err(why_not(&options).await.into()),
        connected => connected?,
    };
    let migrated = migrations.run(&migrating).await;
    migrating.close().await;
    migrated.map_err(|error| Error::Other(Box::new(error)))?;
    // A session that stalls in the middle of a transaction (a stopped process, a cut line) must not keep its row locks: nothing but
    // statements happens between BEGIN and COMMIT, so one that is silent for this long is not coming back soon.
    let bounded = options.options([("statement_timeout", "10s"), ("idle_in_transaction_session_timeout", "2s")]);
    Ok(Pools::Postgres(pool(POSTGRES_CONNECTIONS).connect_with(bounded).await?))
}

/// Why no connection could be made. The pool tells only that it waited in vain.
async fn why_not(options: &PgConnectOptions) -> sqlx::Error {
    match timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
    }
}

async fn make_schema(schema: &str, options: &PgConnectOptions) -> Result<(), Error> {
    let plain = schema.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if !plain {
        return Err(Error::Other("a schema's name is lower-case letters and '_'".into()));
    }
    let mut link = PgConnection::connect_with(options).await?;
    let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
    // Two replicas that start together may race to make it; the loser finds it made.
    if let Err(error) = sqlx::query(create).execute(&mut link).await.map_err(Error::from)
        && !error.is_unique()
    {
        return Err(error);
    }
    Ok(link.close().await?)
}

fn pool<DB: sqlx::Database>(connections: u32) -> PoolOptions<DB> {
    PoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT).test_before_acquire(false)
}
