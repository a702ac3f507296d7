//! Events of queues, handed over to whoever tells them to other systems.

use super::Queues;
use crate::{
    domain::{WaitingEvent, opened::AT_ONCE},
    error::Error,
    store,
};

impl Queues {
    /// Forgets events that the caller has taken, and answers the oldest ones that wait.
    ///
    /// # Errors
    /// The database failed; then what was named may be forgotten or not.
    pub async fn take_events(&self, taken: Vec<i64>) -> Result<Vec<WaitingEvent>, Error> {
        if !taken.is_empty() {
            store::event::remove(&self.0.db, taken).await?;
        }
        Ok(store::event::oldest(&mut self.0.db.read().await?, AT_ONCE).await?)
    }
}
