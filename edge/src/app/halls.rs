//! What can be had of shows, as many clients read and follow it.
//!
//! ```text
//!   requests in flight ─▶ one call for all who asked before it began ─▶ the map of a version, written once
//!                            ▲ four times a second, while somebody follows the show
//!                            └─ its board: the map, and the latest changes ─▶ every stream reads there
//! ```
//! A request is answered with what a call found that began after it came, so whoever has held a seat finds it
//! taken. A stream has no task, timer or call of its own, and no list of messages: it knows how far it has
//! read the board. Whoever is further behind than the board reaches gets the whole map again. While
//! booking-svc is away the streams stay open, with heartbeats, and go on afterwards.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use boxoffice_proto::{Fault, Reason, booking::GetAvailabilityRequest};
use chassis::{
    background::Vital,
    context::{Context, TraceParent},
};
use moka::future::Cache;
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{Mutex as Turn, Semaphore, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    audience::Audience,
    board::{Board, HallMap},
    hall_stream::HallStream,
    news::Slot,
    shared::SharedMessage,
};
use crate::clients::{Clients, ask, hollow};

/// How many streams of halls may be open at once, apart from those of places in line.
const STREAMS: usize = 20_000;
/// Shows whose map is remembered. A map is some 20 KiB, with its JSON 100 KiB at most.
const SHOWS: u64 = 500;
/// How long one call may take: one attempt on a replica that hangs (3 s), and another one on the next.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The time between two looks for the streams of a show, and so between two messages.
const STEP: Duration = Duration::from_millis(250);
/// The pause after a look that failed.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest silence of a stream.
const QUIET: Duration = Duration::from_secs(13);
/// How long a board is kept up to date though nobody reads it: for as long as its changes reach back.
const KEPT: Duration = Duration::from_secs(10);

/// What this edge knows of halls. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Halls(Arc<Registry>);

struct Registry {
    clients: Clients,
    shutdown: CancellationToken,
    vital: Vital,
    places: Arc<Semaphore>,
    audience: Arc<Audience>,
    /// Where boards are kept up to date, whichever thread's request opens the first stream.
    runtime: Handle,
    known: Cache<i64, Arc<ShowMap>>,
    boards: Mutex<HashMap<i64, watch::Sender<Arc<Board>>>>,
}

/// The newest map of a show that a call has found.
#[derive(Default)]
struct ShowMap {
    /// How many requests have come.
    asked: AtomicU64,
    found: Turn<Found>,
}

#[derive(Default)]
struct Found {
    /// How many requests had come when the latest call began, and what that was answered.
    covers: u64,
    outcome: Option<Result<Arc<HallMap>, Fault>>,
    map: Option<Arc<HallMap>>,
}

impl Halls {
    pub(crate) fn new(clients: Clients, vital: Vital) -> Self {
        let shutdown = vital.shutdown().clone();
        let (places, audience) = (Arc::new(Semaphore::new(STREAMS)), Arc::default());
        let known = Cache::new(SHOWS);
        let (runtime, boards) = (Handle::current(), Mutex::default());
        Self(Arc::new(Registry { clients, shutdown, vital, places, audience, runtime, known, boards }))
    }

    /// What can be had of a show. Requests that wait share the next call.
    ///
    /// # Errors
    /// SHOW_NOT_FOUND; what the call failed with.
    pub(super) async fn map(&self, show_id: i64) -> Result<Arc<HallMap>, Fault> {
        self.0.map(show_id).await
    }

    /// Follows a show, for a client that was told the version `told` before and shows this queue token: what
    /// can be had at once, if that is news to the client, then the changes.
    ///
    /// # Errors
    /// UNAVAILABLE when as many streams are open as there may be; those of [`Self::map`].
    pub(super) async fn follow(
        &self,
        show_id: i64,
        told: Option<i64>,
        token: Option<Uuid>,
    ) -> Result<HallStream, Fault> {
        let place = Arc::clone(&self.0.places).try_acquire_owned().map_err(|_| {
            let detail = "As many streams are open as there may be: read the availability instead.";
            Fault::new(Reason::Unavailable, detail).retry_after(Duration::from_secs(10))
        })?;
        let map = self.map(show_id).await?;
        let slot = Arc::<Slot>::default();
        let seat = token.map(|token| self.0.audience.attend(token, Arc::clone(&slot)));
        Ok(HallStream::new(self.0.board(show_id, map), told, slot, place, seat))
    }
}

impl Halls {
    /// Waits until no stream is open any more.
    pub(crate) async fn ended(&self) {
        let all = u32::try_from(STREAMS).unwrap_or(u32::MAX);
        drop(self.0.places.acquire_many(all).await);
    }
}

