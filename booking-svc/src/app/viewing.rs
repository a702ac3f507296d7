//! Reading: seats from memory, dates through a cache of a quarter second, reservations from the database.

use std::{collections::BTreeSet, sync::Arc};

use chassis::db::{self, Db};
use chrono::NaiveDate;
use uuid::Uuid;

use super::App;
use crate::{
    domain::{HallView, Hold, Refusal, Reservation, SeatMap, Show, dates},
    error::Error,
    store::{catalog, holds},
};

/// Reads holds as they are committed, one answer for each id; `None` where no hold has the id.
pub(super) async fn find(db: Db, ids: Arc<[Uuid]>) -> Result<Vec<Option<Hold>>, db::Error> {
    let distinct: BTreeSet<Uuid> = ids.iter().copied().collect();
    let found = holds::holds(&mut db.read().await?, distinct).await?;
    Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
}

impl App {
    /// At most `limit` shows of a concert on a date of its venue, in order of their beginning and id, after
    /// the given beginning and id. Shows that have begun are included.
    ///
    /// # Errors
    /// `ConcertNotFound`, or a failure of the database.
    pub async fn shows_of_date(
        &self,
        concert_id: i64,
        date: NaiveDate,
        after: (i64, i64),
        limit: i64,
    ) -> Result<Vec<Show>, Error> {
        let zone = self.concert(concert_id).await?.time_zone;
        let Some(span) = dates::span(date, zone) else { return Ok(Vec::new()) };
        Ok(catalog::shows_within(&mut self.db.read().await?, concert_id, span, after, limit).await?)
    }

    /// The seats of a show, at most a tenth of a second old; writes of this replica are always in it.
    ///
    /// # Errors
    /// The database failed.
    #[tracing::instrument(level = "debug", skip_all, fields(show_id = show.show_id))]
    pub async fn seat_map(&self, show: Arc<Show>) -> Result<SeatMap, Error> {
        let hall = self.hall(&show).await?;
        let seats = self.memory.seats.seats(&show).await?;
        Ok(SeatMap { show, hall, seats })
    }

    /// What can be had of a show, as it was a tenth of a second ago, or later; writes of this replica are
    /// always in it, and so is all that was in the view of the version `known`.
    ///
    /// # Errors
    /// `ShowNotFound`, or a failure of the database.
    #[tracing::instrument(level = "debug", skip_all, fields(show_id))]
    pub async fn availability(&self, show_id: i64, known: Option<i64>) -> Result<Arc<HallView>, Error> {
        let show = self.show(show_id).await?;
        let hall = self.hall(&show).await?;
        self.memory.seats.view(&show, hall, known).await
    }

    /// The dates of the venue on which a show of the concert whose sale has not closed has a free seat.
    ///
    /// # Errors
    /// `ConcertNotFound`, or a failure of the database.
    #[tracing::instrument(level = "debug", skip_all, fields(concert_id))]
    pub async fn available_dates(&self, concert_id: i64) -> Result<Arc<[String]>, Error> {
        let zone = self.concert(concert_id).await?.time_zone;
        let now = self.clock.now();
        let load = async {
            let starts = catalog::free_starts(&mut self.db.read().await?, concert_id, now).await?;
            Ok::<_, Error>(dates::distinct(starts, zone).into())
        };
        self.memory.dates.get(concert_id, now, load).await
    }

    /// Reads a reservation as it is committed, with its status now.
    ///
    /// # Errors
    /// `ReservationNotFound`, or a failure of the database.
    pub async fn reservation(&self, id: Uuid) -> Result<Reservation, Error> {
        let hold = self.reads.ask(id).await?;
        Ok(hold.ok_or(Refusal::ReservationNotFound)?.seen_at(self.clock.now()))
    }

    /// At most `limit` reservations of a user before the given time and id, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn reservations(
        &self,
        user_id: &str,
        before: (i64, Uuid),
        limit: i64,
    ) -> Result<Vec<Reservation>, Error> {
        let found = holds::of_user(&mut self.db.read().await?, user_id, before, limit).await?;
        let now = self.clock.now();
        Ok(found.into_iter().map(|hold| hold.seen_at(now)).collect())
    }

    /// The time of this replica's clock, in microseconds since 1970 UTC.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.clock.now()
    }
}
