//! Events of reservations: they are written down while somebody takes them, in the transactions in which they
//! happen, and handed over.
//!
//! Whether somebody does is a row that whoever takes events renews. Each replica has looked at it before it
//! serves, and looks again every second, so a batch asks its memory and no statement is spent where nobody is
//! told. Nobody has to say that events are not wanted any more: a day after the last call none are written.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chassis::{
    clock::{SECOND, micros},
    db::Error,
    ticks::every,
    warn_or_alert,
};
use tokio_util::sync::CancellationToken;

use super::App;
use crate::{
    domain::{
        WaitingEvent,
        events::{AT_ONCE, KEPT},
    },
    store::events,
};

/// How often the row is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How old, in microseconds, the row's instant may be that a call leaves as it is.
const RENEWED: i64 = 60 * SECOND;
/// While so many events wait, some hundred megabytes, no more are written down.
const MOST_WAITING: i64 = 1_000_000;

/// Whether somebody takes events, as far as this replica knows.
#[derive(Debug, Default)]
pub(super) struct Taker(AtomicBool);

impl Taker {
    /// Whether events are to be written down.
    pub(super) fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn know(&self, is_there: bool) -> bool {
        self.0.swap(is_there, Ordering::Relaxed)
    }
}

impl App {
    /// Forgets events that the caller has taken, and answers the oldest ones that wait.
    ///
    /// # Errors
    /// The database failed; then what was named may be forgotten or not.
    #[tracing::instrument(level = "debug", skip_all, fields(taken = taken.len()))]
    pub async fn take_events(&self, taken: Vec<i64>) -> Result<Vec<WaitingEvent>, Error> {
        let now = self.clock.now();
        if !taken.is_empty() {
            events::remove(&self.db, taken).await?;
        }
        let mut session = self.db.read().await?;
        let waiting = events::oldest(&mut session, AT_ONCE).await?;
        let taker = events::taker(&mut session).await?;
        drop(session);
        if taker.is_none_or(|taker| taker.took_at < now - RENEWED) {
            events::renew(&self.db, now).await?;
            self.look_for_taker().await?;
        }
        Ok(waiting)
    }

    /// Finds out whether events are to be written down.
    ///
    /// # Errors
    /// The database failed; then this replica goes by what it knew.
    pub async fn look_for_taker(&self) -> Result<(), Error> {
        let taker = events::taker(&mut self.db.read().await?).await?;
        let since = self.clock.now() - micros(KEPT);
        let wants = taker.as_ref().is_some_and(|taker| taker.took_at > since);
        let waiting = taker.map_or(0, |taker| taker.waiting);
        let (is_there, is_full) = (wants && waiting < MOST_WAITING, wants && waiting >= MOST_WAITING);
        if self.taker.know(is_there) && is_full {
            tracing::error!(
                alert = true,
                waiting,
                "events of reservations are not taken: no more are written down"
            );
        }
        metrics::gauge!("booking_events_kept").set(f64::from(u8::from(is_there)));
        #[expect(clippy::cast_precision_loss, reason = "a count of events")]
        metrics::gauge!("booking_events_waiting").set(waiting as f64);
        Ok(())
    }
}

/// Looks every second whether somebody takes events, until the shutdown.
pub async fn look_until(app: Arc<App>, shutdown: CancellationToken) {
    every(EVERY, &shutdown, || async {
        if let Err(error) = app.look_for_taker().await {
            warn_or_alert!(error.is_passing(), %error, "whether somebody takes events could not be read");
        }
    })
    .await;
}
