//! An instant as text: RFC 3339, UTC, whole microseconds, always the same 27 characters.

use std::fmt;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400;
/// The first and the last instant that four digits of a year can say.
const FIRST: i64 = -62_167_219_200 * SECOND;
const LAST: i64 = 253_402_300_800 * SECOND - 1;

/// `2026-12-24T19:30:00.000001Z`. Written digit by digit: a poll answers with two of them, a log line begins with one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rfc3339([u8; 27]);

impl Rfc3339 {
    /// The text of an instant in microseconds since the epoch; of the years 0000 to 9999, the nearest there is.
    #[must_use]
    pub fn of(micros: i64) -> Self {
        let micros = micros.clamp(FIRST, LAST);
        let seconds = micros.div_euclid(SECOND);
        let (year, month, day) = date(seconds.div_euclid(DAY));
        let second = seconds.rem_euclid(DAY);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        digits(&mut text[0..4], year);
        digits(&mut text[5..7], month);
        digits(&mut text[8..10], day);
        digits(&mut text[11..13], second / 3_600);
        digits(&mut text[14..16], second / 60 % 60);
        digits(&mut text[17..19], second % 60);
        digits(&mut text[20..26], micros.rem_euclid(SECOND));
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
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

/// Year, month and day of a day since the epoch, in the Gregorian calendar. A year is taken to begin in March, so that the day
/// that is not always there is its last one; 400 years have 146,097 days.
const fn date(day: i64) -> (i64, i64, i64) {
    let since = day + 719_468; // the first of March of the year 0
    let (era, of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_is_0 = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_is_0 + 2) / 5 + 1;
    let month = if march_is_0 < 10 { march_is_0 + 3 } else { march_is_0 - 9 };
    (era * 400 + year + (month <= 2) as i64, month, day)
}

/// Writes a number with as many digits as there is room for.
fn digits(into: &mut [u8], mut number: i64) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
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

    #[test]
    fn days_follow_one_another() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for number in 0..200_000 {
            assert_eq!(date(number), (year, month, day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let days = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            let last = days[usize::try_from(month - 1).expect("a month")];
            (year, month, day) = match (month, day == last) {
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
                (_, false) => (year, month, day + 1),
            };
        }
    }
}
