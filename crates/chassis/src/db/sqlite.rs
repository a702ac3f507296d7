//! SQLite: a file with one writing connection, and readers beside it.
//!
//! Beside the file lie its write-ahead log (`-wal`) and the log's index (`-shm`). What was committed last may
//! be in the log alone, until a checkpoint copies it into the file. SQLite does that by itself whenever the
//! log has grown by some 4 MB, and goes on at the log's beginning as soon as nobody reads from it any more.
//! Two cases are left to us: a log that a long reader made large is truncated when the reader has gone
//! ([`keep_small`]), and after [`File::close`] there is neither log nor index, so that the file alone is the
//! database.
//!
//! All three are readable by their owner alone, also those that an older version left open to others; so is a
//! folder that is made here. A folder that was there already is left as its owner wants it (`/tmp`, a volume
//! that a cluster shares by group): what is in the files is safe in it.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection as _, Row as _, SqliteConnection, SqlitePool, SqliteTransaction,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Error, pool::pool};

/// Reading connections beside SQLite's one writer.
const READERS: u32 = 4;
/// How long another process may hold a SQLite file's write lock before we give up.
const BUSY: Duration = Duration::from_secs(5);
/// The pause between attempts where SQLite does not wait by itself.
const AGAIN: Duration = Duration::from_millis(10);
/// How long it may take until the connections in use are given back for good: longer than one of them may
/// wait for another process.
const GIVEN_BACK: Duration = Duration::from_secs(6);
/// The size in bytes up to which a log is kept: several times what it grows to while no reader is in the way,
/// so that it need not be created again.
const LOG_KEPT: u64 = 16 * 1024 * 1024;
/// How often the size of the log is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How long a checkpoint of ours waits for readers to go, and writers for it.
const PATIENCE: Duration = Duration::from_millis(50);
/// The permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

/// An open file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
    options: SqliteConnectOptions,
    keeper: TaskTracker,
    stop: CancellationToken,
}

/// A file that was not closed has a task that keeps its log small, which must end too.
impl Drop for File {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(super) async fn open(url: &str, migrations: &Migrator) -> Result<File, Error> {
    let options = options(SqliteConnectOptions::from_str(url)?).busy_timeout(BUSY);
    if let Some(folder) = options.get_filename().parent().filter(|folder| *folder != Path::new("")) {
        tokio::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .await
            .map_err(sqlx::Error::Io)?;
    }
    let writer = connect(&options).await?;
    make_private(options.get_filename()).map_err(sqlx::Error::Io)?;
    let mut migrating: SqliteTransaction<'_> = writer.begin_with("BEGIN IMMEDIATE").await?;
    // Not `run`, whose bounds the compiler cannot see through when a service is boxed.
    migrations
        .run_direct(None, &mut *migrating, false)
        .await
        .map_err(|error| Error::Other(Box::new(error)))?;
    migrating.commit().await?;
    let readers = pool(READERS).connect_lazy_with(options.clone().pragma("query_only", "ON"));
    let (keeper, stop) = (TaskTracker::new(), CancellationToken::new());
    keeper.spawn(keep_small(options.clone(), stop.clone()));
    keeper.close();
    Ok(File { writer, readers, options, keeper, stop })
}

/// The options that every connection to a file has.
pub(super) fn options(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // A log that is begun anew is cut to this size, which is enough for a large one while there are
        // writes.
        .pragma("journal_size_limit", LOG_KEPT.to_string())
}

/// Opens the one writing connection. Programs that create the same file at the same moment all switch it to
/// WAL, and there SQLite reports that the file is locked instead of waiting.
async fn connect(options: &SqliteConnectOptions) -> Result<SqlitePool, Error> {
    let last = Instant::now() + BUSY;
    loop {
        match pool(1).connect_with(options.clone()).await.map_err(Error::from) {
            Err(error) if error.is_contended() && Instant::now() < last => sleep(AGAIN).await,
            done => return done,
        }
    }
}

/// Takes the permissions of others from a file and from what lies beside it. What SQLite makes there later
/// has the mode of the file.
fn make_private(file: &Path) -> io::Result<()> {
    for path in [file.to_owned(), beside(file, "-wal"), beside(file, "-shm")] {
        let mode = match fs::metadata(&path) {
            Ok(about) => about.permissions().mode(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if mode & OTHERS == 0 {
            continue;
        }
        match fs::set_permissions(&path, Permissions::from_mode(mode & !OTHERS)) {
            // The file belongs to somebody else, who lets us use it and decides about its mode.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                tracing::warn!(file = %path.display(), mode = format!("{:o}", mode & 0o777), "others may read this, and it is not ours to change");
            }
            done => done?,
        }
    }
    Ok(())
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}

impl File {
    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.options.get_filename()
    }

    /// Closes every connection; the last one removes the log and its index.
    pub(super) async fn close(&self) -> Result<(), Error> {
        self.stop.cancel();
        let given_back = async {
            self.keeper.wait().await;
            self.readers.close().await;
            self.writer.close().await;
        };
        timeout(GIVEN_BACK, given_back).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        // SQLite does not tell when its last copying fails. Where there still is a log, either it did, or
        // another process has the file open.
        if beside(self.options.get_filename(), "-wal").exists() && !checkpoint(&self.options).await? {
            tracing::debug!(file = %self.options.get_filename().display(), "another process reads this; its log stays");
        }
        Ok(())
    }
}

/// Truncates a log that has become large once nobody needs it any more, also when nothing is written that
/// would begin it anew.
async fn keep_small(options: SqliteConnectOptions, stop: CancellationToken) {
    let log = beside(options.get_filename(), "-wal");
    while stop.run_until_cancelled(sleep(LOOK)).await.is_some() {
        // The file system answers this from memory, far too quickly for it to be worth another thread.
        if fs::metadata(&log).is_ok_and(|about| about.len() > LOG_KEPT)
            && let Err(error) = checkpoint(&options).await
        {
            tracing::warn!(%error, log = %log.display(), "a large write-ahead log could not be truncated; it is tried again");
        }
    }
}

/// Copies the log into the file and truncates it, on a connection of its own; `false` when somebody still
/// reads from the log. Most of it is copied while others write; they wait for the rest only, and that is not
/// begun while there is much of it.
async fn checkpoint(options: &SqliteConnectOptions) -> Result<bool, Error> {
    let mut link = options.clone().create_if_missing(false).busy_timeout(PATIENCE).connect().await?;
    let done = copied(&mut link, "PRAGMA wal_checkpoint(PASSIVE)").await?
        && copied(&mut link, "PRAGMA wal_checkpoint(TRUNCATE)").await?;
    link.close().await?;
    Ok(done)
}

/// Whether everything that is in the log was copied.
async fn copied(link: &mut SqliteConnection, pragma: &'static str) -> Result<bool, Error> {
    let row = sqlx::query(pragma).fetch_one(link).await?;
    let (busy, pages, copied): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(busy == 0 && pages == copied)
}
