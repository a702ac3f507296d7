//! The writer of one queue: a task that takes all commands that wait and commits them as one transaction.
//!
//! ```text
//!   lock the queue's row ─► catch up to it ─► decide in memory ─► write rows, head, answers
//!   ─► commit ─► advance memory ─► answer
//! ```
//!
//! Memory is changed only after the commit, so a failed transaction leaves nothing to undo. When it is
//! unknown whether a transaction was committed, its callers are told so; the next batch, under the lock,
//! first catches up with what the database has. While one batch is being committed the next one collects, and
//! no timer delays a command. Between batches the writer sleeps until a deadline of the state, so an idle
//! queue costs nothing.

use std::{sync::Arc, time::Duration};

use chassis::{
    back_off::BackOff, background::Vital, context::Context, db::Contended, trace::Span, warn_or_alert,
};
use tokio::{
    sync::mpsc,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::queue::Reply;
use super::{
    batch,
    beacon::Seeking,
    drawing,
    queue::{Ask, Queue},
};
use crate::{domain::QueueState, error::Error};

/// The most commands that may wait for the writer. Joins are refused long before
/// ([`Crowd`](super::crowd::Crowd)), so that in any crowd there is room for users who pay or leave.
pub(super) const MAX_PENDING: usize = 8_192;
/// The most commands in one transaction: enough to share its cost, few enough to keep it short.
const MAX_BATCH: usize = 1_000;
/// How many times a batch is tried that lost against other transactions.
const ATTEMPTS: u32 = 8;
/// The pauses between the attempts.
const PAUSES: BackOff =
    BackOff { base: Duration::from_millis(8), factor: 2, cap: Duration::from_millis(64), jitter: 0.75 };
/// How long a batch may take before its outcome is taken as unknown.
const BATCH_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest sleep, because the machine's clock may be set meanwhile.
const MAX_SLEEP: Duration = Duration::from_secs(1);
/// The longest sleep by a clock that a test moves, which wakes nobody.
const MAX_SLEEP_BY_HAND: Duration = Duration::from_millis(20);
/// The pause between two batches that the clock alone causes. When `admit_per_minute` is the bound, several
/// admissions then share one batch.
const MIN_SLEEP: Duration = Duration::from_millis(5);
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The pause of such batches after a failure; commands do not wait for it.
const AFTER_FAILURE: Duration = Duration::from_millis(250);

/// Runs until the shutdown, or until no more commands can be sent.
pub(super) async fn run(
    queue: Arc<Queue>,
    mut inbox: mpsc::Receiver<Ask>,
    shutdown: CancellationToken,
    vital: Vital,
) {
    let mut moved = queue.changes();
    let mut own_work_from = Instant::now();
    let mut seeking = Seeking::default();
    loop {
        seeking.go_on(&queue, &shutdown, &vital);
        let mut asks = Vec::new();
        let wake = due(&queue).max(own_work_from);
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return last_words(&queue).await,
            taken = inbox.recv_many(&mut asks, MAX_BATCH) => if taken == 0 { return },
            () = time::sleep_until(wake) => {}
            // Another replica's commit or a new policy may have moved the next deadline.
            changed = moved.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            () = queue.news.came() => continue,
            () = queue.sought.came() => continue,
        }
        // A caller that has gone needs no place; under overload deciding its command would be wasted.
        asks.retain(|ask| !ask.answer.is_closed());
        if asks.is_empty() && due(&queue) > Instant::now() {
            continue;
        }
        let pause = if commit(&queue, asks).await { MIN_SLEEP } else { AFTER_FAILURE };
        own_work_from = Instant::now() + pause;
    }
}

/// Writes which users were heard of just before the shutdown, if the database can be reached.
async fn last_words(queue: &Arc<Queue>) {
    if queue.news.due().is_some() && time::timeout(LAST_WORDS, commit(queue, Vec::new())).await.is_err() {
        tracing::debug!(queue = %queue.id, "the last word of who was heard of is lost");
    }
}

/// The next time at which there is work without a command: a deadline of the state, or tokens that were heard
/// of.
fn due(queue: &Queue) -> Instant {
    let sleep = if queue.clock.is_moved_by_hand() { MAX_SLEEP_BY_HAND } else { MAX_SLEEP };
    let left =
        queue.read(QueueState::next_deadline).map(|at| u64::try_from(at - queue.clock.now()).unwrap_or(0));
    let by_itself = Instant::now() + left.map_or(sleep, |left| Duration::from_micros(left).min(sleep));
    let by_itself = if queue.can_draw() { Instant::now() } else { by_itself };
    queue.news.due().map_or(by_itself, |news| news.min(by_itself))
}

/// Runs a batch and answers its callers; false when it failed.
async fn commit(queue: &Arc<Queue>, asks: Vec<Ask>) -> bool {
    // Outside the time of a batch, because a million lots take a second.
    if let Err(error) = drawing::prepare(queue).await {
        tracing::debug!(queue = %queue.id, %error, "a draw could not be prepared");
    }
    let began = Instant::now();
    let size = asks.len();
    let heard = queue.news.take();
    let (trace, mut span) =
        Span::shared(asks.iter().filter_map(|ask| ask.trace.clone()), || "queue batch".into());
    span.set("boxoffice.batch.size", || i64::try_from(size).unwrap_or(i64::MAX));
    let work = Context::of(trace, BATCH_TIMEOUT).scope(attempts(queue, &asks, &heard));
    let result = match time::timeout(BATCH_TIMEOUT, work).await {
        Ok(result) => result,
        Err(_late) => {
            tracing::warn!(queue = %queue.id, size, "a batch took too long; its outcome is unknown");
            Err(Error::Unknown)
        }
    };
    drop(span);
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
            warn_or_alert!(!error.is_a_mistake(), queue = %queue.id, size, %error, "a batch failed");
            for ask in asks {
                let _gone = ask.answer.send(Err(refusal(&error, queue)));
            }
            false
        }
    }
}

/// The error that each caller of a failed batch gets.
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
        // A user has a live token that memory does not know: memory and the database disagree, and the
        // database is right.
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
