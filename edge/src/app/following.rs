//! What stands between a follower and one stream: a place for the latest news, no queue.
//!
//! The follower puts news in and wakes the stream; the stream takes it when its client can take it. News that
//! was not taken is replaced by newer news, so a stream costs the same however slowly its client reads.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use boxoffice_proto::queue::Token;
use futures::Stream;
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use super::audience::Seat;

/// What a stream has to tell its client.
#[derive(Debug, PartialEq)]
pub(crate) enum News {
    /// The token as it is now.
    Token(Box<Token>),
    /// Still here.
    Heartbeat,
    /// Nothing more will come.
    End(Ending),
}

/// Why nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The token is final, and that was told.
    Final,
    /// Nobody knows the token any more.
    Unknown,
    /// This edge shuts down: come back to another one.
    Restart,
    /// The token has as many newer streams as it may have.
    Displaced,
}

/// The latest news of one stream.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Latest>);

#[derive(Debug, Default)]
struct Latest {
    token: Option<Box<Token>>,
    heartbeat: bool,
    end: Option<Ending>,
    /// Nobody takes news any more.
    abandoned: bool,
    /// The task of the stream; kept, since it is the same as long as the stream lives.
    waker: Option<Waker>,
}

impl Slot {
    pub(super) fn tell(&self, token: Box<Token>) {
        self.change(|latest| {
            latest.token = Some(token);
            latest.heartbeat = false;
        });
    }

    pub(super) fn beat(&self) {
        self.change(|latest| latest.heartbeat = latest.token.is_none());
    }

    pub(super) fn end(&self, ending: Ending) {
        self.change(|latest| latest.end = Some(ending));
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.0.lock().abandoned
    }

    /// Why nothing more comes, if nothing does.
    #[cfg(test)]
    pub(super) fn ending(&self) -> Option<Ending> {
        self.0.lock().end
    }

    fn change(&self, change: impl FnOnce(&mut Latest)) {
        let mut latest = self.0.lock();
        change(&mut latest);
        if let Some(waker) = &latest.waker {
            waker.wake_by_ref();
        }
    }
}

/// One stream's end of it: yields news until the end, which is news as well. Dropping it ends the following.
#[derive(Debug)]
pub(crate) struct Following {
    slot: Arc<Slot>,
    over: bool,
    _place: OwnedSemaphorePermit,
    /// Among the streams of the same token; none where it is over at once.
    _seat: Option<Seat>,
}

impl Following {
    pub(super) fn new(slot: Arc<Slot>, place: OwnedSemaphorePermit, seat: Option<Seat>) -> Self {
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
        let mut latest = self.slot.0.lock();
        let news = if let Some(token) = latest.token.take() {
            News::Token(token)
        } else if let Some(ending) = latest.end {
            drop(latest);
            self.over = true;
            News::End(ending)
        } else if std::mem::take(&mut latest.heartbeat) {
            News::Heartbeat
        } else {
            if latest.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
                latest.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        };
        Poll::Ready(Some(news))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut latest = self.slot.0.lock();
        latest.abandoned = true;
        latest.waker = None;
        latest.token = None;
        drop(latest);
        metrics::gauge!("streams_open").decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use futures::{FutureExt, StreamExt};
    use tokio::sync::Semaphore;

    use super::*;

    fn pair() -> (Arc<Slot>, Following) {
        let slot = Arc::<Slot>::default();
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        (Arc::clone(&slot), Following::new(slot, place, None))
    }

    fn at(position: i64) -> Box<Token> {
        Box::new(Token { position, ..Token::default() })
    }

    #[tokio::test]
    async fn a_slow_reader_gets_the_latest_and_then_the_end() {
        let (slot, mut following) = pair();
        for position in (1..=1_000).rev() {
            slot.tell(at(position));
            slot.beat();
        }
        slot.end(Ending::Final);
        assert_eq!(following.next().await, Some(News::Token(at(1))));
        assert_eq!(following.next().await, Some(News::End(Ending::Final)));
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
        assert_eq!(reader.await.unwrap(), (Some(News::Heartbeat), Some(News::Token(at(7)))));
    }

    #[tokio::test]
    async fn a_reader_that_has_gone_is_known() {
        let (slot, following) = pair();
        assert!(!slot.is_abandoned());
        drop(following);
        assert!(slot.is_abandoned());
    }
}
