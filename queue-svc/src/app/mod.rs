//! The use cases of the waiting room on one replica.
//!
//! Reading comes from committed memory. Writing goes through the line's [`writer`], which makes one transaction of all that waits.
//! The [`follow`] task keeps memory up with other replicas.

mod batch;
mod ended;
mod follow;
mod line;
mod queues;
mod tokens;
mod watch;
mod writer;

use std::{collections::HashMap, sync::Arc};

use chassis::{clock::Clock, db::Db};
use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::line::Line;
pub use self::{queues::Cursor, tokens::Claim};
use crate::error::Error;

/// The waiting room's lines on this replica. Clones share them.
#[derive(Clone, Debug)]
pub struct WaitingRoom(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Db,
    clock: Clock,
    lines: RwLock<HashMap<Arc<str>, Arc<Line>>>,
    /// One opening of lines at a time.
    opening: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
    /// Ends the tasks, and the streams.
    stop: CancellationToken,
}

impl WaitingRoom {
    /// Loads every line from the database and starts following it.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(db: Db, clock: Clock) -> Result<Self, Error> {
        let inner = Inner {
            db,
            clock,
            lines: RwLock::default(),
            opening: tokio::sync::Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let room = Self(Arc::new(inner));
        room.sync().await?;
        room.0.tasks.spawn(follow::run(room.clone()));
        Ok(room)
    }

    /// Ends the tasks: first whoever asks must be gone. A batch under way is finished.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    fn line(&self, queue_id: &str) -> Option<Arc<Line>> {
        self.0.lines.read().get(queue_id).cloned()
    }

    fn lines(&self) -> Vec<Arc<Line>> {
        self.0.lines.read().values().cloned().collect()
    }

    /// The line of this name; one that is unknown here may have been made by another replica a moment ago.
    async fn find_line(&self, queue_id: &str) -> Result<Arc<Line>, Error> {
        if let Some(line) = self.line(queue_id) {
            return Ok(line);
        }
        self.open_line(queue_id).await?.ok_or_else(|| Error::QueueNotFound(queue_id.to_owned()))
    }

    /// Loads a line that is not here yet and starts its writer; `None` when there is no such queue.
    async fn open_line(&self, queue_id: &str) -> Result<Option<Arc<Line>>, Error> {
        let _turn = self.0.opening.lock().await;
        if let Some(line) = self.line(queue_id) {
            return Ok(Some(line));
        }
        let mut session = self.0.db.read().await?;
        let Some(room) = line::load(&mut session, queue_id).await? else { return Ok(None) };
        let (sender, inbox) = mpsc::channel(writer::MAX_PENDING);
        let line = Arc::new(Line::new(queue_id, self.0.db.clone(), self.0.clock.clone(), room, sender));
        self.0.lines.write().insert(Arc::clone(&line.id), Arc::clone(&line));
        self.0.tasks.spawn(writer::run(Arc::clone(&line), inbox, self.0.stop.clone()));
        Ok(Some(line))
    }

    /// Looks at all queues' versions at once: opens lines that are new, catches up with those that moved.
    async fn sync(&self) -> Result<(), Error> {
        let versions = {
            let mut session = self.0.db.read().await?;
            crate::store::queue::versions(&mut session).await?
        };
        for (queue_id, version) in versions {
            match self.line(&queue_id) {
                None => drop(self.open_line(&queue_id).await?),
                Some(line) if line.version() < version => line.catch_up().await?,
                Some(_) => {}
            }
        }
        Ok(())
    }
}
