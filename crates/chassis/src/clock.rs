//! The time, as an argument: whole microseconds since the Unix epoch, UTC.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

/// One second in the unit of [`Clock::now`].
pub const SECOND: i64 = 1_000_000;

/// A span of time in the unit of [`Clock::now`].
#[must_use]
pub fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// A source of the time. Clones of a manual clock move together.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
    Simulated { start: i64, began: Instant },
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until it is moved; for tests.
    #[must_use]
    pub fn manual(start: i64) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start))))
    }

    /// A clock that shows `start` now and then runs with the timers of the runtime that it was made in; for
    /// simulations, where the time of those is virtual.
    #[must_use]
    pub fn simulated(start: i64) -> Self {
        Self(Source::Simulated { start, began: Instant::now() })
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(at) => at.load(Ordering::SeqCst),
            Source::Simulated { start, began } => start.saturating_add(micros(began.elapsed())),
        }
    }

    /// Whether this is a manual clock, whose moves do not wake tasks that sleep until a later time.
    #[must_use]
    pub const fn is_moved_by_hand(&self) -> bool {
        matches!(self.0, Source::Manual(_))
    }

    /// Moves a manual clock on by this many microseconds; does nothing to other clocks.
    pub fn advance(&self, micros: i64) {
        if let Source::Manual(at) = &self.0 {
            at.fetch_add(micros, Ordering::SeqCst);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
fn system_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    micros(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_simulated_clock_goes_with_the_timers() {
        let clock = Clock::simulated(7 * SECOND);
        tokio::time::sleep(Duration::from_millis(30)).await;
        let now = clock.clone().now();
        assert!((7 * SECOND + 30_000..17 * SECOND).contains(&now), "{now}");
    }
}
