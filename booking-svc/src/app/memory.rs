//! The seats of shows that somebody asks about, in memory on every replica.
//!
//! ```text
//!   a reader ─▶ what is known ─ fresh, and nothing was written here since ─▶ the view, made once
//!                    │ else one of the readers, for all who wait                 ▲
//!                    ├─▶ reads what the log has since ───────────────────────────┤
//!                    └─▶ or the rows: first, behind a gap, every few seconds ────┘
//! ```
//! What is known is a committed state, whole, with its version (I-SEAT-FOLLOWED). A reader gets one that was
//! read at most [`FRESH`] ago, and after each write of this replica that came before it. Nothing is done for
//! a show about which nobody asks.
//!
//! **Rows that were changed without the log.** Programs of before the log write none, and serve beside newer
//! ones during an update. So what is known is held against the rows every [`PROVEN`]; what the log has missed
//! is written down in it then, from where every replica learns it.

use std::{sync::Arc, time::Duration};

use chassis::{clock::Clock, db::Db};
use moka::future::Cache;
use parking_lot::RwLock;
use tokio::{sync::Mutex, time::Instant};

use super::coalesced::{Generations, Touch};
use crate::{
    domain::{Hall, HallView, Occupancy, Show, occupancy::version_of_log},
    error::Error,
    store::changes,
};

/// How long what is known is told without a look at the log.
const FRESH: Duration = Duration::from_millis(100);
/// How long what is known is followed by the log alone.
const PROVEN: Duration = Duration::from_secs(5);
/// The most seats that are remembered, over all shows; those of shows requested least often are dropped. A
/// seat takes 8 bytes.
const SEATS: u64 = 4_000_000;

/// The seats of shows, by the show.
#[derive(Debug)]
pub(super) struct SeatMemory {
    db: Db,
    clock: Clock,
    generations: Generations,
    shows: Cache<i64, Arc<ShowSeats>>,
}

/// What was read since then is fresh.
fn lately() -> Instant {
    let now = Instant::now();
    now.checked_sub(FRESH).unwrap_or(now)
}

#[derive(Debug)]
struct ShowSeats {
    seats: u32,
    /// Locked while the next state is read, by whoever reads it for all.
    known: Mutex<Option<KnownSeats>>,
    /// What was known last, for those who need not wait for the next.
    latest: RwLock<Option<Arc<Occupancy>>>,
}

#[derive(Debug)]
struct KnownSeats {
    seats: Arc<Occupancy>,
    view: Option<Arc<HallView>>,
    generation: u64,
    read_at: Instant,
    proven_at: Instant,
}

impl SeatMemory {
    /// A memory of nothing.
    #[must_use]
    pub(super) fn new(db: Db, clock: Clock) -> Self {
        let weigh = |_: &i64, slot: &Arc<ShowSeats>| slot.seats.max(1);
        let shows = Cache::builder().max_capacity(SEATS).weigher(weigh).build();
        Self { db, clock, generations: Generations::new(), shows }
    }

