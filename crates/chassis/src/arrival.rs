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
pub struct Arrivals {
    most: usize,
    unarrived: Mutex<Unarrived>,
}

#[derive(Debug, Default)]
struct Unarrived {
    /// The requests that are waited for, the oldest first. One whose sender is dropped is waited for no more.
    by_age: BTreeMap<u64, oneshot::Sender<Infallible>>,
    /// The number of the newest one.
    last: u64,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self::new(PLACES)
    }
}

impl Arrivals {
    fn new(most: usize) -> Self {
        Self { most, unarrived: Mutex::default() }
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

    fn enter(&self) -> (Arriving<'_>, oneshot::Receiver<Infallible>) {
        let (sender, displaced) = oneshot::channel();
        let mut unarrived = self.unarrived.lock();
        let oldest = if unarrived.by_age.len() < self.most { None } else { unarrived.by_age.pop_first() };
        unarrived.last += 1;
        let number = unarrived.last;
        unarrived.by_age.insert(number, sender);
        // It wakes whom it displaces.
        drop(unarrived);
        drop(oldest);
        (Arriving { arrivals: self, number }, displaced)
    }
}

/// A place, until it is dropped.
struct Arriving<'a> {
    arrivals: &'a Arrivals,
    number: u64,
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        self.arrivals.unarrived.lock().by_age.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn what_is_there_needs_no_place_and_who_comes_displaces_the_oldest() {
        let places = Arrivals::new(2);
        let wait = || Box::pin(places.arrived(pending::<()>()));
        let mut waits = [wait(), wait(), wait()];
        let mut look = || waits.each_mut().map(|wait| wait.as_mut().now_or_never());
        assert_eq!(look(), [None, None, None]);
        assert_eq!(places.arrived(ready(7)).now_or_never(), Some(Some(7)));
        assert_eq!(places.unarrived.lock().by_age.len(), 2);
        assert_eq!(waits[0].as_mut().now_or_never(), Some(None), "the first one was displaced");
        drop(waits);
        assert!(places.unarrived.lock().by_age.is_empty(), "who leaves makes room");
    }
}
