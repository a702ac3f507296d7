//! PostgreSQL: a pool of connections whose statements and transactions are bounded.
//!
//! Nothing that matters is sent in the startup packet, where a pooler may drop it in silence: the search path
//! and the time limits are set by statement. Where a connection is a session, that happens once, as it is
//! made. Behind a pooler that lends sessions for a transaction ([`Pooler::Transaction`]), nothing that is set
//! on a connection stays: everything is a transaction, which begins with its settings in the same message,
//! and no statement has a name.
//!
//! A connection may lead to a server that is no longer the primary. When one says so, or is found dead, every
//! connection that was made before is closed instead of being used again ([`Server::retire`]), and new
//! connections find the primary of now.

mod address;
mod migrating;
mod pooler;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use sqlx::{
    AssertSqlSafe, Connection, PgPool, Row as _, Transaction,
    migrate::Migrator,
    pool::{PoolConnection, PoolConnectionMetadata},
    postgres::{PgConnectOptions, PgConnection},
    raw_sql,
};
use tokio::time::timeout;

use super::{
    DbConfig, Error,
    error::is_forsaken,
    pool::{ACQUIRE_TIMEOUT, pool},
};
pub(super) use address::Address;
pub use pooler::Pooler;

/// Connections a service keeps to PostgreSQL at most: eight processes of ten fit the server's default of one
/// hundred.
const CONNECTIONS: u32 = 10;
/// A session that stalls in the middle of a transaction (a stopped process, a cut line) must not keep its row
/// locks: nothing but statements happens between BEGIN and COMMIT, so one that is silent for this long is not
/// coming back soon.
///
/// Nor is any table read from end to end where there is an index: PostgreSQL keeps the plan of a prepared
/// statement, and one that was made while a table had a few rows would read all of them for each one that it
/// looks for, until statistics are taken again, while the table grows with the sale. (What has no index is
/// still read, at an estimate so high that PostgreSQL would compile the statement first.)
const BOUNDS: Settings = &[(STATEMENT, "10s"), (IDLE, "2s"), ("enable_seqscan", "off"), ("jit", "off")];
/// A migration of a large table may take its time, and others wait for it.
const UNBOUNDED: Settings = &[(STATEMENT, "0"), (IDLE, "0"), ("client_min_messages", "warning")];
const STATEMENT: &str = "statement_timeout";
const IDLE: &str = "idle_in_transaction_session_timeout";

type Settings = &'static [(&'static str, &'static str)];

/// The connections of a service to a PostgreSQL server. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pool: PgPool,
    /// The statement that a transaction begins with, where each needs its settings again; `None` where
    /// settings and prepared statements last as long as the connection.
    begin: Option<Arc<str>>,
    retired: Retired,
}

/// When connections were last given up: those that were made before are closed instead of being used again.
#[derive(Clone, Debug, Default)]
struct Retired(Arc<Mutex<Option<Instant>>>);

impl Retired {
    fn spares(&self, age: Duration) -> bool {
        self.0.lock().is_none_or(|at| age < at.elapsed())
    }

    fn check(
        &self,
    ) -> impl Fn(&mut PgConnection, PoolConnectionMetadata) -> BoxFuture<'_, sqlx::Result<bool>> + use<> {
        let retired = self.clone();
        move |_, connection| Box::pin(std::future::ready(Ok(retired.spares(connection.age))))
    }
}

pub(super) async fn open(config: &DbConfig, migrations: &Migrator) -> Result<Server, Error> {
    let address = Address::read(&config.url)?;
    let opening: PgPool = match pool(2).connect_with(address.options.clone()).await {
        Err(sqlx::Error::PoolTimedOut) => return Err(why_not(&address.options).await.into()),
        connected => connected?,
    };
    let server = opened(config, &address, &opening, migrations).await;
    opening.close().await;
    server
}

async fn opened(
    config: &DbConfig,
    address: &Address,
    opening: &PgPool,
    migrations: &Migrator,
) -> Result<Server, Error> {
    if config.pooler == Pooler::Session {
        pooler::refuse_lent_sessions(opening).await?;
    }
    let schema = config.schema.as_deref();
    let unbounded = begin(&settings(address, schema, UNBOUNDED, true));
    migrating::migrate(&mut *opening.acquire().await?, &unbounded, schema, migrations).await?;

    let retired = Retired::default();
    let pool = pool(CONNECTIONS).before_acquire(retired.check()).after_release(retired.check());
    let (pool, begin) = match config.pooler {
        Pooler::Transaction => {
            let begin = begin(&settings(address, schema, BOUNDS, true));
            check(&mut *opening.begin_with(AssertSqlSafe(begin.clone())).await?, schema).await?;
            (pool, Some(begin.into()))
        }
        Pooler::Session => {
            let set: Arc<str> = settings(address, schema, BOUNDS, false).into();
            let mut link = opening.acquire().await?;
            raw_sql(AssertSqlSafe(Arc::clone(&set))).execute(&mut *link).await?;
            check(&mut link, schema).await?;
            let pool = pool.after_connect(move |link, _| {
                let set = raw_sql(AssertSqlSafe(Arc::clone(&set)));
                Box::pin(async move { set.execute(link).await.map(drop) })
            });
            (pool, None)
        }
    };
    Ok(Server { pool: pool.connect_lazy_with(address.options.clone()), begin, retired })
}

