//! Those who wait for a connection. While a database keeps up, waiting is short and everybody waits; when it
//! does not, who comes late would wait in vain and only lengthen the line, and is refused at once, with a
//! time to come back.

use std::{future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// So long after somebody waited in vain nobody joins who would not be the first.
const WARY: Duration = Duration::from_secs(1);

/// The line before one pool. Clones are the same line.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    count: usize,
    /// When somebody last waited in vain.
    in_vain: Option<Instant>,
    /// Nobody got through since: until somebody does, one at a time is enough to find out.
    stalled: bool,
}

/// A place in it, given up when this goes.
struct Waiter<'a>(&'a Line);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.0.lock().count -= 1;
    }
}

impl Line {
    /// Waits for what `acquire` waits for, unless the line is too long.
    pub(super) async fn wait<T>(
        &self,
        acquire: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        let Some(_place) = self.place(Instant::now()) else {
            metrics::counter!("db_refused_total").increment(1);
            return Err(sqlx::Error::PoolTimedOut);
        };
        let acquired = acquire.await;
        self.noted(matches!(acquired, Err(sqlx::Error::PoolTimedOut)), Instant::now());
        acquired
    }

    fn place(&self, now: Instant) -> Option<Waiter<'_>> {
        let mut waiting = self.0.lock();
        let lately = waiting.in_vain.is_some_and(|at| now.saturating_duration_since(at) < WARY);
        if waiting.count > 0 && (waiting.stalled || lately) {
            return None;
        }
        waiting.count += 1;
        Some(Waiter(self))
    }

    fn noted(&self, in_vain: bool, now: Instant) {
        let mut waiting = self.0.lock();
        waiting.stalled = in_vain;
        if in_vain {
            waiting.in_vain = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_waits_while_nobody_waits_in_vain() {
        let (line, now) = (Line::default(), Instant::now());
        let places: Vec<_> = (0..1_000).map(|_| line.place(now)).collect();
        assert!(places.iter().all(Option::is_some));
    }

    #[test]
    fn after_somebody_waited_in_vain_one_at_a_time_finds_out_whether_it_is_over() {
        let (line, now) = (Line::default(), Instant::now());
        line.noted(true, now);
        let first = line.place(now);
        assert!(first.is_some() && line.place(now + 10 * WARY).is_none(), "nobody got through since");
        line.noted(false, now);
        assert!(line.place(now).is_none(), "somebody did, but it was only now that somebody waited in vain");
        assert!(line.place(now + WARY).is_some());
        drop(first);
    }
}
