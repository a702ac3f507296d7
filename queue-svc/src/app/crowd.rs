//! Backpressure on joins: which of a crowd are taken, and when the others are to come back.
//!
//! The joins that wait share one space over all queues. A queue may take as many permits as are still free
//! after its own, so that a queue alone gets half of the space, and a crowd at one queue leaves room for the
//! others. The space is smaller than what a server may have in flight, so there is also room for every other
//! request. A join that gets no permit is refused at once with a time to come back. Each such time is a
//! little later than the one before, at the speed at which the queue writes joins, so that a crowd comes back
//! as a stream.

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

/// The most joins that wait or are being written, over all queues: what two cores write in less than half a
/// second.
const SPACE: usize = 4_000;
/// The soonest and the latest time, from now, at which a user is asked to come back.
const SOONEST: i64 = SECOND;
const LATEST: i64 = 60 * SECOND;
/// The bounds of a queue's measured speed, in joins a second. What is measured while the database stalls says
/// nothing about the speed after that.
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
    /// The time at which the last user who was refused is to come back.
    until: i64,
    /// The speed of writing, in joins a second, as measured lately.
    speed: f64,
}

/// The permit of a join that waits; dropping it frees its place.
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
    /// A queue's share of the space; `all` counts the permits of all queues.
    pub(super) fn new(all: Arc<AtomicUsize>) -> Self {
        Self { all, mine: Arc::default(), told: Mutex::new(ComeBack { until: 0, speed: 5_000.0 }) }
    }

    /// A permit for one more join.
    ///
    /// # Errors
    /// After how many microseconds to come back, when there is no room.
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
        // The time varies by up to a fifth to either side, so that requests that came in one packet come back
        // apart.
        let jitter = rand::rng().random_range(-wait / 5..=wait / 5);
        (wait + jitter).clamp(SOONEST, LATEST)
    }

    /// Notes that a batch of this many people was written in this time.
    pub(super) fn written(&self, people: usize, took: Duration) {
        // A small batch takes as long as a commit and says nothing about the speed of a full one.
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
        // 50,000 users at 5,000 a second come back over about ten seconds, and no second gets twice its
        // share.
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
