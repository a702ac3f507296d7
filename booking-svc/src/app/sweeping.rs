//! The sweep: closes expired holds in the database and clears the rows of their seats. No answer depends on
//! it, because a hold expires and its seats are free by the clock alone (I-CLOCK). Every replica sweeps; each
//! leaves out the holds that another transaction has locked.

use std::{sync::Arc, time::Duration};

use chassis::{ticks::every, warn_or_alert};
use tokio_util::sync::CancellationToken;

use super::App;
use crate::{
    domain::{Hold, HoldEvent, Release, hold::Change},
    error::Error,
    store::{changes, events, holds, seats},
};

/// How often the sweep looks for expired holds.
const EVERY: Duration = Duration::from_secs(1);
/// The most holds that one transaction closes, so few that requests hardly wait for their rows.
const BATCH: i64 = 500;

impl App {
    /// Closes all expired holds, batch by batch, and answers how many there were.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sweep(&self) -> Result<usize, Error> {
        self.sweep_unless(&CancellationToken::new()).await
    }

    async fn sweep_unless(&self, shutdown: &CancellationToken) -> Result<usize, Error> {
        let mut swept = 0;
        // Looking first with a read keeps an idle service from beginning a write transaction every second.
        while !shutdown.is_cancelled()
            && holds::any_lapsed(&mut self.db.read().await?, self.clock.now()).await?
        {
            let closed = self.db.transact("sweep", || self.sweep_batch()).await?;
            swept += closed;
            if closed == 0 {
                break;
            }
        }
        metrics::counter!("booking_swept_total").increment(u64::try_from(swept).unwrap_or(u64::MAX));
        Ok(swept)
    }

    async fn sweep_batch(&self) -> Result<usize, Error> {
        let mut session = self.db.begin().await?;
        let now = self.clock.now();
        let lapsed = holds::lock_lapsed(&mut session, now, BATCH).await?;
        if lapsed.is_empty() {
            session.rollback().await;
            return Ok(0);
        }
        let seats_of = |hold: &Hold| {
            let (show, id) = (hold.show_id, hold.reservation_id);
            hold.seats.iter().map(move |seat| ((show, *seat), id)).collect::<Vec<_>>()
        };
        let freed: Vec<_> = lapsed.iter().flat_map(seats_of).collect();
        let freed = seats::free(&mut session, &freed).await?;
        let closed: Vec<_> = lapsed.into_iter().map(|hold| hold.apply(Change::Lapse, now)).collect();
        holds::write(&mut session, &closed, now).await?;
        if self.taker.is_there() {
            let told = closed.iter().map(|hold| HoldEvent::released(hold.reservation_id, Release::Expired));
            events::record(&mut session, &told.collect::<Vec<_>>(), now).await?;
        }
        changes::record(&mut session, &changes::freed(freed), now).await?;
        session.commit().await?;
        Ok(closed.len())
    }
}

/// Sweeps every second until the shutdown, and ends between two batches. A sweep that failed is repeated by
/// the next one.
pub async fn sweep_until(app: Arc<App>, shutdown: CancellationToken) {
    every(EVERY, &shutdown, || async {
        match app.sweep_unless(&shutdown).await {
            Ok(0) => {}
            Ok(swept) => tracing::debug!(swept, "closed lapsed holds"),
            Err(error) => {
                metrics::counter!("booking_sweep_failures_total").increment(1);
                let is_passing = matches!(&error, Error::Db(error) if error.is_passing());
                warn_or_alert!(is_passing, %error, "sweep failed; the next one repeats it");
            }
        }
    })
    .await;
}
