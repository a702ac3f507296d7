//! Background work that is done again and again.

use std::{future::Future, time::Duration};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Works now and then once in each period, until the shutdown, which waits for work that has begun. Work that
/// takes longer than a period delays what follows.
pub async fn every<W: Future<Output = ()>>(
    period: Duration,
    shutdown: &CancellationToken,
    mut work: impl FnMut() -> W,
) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        work().await;
    }
}
