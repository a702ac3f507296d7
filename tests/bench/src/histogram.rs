//! Latencies in microseconds, to three digits.

use std::time::Duration;

/// The longest latency that is told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(3_600);
/// The digits that are kept of a latency.
const DIGITS: u8 = 3;

/// How often which latency was seen.
#[derive(Clone)]
pub(crate) struct Histogram(hdrhistogram::Histogram<u64>);

impl Default for Histogram {
    fn default() -> Self {
        let longest = LONGEST.as_micros() as u64;
        Self(hdrhistogram::Histogram::new_with_bounds(1, longest, DIGITS).expect("bounds that make sense"))
    }
}

impl Histogram {
    /// Counts one.
    pub(crate) fn record(&mut self, took: Duration) {
        self.0.saturating_record(took.as_micros() as u64);
    }

    /// Adds all that another counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("the same bounds");
    }

    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The longest.
    pub(crate) fn max(&self) -> Duration {
        Duration::from_micros(self.0.max())
    }

    /// The latency that this share of all did not exceed; nought when nothing was counted.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let mut histogram = Histogram::default();
        for micros in (1..=1_000).rev() {
            histogram.record(Duration::from_micros(micros));
        }
        let told = |share| histogram.quantile(share).as_micros();
        assert_eq!([told(0.1), told(0.5), told(0.99), told(1.0)], [100, 500, 990, 1_000]);
        assert_eq!((histogram.max().as_micros(), histogram.count()), (1_000, 1_000));
    }

    #[test]
    fn merging_is_counting_both() {
        let (mut one, mut other) = (Histogram::default(), Histogram::default());
        one.record(Duration::from_micros(10));
        other.record(Duration::from_micros(1_000));
        one.merge(&other);
        assert_eq!((one.count(), one.max()), (2, Duration::from_millis(1)));
        assert_eq!(one.quantile(0.5), Duration::from_micros(10));
    }

    #[test]
    fn nothing_counted_is_nought_and_what_is_longer_than_the_longest_is_the_longest() {
        assert_eq!(Histogram::default().quantile(0.99), Duration::ZERO);
        let mut histogram = Histogram::default();
        histogram.record(2 * LONGEST);
        assert!(histogram.max() >= LONGEST);
    }
}
