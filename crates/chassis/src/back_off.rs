//! How long to wait before something that failed is tried again: longer after each further failure, up to a
//! cap, and not at the same moment as everybody else who failed with it.

use std::time::Duration;

use rand::Rng;

/// The pauses between attempts, as a constant of whoever tries again.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    /// The pause after the first failure, before jitter.
    pub base: Duration,
    /// How many times longer than the one before it each further pause is; 2 or more.
    pub factor: u32,
    /// The longest pause, before jitter.
    pub cap: Duration,
    /// The random share of a pause, 0 to 1: with 0.75 a pause is a quarter of its length up to all of it.
    pub jitter: f64,
}

impl BackOff {
    /// The pause after this many failures in a row (0 counts as 1), before jitter.
    #[must_use]
    pub fn longest(&self, failures: u32) -> Duration {
        let times = self.factor.saturating_pow(failures.saturating_sub(1));
        self.base.saturating_mul(times).min(self.cap)
    }

    /// The pause after this many failures in a row (0 counts as 1), with jitter.
    #[must_use]
    pub fn pause(&self, failures: u32) -> Duration {
        let longest = self.longest(failures);
        longest.mul_f64(rand::rng().random_range(1.0 - self.jitter..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSES: BackOff =
        BackOff { base: Duration::from_millis(50), factor: 2, cap: Duration::from_secs(2), jitter: 0.5 };

    #[test]
    fn pauses_grow_up_to_the_cap_however_many_failures_there_are() {
        let millis = [0, 1, 2, 6, 7, u32::MAX].map(|failures| PAUSES.longest(failures).as_millis());
        assert_eq!(millis, [50, 50, 100, 1_600, 2_000, 2_000]);
    }

    #[test]
    fn jitter_only_shortens_a_pause_and_by_no_more_than_its_share() {
        for failures in 1..100 {
            let (longest, pause) = (PAUSES.longest(failures), PAUSES.pause(failures));
            assert!(longest / 2 <= pause && pause <= longest, "{failures}: {pause:?}");
        }
    }
}
