//! Changing concerts and shows.

use chassis::idempotency::{Key, recall, record};

use uuid::Uuid;

use super::App;
use crate::{
    domain::{
        Concert, ConcertChange, Refusal, Show, ShowChange, ShowMove, WaitingMove, events::AT_ONCE,
        mending::check_etag,
    },
    error::Error,
    store::{mending, show_events},
};

impl App {
    /// Changes a concert, once per request id; with an `etag` only one that has this state.
    ///
    /// # Errors
    /// `ConcertNotFound`, `Outdated`, `RequestIdReused`, or a failure of the database.
    #[tracing::instrument(level = "debug", skip_all, fields(concert_id))]
    pub async fn update_concert(
        &self,
        concert_id: i64,
        change: ConcertChange,
        etag: Option<String>,
        request_id: Option<String>,
    ) -> Result<Concert, Error> {
        let key = request_id.map(|id| Key::new(id, "UpdateConcert", "", &(concert_id, &change, &etag)));
        // A show tells its date by the clock of its concert.
        let _shows = change.time_zone.map(|_| self.memory.shows.touch_all());
        let _touches = (self.memory.concerts.touch(concert_id), self.memory.dates.touch(concert_id));
        let attempt = async || {
            let mut session = self.db.begin().await?;
            if let Some(answer) = recall(&mut session, key.as_ref()).await? {
                return Ok(answer);
            }
            // I-FASTER: whoever changes the same row waits here, and then meets the new state.
            let found = mending::lock_concert(&mut session, concert_id).await?;
            let before = found.ok_or(Refusal::ConcertNotFound)?;
            check_etag(etag.as_deref(), &before.etag())?;
            let after = change.of(before);
            mending::write_concert(&mut session, &after).await?;
            record(&mut session, key.as_ref(), &after, self.clock.now()).await?;
            session.commit().await?;
            Ok(after)
        };
        self.db.transact("update_concert", attempt).await
    }

    /// Changes a show, once per request id; with an `etag` only one that has this state. What is held and
    /// sold of it stays as it is. A move is written down with the change, for whoever takes moves.
    ///
    /// # Errors
    /// `ShowNotFound`, `ShowCancelled`, `Outdated`, `BeginsInThePast`, `NeverOnSale`, `ClosesTooLate`,
    /// `SectionNotFound`, `RequestIdReused`, or a failure of the database.
    #[tracing::instrument(level = "debug", skip_all, fields(show_id))]
    pub async fn update_show(
        &self,
        show_id: i64,
        change: ShowChange,
        etag: Option<String>,
        request_id: Option<String>,
    ) -> Result<Show, Error> {
        let key = request_id.map(|id| Key::new(id, "UpdateShow", "", &(show_id, &change, &etag)));
        let known = self.show(show_id).await?;
        let hall = self.hall(&known).await?;
        let _touches = (self.memory.shows.touch(show_id), self.memory.touch(show_id, known.concert_id));
        let attempt = async || {
            let mut session = self.db.begin().await?;
            if let Some(answer) = recall(&mut session, key.as_ref()).await? {
                return Ok(answer);
            }
            let found = mending::lock_show(&mut session, show_id).await?;
            let before = found.ok_or(Refusal::ShowNotFound)?;
            before.check_standing()?;
            check_etag(etag.as_deref(), &before.etag())?;
            let now = self.clock.now();
            let began_at = before.starts_at;
            let after = change.of(before, &hall, now)?;
            mending::write_show(&mut session, &after).await?;
            if let Some(moved) = ShowMove::of(began_at, &after, Uuid::new_v4(), now) {
                show_events::record(&mut session, &moved).await?;
            }
            record(&mut session, key.as_ref(), &after, now).await?;
            session.commit().await?;
            Ok(after)
        };
        self.db.transact("update_show", attempt).await
    }

    /// Forgets moves of shows that the caller has taken, and answers the oldest ones that wait.
    ///
    /// # Errors
    /// The database failed; then what was named may be forgotten or not.
    #[tracing::instrument(level = "debug", skip_all, fields(taken = taken.len()))]
    pub async fn take_moves(&self, taken: Vec<i64>) -> Result<Vec<WaitingMove>, Error> {
        if !taken.is_empty() {
            show_events::remove(&self.db, taken).await?;
        }
        Ok(show_events::oldest(&mut self.db.read().await?, AT_ONCE).await?)
    }
}
