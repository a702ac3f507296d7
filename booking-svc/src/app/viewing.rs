//! Looking: seat maps and dates through a short memory, reservations from the row.

use std::sync::Arc;

use chrono::NaiveDate;
use uuid::Uuid;

use super::App;
use crate::{
    domain::{Refusal, Reservation, SeatMap, Show, dates, seats::lay_out},
    error::Error,
    store::{catalog, holds, seats},
};

impl App {
    /// A concert's shows on a day, in order of their beginning and number, after the given place; also those
    /// that have begun.
    ///
    /// # Errors
    /// `ConcertNotFound`, or the database's.
    pub async fn shows_of_date(
        &self,
        concert_id: i64,
        date: NaiveDate,
        after: (i64, i64),
        limit: i64,
    ) -> Result<Vec<Show>, Error> {
        self.concert(concert_id).await?;
        let Some(span) = dates::span(date) else { return Ok(Vec::new()) };
        Ok(catalog::shows_within(&mut self.db.read().await?, concert_id, span, after, limit).await?)
    }

    /// The seats of a show.
    ///
    /// # Errors
    /// The database's.
    #[tracing::instrument(level = "debug", skip_all, fields(show_id = show.show_id))]
    pub async fn seat_map(&self, show: Arc<Show>) -> Result<SeatMap, Error> {
        let now = self.clock.now();
        let load = async {
            let unfree = seats::unfree(&mut self.db.read().await?, show.show_id, now).await?;
            Ok::<_, Error>(lay_out(show.seat_count, &unfree.held, &unfree.sold))
        };
        let seats = self.memory.maps.get(show.show_id, now, load).await?;
        Ok(SeatMap { show, seats })
    }

    /// The dates on which a show of the concert that has not begun has a free seat.
    ///
    /// # Errors
    /// `ConcertNotFound`, or the database's.
    #[tracing::instrument(level = "debug", skip_all, fields(concert_id))]
    pub async fn available_dates(&self, concert_id: i64) -> Result<Arc<[String]>, Error> {
        self.concert(concert_id).await?;
        let now = self.clock.now();
        let load = async {
            let starts = catalog::free_starts(&mut self.db.read().await?, concert_id, now).await?;
            Ok::<_, Error>(dates::distinct(starts).into())
        };
        self.memory.dates.get(concert_id, now, load).await
    }

    /// Reads a reservation.
    ///
    /// # Errors
    /// `ReservationNotFound`, or the database's.
    pub async fn reservation(&self, id: Uuid) -> Result<Reservation, Error> {
        let hold = self.reads.ask(id).await?;
        Ok(hold.ok_or(Refusal::ReservationNotFound)?.seen_at(self.clock.now()))
    }

    /// A user's reservations before (in time, then id) the given one, newest first.
    ///
    /// # Errors
    /// The database's.
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

    /// What the time is here.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.clock.now()
    }
}