impl Registry {
    async fn map(&self, show_id: i64) -> Result<Arc<HallMap>, Fault> {
        let known = self.known.get_with(show_id, async { Arc::default() }).await;
        let before = known.asked.fetch_add(1, Ordering::SeqCst);
        let mut found = known.found.lock().await;
        if found.covers > before
            && let Some(outcome) = &found.outcome
        {
            return outcome.clone();
        }
        let covers = known.asked.load(Ordering::SeqCst);
        let asking = self.ask(show_id, found.map.clone());
        let trace = Context::current().map_or_else(TraceParent::not_sampled, |context| context.trace);
        let outcome = Context::of(trace, TIMEOUT).scope(asking).await;
        if let Ok(map) = &outcome {
            found.map = Some(Arc::clone(map));
        }
        (found.covers, found.outcome) = (covers, Some(outcome.clone()));
        outcome
    }

    async fn ask(&self, show_id: i64, known: Option<Arc<HallMap>>) -> Result<Arc<HallMap>, Fault> {
        let known_version = known.as_ref().map(|map| map.message.version);
        let request = GetAvailabilityRequest { show_id, known_version };
        let news = ask!(self.clients.booking, get_availability(request))?.availability;
        news.map(|map| Arc::new(SharedMessage::new(map))).or(known).ok_or_else(|| hollow("get_availability"))
    }

    /// The board of a show, which is put up when there is none.
    fn board(self: &Arc<Self>, show_id: i64, map: Arc<HallMap>) -> watch::Receiver<Arc<Board>> {
        let mut boards = self.boards.lock();
        if let Some(board) = boards.get(&show_id) {
            return board.subscribe();
        }
        let is_closed = self.shutdown.is_cancelled();
        let board = Board::of(map);
        let board = if is_closed { board.closed() } else { board };
        let (sender, receiver) = watch::channel(Arc::new(board));
        if !is_closed {
            boards.insert(show_id, sender);
            let kept = Arc::clone(self).keep(show_id);
            self.runtime.spawn(self.vital.clone().guard("the map of a show", kept));
        }
        receiver
    }

    /// Keeps a board up to date until nobody has read it for a while, or the edge shuts down.
    async fn keep(self: Arc<Self>, show_id: i64) {
        let (mut told_at, mut pause) = (Instant::now(), STEP);
        let mut read_at = told_at;
        while self.shutdown.run_until_cancelled(sleep(pause)).await.is_some() {
            let Some((mut now, is_read)) = self.reading(show_id, read_at.elapsed() < KEPT) else { return };
            if is_read {
                read_at = Instant::now();
            }
            let mut look = pin!(self.map(show_id));
            let looked = loop {
                tokio::select! {
                    looked = &mut look => break Some(looked),
                    () = self.shutdown.cancelled() => break None,
                    // A look may take longer than a stream may be silent.
                    () = sleep_until(told_at + QUIET) => {
                        told_at = Instant::now();
                        now = self.tell(show_id, now.beaten());
                    }
                }
            };
            let next = match looked {
                None => break,
                Some(Ok(map)) => {
                    pause = STEP;
                    (map.message.version != now.map.message.version).then(|| now.after(map))
                }
                Some(Err(fault)) => {
                    tracing::debug!(%fault, show_id, "what can be had of a show that is followed could not be read");
                    pause = AGAIN;
                    None
                }
            };
            if let Some(next) = next {
                told_at = Instant::now();
                self.tell(show_id, next);
            }
        }
        if let Some(board) = self.boards.lock().remove(&show_id) {
            let last = board.borrow().closed();
            board.send_replace(Arc::new(last));
        }
    }

    /// The board of a show as it is, and whether somebody reads it; `None` when nobody does and it is not to
    /// stay for that: then it is taken down.
    fn reading(&self, show_id: i64, stays: bool) -> Option<(Arc<Board>, bool)> {
        let mut boards = self.boards.lock();
        let board = boards.get(&show_id)?;
        let is_read = board.receiver_count() > 0;
        if is_read || stays {
            return Some((Arc::clone(&board.borrow()), is_read));
        }
        boards.remove(&show_id);
        None
    }

    /// Puts up the next board, and answers it.
    fn tell(&self, show_id: i64, next: Board) -> Arc<Board> {
        let next = Arc::new(next);
        if let Some(board) = self.boards.lock().get(&show_id) {
            board.send_replace(Arc::clone(&next));
        }
        next
    }
}

#[cfg(test)]
#[path = "halls_tests.rs"]
mod tests;
