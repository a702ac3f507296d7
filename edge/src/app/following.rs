//! One stream that follows a token: it yields the news of its slot, and gives up its places when it is
//! dropped.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::Stream;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    audience::Attendance,
    news::{News, Slot},
};

/// A stream's end of the following: yields news up to the end, which is news as well. Dropping it ends the
/// following.
#[derive(Debug)]
pub(crate) struct Following {
    slot: Arc<Slot>,
    over: bool,
    /// One of the streams that may be open on this edge.
    _place: OwnedSemaphorePermit,
    /// One of the streams that may be open on this token; none when the token has ended.
    _seat: Option<Attendance>,
}

impl Following {
    pub(super) fn new(slot: Arc<Slot>, place: OwnedSemaphorePermit, seat: Option<Attendance>) -> Self {
        metrics::gauge!("streams_open").increment(1.0);
        Self { slot, over: false, _place: place, _seat: seat }
    }
}

impl Stream for Following {
    type Item = News;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<News>> {
        if self.over {
            return Poll::Ready(None);
        }
        let news = ready!(self.slot.take(cx));
        self.over = matches!(news, News::End(_));
        Poll::Ready(Some(news))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.slot.abandon();
        metrics::gauge!("streams_open").decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use boxoffice_proto::queue::Token;
    use futures::{FutureExt, StreamExt};
    use tokio::sync::Semaphore;

    use super::{
        super::{news::StreamEnd, notices::SeenPlace},
        *,
    };

    fn pair() -> (Arc<Slot>, Following) {
        let slot = Arc::<Slot>::default();
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        (Arc::clone(&slot), Following::new(slot, place, None))
    }

    fn at(position: i64) -> Box<SeenPlace> {
        Box::new(Token { position, ..Token::default() }.into())
    }

    #[tokio::test]
    async fn a_slow_reader_gets_the_latest_and_then_the_end() {
        let (slot, mut following) = pair();
        for position in (1..=1_000).rev() {
            slot.tell(at(position));
            slot.beat();
        }
        slot.end(StreamEnd::Final);
        assert_eq!(following.next().await, Some(News::Place(at(1))));
        assert_eq!(following.next().await, Some(News::End(StreamEnd::Final)));
        assert_eq!(following.next().await, None);
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken() {
        let (slot, mut following) = pair();
        assert!(following.next().now_or_never().is_none());
        let reader = tokio::spawn(async move { (following.next().await, following.next().await) });
        tokio::task::yield_now().await;
        slot.beat();
        tokio::task::yield_now().await;
        slot.tell(at(7));
        assert_eq!(reader.await.unwrap(), (Some(News::Heartbeat), Some(News::Place(at(7)))));
    }

    #[tokio::test]
    async fn a_reader_that_has_gone_is_known() {
        let (slot, following) = pair();
        assert!(!slot.is_abandoned());
        drop(following);
        assert!(slot.is_abandoned());
    }
}
