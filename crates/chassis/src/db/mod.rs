//! One database, two dialects: SQLite in a file beside the program, or PostgreSQL.
//!
//! Statements run natively through sqlx and are written once: `$1` placeholders, 64-bit integers, uuids and
//! `RETURNING` mean the same in both dialects. Where the dialects differ, the two texts stand side by side in
//! a [`Sql`]. `commit` means durable on both: SQLite runs with `synchronous=FULL`, one writing connection and
//! readers beside it; PostgreSQL as its server is configured.

mod error;
mod group;
mod line;
mod measured;
mod open;
mod pool;
mod postgres;
mod session;
mod simulated;
mod snapshots;
mod spans;
mod sqlite;
mod value;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::migrate::Migrator;
use tokio::time::timeout;

use crate::back_off::BackOff;
pub use error::Error;
pub use group::Group;
use line::Line;
pub use postgres::Pooler;
use session::Link;
pub use session::{Session, Sql};
pub use simulated::{Fate, is_simulated, misspeak, simulate};
pub use snapshots::Snapshots;
pub use value::{Column, Row, Value, table};

/// How often a transaction is tried that keeps losing against others.
const ATTEMPTS: u32 = 10;
/// The pauses between attempts. Mostly random, because transactions that lost against each other must not
/// meet again.
const PAUSES: BackOff =
    BackOff { base: Duration::from_millis(2), factor: 2, cap: Duration::from_millis(64), jitter: 0.75 };
/// How long a database may take to answer a ping.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Which SQL a database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The SQL of PostgreSQL.
    Postgres,
    /// The SQL of SQLite.
    Sqlite,
}

/// Where a service keeps its rows.
#[derive(Clone, Debug)]
pub struct DbConfig {
    /// `sqlite:path/to/file.db` or `postgres://user@host/database`.
    pub url: String,
    /// On PostgreSQL, the schema to live in (made when missing); `None` is the server's default.
    pub schema: Option<String>,
    /// How the pooler before PostgreSQL, if there is one, lends its sessions.
    pub pooler: Pooler,
}

impl DbConfig {
    /// The database at this URL, in the server's default schema, with no pooler before it.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: url.into(), schema: None, pooler: Pooler::default() }
    }

    /// The dialect that the URL's scheme names; `None` when it names no database.
    #[must_use]
    pub fn dialect(&self) -> Option<Dialect> {
        match self.url.split_once(':')?.0 {
            "postgres" | "postgresql" => Some(Dialect::Postgres),
            "sqlite" => Some(Dialect::Sqlite),
            _ => None,
        }
    }

    /// Checks that every part of the URL is understood.
    ///
    /// # Errors
    /// Names the part that is not understood, and never the URL itself: there may be a password in it.
    pub fn check(&self) -> Result<(), Error> {
        match self.dialect() {
            Some(Dialect::Postgres) => postgres::Address::read(&self.url).map(drop),
            Some(Dialect::Sqlite) => Ok(()),
            None => Err(no_url()),
        }
    }

    /// The database's address without its password, for messages.
    fn place(&self) -> String {
        match self.dialect() {
            Some(Dialect::Sqlite) => self.url.clone(),
            Some(Dialect::Postgres) if let Ok(address) = postgres::Address::read(&self.url) => {
                address.to_string()
            }
            Some(Dialect::Postgres) | None => "(--database-url, DATABASE_URL)".to_owned(),
        }
    }
}

fn no_url() -> Error {
    Error::Other("a database URL starts with sqlite: or postgres://".into())
}

/// A service's migrations, one set a dialect. Made by [`migrations!`](crate::migrations).
#[derive(Debug)]
pub struct Migrations {
    /// The migrations for PostgreSQL.
    pub postgres: Migrator,
    /// The migrations for SQLite.
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
    /// The name in metrics.
    name: Arc<str>,
    /// Set while the database is known to be out of reach: requests are then refused at once, instead of each
    /// waiting for the acquire timeout.
    away: Arc<AtomicBool>,
    /// The callers that wait to read, and those that wait to write.
    readers: Line,
    writers: Line,
}

