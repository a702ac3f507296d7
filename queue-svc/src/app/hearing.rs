//! Who is still there: what polls, streams and calls tell about people, and how it comes to be written down.
//!
//! A hearing costs a poll a comparison. Only where a token's row is too old to speak for it
//! ([`QueueState::hear`]) it becomes [`News`] for the writer, which takes a thousand at a time along with the
//! next batch: a waiter's row is written once in a quarter of the grace, an admitted one's once. So what is
//! remembered is as durable and as common to all replicas as everything else about a token.
//!
//! Nobody is given up for a silence that may have been ours: a replica counts from when it began to listen,
//! and one that heard nobody at all for a minute (its network was away, the machine slept, the edge was down)
//! begins anew.
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

/// Who hears nobody for so long may be deaf.
const DEAF: i64 = 60 * SECOND;
/// News waits so long for company: a quarter of what a decision about somebody who does not show up waits for
/// it.
const WAIT: Duration = Duration::from_millis(100);
/// And goes into one batch with so many others at most.
const MOST: usize = 1_000;

/// When this replica heard anybody.
#[derive(Debug)]
pub(super) struct Ears {
    since: AtomicI64,
    last: AtomicI64,
}

impl Ears {
    pub(super) const fn new(now: i64) -> Self {
        Self { since: AtomicI64::new(now), last: AtomicI64::new(now) }
    }

    /// Somebody was heard.
    pub(super) fn hear(&self, now: i64) {
        let last = self.last.load(Ordering::Relaxed);
        if now - last > DEAF {
            self.since.store(now, Ordering::Relaxed);
        }
        // Once in a while is enough, and leaves this cache line to all readers.
        if now - last > SECOND / 10 {
            self.last.store(now, Ordering::Relaxed);
        }
    }

    /// Since when whoever spoke was heard.
    pub(super) fn listening_since(&self, now: i64) -> i64 {
        if now - self.last.load(Ordering::Relaxed) > DEAF { now } else { self.since.load(Ordering::Relaxed) }
    }
}

/// Tokens that were heard of and whose rows do not say so yet: each at most once.
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

    /// Comes true after something was added to nothing.
    pub(super) async fn came(&self) {
        self.came.notified().await;
    }

    /// When what waits wants to be taken.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.lock().1
    }

    /// As many as go into a batch, the oldest first.
    pub(super) fn take(&self) -> Vec<Uuid> {
        let mut waiting = self.waiting.lock();
        let count = waiting.0.len().min(MOST);
        let taken = waiting.0.drain(..count).collect();
        if waiting.0.is_empty() {
            *waiting = Default::default();
        }
        taken
    }

    /// Looks at all that wait.
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
