//! One database, two dialects: SQLite in a file beside the program, or PostgreSQL.
//!
//! Statements run natively through sqlx and are written once: `$1` placeholders, 64-bit integers, uuids and `RETURNING` mean the same
//! in both; where the dialects part, the two texts stand side by side in a [`Sql`]. `commit` means durable on both: SQLite runs with
//! `synchronous=FULL`, one writing connection and readers beside it; PostgreSQL as its server is configured.

mod error;
mod session;
mod value;

use std::{
    future::Future,
    path::Path,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand::Rng;
use sqlx::{
    Connection, PgPool, SqlitePool,
    migrate::Migrator,
    pool::PoolOptions,
    postgres::{PgConnectOptions, PgConnection},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

pub use error::Error;
use session::Link;
pub use session::{Session, Sql};
pub use value::{Column, Row, Value};

/// Connections a service keeps to PostgreSQL at most: eight processes of ten fit the server's default of one hundred.
const POSTGRES_CONNECTIONS: u32 = 10;
/// Reading connections beside SQLite's one writer.
const SQLITE_READERS: u32 = 4;
/// How long a request waits for a connection before it is refused as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long another process may hold a SQLite file's write lock before we give up.
const SQLITE_BUSY: Duration = Duration::from_secs(5);
/// How often a transaction is tried that keeps losing against others.
const ATTEMPTS: u32 = 10;

/// Which SQL a database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

/// Where a service keeps its rows.
#[derive(Clone, Debug)]
pub struct DbConfig {
    /// `sqlite:path/to/file.db` or `postgres://user@host/database`.
    pub url: String,
    /// On PostgreSQL, the schema to live in (made when missing); `None` is the server's default.
    pub schema: Option<String>,
}

impl DbConfig {
    /// The database's address without its password, for messages.
    fn place(&self) -> String {
        match PgConnectOptions::from_str(&self.url) {
            Ok(options) if self.url.starts_with("postgres") => {
                format!("postgres://{}:{}/{}", options.get_host(), options.get_port(), options.get_database().unwrap_or_default())
            }
            _ if self.url.starts_with("sqlite:") => self.url.clone(),
            _ => "(--database-url, DATABASE_URL)".to_owned(),
        }
    }
}

/// A service's migrations, one set a dialect. Made by [`migrations!`](crate::migrations).
#[derive(Debug)]
pub struct Migrations {
    /// For PostgreSQL.
    pub postgres: Migrator,
    /// For SQLite.
    pub sqlite: Migrator,
}

/// Embeds `./migrations/postgres` and `./migrations/sqlite` of the calling crate.
#[macro_export]
macro_rules! migrations {
    () => {
        $crate::db::Migrations {
            postgres: ::sqlx::migrate!("./migrations/postgres"),
            sqlite: ::sqlx::migrate!("./migrations/sqlite"),
        }
    };
}

/// A pool of connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    pools: Pools,
    /// Set while the database is known to be out of reach: requests are then refused at once instead of each waiting for itself.
    away: Arc<AtomicBool>,
}

#[derive(Clone, Debug)]
enum Pools {
    Postgres(PgPool),
    Sqlite { writer: SqlitePool, readers: SqlitePool },
}

/// Errors that may mean "try the transaction again".
pub trait Contended {
    /// Did the transaction only lose against another one?
    fn is_contended(&self) -> bool;
}

impl Contended for Error {
    fn is_contended(&self) -> bool {
        Self::is_contended(self)
    }
}

impl Db {
    /// Connects, and brings the tables up to date.
    ///
    /// # Errors
    /// The address makes no sense, the database is out of reach, or a migration failed.
    pub async fn open(config: &DbConfig, migrations: &Migrations) -> Result<Self, Error> {
        let opened = if config.url.starts_with("sqlite:") {
            Self::open_sqlite(&config.url, &migrations.sqlite).await
        } else if config.url.starts_with("postgres:") || config.url.starts_with("postgresql:") {
            Self::open_postgres(config, &migrations.postgres).await
        } else {
            Err(Error::Other("a database URL starts with sqlite: or postgres://".into()))
        };
        let pools = opened.map_err(|error| Error::Other(format!("{} cannot be opened: {error}", config.place()).into()))?;
        Ok(Self { pools, away: Arc::default() })
    }

    async fn open_sqlite(url: &str, migrations: &Migrator) -> Result<Pools, Error> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(SQLITE_BUSY);
        if let Some(folder) = options.get_filename().parent().filter(|folder| *folder != Path::new("")) {
            tokio::fs::create_dir_all(folder).await.map_err(sqlx::Error::Io)?;
        }
        let pool = || PoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).test_before_acquire(false);
        let writer = pool().max_connections(1).connect_with(options.clone()).await?;
        migrations.run(&writer).await.map_err(|error| Error::Other(Box::new(error)))?;
        let readers = pool().max_connections(SQLITE_READERS).connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Pools::Sqlite { writer, readers })
    }

    async fn open_postgres(config: &DbConfig, migrations: &Migrator) -> Result<Pools, Error> {
        // A session that stalls in the middle of a transaction (a stopped process, a cut line) must not keep its row locks.
        let mut options = PgConnectOptions::from_str(&config.url)?
            .options([("statement_timeout", "10s"), ("idle_in_transaction_session_timeout", "10s")]);
        if let Some(schema) = &config.schema {
            let plain = schema.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            if !plain {
                return Err(Error::Other("a schema's name is lower-case letters and '_'".into()));
            }
            let mut link = PgConnection::connect_with(&options).await?;
            let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
            // Two replicas that start together may race to make it; the loser finds it made.
            if let Err(error) = sqlx::query(create).execute(&mut link).await.map_err(Error::from)
                && !error.is_unique()
            {
                return Err(error);
            }
            link.close().await?;
            options = options.options([("search_path", schema)]);
        }
        let pool = PoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        migrations.run(&pool).await.map_err(|error| Error::Other(Box::new(error)))?;
        Ok(Pools::Postgres(pool))
    }

    /// Which dialect it speaks.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        match self.pools {
            Pools::Postgres(_) => Dialect::Postgres,
            Pools::Sqlite { .. } => Dialect::Sqlite,
        }
    }

    /// A connection for queries outside any transaction.
    ///
    /// # Errors
    /// None became free in time, or the database is out of reach.
    pub async fn read(&self) -> Result<Session, Error> {
        self.there()?;
        self.acquire().await
    }

    async fn acquire(&self) -> Result<Session, Error> {
        Ok(Session(match &self.pools {
            // Whatever keeps a connection from being made (no such database, a changed password), the database is not there for us.
            Pools::Postgres(pool) => Link::PostgresRead(pool.acquire().await.map_err(Error::Unavailable)?),
            Pools::Sqlite { readers, .. } => Link::SqliteRead(readers.acquire().await?),
        }))
    }

    /// A transaction: READ COMMITTED on PostgreSQL, the only writer on SQLite.
    ///
    /// # Errors
    /// None could be begun in time, or the database is out of reach.
    pub async fn begin(&self) -> Result<Session, Error> {
        self.there()?;
        Ok(Session(match &self.pools {
            Pools::Postgres(pool) => Link::PostgresWrite(pool.begin().await.map_err(Error::Unavailable)?),
            Pools::Sqlite { writer, .. } => Link::SqliteWrite(writer.begin_with("BEGIN IMMEDIATE").await?),
        }))
    }

    /// Is the database there?
    ///
    /// # Errors
    /// It is not.
    pub async fn ping(&self) -> Result<(), Error> {
        self.acquire().await?.one("SELECT 1 AS one", Vec::new()).await.map(drop)
    }

    /// Notes whether the database is out of reach, as its monitor ([`Health`](crate::health::Health)) has found.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    fn there(&self) -> Result<(), Error> {
        if self.away.load(Ordering::Relaxed) { Err(Error::Unavailable(sqlx::Error::PoolTimedOut)) } else { Ok(()) }
    }

    /// The door to transactions: makes `attempt` (which begins and commits its own [`Session`]) again while it only lost against
    /// others, a bounded number of times, a little later each time.
    ///
    /// # Errors
    /// The attempt's own, or its last contended one.
    pub async fn transact<T, E, F, Fut>(&self, name: &'static str, mut attempt: F) -> Result<T, E>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: From<Error> + Contended,
    {
        let began = tokio::time::Instant::now();
        let mut tries = 1;
        let result = loop {
            match attempt().await {
                Err(error) if error.is_contended() && tries < ATTEMPTS => {
                    metrics::counter!("db_contended_total", "transaction" => name).increment(1);
                    tokio::time::sleep(backoff(tries)).await;
                    tries += 1;
                }
                result => break result,
            }
        };
        metrics::histogram!("db_transaction_seconds", "transaction" => name).record(began.elapsed());
        result
    }
}

/// Up to 2 ms after the first loss, doubling to 64 ms, at random: those who lost together must not meet again.
fn backoff(tries: u32) -> Duration {
    let ceiling = 1_000_u64 << tries.min(6);
    Duration::from_micros(rand::rng().random_range(ceiling / 4..=ceiling))
}
