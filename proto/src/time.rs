//! Instants and durations on the wire. Inside the services every instant is whole microseconds since the Unix
//! epoch, UTC.

use prost_types::{Duration, Timestamp};

const MICROS: i64 = 1_000_000;

/// Microseconds since the epoch as a `Timestamp`.
#[must_use]
pub fn timestamp(micros: i64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "below 10^9 by rem_euclid")]
    let nanos = (micros.rem_euclid(MICROS) * 1_000) as i32;
    Timestamp { seconds: micros.div_euclid(MICROS), nanos }
}

/// A `Timestamp` as microseconds since the epoch; `None` when it is not between the years 1 and 9999, as the
/// proto demands.
#[must_use]
pub fn micros(at: &Timestamp) -> Option<i64> {
    const YEAR_1: i64 = -62_135_596_800;
    const YEAR_10000: i64 = 253_402_300_800;
    let whole = (YEAR_1..YEAR_10000).contains(&at.seconds) && (0..1_000_000_000).contains(&at.nanos);
    whole.then(|| at.seconds * MICROS + i64::from(at.nanos) / 1_000)
}

/// A span of microseconds as a `Duration`.
#[must_use]
pub fn duration(micros: i64) -> Duration {
    #[expect(clippy::cast_possible_truncation, reason = "below 10^9 in size by %")]
    let nanos = ((micros % MICROS) * 1_000) as i32;
    Duration { seconds: micros / MICROS, nanos }
}

/// A `Duration` in microseconds; `None` when it is malformed or beyond the 10,000 years that the proto
/// allows.
#[must_use]
pub fn span_micros(span: &Duration) -> Option<i64> {
    let sane = span.seconds.unsigned_abs() <= 315_576_000_000
        && span.nanos.unsigned_abs() < 1_000_000_000
        && (span.seconds == 0 || span.nanos == 0 || (span.seconds > 0) == (span.nanos > 0));
    sane.then(|| span.seconds * MICROS + i64::from(span.nanos) / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_before_the_epoch_survive_the_wire() {
        for at in [-1, 0, 1, 1_764_000_000_123_456, -62_135_596_800_000_000] {
            assert_eq!(micros(&timestamp(at)), Some(at));
        }
    }

    #[test]
    fn malformed_instants_and_spans_are_refused() {
        assert_eq!(micros(&Timestamp { seconds: 0, nanos: -1 }), None);
        assert_eq!(micros(&Timestamp { seconds: i64::MAX, nanos: 0 }), None);
        assert_eq!(span_micros(&Duration { seconds: 1, nanos: -1 }), None);
        assert_eq!(span_micros(&Duration { seconds: i64::MIN, nanos: 0 }), None);
        assert_eq!(span_micros(&Duration { seconds: 1, nanos: 500_000_000 }), Some(1_500_000));
    }
}
