//! The coalescer of polls: polls that are in flight at the same moment share one `BatchGetTokens`.
//!
//! ```text
//! poll ─┐                    ┌─ while a batch is in flight the next one collects ──┐
//! poll ─┼─▶ bounded channel ─┼─▶ batch of at most 1,000, each token once ─▶ queue  ├─▶ each caller's answer
//! poll ─┘                    └─ the batch is late: the next one leaves all the same ┘
//! ```
//! No timer is involved: a lone poll waits for nothing, and 11,000 polls a second become a few hundred calls.
//! A replica that hangs delays the polls of its own batch only: after [`PATIENCE`] the next batch leaves
//! beside it. Everything is bounded: the channel, the batch, the batches in flight, the time of a call.

use std::time::Duration;

use boxoffice_proto::{
    Fault, Reason,
    queue::{Token, queue_service_client::QueueServiceClient},
};
use chassis::{channel::Channel, context::Context};
use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::batch::{BATCH, Lookup, look_up};

/// Polls that may wait for a batch: two seconds' worth of the planned 11,000 a second. Further polls are told
/// to come back later.
const WAITING: usize = 20_000;
/// How often the runtime's other tasks get a turn before a batch leaves. It takes some microseconds and makes
/// batches larger by half.
const TURNS: usize = 3;
/// A batch takes a millisecond or two. The next one does not wait for a batch that takes longer than this.
const PATIENCE: Duration = Duration::from_millis(50);
/// Batches in flight at once, late ones included: enough that one hanging replica of two, which the channel
/// leaves out after three seconds, never delays the batches that the other one answers.
const IN_FLIGHT: usize = 64;
/// How long one batch may take: one attempt on a replica that hangs (3 s), and another one on the next.
const TIMEOUT: Duration = Duration::from_secs(5);

/// When to poll again for a token that the service could not look up.
const AGAIN: Duration = Duration::from_secs(1);

type Poll = (Uuid, oneshot::Sender<Result<Lookup, Fault>>);

/// Looks up tokens for many callers at once. Cheap to clone; the coalescer ends with the last clone.
#[derive(Clone)]
pub(crate) struct Polls {
    sender: mpsc::Sender<Poll>,
}

impl Polls {
    /// Starts the coalescer, in the runtime that this is called in.
    pub(crate) fn new(queue: QueueServiceClient<Channel>) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(coalesce(queue, receiver));
        Self { sender }
    }

    /// Looks up one token.
    ///
    /// # Errors
    /// TOKEN_NOT_FOUND; UNAVAILABLE when too many polls wait already; what the batch's call failed with.
    pub(crate) async fn get(&self, token: Uuid) -> Result<Token, Fault> {
        let (answer, answered) = oneshot::channel();
        self.sender.try_send((token, answer)).map_err(|_| {
            metrics::counter!("polls_shed_total").increment(1);
            Fault::new(Reason::Unavailable, "Too many are asking at this moment.")
                .retry_after(Duration::from_secs(2))
        })?;
        let refused = |reason: Reason| Fault::new(reason, reason.title());
        match answered.await.unwrap_or_else(|_| Err(refused(Reason::Unavailable)))? {
            Lookup::Found(token) => Ok(token),
            Lookup::Unknown => Err(refused(Reason::TokenNotFound)),
            Lookup::Unavailable => Err(refused(Reason::Unavailable).retry_after(AGAIN)),
        }
    }
}

/// Takes the polls that wait, looks them up in one call and answers them, until the last sender is gone.
async fn coalesce(queue: QueueServiceClient<Channel>, mut receiver: mpsc::Receiver<Poll>) {
    let size = metrics::histogram!("polls_batch_size");
    let mut in_flight = FuturesUnordered::new();
    let (mut newest, mut sent) = (0_u64, None::<Instant>);
    let mut polls = Vec::with_capacity(BATCH);
    loop {
        let may_leave = sent.is_none() && in_flight.len() < IN_FLIGHT;
        tokio::select! {
            count = receiver.recv_many(&mut polls, BATCH), if may_leave => {
                if count == 0 {
                    break;
                }
                // The first poll has only woken this task. Polls of other tasks that are ready to run now
                // join the batch, and as long as some do, there may be more.
                for _ in 0..TURNS {
                    let before = polls.len();
                    tokio::task::yield_now().await;
                    while polls.len() < BATCH && let Ok(poll) = receiver.try_recv() {
                        polls.push(poll);
                    }
                    if polls.len() == before || polls.len() == BATCH {
                        break;
                    }
                }
                // A poll whose caller has gone is dropped.
                polls.retain(|(_, caller)| !caller.is_closed());
                if polls.is_empty() {
                    continue;
                }
                size.record(f64::from(u32::try_from(polls.len()).unwrap_or(u32::MAX)));
                newest += 1;
                sent = Some(Instant::now());
                let (number, batch) = (newest, std::mem::take(&mut polls));
                let queue = &queue;
                in_flight.push(async move {
                    Context::fresh(TIMEOUT).scope(answer(queue, batch)).await;
                    number
                });
            }
            Some(number) = in_flight.next(), if !in_flight.is_empty() => {
                if number == newest {
                    sent = None;
                }
            }
            // The newest batch is late.
            () = sleep_until(sent.unwrap_or_else(Instant::now) + PATIENCE), if sent.is_some() => sent = None,
        }
    }
    while in_flight.next().await.is_some() {}
}

/// Looks each token up once, and answers every poll that asked for it.
async fn answer(queue: &QueueServiceClient<Channel>, mut polls: Vec<Poll>) {
    polls.sort_unstable_by_key(|(token, _)| *token);
    let mut ids: Vec<Uuid> = polls.iter().map(|(token, _)| *token).collect();
    ids.dedup();
    let found = look_up(queue, &ids).await;
    let mut polls = polls.into_iter().peekable();
    match found {
        Ok(found) => {
            for (id, answer) in ids.iter().zip(found) {
                while let Some((_, caller)) = polls.next_if(|(asked, _)| asked == id) {
                    if polls.peek().is_none_or(|(asked, _)| asked != id) {
                        // The last poll for a token, which is mostly the only one, gets it without a copy.
                        drop(caller.send(Ok(answer)));
                        break;
                    }
                    drop(caller.send(Ok(answer.clone())));
                }
            }
        }
        Err(fault) => polls.for_each(|(_, caller)| drop(caller.send(Err(fault.clone())))),
    }
}
