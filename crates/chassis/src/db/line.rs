//! The bounded wait for a connection of a pool. While the database keeps up, waits are short and every caller
//! waits. After an acquire timeout, further callers would only lengthen the wait: they are refused at once,
//! with a time to come back, and one caller at a time finds out whether the database works again.

use std::{future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// For this long after an acquire timeout only one caller at a time may wait for a connection.
const WARY: Duration = Duration::from_secs(1);

/// The callers that wait for a connection of one pool. Clones share the count.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    count: usize,
    /// When a caller last ran into the acquire timeout.
    in_vain: Option<Instant>,
    /// No caller has got a connection since then. Until one does, one at a time is enough to find out.
    stalled: bool,
}

/// Counts one waiting caller until it is dropped.
struct Waiter<'a>(&'a Line);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.0.lock().count -= 1;
    }
}

impl Line {
    /// Awaits `acquire`. Fails at once, as if it had timed out, while another caller is already finding out
    /// whether the database works again.
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
