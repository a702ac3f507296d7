//! The coalescer of polls: calls that are in flight share one `BatchGetTokens`.
//!
//! ```text
//! poll ─┐                    ┌─ while a batch is on its way the next one collects ─┐
//! poll ─┼─▶ bounded channel ─┼─▶ batch of at most 1,000, each token once ─▶ queue  ├─▶ each caller's answer
//! poll ─┘                    └─ the batch is late: the next one leaves all the same ┘
//! ```
//! It drains without a timer: a lone poll waits for nothing, and eleven thousand a second become a few
//! hundred calls. A replica that hangs holds up the polls of its own batch only: after [`PATIENCE`] the next
//! batch leaves beside it. Everything is bounded: the channel, the batch, the batches on their way, the call.

use std::time::Duration;

use boxoffice_proto::{Fault, Reason, queue::queue_service_client::QueueServiceClient};
use chassis::{channel::Channel, context::Context};
use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::batch::{self, Answer, BATCH};

/// Polls that may wait for a place in a batch: two seconds' worth of the planned 11,000 a second. Beyond it:
/// come back later.
const WAITING: usize = 20_000;
/// How often the others who are ready get a turn before a batch leaves: some microseconds, which make it half
/// as large again.
const TURNS: usize = 3;
/// A batch takes a millisecond or two. One that takes longer than this is late, and the next does not wait
/// for it.
const PATIENCE: Duration = Duration::from_millis(50);
/// Batches on their way at once, late ones included: enough that one hanging replica of two, which is left
/// out after three seconds, never holds up the batches that the other one answers.
const ON_THE_WAY: usize = 64;
/// How long one batch may take: one attempt on a replica that hangs (3 s), and another one elsewhere.
const TIMEOUT: Duration = Duration::from_secs(5);

type Poll = (Uuid, oneshot::Sender<Answer>);

/// Reads tokens for many callers at once. Cheap to clone; the coalescer ends with the last clone.
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

    /// Reads one token.
    ///
    /// # Errors
    /// TOKEN_NOT_FOUND; UNAVAILABLE when too many polls wait already; what the batch failed with.
    pub(crate) async fn get(&self, token: Uuid) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.sender.try_send((token, answer)).map_err(|_| {
            metrics::counter!("polls_shed_total").increment(1);
            Fault::new(Reason::Unavailable, "Too many are asking at this moment.")
                .retry_after(Duration::from_secs(2))
        })?;
        answered.await.unwrap_or_else(|_| Err(Fault::new(Reason::Unavailable, Reason::Unavailable.title())))
    }
}

/// Takes what waits, asks for it in one call, answers; until nobody can ask any more.
async fn coalesce(queue: QueueServiceClient<Channel>, mut receiver: mpsc::Receiver<Poll>) {
    let size = metrics::histogram!("polls_batch_size");
    let mut on_the_way = FuturesUnordered::new();
    let (mut newest, mut sent) = (0_u64, None::<Instant>);
    let mut polls = Vec::with_capacity(BATCH);
    loop {
        let may_leave = sent.is_none() && on_the_way.len() < ON_THE_WAY;
        tokio::select! {
            count = receiver.recv_many(&mut polls, BATCH), if may_leave => {
                if count == 0 {
                    break;
                }
                // Whoever else is ready to ask at this very moment comes along: the first one only woke us.
                // As long as there are some, there may be more.
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
                // Whoever has gone away is not asked for.
                polls.retain(|(_, caller)| !caller.is_closed());
                if polls.is_empty() {
                    continue;
                }
                size.record(f64::from(u32::try_from(polls.len()).unwrap_or(u32::MAX)));
                newest += 1;
                sent = Some(Instant::now());
                let (number, batch) = (newest, std::mem::take(&mut polls));
                let queue = &queue;
                on_the_way.push(async move {
                    Context::fresh(TIMEOUT).scope(answer(queue, batch)).await;
                    number
                });
            }
            Some(number) = on_the_way.next(), if !on_the_way.is_empty() => {
                if number == newest {
                    sent = None;
                }
            }
            // The newest is late.
            () = sleep_until(sent.unwrap_or_else(Instant::now) + PATIENCE), if sent.is_some() => sent = None,
        }
    }
    while on_the_way.next().await.is_some() {}
}

/// Asks for each token once, and tells everyone who waits for it.
async fn answer(queue: &QueueServiceClient<Channel>, mut polls: Vec<Poll>) {
    polls.sort_unstable_by_key(|(token, _)| *token);
    let mut ids: Vec<Uuid> = polls.iter().map(|(token, _)| *token).collect();
    ids.dedup();
    let found = batch::read(queue, &ids).await;
    let mut polls = polls.into_iter().peekable();
    match found {
        Ok(found) => {
            for (id, answer) in ids.iter().zip(found) {
                while let Some((_, caller)) = polls.next_if(|(asked, _)| asked == id) {
                    if polls.peek().is_none_or(|(asked, _)| asked != id) {
                        // The last one, and mostly the only one, gets it without a copy. Who has gone away is
                        // passed over.
                        drop(caller.send(answer));
                        break;
                    }
                    drop(caller.send(answer.clone()));
                }
            }
        }
        Err(fault) => polls.for_each(|(_, caller)| drop(caller.send(Err(fault.clone())))),
    }
}
