//! The use cases: what happens in which transaction.

mod batch;
mod books;
mod cancelling;
mod choosing;
mod coalesced;
mod holding;
mod memory;
mod mending;
mod selling;
mod sweeping;
mod taking;
mod viewing;
mod watching;

use std::sync::Arc;

use chassis::{
    clock::Clock,
    db::{Db, Group},
    idempotency::Key,
};
use chrono_tz::Tz;
use moka::future::Cache;
use uuid::Uuid;

use crate::{
    domain::{Concert, Hall, Hold, Refusal, Reservation, Rules, Show},
    error::Error,
    store::catalog,
};
use batch::{Asked, Denied};
use coalesced::{Coalesced, Touch};
use memory::SeatMemory;
use taking::Taker;

pub use books::Books;
pub use holding::HoldSeats;
pub use sweeping::sweep_until;
pub use taking::look_until;
pub use watching::ViewStep;

/// The most rows of halls that are cached, some 60 bytes each. Halls never change.
const ROWS: u64 = 1_000_000;

/// The use cases of the service, without gRPC.
#[derive(Debug)]
pub struct App {
    db: Db,
    clock: Clock,
    /// The zone of venues whose concerts name none.
    time_zone: Tz,
    halls: Cache<i64, Arc<Hall>>,
    memory: Arc<Memory>,
    reads: Group<Uuid, Option<Hold>>,
    requests: Group<Arc<Asked>, Result<Reservation, Denied>>,
    rules: Rules,
    recalls: Group<Arc<Key>, Result<Option<Reservation>, Denied>>,
    taker: Arc<Taker>,
}

/// The cache of concerts, shows and books (by show) and dates with a free seat (by concert), and the seats.
/// What another replica has changed is in it a quarter of a second later.
#[derive(Debug)]
struct Memory {
    concerts: Coalesced<Arc<Concert>>,
    shows: Coalesced<Arc<Show>>,
    seats: SeatMemory,
    dates: Coalesced<Arc<[String]>>,
    books: Coalesced<Arc<Books>>,
}

impl Memory {
    /// Announces that seats of this show are about to be taken, sold or freed.
    fn touch(&self, show_id: i64, concert_id: i64) -> [Touch<'_>; 3] {
        [self.seats.touch(show_id), self.dates.touch(concert_id), self.books.touch(show_id)]
    }
}

impl App {
    /// The use cases on a database. Must be called within a Tokio runtime, because each batch runs as a task.
    #[must_use]
    pub fn new(db: Db, clock: Clock, rules: Rules, time_zone: Tz) -> Self {
        let (dates, books) = (Coalesced::new(), Coalesced::new());
        let (concerts, shows) = (Coalesced::new(), Coalesced::new());
        let seats = SeatMemory::new(db.clone(), clock.clone());
        let memory = Arc::new(Memory { concerts, shows, seats, dates, books });
        let reads = Group::of_reads(db.clone(), "read_holds", viewing::find);
        let taker = Arc::<Taker>::default();
        let (ticking, shared) = (clock.clone(), (Arc::clone(&memory), Arc::clone(&taker)));
        let attempt = move |db, asked| batch::attempt(db, ticking.clone(), rules, shared.clone(), asked);
        let recalls = Group::of_reads(db.clone(), "recall_holds", batch::recall);
        let requests = Group::of_writes(db.clone(), "holds", attempt);
        let weigh = |_: &i64, hall: &Arc<Hall>| u32::try_from(hall.rows()).unwrap_or(u32::MAX).max(1);
        let halls = Cache::builder().max_capacity(ROWS).weigher(weigh).build();
        Self { db, clock, time_zone, halls, memory, reads, requests, rules, recalls, taker }
    }

    /// A concert as it was a quarter of a second ago, or later.
    ///
    /// # Errors
    /// `ConcertNotFound`, or a failure of the database.
    pub async fn concert(&self, concert_id: i64) -> Result<Arc<Concert>, Error> {
        let load = async {
            let read = catalog::concert(&mut self.db.read().await?, concert_id).await?;
            Ok(Arc::new(read.ok_or(Refusal::ConcertNotFound)?))
        };
        self.memory.concerts.get(concert_id, self.clock.now(), load).await
    }

    /// A show as it was a quarter of a second ago, or later.
    ///
    /// # Errors
    /// `ShowNotFound`, or a failure of the database.
    pub async fn show(&self, show_id: i64) -> Result<Arc<Show>, Error> {
        let load = async {
            let read = catalog::show(&mut self.db.read().await?, show_id).await?;
            Ok(Arc::new(read.ok_or(Refusal::ShowNotFound)?))
        };
        self.memory.shows.get(show_id, self.clock.now(), load).await
    }

    /// Reads the hall of a show, from the cache where it is there.
    ///
    /// # Errors
    /// The database failed.
    pub async fn hall(&self, show: &Show) -> Result<Arc<Hall>, Error> {
        if show.prices.is_empty() {
            return Ok(Arc::new(Hall::of_one_row(show.seat_count)));
        }
        if let Some(hall) = self.halls.get(&show.show_id).await {
            return Ok(hall);
        }
        let hall = Arc::new(catalog::hall(&mut self.db.read().await?, show.show_id).await?);
        self.halls.insert(show.show_id, Arc::clone(&hall)).await;
        Ok(hall)
    }
}
