//! A SQLite file whose answers take no time, for simulations. Where time is virtual, an answer that comes
//! from another thread in real time would make a run irreproducible. So each call blocks the thread until the
//! database has answered, nothing ever waits for a connection, and transactions of a thread never overlap,
//! because a transaction awaits nothing but its database.
//!
//! It is switched on by code and for a thread, never by configuration, and refuses what is no SQLite file.

use std::{
    cell::RefCell,
    fmt,
    pin::pin,
    str::FromStr,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use parking_lot::Mutex;
use sqlx::{ConnectOptions, Connection, SqliteConnection, migrate::Migrator, sqlite::SqliteConnectOptions};

use super::{Error, sqlite};

/// What becomes of a transaction when it is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is committed, and whoever asked is told.
    Done,
    /// It is committed, and nobody is told: the answer is that the database is out of reach.
    Unheard,
    /// It is undone, with the same answer.
    Lost,
    /// It is undone, and whoever asked is told that it is committed. No database does that; it plays a
    /// program that answers before it has committed.
    Untrue,
}

type Fates = Box<dyn FnMut() -> Fate>;

/// What is said in place of a statement.
type Mistake = Box<dyn FnMut(&'static str) -> &'static str>;

thread_local! {
    static FATES: RefCell<Option<Fates>> = const { RefCell::new(None) };
    static MISTAKE: RefCell<Option<Mistake>> = const { RefCell::new(None) };
}

/// From now on the databases that this thread opens are simulated, and `fates` decides about each of their
/// commits.
pub fn simulate(fates: impl FnMut() -> Fate + 'static) {
    FATES.set(Some(Box::new(fates)));
}

/// Whether the databases that this thread opens are simulated.
#[must_use]
pub fn is_simulated() -> bool {
    FATES.with_borrow(Option::is_some)
}

/// From now on this thread says to simulated databases what `mistake` makes of each statement: so a program
/// that is wrong is played without one.
pub fn misspeak(mistake: impl FnMut(&'static str) -> &'static str + 'static) {
    MISTAKE.set(Some(Box::new(mistake)));
}

/// What is said in place of a statement; without a mistake the statement itself.
pub(super) fn said(sql: &'static str) -> &'static str {
    MISTAKE.with_borrow_mut(|mistake| mistake.as_mut().map_or(sql, |mistake| mistake(sql)))
}

fn fate() -> Fate {
    FATES.with_borrow_mut(|fates| fates.as_mut().map_or(Fate::Done, |next| next()))
}

/// The connections to one file that are not in use.
pub(super) struct File {
    options: SqliteConnectOptions,
    readers: Mutex<Vec<SqliteConnection>>,
    writers: Mutex<Vec<SqliteConnection>>,
}

/// A connection while it is in use.
pub(super) struct Lent {
    link: Option<SqliteConnection>,
    file: Arc<File>,
    writes: bool,
    /// There is a transaction to end.
    open: bool,
}

impl File {
    /// Opens the file and brings its tables up to date.
    pub(super) fn open(url: &str, migrations: &Migrator) -> Result<Arc<Self>, Error> {
        // No other connection writes meanwhile: whoever finds the file busy would wait for itself.
        let options = sqlite::options(SqliteConnectOptions::from_str(url)?).busy_timeout(Duration::ZERO);
        if let Some(folder) = options.get_filename().parent() {
            std::fs::create_dir_all(folder).map_err(sqlx::Error::Io)?;
        }
        let mut link = at_once(options.connect())?;
        at_once(migrations.run(&mut link)).map_err(|error| Error::Other(Box::new(error)))?;
        Ok(Arc::new(Self { options, readers: Mutex::default(), writers: Mutex::new(vec![link]) }))
    }

    /// A connection for reading.
    pub(super) fn read(self: &Arc<Self>) -> Result<Lent, Error> {
        let idle = self.readers.lock().pop();
        let link =
            idle.map_or_else(|| at_once(self.options.clone().pragma("query_only", "ON").connect()), Ok)?;
        Ok(Lent { link: Some(link), file: Arc::clone(self), writes: false, open: false })
    }

    /// A transaction that has begun.
    pub(super) fn begin(self: &Arc<Self>) -> Result<Lent, Error> {
        let idle = self.writers.lock().pop();
        let mut link = idle.map_or_else(|| at_once(self.options.connect()), Ok)?;
        at_once(sqlx::query("BEGIN IMMEDIATE").execute(&mut link))?;
        Ok(Lent { link: Some(link), file: Arc::clone(self), writes: true, open: true })
    }

    pub(super) fn close(&self) {
        let idle = self.readers.lock().drain(..).chain(self.writers.lock().drain(..)).collect::<Vec<_>>();
        for link in idle {
            if let Err(error) = at_once(link.close()) {
                tracing::warn!(%error, "a simulated database did not close");
            }
        }
    }
}

/// A file is closed before it is opened again: a connection that is merely dropped closes at some later time.
impl Drop for File {
    fn drop(&mut self) {
        self.close();
    }
}

impl Lent {
    pub(super) fn link(&mut self) -> Result<&mut SqliteConnection, Error> {
        self.link.as_mut().ok_or(Error::Unavailable(sqlx::Error::PoolClosed))
    }

    pub(super) fn commit(mut self) -> Result<(), Error> {
        if !self.open {
            return Ok(());
        }
        let fate = fate();
        match fate {
            Fate::Lost => return Err(Error::Unavailable(sqlx::Error::WorkerCrashed)),
            Fate::Untrue => return Ok(()),
            Fate::Done | Fate::Unheard => {}
        }
        at_once(sqlx::query("COMMIT").execute(self.link()?))?;
        self.open = false;
        if fate == Fate::Unheard { Err(Error::Unavailable(sqlx::Error::WorkerCrashed)) } else { Ok(()) }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        if self.open
            && let Err(error) = at_once(sqlx::query("ROLLBACK").execute(&mut link))
        {
            tracing::warn!(%error, "a simulated transaction was not undone");
        }
        let idle = if self.writes { &self.file.writers } else { &self.file.readers };
        idle.lock().push(link);
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("File").field(&self.options.get_filename()).finish()
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").field("file", &self.file).field("open", &self.open).finish()
    }
}

/// Waits for an answer without giving the thread to anybody else.
pub(super) fn at_once<T>(asked: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    // Not counted as work of the task that we are in, which would be made to yield and cannot.
    let mut asked = pin!(tokio::task::unconstrained(asked));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match asked.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}
