//! The writer of one queue: takes all commands that wait, and makes them one transaction.
//!
//! ```text
//!   lock the queue's row ─► catch up to it ─► decide in memory ─► write rows, head, answers
//!   ─► commit ─► advance memory ─► answer
//! ```
//!
//! Memory is changed after the commit only, so nothing has to be undone when it fails. When it is unknown
//! whether it took effect, the callers are told so, and the next batch finds out: under the lock it first
//! catches up with what the database holds. While one batch is under way the next collects; no timer delays
//! anybody. Between batches the writer sleeps until time has something to do for it, so an idle queue costs
//! nothing.

use std::{sync::Arc, time::Duration};

use chassis::{back_off::BackOff, db::Contended};
use tokio::{
    sync::mpsc,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::queue::Reply;
use super::{
    batch,
    queue::{Ask, Queue},
};
use crate::{domain::QueueState, error::Error};

/// Commands that may wait for the writer. Joins are sent away long before ([`Crowd`](super::crowd::Crowd)),
/// so that somebody who pays or leaves finds room in any storm.
pub(super) const MAX_PENDING: usize = 8_192;
/// Commands in one transaction: enough to share its cost, few enough to keep it short.
const MAX_BATCH: usize = 1_000;
/// How often a batch is tried that only lost against other transactions.
const ATTEMPTS: u32 = 8;
/// The pauses between them.
const PAUSES: BackOff =
    BackOff { base: Duration::from_millis(8), factor: 2, cap: Duration::from_millis(64), jitter: 0.75 };
/// A batch that takes longer is given up as unknown.
const BATCH_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to sleep at most, for clocks that are set.
const MAX_SLEEP: Duration = Duration::from_secs(1);
/// The same with a clock that is moved without a word.
const MAX_SLEEP_BY_HAND: Duration = Duration::from_millis(20);
/// What time does it does so often at most: admissions that a saturated cap allows go together by a few.
const MIN_SLEEP: Duration = Duration::from_millis(5);
const LAST_WORDS: Duration = Duration::from_secs(1);
/// After a failure time's own work waits so long; commands do not.
const AFTER_FAILURE: Duration = Duration::from_millis(250);

/// Runs until shutdown, or until nobody can send any more.
pub(super) async fn run(queue: Arc<Queue>, mut inbox: mpsc::Receiver<Ask>, shutdown: CancellationToken) {
    let mut moved = queue.changes();
    let mut own_work_from = Instant::now();
    loop {
        let mut asks = Vec::new();
        let wake = due(&queue).max(own_work_from);
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return last_words(&queue).await,
            taken = inbox.recv_many(&mut asks, MAX_BATCH) => if taken == 0 { return },
            () = time::sleep_until(wake) => {}
            // Another replica's commit, a new policy: what was due may not be, or something else may be
            // sooner.
            changed = moved.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            () = queue.news.came() => continue,
        }
        // Who has gone needs no place: under overload this work would help nobody.
        asks.retain(|ask| !ask.answer.is_closed());
        if asks.is_empty() && due(&queue) > Instant::now() {
            continue;
        }
        let pause = if commit(&queue, asks).await { MIN_SLEEP } else { AFTER_FAILURE };
        own_work_from = Instant::now() + pause;
    }
}

/// Who was heard of in the last moment before a shutdown is written down as well, if the database is there.
async fn last_words(queue: &Arc<Queue>) {
    if queue.news.due().is_some() && time::timeout(LAST_WORDS, commit(queue, Vec::new())).await.is_err() {
        tracing::debug!(queue = %queue.id, "the last word of who was heard of is lost");
    }
}

/// When there is work without a command: the state changes by itself, or news wants to be written down.
fn due(queue: &Queue) -> Instant {
    let sleep = if queue.clock.is_moved_by_hand() { MAX_SLEEP_BY_HAND } else { MAX_SLEEP };
    let left =
        queue.read(QueueState::next_deadline).map(|at| u64::try_from(at - queue.clock.now()).unwrap_or(0));
    let by_itself = Instant::now() + left.map_or(sleep, |left| Duration::from_micros(left).min(sleep));
    queue.news.due().map_or(by_itself, |news| news.min(by_itself))
}

/// Does a batch and answers everybody in it. False when it failed.
async fn commit(queue: &Arc<Queue>, asks: Vec<Ask>) -> bool {
    let began = Instant::now();
    let size = asks.len();
    let heard = queue.news.take();
    let result = match time::timeout(BATCH_TIMEOUT, attempts(queue, &asks, &heard)).await {
        Ok(result) => result,
        Err(_late) => {
            tracing::warn!(queue = %queue.id, size, "a batch took too long; its outcome is unknown");
            Err(Error::Unknown)
        }
    };
    metrics::counter!("queue_batches_total", "queue" => queue.id.to_string()).increment(1);
    if let Ok(size) = u32::try_from(size) {
        metrics::histogram!("queue_batch_size", "queue" => queue.id.to_string()).record(size);
    }
    metrics::histogram!("queue_batch_seconds").record(began.elapsed());
    match result {
        Ok(answers) => {
            queue.look().reported(&heard);
            queue.crowd.written(size, began.elapsed());
            for (ask, answer) in asks.into_iter().zip(answers) {
                let _gone = ask.answer.send(answer);
            }
            true
        }
        Err(error) => {
            queue.news.add(heard);
            if error.is_a_mistake() {
                tracing::error!(alert = true, queue = %queue.id, size, %error, "a batch failed");
            } else {
                tracing::warn!(queue = %queue.id, size, %error, "a batch failed");
            }
            for ask in asks {
                let _gone = ask.answer.send(Err(refusal(&error, queue)));
            }
            false
        }
    }
}

/// What each caller of a failed batch is told.
fn refusal(error: &Error, queue: &Queue) -> Error {
    if matches!(error, Error::QueueNotFound(_)) {
        Error::QueueNotFound(queue.id.to_string())
    } else if error.is_a_mistake() {
        Error::Internal(error.to_string())
    } else {
        Error::Unknown
    }
}

async fn attempts(
    queue: &Arc<Queue>,
    asks: &[Ask],
    heard: &[Uuid],
) -> Result<Vec<Result<Reply, Error>>, Error> {
    let mut tries = 1;
    let mut distrust = false;
    loop {
        let error = match batch::attempt(queue, asks, heard, distrust).await {
            Ok(answers) => return Ok(answers),
            Err(error) => error,
        };
        // A key that memory took for free: memory and database disagree, and the database is right.
        let disagrees = matches!(&error, Error::Db(error) if error.is_unique()) && !distrust;
        if tries >= ATTEMPTS || !(error.is_contended() || disagrees) {
            return Err(error);
        }
        if disagrees {
            tracing::error!(alert = true, queue = %queue.id, %error, "memory and database disagree");
            distrust = true;
        }
        metrics::counter!("db_contended_total", "transaction" => "batch").increment(1);
        time::sleep(PAUSES.pause(tries)).await;
        tries += 1;
    }
}
