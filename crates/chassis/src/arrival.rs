//! Requests that have not arrived whole. A client that sends slowly, or never finishes, must not keep out
//! clients that have sent everything: the rest of a request is waited for in separate places, of which there
//! is a bounded number, and for a bounded time.

use std::{pin::pin, task::Poll, time::Duration};

use tokio::sync::Semaphore;

/// How long the rest of a request may take.
pub const WITHIN: Duration = Duration::from_secs(5);
/// How many requests may be waited for at the same time. One that is already here needs no place.
pub const PLACES: usize = 8_192;

/// Waits for the rest of a request. Most often it is already here; otherwise the wait takes one of the
/// places, and the answer is `None` when none is free.
pub async fn arrived<T>(places: &Semaphore, sending: impl Future<Output = T>) -> Option<T> {
    let mut sending = pin!(sending);
    if let Poll::Ready(there) = futures::poll!(sending.as_mut()) {
        return Some(there);
    }
    let _place = places.try_acquire().ok()?;
    Some(sending.await)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn what_is_there_needs_no_place_and_what_is_not_waits_for_none() {
        let places = Semaphore::new(1);
        let mut waits = Box::pin(arrived(&places, pending::<()>()));
        assert!(waits.as_mut().now_or_never().is_none());
        assert_eq!(arrived(&places, pending::<()>()).now_or_never(), Some(None));
        assert_eq!(arrived(&places, ready(7)).now_or_never(), Some(Some(7)));
        drop(waits);
        assert_eq!(places.available_permits(), 1);
    }
}
