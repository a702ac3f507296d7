//! Requests that have not arrived whole. A client that sends slowly, or never finishes, must not keep out
//! clients that send everything: the rest of a request is waited for in separate places, of which there is a
//! bounded number, and for a bounded time. Who comes when all are taken displaces the one that has been
//! waited for longest, because a real client sends the rest at once: whoever fills the places, from however
//! many connections, displaces above all himself.

use std::{collections::BTreeMap, convert::Infallible, pin::pin, task::Poll, time::Duration};

use parking_lot::Mutex;
use tokio::{select, sync::oneshot};

/// How long the rest of a request may take.
pub const WITHIN: Duration = Duration::from_secs(5);
/// How many requests are waited for at the same time. One that is already here needs no place.
const PLACES: usize = 8_192;

/// The places in which the rest of requests is waited for.
#[derive(Debug)]
pub struct Places {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// The requests that are waited for, the oldest first. One whose sender is dropped is waited for no more.
    by_age: BTreeMap<u64, oneshot::Sender<Infallible>>,
    /// The number of the newest one.
    last: u64,
}

impl Default for Places {
    fn default() -> Self {
        Self::new(PLACES)
    }
}

impl Places {
    fn new(most: usize) -> Self {
        Self { most, taken: Mutex::default() }
    }

    /// Waits for the rest of a request. Most often it is already here; otherwise the wait takes one of the
    /// places, and the answer is `None` when others came who needed it.
    pub async fn arrived<T>(&self, sending: impl Future<Output = T>) -> Option<T> {
        let mut sending = pin!(sending);
        if let Poll::Ready(there) = futures::poll!(sending.as_mut()) {
            return Some(there);
        }
        let (_place, displaced) = self.enter();
        select! {
            biased;
            there = sending => Some(there),
            _nothing_is_sent = displaced => None,
        }
    }

    fn enter(&self) -> (Place<'_>, oneshot::Receiver<Infallible>) {
        let (sender, displaced) = oneshot::channel();
        let mut taken = self.taken.lock();
        let oldest = if taken.by_age.len() < self.most { None } else { taken.by_age.pop_first() };
        taken.last += 1;
        let number = taken.last;
        taken.by_age.insert(number, sender);
        // It wakes whom it displaces.
        drop(taken);
        drop(oldest);
        (Place { places: self, number }, displaced)
    }
}

/// A place, until it is dropped.
struct Place<'a> {
    places: &'a Places,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.places.taken.lock().by_age.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn what_is_there_needs_no_place_and_who_comes_displaces_the_oldest() {
        let places = Places::new(2);
        let wait = || Box::pin(places.arrived(pending::<()>()));
        let mut waits = [wait(), wait(), wait()];
        let mut look = || waits.each_mut().map(|wait| wait.as_mut().now_or_never());
        assert_eq!(look(), [None, None, None]);
        assert_eq!(places.arrived(ready(7)).now_or_never(), Some(Some(7)));
        assert_eq!(places.taken.lock().by_age.len(), 2);
        assert_eq!(waits[0].as_mut().now_or_never(), Some(None), "the first one was displaced");
        drop(waits);
        assert!(places.taken.lock().by_age.is_empty(), "who leaves makes room");
    }
}
