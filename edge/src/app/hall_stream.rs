//! One stream that follows what can be had of a show: how far it has read the board of the show.

use std::{future::poll_fn, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};

use super::{
    audience::Attendance,
    board::{Board, HallChange, HallMap},
    news::{News, Slot, StreamEnd},
};

/// After this the stream ends, so that whoever follows passes the gate again.
const LONGEST: Duration = Duration::from_secs(300);
/// How many changes a client that reads slowly may be behind until it gets the map instead: those of two
/// seconds. One that comes back is told all that it missed, if the board reaches back to it.
const BEHIND: u64 = 8;

/// What a stream has to send its client.
#[derive(Clone, Debug)]
pub(crate) enum HallNews {
    /// All that can be had.
    Map(Arc<HallMap>),
    /// What has changed since.
    Change(Arc<HallChange>),
    /// A sign that the connection is alive; the version is still this.
    Heartbeat(i64),
    /// The end of the stream: [`StreamEnd::Final`] is that of its time.
    End(StreamEnd),
}

/// A stream's end of the following. Dropping it ends the following.
pub(crate) struct HallStream {
    board: watch::Receiver<Arc<Board>>,
    /// After how many changes of the board the client is; `None` when it knows nothing of the board.
    at: Option<u64>,
    /// Whether it came back and does not know yet all that it missed.
    returns: bool,
    beats: u64,
    until: Instant,
    /// Told when the token has too many newer streams.
    slot: Arc<Slot>,
    is_over: bool,
    /// One of the streams that may be open on this edge.
    _place: OwnedSemaphorePermit,
    /// One of the streams that may be open with this token; none where browsing is open.
    _seat: Option<Attendance>,
}

impl HallStream {
    pub(super) fn new(
        board: watch::Receiver<Arc<Board>>,
        told: Option<i64>,
        slot: Arc<Slot>,
        place: OwnedSemaphorePermit,
        seat: Option<Attendance>,
    ) -> Self {
        metrics::gauge!("streams_open").increment(1.0);
        let (at, beats) = {
            let board = board.borrow();
            (told.and_then(|told| board.place_of(told)), board.beats)
        };
        let until = Instant::now() + LONGEST;
        let returns = at.is_some();
        Self { board, at, returns, beats, until, slot, is_over: false, _place: place, _seat: seat }
    }

    /// Waits for news; `None` after the end.
    pub(crate) async fn next(&mut self) -> Option<HallNews> {
        while !self.is_over {
            if let Some(news) = self.look() {
                self.is_over = matches!(news, HallNews::End(_));
                return Some(news);
            }
            let slot = Arc::clone(&self.slot);
            tokio::select! {
                // Nobody keeps the board any more only after it was closed, which was read then.
                changed = self.board.changed() => if changed.is_err() {
                    return self.end(StreamEnd::Restart);
                },
                news = poll_fn(move |cx| slot.take(cx)) => if let News::End(end) = news {
                    return self.end(end);
                },
            }
        }
        None
    }

    fn end(&mut self, end: StreamEnd) -> Option<HallNews> {
        self.is_over = true;
        Some(HallNews::End(end))
    }

    /// What the board has that the client does not know.
    fn look(&mut self) -> Option<HallNews> {
        let board = Arc::clone(&self.board.borrow_and_update());
        if board.is_closed {
            return Some(HallNews::End(StreamEnd::Restart));
        }
        if Instant::now() >= self.until {
            return Some(HallNews::End(StreamEnd::Final));
        }
        if self.at == Some(board.number) {
            self.returns = false;
            let is_quiet = self.beats == board.beats;
            self.beats = board.beats;
            return (!is_quiet).then(|| HallNews::Heartbeat(board.map.message.version));
        }
        self.beats = board.beats;
        let at = self.at.filter(|at| self.returns || board.number.saturating_sub(*at) <= BEHIND);
        let change = at.and_then(|at| Some((at + 1, Arc::clone(board.change(at)?))));
        metrics::counter!("stream_messages_total").increment(1);
        Some(match change {
            Some((at, change)) => {
                self.at = Some(at);
                HallNews::Change(change)
            }
            None => {
                (self.at, self.returns) = (Some(board.number), false);
                HallNews::Map(Arc::clone(&board.map))
            }
        })
    }
}

impl Drop for HallStream {
    fn drop(&mut self) {
        metrics::gauge!("streams_open").decrement(1.0);
    }
}
