//! Opening a database: its tables brought up to date first, then a pool of connections.
//!
//! Programs that start together migrate one after the other: on PostgreSQL whoever migrates holds an advisory lock of the database (on a
//! session of its own, so that the lock goes when the program does), and the others wait for it and find the work done. A SQLite file
//! has one program.

use std::{path::Path, str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    Connection, PgPool,
    migrate::Migrator,
    pool::PoolOptions,
    postgres::{PgConnectOptions, PgConnection},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{Db, DbConfig, Error, Line, Migrations, Pools};

/// Connections a service keeps to PostgreSQL at most: eight processes of ten fit the server's default of one hundred.
const POSTGRES_CONNECTIONS: u32 = 10;
/// Reading connections beside SQLite's one writer.
const SQLITE_READERS: u32 = 4;
/// How long a request waits for a connection before it is refused as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long another process may hold a SQLite file's write lock before we give up.
const SQLITE_BUSY: Duration = Duration::from_secs(5);

impl Db {
    /// Connects, and brings the tables up to date.
    ///
    /// # Errors
    /// The address makes no sense, the database is out of reach, or a migration failed.
    pub async fn open(config: &DbConfig, migrations: &Migrations) -> Result<Self, Error> {
        let opened = if config.url.starts_with("sqlite:") {
            open_sqlite(&config.url, &migrations.sqlite).await
        } else if config.url.starts_with("postgres:") || config.url.starts_with("postgresql:") {
            open_postgres(config, &migrations.postgres).await
        } else {
            Err(Error::Other("a database URL starts with sqlite: or postgres://".into()))
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
        }
    }
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
    let writer = pool(1).connect_with(options.clone()).await?;
    migrations.run(&writer).await.map_err(|error| Error::Other(Box::new(error)))?;
    let readers = pool(SQLITE_READERS).connect_lazy_with(options.pragma("query_only", "ON"));
    Ok(Pools::Sqlite { writer, readers })
}

async fn open_postgres(config: &DbConfig, migrations: &Migrator) -> Result<Pools, Error> {
    let mut options = PgConnectOptions::from_str(&config.url)?;
    if let Some(schema) = &config.schema {
        make_schema(schema, &options).await?;
        options = options.options([("search_path", schema)]);
    }
    // Without the bounds below: a migration of a large table may take its time, and others wait for it.
    let migrating: PgPool = pool(1).connect_with(options.clone()).await?;
    let migrated = migrations.run(&migrating).await;
    migrating.close().await;
    migrated.map_err(|error| Error::Other(Box::new(error)))?;
    // A session that stalls in the middle of a transaction (a stopped process, a cut line) must not keep its row locks.
    let bounded = options.options([("statement_timeout", "10s"), ("idle_in_transaction_session_timeout", "10s")]);
    Ok(Pools::Postgres(pool(POSTGRES_CONNECTIONS).connect_with(bounded).await?))
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
