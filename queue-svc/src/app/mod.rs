//! The use cases of the waiting room on one replica.
//!
//! Reading comes from committed memory. Writing goes through the line's [`writer`], which makes one
//! transaction of all that waits. The [`follow`] task keeps memory up with other replicas.

mod batch;
mod crowd;
mod ended;
mod follow;
mod hearing;
mod line;
mod lines;
mod queues;
mod tokens;
mod watch;
mod writer;

use std::sync::{Arc, atomic::AtomicUsize};

use chassis::{clock::Clock, db::Db};
use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{hearing::Ears, line::Line, lines::Lines};
pub use self::{
    queues::{Cursor, place},
    tokens::{Claim, Seen},
};
use crate::{config::Retention, error::Error};

/// The waiting room's lines on this replica. Clones share them.
#[derive(Clone, Debug)]
pub struct WaitingRoom(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Db,
    clock: Clock,
    retention: Retention,
    lines: RwLock<Lines>,
    ears: Arc<Ears>,
    /// Joins that wait, over all lines.
    joining: Arc<AtomicUsize>,
    /// One opening of lines at a time.
    opening: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
    /// Ends the tasks, and the streams.
    stop: CancellationToken,
}

impl WaitingRoom {
    /// Loads every line from the database and starts following it. Tokens that have ended are forgotten after
    /// a while.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(db: Db, clock: Clock, retention: Retention) -> Result<Self, Error> {
        let now = clock.now();
        let inner = Inner {
            db,
            clock,
            retention,
            lines: RwLock::default(),
            ears: Arc::new(Ears::new(now)),
            joining: Arc::default(),
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

    /// The line of this name; one that is unknown here may have been made by another replica a moment ago.
    async fn find_line(&self, queue_id: &str) -> Result<Arc<Line>, Error> {
        if let Some(line) = self.line(queue_id) {
            return Ok(line);
        }
        // Boxed, here and wherever the database is asked by way of exception: every answer from memory would
        // carry its 8 KB about.
        Box::pin(self.open_line(queue_id)).await?.ok_or_else(|| Error::QueueNotFound(queue_id.to_owned()))
    }

    /// Loads a line that is not here yet and starts its writer; `None` when there is no such queue.
    async fn open_line(&self, queue_id: &str) -> Result<Option<Arc<Line>>, Error> {
        let _turn = self.0.opening.lock().await;
        if let Some(line) = self.line(queue_id) {
            return Ok(Some(line));
        }
        let mut session = self.0.db.read().await?;
        let Some(mut room) = line::load(&mut session, queue_id, &self.0.clock).await? else {
            return Ok(None);
        };
        room.listen_from(self.0.ears.listening_since(self.0.clock.now()));
        let (sender, inbox) = mpsc::channel(writer::MAX_PENDING);
        let line = Arc::new(Line::new(queue_id, &self.0, room, sender));
        self.0.lines.write().insert(&line);
        self.0.tasks.spawn(writer::run(Arc::clone(&line), inbox, self.0.stop.clone()));
        Ok(Some(line))
    }

    /// Looks at all queues' versions at once: opens lines that are new, catches up with those that moved.
    async fn sync(&self) -> Result<(), Error> {
        let versions = {
            let mut session = self.0.db.read().await?;
            crate::store::queue::versions(&mut session).await?
        };
        let mut followed = Ok(());
        for (queue_id, version) in versions {
            let moved = match self.line(&queue_id) {
                None => self.open_line(&queue_id).await.map(drop),
                Some(line) if line.version() < version => line.catch_up().await,
                Some(_) => Ok(()),
            };
            // A line that cannot be read holds up no other one.
            followed = followed.and(moved);
        }
        followed
    }
}
