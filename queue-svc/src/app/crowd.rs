//! More people than can be written down at once: who is taken, and when the others are to come back.
//!
//! Joins that wait share one space over all queues. A queue may take as many places of it as are free, so
//! that alone it gets half, and a storm on one queue leaves room for the others (and, below what a server has
//! in flight at most, for everything that is not a join). Whoever finds no place is told at once when to come
//! back: each one a little later than the one before, at the speed at which the queue takes people down, so
//! that a crowd comes back as a stream.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rand::Rng;

use crate::domain::SECOND;

/// Joins that wait or are being written, over all queues: what two cores write down in less than half a
/// second.
const SPACE: usize = 4_000;
/// Bounds of when to come back.
const SOONEST: i64 = SECOND;
const LATEST: i64 = 60 * SECOND;
/// Bounds of what is believed of a queue's speed, in joins a second: a stalled database tells nothing of its
/// speed.
const SPEED: (f64, f64) = (500.0, 50_000.0);

/// One queue's share of the space.
#[derive(Debug)]
pub(super) struct Crowd {
    all: Arc<AtomicUsize>,
    mine: Arc<AtomicUsize>,
    told: Mutex<ComeBack>,
}

#[derive(Debug)]
struct ComeBack {
    /// When the last one who was sent away is to come back.
    until: i64,
    /// Joins a second, as seen lately.
    speed: f64,
}

/// A place among those who wait; given back when dropped.
#[derive(Debug)]
pub(super) struct JoinPermit {
    all: Arc<AtomicUsize>,
    mine: Arc<AtomicUsize>,
}

impl Drop for JoinPermit {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
        self.mine.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Crowd {
    /// A queue's share of what all queues count in `all`.
    pub(super) fn new(all: Arc<AtomicUsize>) -> Self {
        Self { all, mine: Arc::default(), told: Mutex::new(ComeBack { until: 0, speed: 5_000.0 }) }
    }

    /// A place for one more.
    ///
    /// # Errors
    /// In how many microseconds to come back.
    pub(super) fn enter(&self, now: i64) -> Result<JoinPermit, i64> {
        let mine = self.mine.load(Ordering::Relaxed);
        if mine + self.all.load(Ordering::Relaxed) >= SPACE {
            return Err(self.send_away(now, mine));
        }
        self.all.fetch_add(1, Ordering::Relaxed);
        self.mine.fetch_add(1, Ordering::Relaxed);
        Ok(JoinPermit { all: Arc::clone(&self.all), mine: Arc::clone(&self.mine) })
    }

    fn send_away(&self, now: i64, waiting: usize) -> i64 {
        let mut told = self.told.lock();
        let takes = |people: usize| micros(people, told.speed);
        let after = told.until.max(now + takes(waiting)) + takes(1).max(1);
        told.until = after.min(now + LATEST);
        let wait = told.until - now;
        // About a fifth to either side: those who came in one packet need not come back in one.
        let jitter = rand::rng().random_range(-wait / 5..=wait / 5);
        (wait + jitter).clamp(SOONEST, LATEST)
    }

    /// A batch of so many took so long.
    pub(super) fn written(&self, people: usize, took: Duration) {
        // A small batch is over in the time of a commit and says nothing about the speed of a full one.
        if people < 100 {
            return;
        }
        let mut told = self.told.lock();
        let now = f64::from(u32::try_from(people).unwrap_or(u32::MAX)) / took.as_secs_f64().max(1e-3);
        told.speed = (0.8 * told.speed + 0.2 * now).clamp(SPEED.0, SPEED.1);
    }
}

fn micros(people: usize, speed: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "some thousand people at 500 a second at least")]
    let micros = (f64::from(u32::try_from(people).unwrap_or(u32::MAX)) / speed * 1e6) as i64;
    micros
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_alone_gets_half_and_two_share() {
        let all = Arc::default();
        let [rock, jazz] = [Crowd::new(Arc::clone(&all)), Crowd::new(all)];
        let rocks: Vec<_> = std::iter::from_fn(|| rock.enter(0).ok()).collect();
        assert_eq!(rocks.len(), SPACE / 2);
        let jazzes: Vec<_> = std::iter::from_fn(|| jazz.enter(0).ok()).collect();
        assert_eq!(jazzes.len(), SPACE / 4);
        drop((rocks, jazzes));
        assert!(rock.enter(0).is_ok() && jazz.enter(0).is_ok());
    }

    #[test]
    fn those_sent_away_come_back_as_a_stream() {
        let crowd = Crowd::new(Arc::default());
        let _inside: Vec<_> = std::iter::from_fn(|| crowd.enter(0).ok()).collect();
        let mut back: Vec<i64> = (0..50_000).map(|_| crowd.enter(0).err().unwrap_or(0)).collect();
        assert!(back.iter().all(|at| (SOONEST..=LATEST).contains(at)));
        back.sort_unstable();
        // 50,000 at 5,000 a second: about ten seconds' worth, and no second gets twice its share.
        for second in 2..9 {
            let at_once =
                back.iter().filter(|at| (second * SECOND..(second + 1) * SECOND).contains(at)).count();
            assert!((2_500..10_000).contains(&at_once), "{at_once} in second {second}");
        }
    }

    #[test]
    fn a_line_that_writes_faster_calls_people_back_sooner() {
        let crowd = Crowd::new(Arc::default());
        let _inside: Vec<_> = std::iter::from_fn(|| crowd.enter(0).ok()).collect();
        for _ in 0..100 {
            crowd.written(1_000, Duration::from_millis(50));
        }
        let last = (0..50_000).filter_map(|_| crowd.enter(0).err()).max();
        assert!(last.is_some_and(|last| last < 5 * SECOND), "{last:?}");
    }
}
