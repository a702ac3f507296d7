//! Several SQLite files as they were at one instant, while others write to them.
//!
//! One read transaction a file fixes what is copied of it, however long that takes. But the files know
//! nothing of each other, and no order of copying makes them agree: work is begun in the first file before
//! anything is written to the others, and finished there after everything else, so some work is half done in
//! the copies in whatever order they are made. Therefore nobody may write to the first file while the
//! transactions are begun, for some milliseconds in which its writers wait as they do for each other. What
//! the first file calls done is then done in all of them, and what any of them knows was begun in the first.

use std::{path::Path, time::Duration};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use super::Error;

/// How long another program may hold a file's write lock before we give up.
const BUSY: Duration = Duration::from_secs(5);

/// Files whose content stands still for us. While this lives their logs grow.
#[derive(Debug)]
pub struct Snapshots(Vec<Connection>);

impl Snapshots {
    /// Fixes the content of all these files; nobody writes to the first of them meanwhile.
    ///
    /// # Errors
    /// A file is not there, is no database, or is kept locked.
    pub fn of(files: &[&Path]) -> Result<Self, Error> {
        let open = |file: &&Path| {
            let link = Connection::open_with_flags(
                file,
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?;
            link.busy_timeout(BUSY)?;
            // The first read may have to recover a log that a crash left, which is not to happen while
            // writers wait.
            look(&link)?;
            Ok(link)
        };
        let links = files.iter().map(open).collect::<Result<Vec<_>, rusqlite::Error>>().map_err(failed)?;
        let Some(first) = files.first() else { return Ok(Self(links)) };
        let held = open(first).map_err(failed)?;
        held.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
        for link in &links {
            link.execute_batch("BEGIN").and_then(|()| look(link)).map_err(failed)?;
        }
        held.execute_batch("ROLLBACK").map_err(failed)?;
        Ok(Self(links))
    }

    /// Writes the content of one of them, by its number, to a new file.
    ///
    /// # Errors
    /// There is no such number, or the copy cannot be written.
    pub fn copy(&self, number: usize, to: &Path) -> Result<(), Error> {
        let from = self.0.get(number).ok_or_else(|| Error::Other("there is no such snapshot".into()))?;
        let mut copy = Connection::open(to).map_err(failed)?;
        let step = Backup::new(from, &mut copy).and_then(|backup| backup.step(-1)).map_err(failed)?;
        if step != StepResult::Done {
            return Err(Error::Other(format!("{} is in use", to.display()).into()));
        }
        copy.close().map_err(|(_, error)| failed(error))
    }
}

/// Reads the schema: the first read of a transaction fixes its instant.
fn look(link: &Connection) -> Result<(), rusqlite::Error> {
    link.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |_| Ok(()))
}

fn failed(error: rusqlite::Error) -> Error {
    Error::Other(Box::new(error))
}