#[derive(Clone, Debug)]
enum Pools {
    Postgres(postgres::Server),
    Sqlite(Arc<sqlite::File>),
    Simulated(Arc<simulated::File>),
}

/// Errors that may mean "try the transaction again".
pub trait Contended {
    /// Whether the transaction only lost against another one.
    fn is_contended(&self) -> bool;
}

impl Contended for Error {
    fn is_contended(&self) -> bool {
        Self::is_contended(self)
    }
}

impl Db {
    /// Which dialect it speaks.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        match self.pools {
            Pools::Postgres(_) => Dialect::Postgres,
            Pools::Sqlite(_) | Pools::Simulated(_) => Dialect::Sqlite,
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
            // Whatever keeps a connection from being made (no such database, a changed password), the
            // database is unavailable to us.
            Pools::Postgres(server) => {
                Link::Postgres(self.readers.wait(server.read()).await.map_err(Error::Unavailable)?)
            }
            Pools::Sqlite(file) => Link::SqliteRead(self.readers.wait(file.readers.acquire()).await?),
            Pools::Simulated(file) => Link::Simulated(file.read()?),
        }))
    }

    /// A transaction: READ COMMITTED on PostgreSQL, the only writer on SQLite.
    ///
    /// # Errors
    /// None could be begun in time, or the database is out of reach.
    pub async fn begin(&self) -> Result<Session, Error> {
        self.there()?;
        let span = spans::begin(self.dialect(), "BEGIN");
        let begun = self.begun().await;
        spans::end(span, &begun);
        begun
    }

    async fn begun(&self) -> Result<Session, Error> {
        Ok(Session(match &self.pools {
            Pools::Postgres(server) => {
                Link::Postgres(self.writers.wait(server.begin()).await.map_err(Error::Unavailable)?)
            }
            Pools::Sqlite(file) => {
                Link::SqliteWrite(self.writers.wait(file.writer.begin_with("BEGIN IMMEDIATE")).await?)
            }
            Pools::Simulated(file) => Link::Simulated(file.begin()?),
        }))
    }

    /// Runs one statement as a transaction of its own, and answers how many rows were written.
    ///
    /// # Errors
    /// The database's; when it is the commit's, whether the rows were written is unknown.
    pub async fn write(&self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<u64, Error> {
        let mut session = self.begin().await?;
        let rows = session.execute(sql, args).await?;
        session.commit().await?;
        Ok(rows)
    }

    /// Checks that the database answers and takes writes. A server that is no longer the primary does not.
    ///
    /// # Errors
    /// It does not answer in time, or takes no writes.
    pub async fn ping(&self) -> Result<(), Error> {
        const READ_ONLY: Sql = Sql {
            postgres: "SELECT current_setting('transaction_read_only') AS read_only",
            sqlite: "SELECT 'off' AS read_only",
        };
        let mut session = self.acquire().await?;
        let answer = timeout(ANSWERS_WITHIN, session.one(READ_ONLY, Vec::new())).await;
        let row = answer.unwrap_or(Err(Error::Unavailable(sqlx::Error::PoolTimedOut)))?;
        if row.get::<String>("read_only")? == "off" {
            return Ok(());
        }
        Err(Error::Unavailable(sqlx::Error::Protocol("the server takes no writes".to_owned())))
    }

    /// Notes whether the database is out of reach, as its monitor ([`Health`](crate::health::Health)) has
    /// found. If it is, existing connections are given up, because new ones may find another server in its
    /// place.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
        if let Pools::Postgres(server) = &self.pools
            && away
        {
            server.retire();
        }
    }

    fn there(&self) -> Result<(), Error> {
        if self.away.load(Ordering::Relaxed) {
            Err(Error::Unavailable(sqlx::Error::PoolTimedOut))
        } else {
            Ok(())
        }
    }

    /// Runs a transaction. `attempt` begins and commits its own [`Session`]; it is made again while it only
    /// lost against others, a bounded number of times, with pauses that grow.
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
                    tokio::time::sleep(PAUSES.pause(tries)).await;
                    tries += 1;
                }
                result => break result,
            }
        };
        metrics::histogram!("db_transaction_seconds", "transaction" => name).record(began.elapsed());
        result
    }
}
