//! Lanes: streams to queue-svc that stay open, over which batches of polls go (`PollTokens`).
//!
//! ```text
//!            ┌─ a lane rests ─▶ its stream ─▶ answered: it rests again
//! a batch ───┤                            └─▶ not answered: it is dropped ─┐
//!            └─ none does; one is opened beside the batch ─────────────────┴─▶ a call of BatchGetTokens
//! ```
//! A call costs a small batch more than its answer does: headers, layers, timers and tasks on both sides. A
//! lane is opened before it is needed and tried with an empty batch, so no poll ever waits for one: neither
//! where queue-svc is of a release without `PollTokens`, nor where something on the way lets no streams
//! through. Several are used in turn, because each leads to one replica and they are opened over all of them.
//!
//! A lane has one batch on its way. A batch that it does not answer is asked for by a call, as all are where
//! there is no lane. Looking at places changes nothing, so nothing is lost if it was heard before.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use boxoffice_proto::queue::{
    BatchGetTokensResponse, PollTokensRequest, PollTokensResponse, queue_service_client::QueueServiceClient,
};
use chassis::{
    back_off::BackOff,
    channel::Channel,
    context::{Context, TraceParent},
};
use parking_lot::Mutex;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// The most lanes of one thread. Batches in turn over so many reach most replicas of a service.
const LANES: usize = 4;
/// How long a batch waits for its answer on a lane. The call that is made then has time for a replica that
/// hangs, and for another one.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the other side has for ending a lane.
const CLOSING: Duration = Duration::from_secs(30);
/// How long the opening of a lane may take: less than an attempt of a call, so that a replica is not taken
/// for one that hangs because something on the way lets no streams through.
const OPENING: Duration = Duration::from_secs(2);
/// The pauses after openings that failed.
const PAUSES: BackOff =
    BackOff { base: Duration::from_secs(1), factor: 2, cap: Duration::from_secs(30), jitter: 0.5 };

/// The lanes of one thread. Clones share them.
#[derive(Clone)]
pub(super) struct Lanes {
    queue: QueueServiceClient<Channel>,
    pool: Arc<Mutex<Pool>>,
}

struct Pool {
    /// Lanes without a batch; the one that has rested longest is the first.
    rest: VecDeque<Lane>,
    /// Each lane that is open has a clone.
    open: Arc<()>,
    is_opening: bool,
    /// Openings that failed since one succeeded.
    failures: u32,
    /// When the next one may be tried.
    not_before: Instant,
}

/// An open stream.
struct Lane {
    batches: mpsc::Sender<PollTokensRequest>,
    answers: Streaming<PollTokensResponse>,
    /// The number of the latest batch.
    number: i64,
    _open: Arc<()>,
}

impl Lanes {
    pub(super) fn new(queue: QueueServiceClient<Channel>) -> Self {
        let (rest, open, not_before) = (VecDeque::new(), Arc::default(), Instant::now());
        let pool = Pool { rest, open, is_opening: false, failures: 0, not_before };
        Self { queue, pool: Arc::new(Mutex::new(pool)) }
    }

    /// Asks for these tokens over a lane. `None`: no lane rests, or it has not answered.
    pub(super) async fn ask(&self, tokens: impl FnOnce() -> Vec<String>) -> Option<BatchGetTokensResponse> {
        let mut lane = self.next()?;
        let answer = lane.ask(tokens()).await;
        if answer.is_some() {
            self.pool.lock().rest.push_back(lane);
        } else {
            metrics::counter!("polls_lanes_ended_total").increment(1);
            tokio::spawn(lane.close());
        }
        answer
    }

    /// The lane that is next in turn. While there are fewer than there may be, another one is opened besides.
    fn next(&self) -> Option<Lane> {
        let mut pool = self.pool.lock();
        // One clone is the pool's own.
        let is_short = Arc::strong_count(&pool.open) <= LANES;
        if is_short && !pool.is_opening && pool.not_before <= Instant::now() {
            pool.is_opening = true;
            tokio::spawn(self.clone().open_another());
        }
        pool.rest.pop_front()
    }

    async fn open_another(self) {
        let open = Arc::clone(&self.pool.lock().open);
        let context = Context::of(TraceParent::not_sampled(), OPENING);
        let opened = context.scope(Lane::open(self.queue, open)).await;
        let mut pool = self.pool.lock();
        pool.is_opening = false;
        if let Some(lane) = opened {
            pool.failures = 0;
            pool.rest.push_back(lane);
        } else {
            pool.failures = pool.failures.saturating_add(1);
            pool.not_before = Instant::now() + PAUSES.pause(pool.failures);
        }
    }
}

impl Lane {
    /// Opens a stream, and sees that it answers.
    async fn open(mut queue: QueueServiceClient<Channel>, open: Arc<()>) -> Option<Self> {
        let (batches, sent) = mpsc::channel(1);
        batches.try_send(PollTokensRequest::default()).ok()?;
        let answers = match queue.poll_tokens(ReceiverStream::new(sent)).await {
            Ok(opened) => opened.into_inner(),
            Err(status) => {
                tracing::debug!(code = ?status.code(), "no lane for polls could be opened");
                return None;
            }
        };
        let mut lane = Self { batches, answers, number: 0, _open: open };
        lane.answer().await.map(|_nothing| lane)
    }

    async fn ask(&mut self, tokens: Vec<String>) -> Option<BatchGetTokensResponse> {
        self.number += 1;
        // There is room, because the batch before was answered.
        self.batches.try_send(PollTokensRequest { number: self.number, tokens }).ok()?;
        self.answer().await
    }

    /// Ends the stream from this side, and waits until the other side has. Both ends remember for a while a
    /// stream that is reset instead, as dropping it does, and of those a connection bears few.
    async fn close(self) {
        let Self { batches, mut answers, .. } = self;
        drop(batches);
        let rest = async { while let Ok(Some(_late)) = answers.message().await {} };
        let _silent = timeout(CLOSING, rest).await;
    }

    /// The answer to the latest batch. `None`: the stream has ended, or is silent, or answers another one.
    async fn answer(&mut self) -> Option<BatchGetTokensResponse> {
        let next = timeout(PATIENCE, self.answers.message()).await;
        let PollTokensResponse { number, batch } = next.ok()?.ok()??;
        batch.filter(|_| number == self.number)
    }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
