//! Opening a database: its tables brought up to date first, then a pool of connections.
//!
//! Programs that start together migrate one after the other: on PostgreSQL whoever migrates holds an advisory
//! lock of the database (on a session of its own, so that the lock goes when the program does), and the
//! others wait for it and find the work done. On SQLite it is the file's write lock, and all migrations are
//! one transaction under it.
//!
//! A program also opens tables that a newer release has migrated further: otherwise an update could not be
//! rolled back.

use std::{sync::Arc, time::Duration};

use sqlx::migrate::Migrator;
use tokio::time::timeout;

use super::{Db, DbConfig, Dialect, Error, Line, Migrations, Pools, no_url, postgres, simulated, sqlite};

/// How long closing the connections to a PostgreSQL server may take.
const SERVER_GOODBYE: Duration = Duration::from_secs(1);

impl Db {
    /// Connects, and brings the tables up to date.
    ///
    /// # Errors
    /// The address makes no sense, the database is out of reach, or a migration failed.
    pub async fn open(config: &DbConfig, migrations: &Migrations) -> Result<Self, Error> {
        let opened = match config.dialect() {
            Some(Dialect::Sqlite) if simulated::is_simulated() => {
                simulated::File::open(&config.url, &or_newer(&migrations.sqlite)).map(Pools::Simulated)
            }
            Some(Dialect::Sqlite) => sqlite::open(&config.url, &or_newer(&migrations.sqlite))
                .await
                .map(Arc::new)
                .map(Pools::Sqlite),
            Some(Dialect::Postgres) => {
                postgres::open(config, &migrations.postgres).await.map(Pools::Postgres)
            }
            None => Err(no_url()),
        };
        let pools = opened
            .map_err(|error| Error::Other(format!("{} cannot be opened: {error}", config.place()).into()))?;
        let name = config.name().into();
        Ok(Self { pools, name, away: Arc::default(), readers: Line::default(), writers: Line::default() })
    }

    /// Brings the tables up to date, and nothing else.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn migrate(config: &DbConfig, migrations: &Migrations) -> Result<(), Error> {
        Self::open(config, migrations).await?.close().await?;
        tracing::info!("the database is up to date");
        Ok(())
    }

    /// Closes every connection once it has been given back, and lends none any more: the last thing that a
    /// service does. Afterwards a SQLite file alone is the whole database, unless another process has it
    /// open.
    ///
    /// # Errors
    /// On SQLite: a connection did not come back in time, or the write-ahead log could not be copied into the
    /// file (a full disk). Nothing is lost then, but whatever copies the file must take its log along.
    pub async fn close(&self) -> Result<(), Error> {
        match &self.pools {
            Pools::Postgres(server) => {
                if timeout(SERVER_GOODBYE, server.close()).await.is_err() {
                    tracing::debug!("connections were still in use at the end; the server will find out");
                }
                Ok(())
            }
            Pools::Sqlite(file) => file.close().await,
            Pools::Simulated(file) => {
                file.close();
                Ok(())
            }
        }
    }
}

/// The same migrations, for tables that may have later ones as well. Those only add (`tests/tests/tidy` sees
/// to it), so a program that does not know them still works.
fn or_newer(migrations: &Migrator) -> Migrator {
    let mut migrations = Migrator::with_migrations(migrations.iter().cloned().collect());
    migrations.set_ignore_missing(true);
    migrations
}
