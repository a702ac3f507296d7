//! The latest news of one stream: a slot with room for one state of the token, no queue of them.
//!
//! The follower puts news in and wakes the stream's task, which takes it when the client can receive it. News
//! that was not taken is replaced by newer news, so a stream needs the same memory however slowly its client
//! reads.

use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::notices::SeenPlace;

/// What a stream has to send its client.
#[derive(Debug, PartialEq)]
pub(crate) enum News {
    /// The place as it is now.
    Place(Box<SeenPlace>),
    /// A sign that the connection is alive.
    Heartbeat,
    /// The end of the stream.
    End(StreamEnd),
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// The token has ended, and its final state was sent.
    Final,
    /// The token does not exist any more.
    Unknown,
    /// This edge shuts down: the client is to connect again, to another one.
    Restart,
    /// The token has as many newer streams as it may have.
    Displaced,
}

/// The latest news of one stream.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Latest>);

#[derive(Debug, Default)]
struct Latest {
    place: Option<Box<SeenPlace>>,
    heartbeat: bool,
    end: Option<StreamEnd>,
    /// The stream is gone: nobody takes news any more.
    abandoned: bool,
    /// Wakes the task of the stream, which is the same as long as the stream lives.
    waker: Option<Waker>,
}

impl Slot {
    /// Puts in a state of the place, in place of whatever was not taken.
    pub(super) fn tell(&self, place: Box<SeenPlace>) {
        self.change(|latest| {
            latest.place = Some(place);
            latest.heartbeat = false;
        });
    }

    /// Puts in a heartbeat, unless a state is waiting to be taken.
    pub(super) fn beat(&self) {
        self.change(|latest| latest.heartbeat = latest.place.is_none());
    }

    /// Ends the stream once a state that is waiting was taken.
    pub(super) fn end(&self, end: StreamEnd) {
        self.change(|latest| latest.end = Some(end));
    }

    /// Takes the news, or has `cx` woken when there is some.
    pub(super) fn take(&self, cx: &Context<'_>) -> Poll<News> {
        let mut latest = self.0.lock();
        if let Some(place) = latest.place.take() {
            return Poll::Ready(News::Place(place));
        }
        if let Some(end) = latest.end {
            return Poll::Ready(News::End(end));
        }
        if std::mem::take(&mut latest.heartbeat) {
            return Poll::Ready(News::Heartbeat);
        }
        if latest.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            latest.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Says that nobody will take news any more.
    pub(super) fn abandon(&self) {
        *self.0.lock() = Latest { abandoned: true, ..Latest::default() };
    }

    /// Whether the stream is gone.
    pub(super) fn is_abandoned(&self) -> bool {
        self.0.lock().abandoned
    }

    /// Why the stream ends, if it does.
    #[cfg(test)]
    pub(super) fn ending(&self) -> Option<StreamEnd> {
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
