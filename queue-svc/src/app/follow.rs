//! Keeping up with other replicas: one small question to the database covers all queues; only those that
//! moved are read.

use std::time::Duration;

use tokio::time::{self, MissedTickBehavior};

use super::Queues;

/// What another replica committed is seen here after this and the time of two queries: within 100 ms.
const EVERY: Duration = Duration::from_millis(50);
/// A database that is away is asked less often.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// Runs until the service closes.
pub(super) async fn run(queues: Queues) {
    let mut ticks = time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stop = queues.0.stop.clone();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = queues.sync().await {
            tracing::debug!(%error, "could not follow the database");
            ticks.reset_after(AFTER_FAILURE);
        }
    }
}
