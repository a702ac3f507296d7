//! The cap on admissions: at most `cap` in any 60 seconds, counted exactly, and an even stream of them while
//! the queue is long.
//!
//! Each admission takes one of `cap` permits. A permit comes back 60 s after it was taken and never sooner,
//! so no 60 s have more admissions than the cap. No two permits come back closer together than a cap-th of a
//! minute (or a second, where that is longer): a crowd that was admitted at once is followed by a stream, and
//! not by another crowd a minute later. While users wait, every permit is taken again as soon as it is back,
//! so a minute has exactly as many admissions as the cap allows, less what is lost because the taker is late.
//!
//! ```text
//!   taken   ||||||                    | | | | | |
//!   back               60 s later     | | | | | |        60 s later     | | | | | |
//! ```
//!
//! The permits that are taken are kept as a few runs of evenly spaced returns. When there are too many runs,
//! two neighbours become one, in which no permit comes back earlier than before. This admits fewer rather
//! than more, and only while permits are not scarce: at a saturated cap there are no gaps between the runs.

use serde::{Deserialize, Serialize};

use super::SECOND;

const MINUTE: i64 = 60 * SECOND;
/// The most runs that are kept. Each takes about 30 bytes of the queue's row, which every commit writes.
const MAX_RUNS: usize = 32;

/// Permits that come back at `from`, `from + step`, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i64, i64, i64)", into = "(i64, i64, i64)")]
struct Run {
    from: i64,
    count: i64,
    step: i64,
}

impl From<(i64, i64, i64)> for Run {
    fn from((from, count, step): (i64, i64, i64)) -> Self {
        Self { from, count: count.max(1), step: step.max(1) }
    }
}

impl From<Run> for (i64, i64, i64) {
    fn from(run: Run) -> Self {
        (run.from, run.count, run.step)
    }
}

impl Run {
    const fn end(self) -> i64 {
        self.from + (self.count - 1) * self.step
    }

    fn back(self, now: i64) -> i64 {
        if now < self.from { 0 } else { ((now - self.from) / self.step + 1).min(self.count) }
    }

    /// Makes one evenly spaced run of this one and a later one. No permit comes back earlier than before.
    fn and(self, later: Self) -> Self {
        let own_step = |run: Self| if run.count == 1 { i64::MAX } else { run.step };
        let step = own_step(self).min(own_step(later)).min(later.from - self.end()).max(1);
        let count = self.count + later.count;
        Self { from: later.end() - (count - 1) * step, count, step }
    }
}

/// The permits that are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Permits(Vec<Run>);

impl Permits {
    /// Takes a permit; the caller has made sure that one is [`left`](Self::left).
    pub(super) fn take(&mut self, now: i64, cap: i64) {
        self.0.retain(|run| run.end() > now);
        // I-LINE-RATE: a permit comes back no sooner than 60 s after it was taken.
        let step = (MINUTE / cap.max(1)).clamp(1, SECOND);
        let back = self.0.last().map_or(i64::MIN, |last| last.end() + step).max(now + MINUTE);
        match self.0.last_mut() {
            Some(last) if last.end() + last.step == back => last.count += 1,
            Some(last) if last.count == 1 && last.from + step == back => {
                *last = Run { count: 2, step, ..*last }
            }
            _ => self.0.push(Run { from: back, count: 1, step }),
        }
        if self.0.len() > MAX_RUNS {
            self.merge();
        }
    }

    /// How many permits may be taken now.
    pub(super) fn left(&self, now: i64, cap: i64) -> i64 {
        cap - self.0.iter().map(|run| run.count - run.back(now)).sum::<i64>()
    }

    /// When the next permit may be taken; `now` when one may be taken now.
    pub(super) fn opens_at(&self, now: i64, cap: i64) -> i64 {
        let mut needed = 1 - self.left(now, cap);
        for run in &self.0 {
            if needed <= 0 {
                break;
            }
            let back = run.back(now);
            if needed <= run.count - back {
                return run.from + (back + needed - 1) * run.step;
            }
            needed -= run.count - back;
        }
        now
    }