    /// Announces that seats of a show are about to be changed, as [`Generations::touch`] does.
    #[must_use]
    pub(super) fn touch(&self, show_id: i64) -> Touch<'_> {
        self.generations.touch(show_id)
    }

    /// The seats of a show.
    ///
    /// # Errors
    /// The database failed.
    pub(super) async fn seats(&self, show: &Show) -> Result<Arc<Occupancy>, Error> {
        self.with(show, i64::MIN, lately(), |known| Arc::clone(&known.seats)).await
    }

    /// The seats of a show as they were known last, however long ago; `None` when nobody has asked about it.
    /// It waits for no read of others.
    pub(super) async fn remembered(&self, show_id: i64) -> Option<Arc<Occupancy>> {
        self.shows.get(&show_id).await?.latest.read().clone()
    }

    /// The seats of a show, as they are committed after this was called. Those who wait share the next read.
    ///
    /// # Errors
    /// The database failed.
    pub(super) async fn newest(&self, show: &Show) -> Result<Arc<Occupancy>, Error> {
        self.with(show, i64::MIN, Instant::now(), |known| Arc::clone(&known.seats)).await
    }

    /// What can be had of a show at this moment; the view knows at least what one of the version `known` did.
    ///
    /// # Errors
    /// The database failed.
    pub(super) async fn view(
        &self,
        show: &Show,
        hall: Arc<Hall>,
        known: Option<i64>,
    ) -> Result<Arc<HallView>, Error> {
        let make = |known: &mut KnownSeats| {
            let now = self.clock.now();
            let still = known.view.take().filter(|view| view.is_still(show, &known.seats, now));
            let view = still.unwrap_or_else(|| Arc::new(HallView::new(show, hall, &known.seats, now)));
            Arc::clone(known.view.insert(view))
        };
        self.with(show, known.map_or(i64::MIN, version_of_log), lately(), make).await
    }

    async fn with<T>(
        &self,
        show: &Show,
        at_least: i64,
        since: Instant,
        read: impl FnOnce(&mut KnownSeats) -> T,
    ) -> Result<T, Error> {
        let seats = u32::try_from(show.seat_count).unwrap_or(0);
        let empty =
            async move { Arc::new(ShowSeats { seats, known: Mutex::default(), latest: RwLock::default() }) };
        let shared = self.shows.get_with(show.show_id, empty).await;
        let mut slot = shared.known.lock().await;
        // It is noted before anything is read, so that a write that ends meanwhile has the next reader read.
        let generation = self.generations.of(show.show_id);
        let fresh = slot.as_ref().is_some_and(|known| {
            known.generation == generation && known.read_at >= since && known.seats.version() >= at_least
        });
        if !fresh {
            let read_at = Instant::now();
            let (seats, proven_at) = self.read(show, slot.as_ref()).await?;
            *shared.latest.write() = Some(Arc::clone(&seats));
            let view = slot.take().and_then(|known| known.view);
            *slot = Some(KnownSeats { seats, view, generation, read_at, proven_at });
        }
        // It was put there just now, if it was not there before.
        let known = slot.as_mut().ok_or_else(|| chassis::db::Error::Other("no seats were read".into()))?;
        Ok(read(known))
    }

    /// Reads what is committed, and when that was held against the rows.
    async fn read(
        &self,
        show: &Show,
        known: Option<&KnownSeats>,
    ) -> Result<(Arc<Occupancy>, Instant), Error> {
        let (show_id, now) = (show.show_id, Instant::now());
        let mut session = self.db.read().await?;
        let Some(known) = known else {
            return Ok((Arc::new(changes::load(&mut session, show_id, show.seat_count).await?), now));
        };
        let followed = changes::follow(&mut session, show_id, Arc::clone(&known.seats)).await?;
        if let Some(seats) = &followed
            && known.proven_at.elapsed() < PROVEN
        {
            return Ok((Arc::clone(seats), known.proven_at));
        }
        let rows = Arc::new(changes::load(&mut session, show_id, show.seat_count).await?);
        drop(session);
        match followed {
            Some(seats) if seats.version() == rows.version() && seats != rows => {
                Ok((self.catch_up(show, &seats).await?, now))
            }
            _ => Ok((rows, now)),
        }
    }

    /// Writes down what rows say that were changed without the log, and answers what is known then.
    async fn catch_up(&self, show: &Show, seats: &Arc<Occupancy>) -> Result<Arc<Occupancy>, Error> {
        let attempt = || async {
            let mut session = self.db.begin().await?;
            // Whoever writes the log waits until this has committed, and what is committed is in the rows.
            changes::lock(&mut session, show.show_id).await?;
            let logged = changes::follow(&mut session, show.show_id, Arc::clone(seats)).await?;
            let rows = changes::load(&mut session, show.show_id, show.seat_count).await?;
            let missed = logged.map(|logged| logged.differences(&rows)).unwrap_or_default();
            if missed.is_empty() {
                session.rollback().await;
                return Ok(rows);
            }
            tracing::info!(
                show_id = show.show_id,
                seats = missed.len(),
                "seats were changed without the log"
            );
            metrics::counter!("booking_seats_unlogged_total")
                .increment(u64::try_from(missed.len()).unwrap_or(u64::MAX));
            let missed = missed.into_iter().map(|(seat, from)| ((show.show_id, seat), from)).collect();
            changes::record(&mut session, &missed, self.clock.now()).await?;
            let rows = changes::load(&mut session, show.show_id, show.seat_count).await?;
            session.commit().await?;
            Ok::<_, Error>(rows)
        };
        Ok(Arc::new(self.db.transact("log_seats", attempt).await?))
    }
}
