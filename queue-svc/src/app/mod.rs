//! The use cases of the queues on one replica.
//!
//! Reads are answered from memory, which holds committed state. Writes go through the queue's [`writer`],
//! which commits all commands that wait as one transaction. The [`follow`] task keeps memory up with the
//! other replicas.

mod batch;
mod beacon;
mod crowd;
mod drawing;
mod draws;
mod ended;
mod follow;
mod hearing;
mod open;
mod queue;
mod queues;
mod taking;
mod tokens;
mod watch;
mod writer;

use std::sync::{Arc, atomic::AtomicUsize};

use chassis::{background::Vital, clock::Clock, db::Db};
use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    draws::{Announced, DrawView, HeldView, TokenDrawView},
    queues::{Cursor, place},
    tokens::{Claim, Lookup},
};
use self::{hearing::Ears, open::OpenQueues, queue::Queue};
use crate::{config::Retention, error::Error, relay::Relay};

/// The queues of this replica; clones share them.
#[derive(Clone, Debug)]
pub struct Queues(Arc<AllQueues>);

#[derive(Debug)]
struct AllQueues {
    db: Db,
    clock: Clock,
    retention: Retention,
    relay: Option<Relay>,
    open: RwLock<OpenQueues>,
    ears: Arc<Ears>,
    /// How many joins wait, over all queues.
    joining: Arc<AtomicUsize>,
    /// Held while a queue is loaded, so that none is loaded twice.
    opening: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
    /// Ends the background tasks and the open streams.
    stop: CancellationToken,
    vital: Vital,
}

impl AllQueues {
    /// Runs a task until it ends after `stop`.
    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.vital.clone().guard(name, task));
    }
}

impl Queues {
    /// Loads every queue from the database and starts to follow it. Tokens that have ended are kept for the
    /// time that `retention` says; draws that are set have the beacon of this relay. The program ends if one
    /// of its tasks fails.
    ///
    /// # Errors
    /// The database failed.
    pub async fn open(
        db: Db,
        clock: Clock,
        retention: Retention,
        relay: Option<Relay>,
        vital: Vital,
    ) -> Result<Self, Error> {
        let now = clock.now();
        let inner = AllQueues {
            db,
            clock,
            retention,
            relay,
            open: RwLock::default(),
            ears: Arc::new(Ears::new(now)),
            joining: Arc::default(),
            opening: tokio::sync::Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            vital,
        };
        let queues = Self(Arc::new(inner));
        queues.sync().await?;
        queues.0.spawn("the following of other replicas", follow::run(queues.clone()));
        if let Some(relay) = queues.0.relay.clone() {
            let stop = queues.0.stop.clone();
            let introduced = async move {
                stop.run_until_cancelled_owned(beacon::introduce(relay)).await.unwrap_or_default()
            };
            queues.0.spawn("the relay of beacons", introduced);
        }
        Ok(queues)
    }

    /// Ends the background tasks; each writer finishes its present batch. The caller makes sure that no
    /// request is in flight any more.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    fn open_here(&self, queue_id: &str) -> Option<Arc<Queue>> {
        self.0.open.read().get(queue_id).cloned()
    }

    /// The queue with this id. One that is not in memory may have been created by another replica a moment
    /// ago.
    async fn find_queue(&self, queue_id: &str) -> Result<Arc<Queue>, Error> {
        if let Some(queue) = self.open_here(queue_id) {
            return Ok(queue);
        }
        // The future is boxed, here and wherever the database is rarely asked. Otherwise each answer from
        // memory would carry its 8 KB.
        Box::pin(self.open_queue(queue_id)).await?.ok_or_else(|| Error::QueueNotFound(queue_id.to_owned()))
    }

    /// Loads a queue that is not in memory yet and starts its writer; `None` when there is no such queue.
    async fn open_queue(&self, queue_id: &str) -> Result<Option<Arc<Queue>>, Error> {
        let _turn = self.0.opening.lock().await;
        if let Some(queue) = self.open_here(queue_id) {
            return Ok(Some(queue));
        }
        let mut session = self.0.db.read().await?;
        let Some(mut state) = queue::load(&mut session, queue_id, &self.0.clock).await? else {
            return Ok(None);
        };
        state.listen_from(self.0.ears.listening_since(self.0.clock.now()));
        let (sender, inbox) = mpsc::channel(writer::MAX_PENDING);
        let queue = Arc::new(Queue::new(queue_id, &self.0, state, sender));
        self.0.open.write().insert(&queue);
        let writer = writer::run(Arc::clone(&queue), inbox, self.0.stop.clone(), self.0.vital.clone());
        self.0.spawn("the writer of a line", writer);
        Ok(Some(queue))
    }

    /// Reads the versions of all queues at once, loads the queues that are new, and catches up with those
    /// that have changed.
    async fn sync(&self) -> Result<(), Error> {
        let versions = {
            let mut session = self.0.db.read().await?;
            crate::store::queue::versions(&mut session).await?
        };
        let mut followed = Ok(());
        for (queue_id, version) in versions {
            let moved = match self.open_here(&queue_id) {
                None => self.open_queue(&queue_id).await.map(drop),
                Some(queue) if queue.version() < version => queue.catch_up().await,
                Some(_) => Ok(()),
            };
            // A queue that cannot be read does not keep the others from being followed.
            followed = followed.and(moved);
        }
        followed
    }
}
