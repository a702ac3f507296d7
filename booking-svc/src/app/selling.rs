//! Creating and listing concerts and shows.

use chassis::idempotency::{Key, recall, record};

use super::App;
use crate::{
    domain::{Concert, NewConcert, NewShow, Refusal, Show, dates::Since},
    error::Error,
    store::catalog,
};

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
            let unnumbered = new.clone().created(0, self.time_zone, created_at);
            let concert_id = catalog::insert_concert(&mut session, &unnumbered).await?;
            let concert = Concert { concert_id, ..unnumbered };
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
            let created_at = self.clock.now();
            // This is checked after the recorded answer: a request that was granted before its show began is
            // answered the same way ever after.
            if new.begins_in_the_past(created_at) {
                return Err(Refusal::BeginsInThePast.into());
            }
            let unnumbered = new.clone().created(0, concert.time_zone, created_at);
            unnumbered.check_rules()?;
            let show_id = catalog::insert_show(&mut session, &unnumbered, &new.sections).await?;
            let show = Show { show_id, ..unnumbered };
            record(&mut session, key.as_ref(), &show, created_at).await?;
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

    /// At most `limit` shows of a concert that begin then or later, with ids below `before`, newest first.
    ///
    /// # Errors
    /// `ConcertNotFound`, or a failure of the database.
    pub async fn shows(
        &self,
        concert_id: i64,
        from: Since,
        before: i64,
        limit: i64,
    ) -> Result<Vec<Show>, Error> {
        let from = from.in_zone(self.concert(concert_id).await?.time_zone);
        Ok(catalog::shows(&mut self.db.read().await?, concert_id, from, before, limit).await?)
    }
}
