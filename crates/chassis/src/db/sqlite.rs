//! SQLite: a file with one writing connection, and readers beside it.

use std::{path::Path, str::FromStr, time::Duration};

use sqlx::{
    SqlitePool, SqliteTransaction,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::time::{Instant, sleep};

use super::{Error, Pools, open::pool};

/// Reading connections beside SQLite's one writer.
const READERS: u32 = 4;
/// How long another process may hold a SQLite file's write lock before we give up.
const BUSY: Duration = Duration::from_secs(5);
/// How often we try where SQLite does not wait by itself.
const AGAIN: Duration = Duration::from_millis(10);

pub(super) async fn open(url: &str, migrations: &Migrator) -> Result<Pools, Error> {
    let options = options(SqliteConnectOptions::from_str(url)?).busy_timeout(BUSY);
    if let Some(folder) = options.get_filename().parent().filter(|folder| *folder != Path::new("")) {
        tokio::fs::create_dir_all(folder).await.map_err(sqlx::Error::Io)?;
    }
    let writer = connect(&options).await?;
    let mut migrating: SqliteTransaction<'_> = writer.begin_with("BEGIN IMMEDIATE").await?;
    // Not `run`, whose bounds the compiler cannot see through when a service is boxed.
    migrations.run_direct(None, &mut *migrating, false).await.map_err(|error| Error::Other(Box::new(error)))?;
    migrating.commit().await?;
    let readers = pool(READERS).connect_lazy_with(options.pragma("query_only", "ON"));
    Ok(Pools::Sqlite { writer, readers })
}

/// How a file is opened, by whomever.
pub(super) fn options(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full).foreign_keys(true)
}

/// The one writing connection. Programs that make the same file at once all want to turn it into a WAL file, and there SQLite tells who comes
/// second that it is locked instead of waiting.
async fn connect(options: &SqliteConnectOptions) -> Result<SqlitePool, Error> {
    let last = Instant::now() + BUSY;
    loop {
        match pool(1).connect_with(options.clone()).await.map_err(Error::from) {
            Err(error) if error.is_contended() && Instant::now() < last => sleep(AGAIN).await,
            done => return done,
        }
    }
}
