//! The coalescer of polls: calls that are in flight share one `BatchGetTokens`.
//!
//! It drains without a timer: while one batch is on its way the next collects, so a lone poll waits for nothing and eleven
//! thousand a second become a few hundred calls. Everything is bounded: the queue before it, the batch, the call.

use std::{collections::HashMap, sync::Arc, time::Duration};

use boxoffice_proto::{
    Fault, Reason,
    queue::{BatchGetTokensRequest, Token},
};
use chassis::context::Context;
use tokio::sync::{Mutex, mpsc, oneshot};
use uuid::Uuid;

use super::gate::hollow;
use crate::clients::{Clients, call};

/// The most that one `BatchGetTokens` takes.
const BATCH: usize = 1_000;
/// Batches on their way at once: the second one hides the latency of the first; more would only make them smaller.
const LANES: usize = 2;
/// Polls that may wait for a place in a batch: two seconds' worth of the planned 11,000 a second. Beyond it: come back later.
const WAITING: usize = 20_000;
/// How long one batch may take. A poll is asked again anyway.
const TIMEOUT: Duration = Duration::from_secs(2);

type Answer = Result<Token, Fault>;
type Poll = (Uuid, oneshot::Sender<Answer>);

/// Reads tokens for many callers at once. Cheap to clone; the lanes end with the last clone.
#[derive(Clone)]
pub(crate) struct Polls {
    sender: mpsc::Sender<Poll>,
}

impl Polls {
    /// Starts the lanes.
    pub(crate) fn new(clients: Clients) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..LANES {
            tokio::spawn(lane(clients.clone(), Arc::clone(&receiver)));
        }
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
            Fault::new(Reason::Unavailable, "Too many are asking at this moment.").retry_after(Duration::from_secs(2))
        })?;
        answered.await.unwrap_or_else(|_| Err(Fault::new(Reason::Unavailable, Reason::Unavailable.title())))
    }
}

/// Takes what waits, asks for it in one call, answers; until nobody can ask any more.
async fn lane(clients: Clients, receiver: Arc<Mutex<mpsc::Receiver<Poll>>>) {
    loop {
        let mut batch = Vec::new();
        // The other lane waits here while this one waits for the first poll; both then have their call on the way.
        if receiver.lock().await.recv_many(&mut batch, BATCH).await == 0 {
            return;
        }
        let mut asking: HashMap<Uuid, Vec<oneshot::Sender<Answer>>> = HashMap::with_capacity(batch.len());
        for (token, caller) in batch {
            if !caller.is_closed() {
                asking.entry(token).or_default().push(caller);
            }
        }
        if !asking.is_empty() {
            metrics::histogram!("polls_batch_size").record(f64::from(u32::try_from(asking.len()).unwrap_or(u32::MAX)));
            Context::fresh(TIMEOUT).scope(answer(&clients, asking)).await;
        }
    }
}

async fn answer(clients: &Clients, mut asking: HashMap<Uuid, Vec<oneshot::Sender<Answer>>>) {
    let ask = BatchGetTokensRequest { tokens: asking.keys().map(Uuid::to_string).collect() };
    let batch = call(|| {
        let (mut queue, ask) = (clients.queue.clone(), ask.clone());
        async move { queue.batch_get_tokens(ask).await }
    });
    match batch.await {
        Ok(found) => {
            for token in found.tokens {
                let callers = Uuid::try_parse(&token.token).ok().and_then(|id| asking.remove(&id));
                tell(callers.unwrap_or_default(), Ok(token));
            }
            for unknown in found.not_found {
                let callers = Uuid::try_parse(&unknown).ok().and_then(|id| asking.remove(&id));
                tell(callers.unwrap_or_default(), Err(Fault::new(Reason::TokenNotFound, Reason::TokenNotFound.title())));
            }
            for callers in asking.into_values() {
                tell(callers, Err(hollow("BatchGetTokens")));
            }
        }
        Err(fault) => {
            for callers in asking.into_values() {
                tell(callers, Err(fault.clone()));
            }
        }
    }
}

/// One answer to everyone who asked for it; who has gone away is passed over.
fn tell(mut callers: Vec<oneshot::Sender<Answer>>, answer: Answer) {
    if let Some(last) = callers.pop() {
        for caller in callers {
            drop(caller.send(answer.clone()));
        }
        drop(last.send(answer));
    }
}
