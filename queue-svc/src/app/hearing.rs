//! Which users were heard of, from their polls, streams and calls, and how that gets into the tokens' rows.
//!
//! It costs a poll one comparison to be noticed. Only when a token's row says too little
//! ([`QueueState::hear`]) the token becomes [`News`] for the writer, which writes up to a thousand of them
//! with its next batch. So the row of a waiting token is written once in a quarter of the grace, and that of
//! an admitted one once. Like everything else about a token, it is then durable and known to all replicas.
//!
//! No token expires for a silence during which this replica itself may have heard nothing. A replica counts
//! silence from when it began to listen. When no user at all was heard of for a minute (the network was cut,
//! the machine was suspended, the edge was down), it begins anew.
//!
//! [`QueueState::hear`]: crate::domain::QueueState::hear

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

use crate::domain::SECOND;

/// After how long without any request this replica assumes that requests could not reach it, in microseconds.
const DEAF: i64 = 60 * SECOND;
/// How long news waits for more news to be written with. It is a quarter of the time that a decision about an
/// admitted user who does not show up waits for it.
const WAIT: Duration = Duration::from_millis(100);
/// The most tokens that one batch notes as heard of.
const MOST: usize = 1_000;

/// When this replica was last reached by any user, and since when users can reach it.
#[derive(Debug)]
pub(super) struct Ears {
    since: AtomicI64,
    last: AtomicI64,
}

impl Ears {
    pub(super) const fn new(now: i64) -> Self {
        Self { since: AtomicI64::new(now), last: AtomicI64::new(now) }
    }

    /// Notes that a user was heard of.
    pub(super) fn hear(&self, now: i64) {
        let last = self.last.load(Ordering::Relaxed);
        if now - last > DEAF {
            self.since.store(now, Ordering::Relaxed);
        }
        // Writing ten times a second is enough, and leaves this cache line to the readers in between.
        if now - last > SECOND / 10 {
            self.last.store(now, Ordering::Relaxed);
        }
    }

    /// Since when this replica has heard of every user who sent a request.
    pub(super) fn listening_since(&self, now: i64) -> i64 {
        if now - self.last.load(Ordering::Relaxed) > DEAF { now } else { self.since.load(Ordering::Relaxed) }
    }
}

/// The tokens that were heard of while their rows do not say so yet, each at most once.
#[derive(Debug, Default)]
pub(super) struct News {
    waiting: Mutex<(VecDeque<Uuid>, Option<Instant>)>,
    came: Notify,
}

impl News {
    pub(super) fn add(&self, tokens: impl IntoIterator<Item = Uuid>) {
        let mut waiting = self.waiting.lock();
        waiting.0.extend(tokens);
        if waiting.1.is_none() && !waiting.0.is_empty() {
            waiting.1 = Some(Instant::now() + WAIT);
            self.came.notify_one();
        }
    }

    /// Resolves once a token was added while none waited.
    pub(super) async fn came(&self) {
        self.came.notified().await;
    }

    /// When the waiting tokens are to be written, if any wait.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.lock().1
    }

    /// Takes as many tokens as go into a batch, the oldest first.
    pub(super) fn take(&self) -> Vec<Uuid> {
        let mut waiting = self.waiting.lock();
        let count = waiting.0.len().min(MOST);
        let taken = waiting.0.drain(..count).collect();
        if waiting.0.is_empty() {
            *waiting = Default::default();
        }
        taken
    }

    /// Calls a function with all tokens that wait.
    pub(super) fn look<T>(&self, look: impl FnOnce(&VecDeque<Uuid>) -> T) -> T {
        look(&self.waiting.lock().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_heard_nobody_for_a_minute_begins_to_listen_anew() {
        let ears = Ears::new(0);
        ears.hear(50 * SECOND);
        assert_eq!(ears.listening_since(110 * SECOND), 0);
        assert_eq!(ears.listening_since(111 * SECOND), 111 * SECOND, "deaf, as far as one can tell");
        ears.hear(500 * SECOND);
        assert_eq!(ears.listening_since(530 * SECOND), 500 * SECOND);
    }

    #[tokio::test]
    async fn news_goes_in_batches_of_a_thousand() {
        let news = News::default();
        assert!(news.due().is_none());
        news.add((0..2_500).map(Uuid::from_u128));
        chassis::testing::patience::timeout(Duration::from_secs(1), news.came()).await.expect("it came");
        assert_eq!(
            news.take(),
            (0..1_000).map(Uuid::from_u128).collect::<Vec<_>>(),
            "who spoke first is written down first"
        );
        assert_eq!(news.take().len(), 1_000);
        assert!(news.due().is_some(), "the rest still waits");
        assert_eq!((news.take().len(), news.due()), (500, None));
    }
}
