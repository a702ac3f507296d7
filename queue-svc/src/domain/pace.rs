//! How fast a queue moves: the admissions of the last minutes, the users who gave up, and for how long the
//! queue was open while users waited.
//!
//! Only time counts in which users waited and the queue was not paused, and only admissions of users who had
//! to wait. How fast an empty queue fills says nothing about how fast a queue moves, and a pause says nothing
//! about how fast it goes on. All numbers change with decisions only, so an unchanged queue gives unchanged
//! answers.

use serde::{Deserialize, Serialize};

use super::{QueuePolicy, SECOND};

const BUCKET: i64 = 15 * SECOND;
/// How many buckets are kept: five minutes.
const KEPT: i64 = 20;
/// How many buckets make up the last minute.
const LATELY: i64 = 4;
/// Seconds of waiting without giving up that are added to what was measured, so that the few users who give
/// up in a short queue do not count for much.
const UNTOLD: f64 = 3_600.0;

/// What happened in a quarter of a minute: its number, the admissions, the users who gave up, the
/// microseconds for which the queue was open with users waiting, and the sum of the microseconds that the
/// users waited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Bucket(i64, i64, i64, i64, i64);

/// What happened in the last five minutes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pace {
    #[serde(rename = "b", default)]
    buckets: Vec<Bucket>,
    /// How long the present pause has lasted, in microseconds.
    #[serde(rename = "h", default)]
    halted: i64,
}

/// Why a queue is slower than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// The queue is paused.
    Paused,
    /// All places were taken for a minute, and none became free.
    Full,
    /// The queue moves at less than three quarters of the speed that it had.
    Slower,
}

/// The admissions of a span of time, and for how many seconds of it the queue was open.
#[derive(Clone, Copy, Debug)]
struct Measured {
    admitted: f64,
    open: f64,
}

impl Measured {
    /// Admissions a second. Two admissions at the planned speed are added, so that a short measurement does
    /// not count for much.
    fn rate(self, planned: f64) -> f64 {
        if planned > 0.0 {
            (self.admitted + 2.0) / (self.open + 2.0 / planned)
        } else {
            self.admitted / self.open.max(1.0)
        }
    }
}

/// A queue's speed in admissions a second: measured, or as planned before anything was measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speed {
    pub(super) likely: f64,
    pub(super) fast: f64,
    pub(super) slow: f64,
    /// The share of the waiting users that gives up, a second.
    pub(super) leaving: f64,
    /// How many admissions the measurement has seen.
    pub(super) evidence: f64,
    /// Seconds until the cap lets a token in.
    pub(super) opens_in: f64,
    /// Seconds that a pause may still last.
    pub(super) halt: f64,
    pub(super) delay: Option<Delay>,
}

impl Pace {
    /// Notes that time passed from one decision to the next while this many users waited.
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

    /// Notes that a user who waited was admitted.
    pub(super) fn admitted(&mut self, now: i64) {
        self.bucket(now.div_euclid(BUCKET)).1 += 1;
    }

    /// Notes that a waiting token ended without an admission.
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
            // Nothing was measured yet. The queue may move as fast as the cap allows, or as slowly as if
            // every user took the whole admission.
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
    // The queue is slower by a quarter, and by more than chance would explain.
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
