//! The use cases: what happens in which transaction.

mod batch;
mod books;
mod cancelling;
mod choosing;
mod coalesced;
mod holding;
mod mending;
mod selling;
mod sweeping;
mod viewing;

use std::sync::Arc;

use chassis::{
    clock::Clock,
    db::{Db, Group},
};
use chrono_tz::Tz;
use moka::future::Cache;
use uuid::Uuid;

use crate::{
    domain::{Availability, Concert, Hall, Hold, Refusal, Reservation, Rules, Show},
    error::Error,
    store::catalog,
};
use batch::{Asked, Denied};
use coalesced::{Coalesced, Touch};

pub use books::Books;
pub use holding::HoldSeats;
pub use sweeping::sweep_until;

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
}

/// The cache of concerts, shows, seat maps and books (by show) and dates with a free seat (by concert).
/// What another replica has changed is in it a quarter of a second later.
#[derive(Debug)]
struct Memory {
    concerts: Coalesced<Arc<Concert>>,
    shows: Coalesced<Arc<Show>>,
    maps: Coalesced<Arc<[Availability]>>,
    dates: Coalesced<Arc<[String]>>,
    books: Coalesced<Arc<Books>>,
}

impl Memory {
    /// Announces that seats of this show are about to be taken, sold or freed.
    fn touch(&self, show_id: i64, concert_id: i64) -> [Touch<'_>; 3] {
        [self.maps.touch(show_id), self.dates.touch(concert_id), self.books.touch(show_id)]
    }
}

impl App {
    /// The use cases on a database. Must be called within a Tokio runtime, because each batch runs as a task.
    #[must_use]
    pub fn new(db: Db, clock: Clock, rules: Rules, time_zone: Tz) -> Self {
        let (maps, dates, books) = (Coalesced::new(), Coalesced::new(), Coalesced::new());
        let (concerts, shows) = (Coalesced::new(), Coalesced::new());
        let memory = Arc::new(Memory { concerts, shows, maps, dates, books });
        let reads = Group::of_reads(db.clone(), "read_holds", viewing::find);
        let (ticking, touched) = (clock.clone(), Arc::clone(&memory));
        let attempt =
            move |db, asked| batch::attempt(db, ticking.clone(), rules, Arc::clone(&touched), asked);
        let requests = Group::of_writes(db.clone(), "holds", attempt);
        let weigh = |_: &i64, hall: &Arc<Hall>| u32::try_from(hall.rows()).unwrap_or(u32::MAX).max(1);
        let halls = Cache::builder().max_capacity(ROWS).weigher(weigh).build();
        Self { db, clock, time_zone, halls, memory, reads, requests }
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
