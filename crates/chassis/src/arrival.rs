//! Requests of which a part has yet to come. What a client sends slowly, or never, must not keep out those
//! who have sent all: it is waited for beside them, in places of its own and not for long.

use std::{pin::pin, task::Poll, time::Duration};

use tokio::sync::Semaphore;

/// How long the rest of a request may take.
pub const WITHIN: Duration = Duration::from_secs(5);
/// How many may be waited for at once. One that has come already is not counted.
pub const PLACES: usize = 8_192;

/// Waits for what a client has yet to send, which most often is there already; else it takes one of the
/// places. `None` when there is none.
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
