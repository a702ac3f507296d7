//! Latencies, counted in buckets that grow with what they hold: exact below 128 µs, within 1.6 % above.

use std::time::Duration;

/// Values below this have a bucket each.
const EXACT: u64 = 128;
/// Buckets an octave from there on.
const STEPS: u64 = 64;
/// The highest octave: 2^40 µs are twelve days.
const OCTAVES: u64 = 40;
const BUCKETS: usize = (EXACT + (OCTAVES - 6) * STEPS) as usize;

/// How often which latency was seen.
#[derive(Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max: 0 }
    }
}

fn bucket(micros: u64) -> usize {
    if micros < EXACT {
        return micros as usize;
    }
    let octave = u64::from(micros.ilog2());
    let step = (micros >> (octave - 6)) - STEPS;
    ((EXACT + (octave - 7) * STEPS + step) as usize).min(BUCKETS - 1)
}

/// The highest value of a bucket.
fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EXACT {
        return bucket;
    }
    let (octave, step) = ((bucket - EXACT) / STEPS + 7, (bucket - EXACT) % STEPS);
    ((STEPS + step + 1) << (octave - 6)) - 1
}

impl Histogram {
    /// Counts one.
    pub(crate) fn record(&mut self, took: Duration) {
        let micros = took.as_micros() as u64;
        self.counts[bucket(micros)] += 1;
        self.total += 1;
        self.max = self.max.max(micros);
    }

    /// Adds all that another counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// How many were counted.
    pub(crate) const fn count(&self) -> u64 {
        self.total
    }

    /// The longest.
    pub(crate) const fn max(&self) -> Duration {
        Duration::from_micros(self.max)
    }

    /// The latency that this share of all did not exceed; nought when nothing was counted.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_micros(highest(bucket).min(self.max));
            }
        }
        self.max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_within_two_percent() {
        for micros in
            (0..40).flat_map(|octave| [1_u64 << octave, (1 << octave) + (1 << octave) / 3, (2 << octave) - 1])
        {
            let told = highest(bucket(micros));
            assert!(told >= micros && told - micros <= micros / 60, "{micros} is told as {told}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let mut histogram = Histogram::default();
        for micros in (1..=1_000).rev() {
            histogram.record(Duration::from_micros(micros));
        }
        let told = |share| histogram.quantile(share).as_micros();
        assert_eq!(told(0.1), 100);
        assert!((495..=510).contains(&told(0.5)) && (985..=1_000).contains(&told(0.99)));
        assert_eq!((told(1.0), histogram.max().as_micros(), histogram.count()), (1_000, 1_000, 1_000));
    }

    #[test]
    fn merging_is_counting_both() {
        let (mut one, mut other) = (Histogram::default(), Histogram::default());
        one.record(Duration::from_micros(10));
        other.record(Duration::from_millis(10));
        one.merge(&other);
        assert_eq!((one.count(), one.max()), (2, Duration::from_millis(10)));
        assert_eq!(one.quantile(0.5), Duration::from_micros(10));
    }

    #[test]
    fn nothing_counted_is_nought() {
        assert_eq!(Histogram::default().quantile(0.99), Duration::ZERO);
    }
}
