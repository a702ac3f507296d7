//! Looking: seat maps and dates through a short memory, reservations from the row.

use std::sync::Arc;

use chassis::page;
use chrono::NaiveDate;
use uuid::Uuid;

use super::{App, selling::Page};
use crate::{
    domain::{Refusal, Reservation, SeatMap, Show, dates, seats::lay_out},
    error::Error,
    store::{catalog, holds, seats},
};

/// So many shows of one day are shown: a hall has fewer, and an answer must end.
const SHOWS_A_DAY: i64 = 100;

impl App {
    /// The seats of one show.
    ///
    /// # Errors
    /// `ShowNotFound`, or the database's.
    pub async fn seats_of_show(&self, show_id: i64) -> Result<SeatMap, Error> {
        let show = self.show(show_id).await?;
        self.seat_map(show).await
    }

    /// The seats of a concert's shows on a day, in order of their beginning; also of those that have begun.
    ///
    /// # Errors
    /// `ConcertNotFound`, or the database's.
    pub async fn seats_of_date(&self, concert_id: i64, date: NaiveDate) -> Result<Vec<SeatMap>, Error> {
        self.concert(concert_id).await?;
        let Some(span) = dates::span(date) else { return Ok(Vec::new()) };
        let shows = catalog::shows_within(&mut self.db.read().await?, concert_id, span, SHOWS_A_DAY).await?;
        let mut maps = Vec::with_capacity(shows.len());
        for show in shows {
            maps.push(self.seat_map(Arc::new(show)).await?);
        }
        Ok(maps)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(show_id = show.show_id))]
    async fn seat_map(&self, show: Arc<Show>) -> Result<SeatMap, Error> {
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

    /// A page of a user's reservations, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn reservations(
        &self,
        user_id: &str,
        size: i64,
        before: (i64, Uuid),
    ) -> Result<Page<Reservation, (i64, Uuid)>, Error> {
        let found = holds::of_user(&mut self.db.read().await?, user_id, before, size + 1).await?;
        let (holds, next) = page::cut(found, size, |hold| (hold.held_at, hold.reservation_id));
        let now = self.clock.now();
        Ok((holds.into_iter().map(|hold| hold.seen_at(now)).collect(), next))
    }

    /// What the time is here.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.clock.now()
    }
}
