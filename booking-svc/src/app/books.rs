//! The seller's books: what a show has sold, who has its seats, and what is to come.

use std::sync::Arc;

use chrono_tz::Tz;

use super::App;
use crate::{
    domain::{
        Concert, Reservation, Show,
        books::{Sales, books},
        dates::Since,
    },
    error::Error,
    store,
};

/// The sums of a show, and of each of its sections by name.
pub type Books = (Sales, Vec<(String, Sales)>);

impl App {
    /// What a show has sold, at most a quarter second ago. It is read of the rows that say who paid what, so
    /// every replica tells the same.
    ///
    /// # Errors
    /// `ShowNotFound`, or a failure of the database.
    #[tracing::instrument(level = "debug", skip_all, fields(show_id))]
    pub async fn sales(&self, show_id: i64) -> Result<Arc<Books>, Error> {
        let show = self.show(show_id).await?;
        let (now, hall) = (self.clock.now(), self.hall(&show).await?);
        let load = async {
            let sums = store::books::sums(&mut self.db.read().await?, &show, now).await?;
            Ok::<_, Error>(Arc::new(books(&hall, &sums)))
        };
        self.memory.books.get(show_id, now, load).await
    }

    /// At most `limit` reservations that have seats of a show now, in the order of their first seats, each
    /// with that seat; only those whose first seat is beyond `after`.
    ///
    /// # Errors
    /// `ShowNotFound`, or a failure of the database.
    pub async fn reservations_by_seat(
        &self,
        show_id: i64,
        after: i32,
        limit: i64,
    ) -> Result<Vec<(i32, Reservation)>, Error> {
        self.show(show_id).await?;
        let now = self.clock.now();
        let found = store::books::by_seat(&mut self.db.read().await?, show_id, after, now, limit).await?;
        Ok(found.into_iter().map(|(seat, hold)| (seat, hold.seen_at(now))).collect())
    }

    /// At most `limit` concerts that have a show from then on, in the order of the next one, each with when
    /// that begins; only those after the given beginning and id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn concerts_to_come(
        &self,
        from: Since,
        after: (i64, i64),
        limit: i64,
    ) -> Result<Vec<(i64, Concert)>, Error> {
        let mut session = self.db.read().await?;
        // A date begins in each zone at another instant.
        let zones = match from {
            Since::Date(_) => store::catalog::time_zones(&mut session).await?,
            Since::Ever | Since::Instant(_) => Vec::new(),
        };
        let begins: Vec<_> = zones.into_iter().map(|zone| (zone, from.in_zone(zone))).collect();
        let first = begins.iter().map(|(_, at)| *at).min().unwrap_or(from.in_zone(Tz::UTC));
        Ok(store::books::concerts_to_come(&mut session, (first, begins), after, limit).await?)
    }

    /// At most `limit` shows of a concert that begin then or later, in that order, after the given beginning
    /// and id.
    ///
    /// # Errors
    /// `ConcertNotFound`, or a failure of the database.
    pub async fn shows_to_come(
        &self,
        concert_id: i64,
        from: Since,
        after: (i64, i64),
        limit: i64,
    ) -> Result<Vec<Show>, Error> {
        let zone = self.concert(concert_id).await?.time_zone;
        let (mut session, span) = (self.db.read().await?, from.in_zone(zone)..i64::MAX);
        Ok(store::catalog::shows_within(&mut session, concert_id, span, after, limit).await?)
    }
}
