//! The writer of one line: takes all commands that wait, and makes them one transaction.
//!
//! ```text
//!   lock the queue's row ─► catch up to it ─► decide in memory ─► write rows, head, answers ─► commit ─► advance memory ─► answer
//! ```
//!
//! Memory is changed after the commit only, so nothing has to be undone when it fails. When it is unknown whether it took effect,
//! the callers are told so, and the next batch finds out: under the lock it first catches up with what the database holds.
//! While one batch is under way the next collects; no timer delays anybody.

use std::{sync::Arc, time::Duration};

use chassis::db::Contended;
use tokio::{sync::mpsc, time};
use tokio_util::sync::CancellationToken;

use super::line::Answer;
use super::{
    batch,
    line::{Ask, Line},
};
use crate::{domain::Room, error::Error};

/// Commands that may wait for the writer; beyond it callers are told to come again. At a thousand a batch these are ten batches,
/// well within any caller's patience.
pub(super) const MAX_PENDING: usize = 10_000;
/// Commands in one transaction: enough to share its cost, few enough to keep it short.
const MAX_BATCH: usize = 1_000;
/// How often a batch is tried that only lost against other transactions.
const ATTEMPTS: u32 = 8;
/// A batch that takes longer is given up as unknown.
const BATCH_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to sleep at most: what other replicas commit may bring a deadline nearer.
const MAX_SLEEP: Duration = Duration::from_millis(50);
const MIN_SLEEP: Duration = Duration::from_millis(1);
/// After a failure time's own work waits so long; commands do not.
const AFTER_FAILURE: Duration = Duration::from_millis(250);

/// Runs until shutdown, or until nobody can send any more.
pub(super) async fn run(line: Arc<Line>, mut inbox: mpsc::Receiver<Ask>, shutdown: CancellationToken) {
    let mut pause = Duration::ZERO;
    loop {
        let mut asks = Vec::new();
        let sleep = until_deadline(&line).max(pause);
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            taken = inbox.recv_many(&mut asks, MAX_BATCH) => if taken == 0 { return },
            () = time::sleep(sleep) => {}
        }
        // Who has gone needs no place: under overload this work would help nobody.
        asks.retain(|ask| !ask.answer.is_closed());
        if asks.is_empty() && !until_deadline(&line).is_zero() {
            continue;
        }
        pause = if commit(&line, asks).await { Duration::ZERO } else { AFTER_FAILURE };
    }
}

/// Time until the room changes by itself; zero when it is due.
fn until_deadline(line: &Line) -> Duration {
    let Some(at) = line.read(Room::next_deadline) else { return MAX_SLEEP };
    match u64::try_from(at - line.clock.now()) {
        Ok(left) if left > 0 => Duration::from_micros(left).clamp(MIN_SLEEP, MAX_SLEEP),
        _ => Duration::ZERO,
    }
}

/// Does a batch and answers everybody in it. False when it failed.
async fn commit(line: &Arc<Line>, asks: Vec<Ask>) -> bool {
    let began = time::Instant::now();
    let size = asks.len();
    let result = match time::timeout(BATCH_TIMEOUT, attempts(line, &asks)).await {
        Ok(result) => result,
        Err(_late) => {
            tracing::warn!(queue = %line.id, size, "a batch took too long; its outcome is unknown");
            Err(Error::Unknown)
        }
    };
    metrics::counter!("queue_batches_total", "queue" => line.id.to_string()).increment(1);
    if let Ok(size) = u32::try_from(size) {
        metrics::histogram!("queue_batch_size", "queue" => line.id.to_string()).record(size);
    }
    metrics::histogram!("queue_batch_seconds").record(began.elapsed());
    match result {
        Ok(answers) => {
            for (ask, answer) in asks.into_iter().zip(answers) {
                let _gone = ask.answer.send(answer);
            }
            true
        }
        Err(error) => {
            if error.is_a_mistake() {
                tracing::error!(queue = %line.id, size, %error, "a batch failed");
            } else {
                tracing::warn!(queue = %line.id, size, %error, "a batch failed");
            }
            for ask in asks {
                let _gone = ask.answer.send(Err(refusal(&error, line)));
            }
            false
        }
    }
}

/// What each caller of a failed batch is told.
fn refusal(error: &Error, line: &Line) -> Error {
    if matches!(error, Error::QueueNotFound(_)) {
        Error::QueueNotFound(line.id.to_string())
    } else if error.is_a_mistake() {
        Error::Internal
    } else {
        Error::Unknown
    }
}

async fn attempts(line: &Arc<Line>, asks: &[Ask]) -> Result<Vec<Result<Answer, Error>>, Error> {
    let mut tries = 1;
    let mut distrust = false;
    loop {
        let error = match batch::attempt(line, asks, distrust).await {
            Ok(answers) => return Ok(answers),
            Err(error) => error,
        };
        // A key that memory took for free: memory and database disagree, and the database is right.
        let disagrees = matches!(&error, Error::Db(error) if error.is_unique()) && !distrust;
        if tries >= ATTEMPTS || !(error.is_contended() || disagrees) {
            return Err(error);
        }
        if disagrees {
            tracing::error!(queue = %line.id, %error, "memory and database disagree");
            distrust = true;
        }
        metrics::counter!("db_contended_total", "transaction" => "batch").increment(1);
        time::sleep(Duration::from_millis(2) * tries * rand::random_range(1..=4)).await;
        tries += 1;
    }
}
