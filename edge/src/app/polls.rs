//! The coalescer of polls: polls that are in flight at the same moment share one batch, in which each token
//! stands once ([`Collector`]). 11,000 polls a second become a few hundred batches.
//!
//! A replica that hangs delays the polls of its own batch only. Everything is bounded: the polls that wait,
//! the batch, the batches in flight, the time of a call.

use std::time::Duration;

use boxoffice_proto::{Fault, Reason};
use chassis::{
    background::Vital,
    collector::Collector,
    context::{Context, TraceParent},
    trace::Span,
};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{
    batch::{BATCH, Lookup, Places},
    notices::SeenPlace,
};

/// Polls that may wait for a batch: two seconds' worth of the planned 11,000 a second. Further polls are told
/// to come back later.
const WAITING: usize = 20_000;
/// Batches in flight at once, late ones included: enough that one hanging replica of two, which the channel
/// leaves out after three seconds, never delays the batches that the other one answers.
const COLLECTOR: Collector = Collector { most: BATCH, lanes: 64 };
/// How long one batch may take: on a lane to a replica that hangs (1 s), one attempt on another that does
/// (3 s), and another one on the next.
const TIMEOUT: Duration = Duration::from_secs(6);

/// When to poll again for a token that the service could not look up.
const AGAIN: Duration = Duration::from_secs(1);

/// A token, the trace of who asks for it, and the way to them.
type Poll = ((Uuid, Option<TraceParent>), oneshot::Sender<Result<Lookup, Fault>>);

/// Looks up tokens for many callers at once. Cheap to clone; the coalescer ends with the last clone.
#[derive(Clone)]
pub(crate) struct Polls {
    sender: mpsc::Sender<Poll>,
}

impl Polls {
    /// Starts the coalescer, in the runtime that this is called in.
    pub(crate) fn new(places: Places, vital: Vital) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let size = metrics::histogram!("polls_batch_size");
        let coalescing = COLLECTOR.run(receiver, move |polls: Vec<Poll>| {
            size.record(f64::from(u32::try_from(polls.len()).unwrap_or(u32::MAX)));
            let traces = polls.iter().filter_map(|((_, trace), _)| trace.clone());
            let (trace, span) = Span::shared(traces, || "polls".into());
            let answering = answer(places.clone(), polls, span);
            Context::of(trace, TIMEOUT).scope(answering)
        });
        tokio::spawn(vital.guard("the coalescing of polls", coalescing));
        Self { sender }
    }

    /// Looks up one token.
    ///
    /// # Errors
    /// TOKEN_NOT_FOUND; UNAVAILABLE when too many polls wait already; what the batch's call failed with.
    pub(crate) async fn get(&self, token: Uuid) -> Result<SeenPlace, Fault> {
        let (answer, answered) = oneshot::channel();
        let trace = Context::current().map(|context| context.trace).filter(TraceParent::is_sampled);
        self.sender.try_send(((token, trace), answer)).map_err(|_| {
            metrics::counter!("polls_shed_total").increment(1);
            Fault::new(Reason::Unavailable, "Too many are asking at this moment.")
                .retry_after(Duration::from_secs(2))
        })?;
        let refused = |reason: Reason| Fault::new(reason, reason.title());
        match answered.await.unwrap_or_else(|_| Err(refused(Reason::Unavailable)))? {
            Lookup::Found(place) => Ok(place),
            Lookup::Unknown => Err(refused(Reason::TokenNotFound)),
            Lookup::Unavailable => Err(refused(Reason::Unavailable).retry_after(AGAIN)),
        }
    }
}

/// Looks each token up once, and answers every poll that asked for it.
async fn answer(places: Places, mut polls: Vec<Poll>, _told_until_answered: Span) {
    polls.sort_unstable_by_key(|((token, _), _)| *token);
    let mut ids: Vec<Uuid> = polls.iter().map(|((token, _), _)| *token).collect();
    ids.dedup();
    let found = places.look_up(&ids).await;
    let mut polls = polls.into_iter().peekable();
    match found {
        Ok(found) => {
            for (id, answer) in ids.iter().zip(found) {
                while let Some((_, caller)) = polls.next_if(|((asked, _), _)| asked == id) {
                    if polls.peek().is_none_or(|((asked, _), _)| asked != id) {
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
