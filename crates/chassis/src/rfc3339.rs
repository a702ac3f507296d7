//! An instant as text: RFC 3339, UTC, whole microseconds, always the same 27 characters.

use std::fmt;

use chrono::{DateTime, SecondsFormat};

const SECOND: i64 = 1_000_000;
/// The first and the last instant that a year of four digits can express, in microseconds.
const FIRST: i64 = -62_167_219_200 * SECOND;
const LAST: i64 = 253_402_300_800 * SECOND - 1;

/// An instant such as `2026-12-24T19:30:00.000001Z`.
#[derive(Clone, PartialEq, Eq)]
pub struct Rfc3339(String);

impl Rfc3339 {
    /// The text of an instant in microseconds since the epoch. What lies outside of the years 0000 to 9999
    /// becomes the nearest instant inside.
    #[must_use]
    pub fn of(micros: i64) -> Self {
        let at = DateTime::from_timestamp_micros(micros.clamp(FIRST, LAST)).unwrap_or_default();
        Self(at.to_rfc3339_opts(SecondsFormat::Micros, true))
    }

    /// The time as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seconds: i64, micros: i64) -> String {
        Rfc3339::of(seconds * SECOND + micros).to_string()
    }

    #[test]
    fn instants_have_fixed_digits_and_end_in_z() {
        assert_eq!(text(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(text(0, -1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(text(1_798_140_600, 1), "2026-12-24T19:30:00.000001Z");
        assert_eq!(text(951_782_399, 0), "2000-02-28T23:59:59.000000Z");
        assert_eq!(text(951_782_400, 0), "2000-02-29T00:00:00.000000Z");
        assert_eq!(text(4_107_542_399, 0), "2100-02-28T23:59:59.000000Z");
        assert_eq!(text(4_107_542_400, 0), "2100-03-01T00:00:00.000000Z");
    }

    #[test]
    fn what_four_digits_cannot_say_is_the_nearest_they_can() {
        assert_eq!(Rfc3339::of(i64::MIN).as_str(), "0000-01-01T00:00:00.000000Z");
        assert_eq!(Rfc3339::of(i64::MAX).as_str(), "9999-12-31T23:59:59.999999Z");
    }
}
