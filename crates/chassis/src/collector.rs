//! Collects what many callers ask for at the same moment into batches, which share one call or one
//! transaction.
//!
//! ```text
//! request ─┐                    ┌─ while a batch runs the next one collects ─┐
//! request ─┼─▶ bounded channel ─┼─▶ a bounded batch ─▶ one call for all ─────┼─▶ each caller's answer
//! request ─┘                    └─ it is late: the next one starts beside it ┘
//! ```
//! There is no timer that a request waits for: a lone request is a batch at once, and batches grow with the
//! load. A batch that is late (a replica hangs, a lock is kept, a disk stalls) does not hold up the next one.

use std::{future::Future, pin::pin, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// How often other tasks that are ready run before a batch starts, so that their requests join it. Each time
/// takes some microseconds.
const TURNS: usize = 3;
/// A batch takes a millisecond or two. The next one does not wait for a batch that takes longer than this.
const LATE: Duration = Duration::from_millis(50);

/// The bounds of batches.
#[derive(Clone, Copy, Debug)]
pub struct Collector {
    /// The most requests in one batch.
    pub most: usize,
    /// The most batches that run at the same time, late ones included.
    pub lanes: usize,
}

impl Collector {
    /// Takes requests, each with the way to its caller, and has them done in batches until the last sender is
    /// gone. A request whose caller has gone is dropped: under overload its work would help nobody.
    pub async fn run<A, B, W: Future<Output = ()>>(
        self,
        mut inbox: mpsc::Receiver<(A, oneshot::Sender<B>)>,
        work: impl Fn(Vec<(A, oneshot::Sender<B>)>) -> W,
    ) {
        let mut late = FuturesUnordered::new();
        loop {
            if late.len() == self.lanes {
                late.next().await;
            }
            let mut batch = Vec::new();
            if beside(&mut late, inbox.recv_many(&mut batch, self.most)).await == 0 {
                break;
            }
            // The first request has only woken this task. Those that other tasks are about to make join the
            // batch, for as long as each turn brings some.
            for _ in 0..TURNS {
                let before = batch.len();
                tokio::task::yield_now().await;
                while batch.len() < self.most
                    && let Ok(request) = inbox.try_recv()
                {
                    batch.push(request);
                }
                if batch.len() == before || batch.len() == self.most {
                    break;
                }
            }
            batch.retain(|(_, caller)| !caller.is_closed());
            if batch.is_empty() {
                continue;
            }
            let mut newest = Box::pin(work(batch));
            if beside(&mut late, timeout(LATE, &mut newest)).await.is_err() {
                late.push(newest);
            }
        }
        while late.next().await.is_some() {}
    }
}

/// Waits for a future while the batches that are late go on.
async fn beside<T>(
    late: &mut FuturesUnordered<impl Future<Output = ()>>,
    awaited: impl Future<Output = T>,
) -> T {
    let mut awaited = pin!(awaited);
    loop {
        tokio::select! {
            done = &mut awaited => return done,
            Some(()) = late.next(), if !late.is_empty() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::Arc;

    use futures::FutureExt;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn late_batches_take_their_lanes_and_no_other() {
        let (sender, inbox) = mpsc::channel(8);
        let gate = Arc::new(Notify::new());
        let closed = Arc::clone(&gate);
        let collecting = tokio::spawn(Collector { most: 2, lanes: 2 }.run(inbox, move |batch| {
            let gate = Arc::clone(&closed);
            async move {
                if batch.iter().any(|(is_late, _)| *is_late) {
                    gate.notified().await;
                }
                let size = batch.len();
                for (_, caller) in batch {
                    let _gone = caller.send(size);
                }
            }
        }));
        let ask = |is_late: bool| {
            let ((caller, answer), sender) = (oneshot::channel(), sender.clone());
            async move {
                sender.send((is_late, caller)).await.unwrap();
                answer.await.unwrap()
            }
        };
        let first = tokio::spawn(ask(true));
        tokio::time::sleep(2 * LATE).await;
        assert_eq!(futures::join!(ask(false), ask(false), ask(false)), (2, 2, 1), "beside the late one");
        let second = tokio::spawn(ask(true));
        tokio::time::sleep(2 * LATE).await;
        let waits = tokio::spawn(ask(false));
        tokio::time::sleep(2 * LATE).await;
        assert!(!waits.is_finished(), "both lanes are taken");
        gate.notify_one();
        assert_eq!(waits.await.unwrap(), 1);
        gate.notify_one();
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (1, 1));
        // Nobody waits for this answer any more, so it is no batch.
        assert!(ask(true).now_or_never().is_none());
        drop(sender);
        collecting.await.unwrap();
    }
}
