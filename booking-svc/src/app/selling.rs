//! Creating and listing concerts and shows.

use chassis::idempotency::{Key, recall, record};
use serde::Serialize;

use super::App;
use crate::{
    domain::{Concert, Refusal, Show},
    error::Error,
    store::catalog,
};

/// A concert to create.
#[derive(Clone, Debug, Serialize)]
pub struct NewConcert {
    /// The title, as callers see it.
    pub title: String,
    /// The id of the queue that admits users to it.
    pub queue_id: String,
}

/// A show to create.
#[derive(Clone, Debug, Serialize)]
pub struct NewShow {
    /// The id of its concert.
    pub concert_id: i64,
    /// When it begins, in microseconds since 1970.
    pub starts_at: i64,
    /// How long it lasts, in minutes.
    pub duration_minutes: i32,
    /// The title, as callers see it.
    pub title: String,
    /// A description for callers; it may be empty.
    pub description: String,
    /// The price of one seat.
    pub price: i64,
    /// The number of seats; they are numbered from 1.
    pub seat_count: i32,
}

impl App {
    /// Creates a concert, once per request id.
    ///
    /// # Errors
    /// `RequestIdReused`, or a failure of the database.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn create_concert(
        &self,
        new: NewConcert,
        request_id: Option<String>,
    ) -> Result<Concert, Error> {
        let key = request_id.map(|id| Key::new(id, "CreateConcert", "", &new));
        let attempt = async || {
            let mut session = self.db.begin().await?;
            if let Some(answer) = recall(&mut session, key.as_ref()).await? {
                return Ok(answer);
            }
            let created_at = self.clock.now();
            let concert_id =
                catalog::insert_concert(&mut session, &new.title, &new.queue_id, created_at).await?;
            let concert =
                Concert { concert_id, title: new.title.clone(), queue_id: new.queue_id.clone(), created_at };
            record(&mut session, key.as_ref(), &concert, created_at).await?;
            session.commit().await?;
            Ok(concert)
        };
        self.db.transact("create_concert", attempt).await
    }

    /// Creates a show, once per request id. All its seats are free.
    ///
    /// # Errors
    /// `ConcertNotFound`, `BeginsInThePast`, `RequestIdReused`, or a failure of the database.
    #[tracing::instrument(level = "debug", skip_all, fields(concert_id = new.concert_id, seats = new.seat_count))]
    pub async fn create_show(&self, new: NewShow, request_id: Option<String>) -> Result<Show, Error> {
        let concert = self.concert(new.concert_id).await?;
        let key = request_id.map(|id| Key::new(id, "CreateShow", "", &new));
        let _touch = self.memory.dates.touch(concert.concert_id);
        let attempt = async || {
            let mut session = self.db.begin().await?;
            if let Some(answer) = recall(&mut session, key.as_ref()).await? {
                return Ok(answer);
            }
            let mut show = new.clone().at(self.clock.now());
            // This is checked after the recorded answer: a request that was granted before its show began is
            // answered the same way ever after.
            if show.begins_in_the_past() {
                return Err(Refusal::BeginsInThePast.into());
            }
            show.show_id = catalog::insert_show(&mut session, &show).await?;
            record(&mut session, key.as_ref(), &show, show.created_at).await?;
            session.commit().await?;
            Ok(show)
        };
        self.db.transact("create_show", attempt).await
    }

    /// At most `limit` concerts with ids below `before`, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn concerts(&self, before: i64, limit: i64) -> Result<Vec<Concert>, Error> {
        Ok(catalog::concerts(&mut self.db.read().await?, before, limit).await?)
    }

    /// At most `limit` shows of a concert with ids below `before`, newest first.
    ///
    /// # Errors
    /// `ConcertNotFound`, or a failure of the database.
    pub async fn shows(&self, concert_id: i64, before: i64, limit: i64) -> Result<Vec<Show>, Error> {
        self.concert(concert_id).await?;
        Ok(catalog::shows(&mut self.db.read().await?, concert_id, before, limit).await?)
    }
}

impl NewShow {
    fn at(self, created_at: i64) -> Show {
        let Self { concert_id, starts_at, duration_minutes, title, description, price, seat_count } = self;
        Show {
            show_id: 0,
            concert_id,
            starts_at,
            duration_minutes,
            title,
            description,
            price,
            seat_count,
            created_at,
        }
    }
}