/// Checks that the settings that were made are in force.
async fn check(link: &mut PgConnection, schema: Option<&str>) -> Result<(), Error> {
    let row = raw_sql("SELECT current_schema() AS schema").fetch_one(&mut *link).await?;
    let lives_in: Option<String> = row.try_get("schema")?;
    if schema.is_some() && lives_in.as_deref() != schema {
        return Err(pooler::dropped("search_path", lives_in.as_deref().unwrap_or("none")));
    }
    for (name, wanted) in BOUNDS {
        let value: String =
            raw_sql(AssertSqlSafe(format!("SHOW {name}"))).fetch_one(&mut *link).await?.try_get(0)?;
        if value != *wanted {
            return Err(pooler::dropped(name, &value));
        }
    }
    Ok(())
}

/// Why no connection could be made; the pool itself only reports that it timed out.
async fn why_not(options: &PgConnectOptions) -> sqlx::Error {
    match timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
    }
}

/// A statement that makes settings, for the session or for its transaction.
fn settings(address: &Address, schema: Option<&str>, bounds: Settings, local: bool) -> String {
    let theirs = address.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let ours = schema.map(|schema| ("search_path", schema)).into_iter().chain(bounds.iter().copied());
    let quoted = |text: &str| text.replace('\'', "''");
    let one = |(name, value)| format!("set_config('{}', '{}', {local})", quoted(name), quoted(value));
    format!("SELECT {}", theirs.chain(ours).map(one).collect::<Vec<_>>().join(", "))
}

fn begin(settings: &str) -> String {
    format!("BEGIN; {settings}")
}

impl Server {
    /// A connection, or a transaction where only that keeps its settings.
    pub(super) async fn read(&self) -> sqlx::Result<Held> {
        let link = match &self.begin {
            None => HeldLink::Connection(self.pool.acquire().await?),
            Some(_) => return self.begin().await,
        };
        Ok(Held { link, server: self.clone() })
    }

    /// A transaction that has begun.
    pub(super) async fn begin(&self) -> sqlx::Result<Held> {
        let begun = async {
            match &self.begin {
                None => self.pool.begin().await,
                Some(statement) => self.pool.begin_with(AssertSqlSafe(Arc::clone(statement))).await,
            }
        };
        // A pooler accepts connections while it has no server for them, which the pool's own limit does not
        // cover.
        let begun = timeout(ACQUIRE_TIMEOUT, begun).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        Ok(Held { link: HeldLink::Transaction(self.heard(begun)?), server: self.clone() })
    }

    /// How many connections are open, and how many of them nobody uses.
    pub(super) fn connections(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    /// Has every connection that exists now closed instead of used again.
    pub(super) fn retire(&self) {
        metrics::counter!("db_retired_total").increment(1);
        *self.retired.0.lock() = Some(Instant::now());
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    fn heard<T>(&self, answer: sqlx::Result<T>) -> sqlx::Result<T> {
        answer.inspect_err(|error| {
            if is_forsaken(error) {
                self.retire();
            }
        })
    }
}

/// A connection, or a transaction that is undone unless it is committed.
#[derive(Debug)]
pub(super) struct Held {
    link: HeldLink,
    server: Server,
}

#[derive(Debug)]
enum HeldLink {
    Connection(PoolConnection<sqlx::Postgres>),
    Transaction(Transaction<'static, sqlx::Postgres>),
}

impl Held {
    pub(super) fn link(&mut self) -> &mut PgConnection {
        match &mut self.link {
            HeldLink::Connection(link) => link,
            HeldLink::Transaction(link) => link,
        }
    }

    /// Whether a statement that was prepared here can be used here again.
    pub(super) const fn keeps_statements(&self) -> bool {
        self.server.begin.is_none()
    }

    /// Passes an answer on; an error that says that the server is gone retires every connection.
    pub(super) fn heard<T>(&self, answer: sqlx::Result<T>) -> sqlx::Result<T> {
        self.server.heard(answer)
    }

    pub(super) async fn commit(self) -> sqlx::Result<()> {
        match self.link {
            HeldLink::Transaction(transaction) => self.server.heard(transaction.commit().await),
            HeldLink::Connection(_) => Ok(()),
        }
    }

    pub(super) async fn rollback(self) -> sqlx::Result<()> {
        match self.link {
            HeldLink::Transaction(transaction) => transaction.rollback().await,
            HeldLink::Connection(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_were_made_before_they_were_given_up_are_not_used_again() {
        let retired = Retired::default();
        assert!(retired.spares(Duration::from_secs(60)));
        *retired.0.lock() = Some(Instant::now());
        assert!(!retired.spares(Duration::from_secs(60)));
        while !retired.spares(Duration::from_millis(1)) {
            std::hint::spin_loop();
        }
    }
}
