//! How fast a queue moves: what was admitted and who gave up in the last minutes, and for how long the queue
//! was open while people waited.
//!
//! Only time in which somebody waited and the queue was not paused counts, and only admissions of people who
//! had to wait: how fast an empty queue fills says nothing about how fast a queue moves, and a pause says
//! nothing about how fast it goes on. All of it moves with decisions alone, so that an unchanged queue gives
//! unchanged answers.

use serde::{Deserialize, Serialize};

use super::{QueuePolicy, SECOND};

const BUCKET: i64 = 15 * SECOND;
/// Five minutes.
const KEPT: i64 = 20;
/// The last minute.
const LATELY: i64 = 4;
/// An hour of one person's waiting without giving up is taken for granted: a few people's leaving tells
/// nothing of a queue's.
const UNTOLD: f64 = 3_600.0;

/// What happened in a quarter of a minute: its number, admissions, people who gave up, microseconds open with
/// people waiting, and person-microseconds waited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Bucket(i64, i64, i64, i64, i64);

/// The last five minutes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pace {
    #[serde(rename = "b", default)]
    buckets: Vec<Bucket>,
    /// How long the present pause has lasted.
    #[serde(rename = "h", default)]
    halted: i64,
}

/// Why a queue is slower than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// It is paused.
    Paused,
    /// No place became free for a minute.
    Full,
    /// It moves at less than three quarters of the speed it had.
    Slower,
}

/// Admissions and people's leaving, a second.
#[derive(Clone, Copy, Debug)]
struct Measured {
    admitted: f64,
    open: f64,
}

impl Measured {
    /// With two admissions at the planned speed thrown in, so that little evidence weighs little.
    fn rate(self, planned: f64) -> f64 {
        if planned > 0.0 {
            (self.admitted + 2.0) / (self.open + 2.0 / planned)
        } else {
            self.admitted / self.open.max(1.0)
        }
    }
}

/// A queue's speed in people a second, as measured or, before anything was, as planned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speed {
    pub(super) likely: f64,
    pub(super) fast: f64,
    pub(super) slow: f64,
    /// The share of those who wait that gives up, a second.
    pub(super) leaving: f64,
    /// How many admissions this is measured by.
    pub(super) evidence: f64,
    /// Seconds until the cap lets anybody in.
    pub(super) opens_in: f64,
    /// Seconds that a pause may yet last.
    pub(super) halt: f64,
    pub(super) delay: Option<Delay>,
}

impl Pace {
    /// Time passes from one decision to the next, with so many waiting.
    pub(super) fn pass(&mut self, from: i64, to: i64, waiting: i64, paused: bool) {
        self.halted = if paused { self.halted + (to - from).max(0) } else { 0 };
        let oldest = to.div_euclid(BUCKET) - KEPT;
        self.buckets.retain(|bucket| bucket.0 > oldest);
        if paused || waiting == 0 {
            return;
        }
        let mut at = from.max((oldest + 1) * BUCKET);
        while at < to {
            let number = at.div_euclid(BUCKET);
            let until = ((number + 1) * BUCKET).min(to);
            let bucket = self.bucket(number);
            bucket.3 += until - at;
            bucket.4 += (until - at) * waiting;
            at = until;
        }
    }

    /// Somebody who waited was admitted.
    pub(super) fn admitted(&mut self, now: i64) {
        self.bucket(now.div_euclid(BUCKET)).1 += 1;
    }

    /// Somebody gave up waiting, or was given up.
    pub(super) fn gave_up(&mut self, now: i64) {
        self.bucket(now.div_euclid(BUCKET)).2 += 1;
    }

    fn bucket(&mut self, number: i64) -> &mut Bucket {
        let at = self.buckets.iter().position(|bucket| bucket.0 >= number).unwrap_or(self.buckets.len());
        if self.buckets.get(at).is_none_or(|bucket| bucket.0 != number) {
            self.buckets.insert(at, Bucket(number, 0, 0, 0, 0));
        }
        &mut self.buckets[at]
    }

    fn sum(&self, which: impl Fn(i64) -> bool) -> (Measured, f64) {
        let all = || self.buckets.iter().filter(|bucket| which(bucket.0));
        let admitted = float(all().map(|bucket| bucket.1).sum());
        let gone = float(all().map(|bucket| bucket.2).sum());
        let open = seconds(all().map(|bucket| bucket.3).sum());
        let waited = seconds(all().map(|bucket| bucket.4).sum());
        (Measured { admitted, open }, gone / (waited + UNTOLD))
    }

    /// The speed as of the last decision.
    pub(super) fn speed(&self, now: i64, policy: &QueuePolicy, active: i64, opens_at: i64) -> Speed {
        let top = float(policy.admit_per_minute) / 60.0;
        let turnover = float(policy.max_active) / seconds(policy.active_ttl.max(SECOND));
        let planned = turnover.min(top);
        let newest = now.div_euclid(BUCKET);
        let (all, leaving) = self.sum(|_| true);
        let (lately, _) = self.sum(|number| number > newest - LATELY);
        let (before, _) = self.sum(|number| number <= newest - LATELY);
        let [long, short] = [all.rate(planned), lately.rate(planned)];
        let mut likely = (long + short) / 2.0;
        let (mut fast, mut slow) = (long.max(short), long.min(short));
        if all.admitted < 1.0 {
            // Nothing measured: as fast as the cap allows, or as slow as if everybody took all the time there
            // is.
            likely = planned;
            (fast, slow) = (if policy.max_active > 0 { top } else { 0.0 }, planned);
        }
        let full = active >= policy.max_active;
        Speed {
            likely,
            fast,
            slow,
            leaving,
            evidence: lately.admitted,
            opens_in: if full { 0.0 } else { seconds(opens_at - now).max(0.0) },
            halt: if policy.paused { seconds(self.halted * 2).max(60.0) } else { 0.0 },
            delay: delay(policy, full, before, lately),
        }
    }
}

fn delay(policy: &QueuePolicy, full: bool, before: Measured, lately: Measured) -> Option<Delay> {
    if policy.paused {
        return Some(Delay::Paused);
    }
    if full && lately.admitted < 1.0 && (policy.max_active == 0 || lately.open >= 44.0) {
        return Some(Delay::Full);
    }
    // Slower by a quarter and by more than chance would have it.
    let expected = if before.open >= 15.0 { before.admitted / before.open * lately.open } else { 0.0 };
    let slower = lately.admitted < expected * 0.75 && expected - lately.admitted > 2.5 * expected.sqrt();
    slower.then_some(Delay::Slower)
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
pub(super) const fn float(number: i64) -> f64 {
    number as f64
}

fn seconds(micros: i64) -> f64 {
    float(micros) / float(SECOND)
}
