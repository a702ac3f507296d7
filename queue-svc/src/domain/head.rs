//! A line's own row: its policy, its counters, and how fast it admits.

use serde::{Deserialize, Serialize};

use super::{QueuePolicy, SECOND};

/// Whole seconds that any 60 s can touch.
const WINDOW: i64 = 61;
/// Over how many minutes the rate is measured.
const MINUTES: i64 = 5;
const MINUTE: i64 = 60 * SECOND;

/// The queue's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// How it admits.
    pub policy: QueuePolicy,
    /// Rises by one with every commit.
    pub version: i64,
    /// The last ticket given out.
    pub last_ticket: i64,
    /// The highest ticket admitted so far.
    pub serving_ticket: i64,
    /// The time of the last decision: time never runs backwards in a queue, whatever the clocks of its replicas say.
    pub decided_at: i64,
    /// Recent admissions.
    pub admissions: Admissions,
    /// When the queue was made.
    pub created_at: i64,
}

impl Head {
    /// A line in which nobody has stood yet.
    #[must_use]
    pub fn new(policy: QueuePolicy, now: i64) -> Self {
        Self {
            policy,
            version: 0,
            last_ticket: 0,
            serving_ticket: 0,
            decided_at: now,
            admissions: Admissions::default(),
            created_at: now,
        }
    }

    /// Admissions a second, as the place in line should be read: measured over the last minutes, or where nothing was measured yet
    /// what the policy allows, `min(admit_per_minute, max_active / active_ttl)`. It is a function of committed state alone (as of
    /// the last decision), so that an unchanged line gives unchanged answers.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let policy = &self.policy;
        let cap = float(policy.admit_per_minute) / 60.0;
        let planned = float(policy.max_active) / (float(policy.active_ttl.max(SECOND)) / float(SECOND));
        self.admissions.measured(self.decided_at).unwrap_or_else(|| planned.min(cap))
    }

    /// How long `people` take to be admitted at that rate; `None` when it is nought.
    #[must_use]
    pub fn wait_for(&self, people: i64) -> Option<i64> {
        let seconds = float(people) / self.rate();
        // Beyond thirty years there is no telling; also where the rate is nought.
        (seconds < 1e9).then(|| whole_seconds(seconds) * SECOND)
    }
}

/// Counts of admissions: by second, to keep the cap in any 60 seconds, and by minute, to tell how fast the line moves.
///
/// The cap counts whole seconds and so errs on the safe side: any 60 s touch at most 61 of them, and those 61 hold no more than the
/// cap. Admissions of people who did not have to wait are left out of the rate: how fast an empty room fills says nothing about
/// how fast a line moves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admissions {
    #[serde(rename = "s", default)]
    seconds: Vec<(i64, i64)>,
    #[serde(rename = "m", default)]
    minutes: Vec<(i64, i64)>,
}

impl Admissions {
    /// Notes an admission.
    pub fn add(&mut self, now: i64, from_the_line: bool) {
        let second = now.div_euclid(SECOND);
        self.seconds.retain(|(at, _)| *at > second - WINDOW);
        bump(&mut self.seconds, second);
        if from_the_line {
            let minute = now.div_euclid(MINUTE);
            self.minutes.retain(|(at, _)| *at > minute - MINUTES);
            bump(&mut self.minutes, minute);
        }
    }

    /// How many more the cap allows now.
    #[must_use]
    pub fn left(&self, now: i64, cap: i64) -> i64 {
        cap - self.recent(now.div_euclid(SECOND)).map(|(_, count)| count).sum::<i64>()
    }

    /// When the cap next allows one, if it does not now.
    #[must_use]
    pub fn opens_at(&self, now: i64, cap: i64) -> i64 {
        let mut left = self.left(now, cap);
        let mut opens = now;
        for (second, count) in self.recent(now.div_euclid(SECOND)) {
            if left > 0 {
                break;
            }
            left += count;
            opens = (second + WINDOW) * SECOND;
        }
        opens
    }

    fn recent(&self, second: i64) -> impl Iterator<Item = (i64, i64)> {
        self.seconds.iter().copied().filter(move |(at, _)| *at > second - WINDOW)
    }

    /// Admissions from the line a second; `None` when there were none lately.
    fn measured(&self, now: i64) -> Option<f64> {
        let minute = now.div_euclid(MINUTE);
        let lately = || self.minutes.iter().filter(|(at, _)| *at > minute - MINUTES);
        let (first, _) = lately().next()?;
        let count: i64 = lately().map(|(_, count)| count).sum();
        let span = (now - first * MINUTE).max(MINUTE);
        Some(float(count) / (float(span) / float(SECOND)))
    }
}

fn bump(counts: &mut Vec<(i64, i64)>, at: i64) {
    match counts.last_mut() {
        Some((last, count)) if *last >= at => *count += 1,
        _ => counts.push((at, 1)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
const fn float(number: i64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, reason = "below 10^9 by the caller's check")]
fn whole_seconds(seconds: f64) -> i64 {
    seconds.ceil() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_opens_when_its_oldest_second_is_out_of_reach() {
        let mut admissions = Admissions::default();
        for at in [10 * SECOND + 900_000, 10 * SECOND + 999_999, 30 * SECOND] {
            admissions.add(at, true);
        }
        assert_eq!(admissions.left(30 * SECOND, 3), 0);
        assert_eq!(admissions.opens_at(30 * SECOND, 3), 71 * SECOND);
        assert_eq!(admissions.left(71 * SECOND - 1, 3), 0);
        assert_eq!(admissions.left(71 * SECOND, 3), 2);
        assert_eq!(admissions.opens_at(30 * SECOND, 1), 91 * SECOND);
    }

    #[test]
    fn the_rate_is_the_policys_until_the_line_has_moved() {
        let mut head = Head::new(QueuePolicy { max_active: 600, ..QueuePolicy::default() }, 0);
        assert!((head.rate() - 2.0).abs() < 1e-9);
        head.admissions.add(0, false);
        assert!((head.rate() - 2.0).abs() < 1e-9, "a free place taken at once says nothing about the line");
        for at in 0..120 {
            head.admissions.add(at * SECOND, true);
        }
        head.decided_at = 120 * SECOND;
        assert!((head.rate() - 1.0).abs() < 1e-9);
        assert_eq!(head.wait_for(90), Some(90 * SECOND));
    }

    #[test]
    fn a_line_that_admits_nobody_promises_nothing() {
        let head = Head::new(QueuePolicy { max_active: 0, ..QueuePolicy::default() }, 0);
        assert_eq!(head.wait_for(1), None);
    }
}
