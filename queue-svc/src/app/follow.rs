//! The task that follows other replicas: one small query asks for the versions of all queues, and only queues
//! that have changed are read.

use std::time::Duration;

use tokio::time::{self, MissedTickBehavior};

use super::Queues;

/// The pause between two queries. Another replica's commit is seen after this and the time of two queries,
/// which is within 100 ms.
const EVERY: Duration = Duration::from_millis(50);
/// The pause after a query failed, so that a database that is out of reach is asked less often.
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