    /// Makes one run of the two neighbours that delay their permits the least by it.
    fn merge(&mut self) {
        let cost = |pair: &[Run]| pair[0].and(pair[1]).from - pair[0].from;
        let cheapest = self.0.windows(2).enumerate().min_by_key(|(_, pair)| cost(pair)).map(|(at, _)| at);
        if let Some(at) = cheapest {
            let later = self.0.remove(at + 1);
            self.0[at] = self.0[at].and(later);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// Every admission of the last minute, one by one.
    #[derive(Default)]
    struct Log(VecDeque<i64>);

    impl Log {
        fn left(&mut self, now: i64, cap: i64) -> i64 {
            while self.0.front().is_some_and(|at| at + MINUTE <= now) {
                self.0.pop_front();
            }
            cap - i64::try_from(self.0.len()).unwrap_or(i64::MAX)
        }
    }

    #[test]
    fn a_crowd_that_went_in_at_once_is_followed_by_a_stream() {
        let mut permits = Permits::default();
        for _ in 0..6_000 {
            assert!(permits.left(0, 6_000) > 0);
            permits.take(0, 6_000);
        }
        assert_eq!((permits.left(0, 6_000), permits.opens_at(0, 6_000)), (0, MINUTE));
        assert_eq!((permits.left(MINUTE - 1, 6_000), permits.left(MINUTE, 6_000)), (0, 1));
        assert_eq!(permits.left(MINUTE + SECOND - 1, 6_000), 100);
        assert_eq!(permits.0.len(), 1, "a crowd is one run");
    }

    #[test]
    fn a_small_cap_is_back_within_seconds() {
        let mut permits = Permits::default();
        for _ in 0..3 {
            permits.take(0, 3);
        }
        assert_eq!([0, 60, 61, 62].map(|at| permits.left(at * SECOND, 3)), [0, 1, 2, 3]);
        assert_eq!(permits.opens_at(0, 2), 61 * SECOND, "a lowered cap waits for those who are out");
        assert_eq!(permits.opens_at(0, 4), 0);
    }

    /// Takes whatever is there at each moment; how many in each minute.
    fn saturated(cap: i64, minutes: i64, mut late: impl FnMut() -> i64) -> Vec<i64> {
        let (mut permits, mut log, mut now) = (Permits::default(), Log::default(), 0);
        let mut taken = vec![0; usize::try_from(minutes).unwrap_or(0)];
        while now < minutes * MINUTE {
            while permits.left(now, cap) > 0 {
                assert!(log.left(now, cap) > 0, "more than {cap} in 60 s at {now}");
                log.0.push_back(now);
                permits.take(now, cap);
                taken[usize::try_from(now / MINUTE).unwrap_or(0)] += 1;
            }
            now = permits.opens_at(now, cap) + late();
        }
        assert!(permits.0.len() <= MAX_RUNS);
        taken
    }

    #[test]
    fn a_saturated_line_gets_its_cap_every_minute() {
        for cap in [1, 3, 7, 60, 100, 6_000] {
            assert!(saturated(cap, 5, || 0).iter().all(|taken| *taken == cap), "{cap}");
        }
    }

    #[test]
    fn being_a_few_milliseconds_late_costs_a_few_permits_in_ten_thousand() {
        let mut random = 1_u64;
        let late = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(random >> 33).unwrap_or(0) % 5_000
        };
        let taken: i64 = saturated(6_000, 10, late).iter().sum();
        assert!(taken > 59_950, "{taken} of 60,000");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn never_more_than_a_list_of_all_admissions_would_allow(
            cap in 1_i64..200,
            steps in prop::collection::vec((0_i64..4_000_000, 0_i64..20), 1..400),
        ) {
            let (mut permits, mut log, mut now) = (Permits::default(), Log::default(), 1_000 * MINUTE);
            for (pause, wanted) in steps {
                now += pause;
                for _ in 0..wanted {
                    let left = permits.left(now, cap);
                    prop_assert!(left <= log.left(now, cap), "{left} left");
                    prop_assert_eq!(permits.opens_at(now, cap) <= now, left > 0);
                    if left > 0 {
                        permits.take(now, cap);
                        log.0.push_back(now);
                    }
                }
                let opens = permits.opens_at(now, cap);
                prop_assert!(permits.left(opens, cap) > 0, "it opens when it says");
                prop_assert!(permits.left(now, cap) > 0 || permits.left(opens - 1, cap) <= 0, "and not before");
                prop_assert!(permits.0.len() <= MAX_RUNS && permits.0.windows(2).all(|pair| pair[0].end() <= pair[1].from));
            }
            now += 2 * MINUTE + 200 * SECOND;
            prop_assert_eq!(permits.left(now, cap), cap, "all come back");
            let text = serde_json::to_string(&permits).unwrap_or_default();
            prop_assert_eq!(serde_json::from_str::<Permits>(&text).ok(), Some(permits));
        }
    }
}
