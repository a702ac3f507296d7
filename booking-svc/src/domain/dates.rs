//! Days: a show is on the UTC date of the instant at which it begins.

use std::{collections::BTreeSet, ops::Range};

use chrono::{DateTime, Days, NaiveDate, NaiveTime};

const FORMAT: &str = "%Y-%m-%d";
/// The most dates that one answer lists: 27 years with a show each day, in 120 KB.
pub const MAX_DATES: usize = 10_000;

/// The UTC date of an instant in microseconds since 1970 UTC. `None` when the calendar does not reach so far.
#[must_use]
pub fn date_of(at: i64) -> Option<NaiveDate> {
    DateTime::from_timestamp_micros(at).map(|at| at.date_naive())
}

/// Reads a date of exactly the form YYYY-MM-DD; `None` for any other text.
#[must_use]
pub fn parse(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, FORMAT).ok().filter(|date| format(*date) == text)
}

/// Writes a date as YYYY-MM-DD.
#[must_use]
pub fn format(date: NaiveDate) -> String {
    date.format(FORMAT).to_string()
}

/// The instants of a UTC day in microseconds since 1970 UTC: from its first up to the first of the next day,
/// which is excluded. `None` for the calendar's last day.
#[must_use]
pub fn span(date: NaiveDate) -> Option<Range<i64>> {
    let midnight = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
    Some(midnight(date)..midnight(date.checked_add_days(Days::new(1))?))
}

/// The different dates of these instants as YYYY-MM-DD, in rising order, at most the first [`MAX_DATES`].
pub fn distinct(instants: impl IntoIterator<Item = i64>) -> Vec<String> {
    let dates: BTreeSet<_> = instants.into_iter().filter_map(date_of).collect();
    dates.into_iter().take(MAX_DATES).map(format).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_real_dates_in_the_one_format_are_read() {
        assert_eq!(parse("2026-12-24").map(format).as_deref(), Some("2026-12-24"));
        for bad in [
            "",
            "2026-2-3",
            "2026-02-30",
            "24.12.2026",
            "2026-12-24T00:00:00Z",
            " 2026-12-24",
            "12026-12-24",
            "+2026-1-1",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_come_rising_and_once() {
        let day = 86_400_000_000;
        assert_eq!(
            distinct([3 * day, 5, 3 * day + 7, 2 * day - 1]),
            ["1970-01-01", "1970-01-02", "1970-01-04"]
        );
    }

    #[test]
    fn dates_end_where_an_answer_must() {
        let dates = distinct((0..20_000).map(|day| day * 86_400_000_000));
        assert_eq!(
            (dates.len(), dates[0].as_str(), dates[9_999].as_str()),
            (MAX_DATES, "1970-01-01", "1997-05-18")
        );
    }

    proptest! {
        #[test]
        fn an_instant_is_within_the_day_of_its_date_and_no_other(at in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
            let date = date_of(at).unwrap();
            let day = span(date).unwrap();
            prop_assert!(day.contains(&at));
            prop_assert_eq!(day.end - day.start, 86_400_000_000);
            prop_assert_eq!(parse(&format(date)), Some(date));
        }
    }
}
