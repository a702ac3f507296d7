//! Days: a show is on the date that the clock of its venue shows when it begins.
//!
//! An instant has one local time, whatever a zone's clock does. Where a clock is put back, two instants an
//! hour apart have the same local time; where it is put forward, no instant has the local times that are left
//! out.

use std::{collections::BTreeSet, ops::Range};

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone};
use chrono_tz::Tz;

const FORMAT: &str = "%Y-%m-%d";
/// The most dates that one answer lists: 27 years with a show each day, in 120 KB.
pub const MAX_DATES: usize = 10_000;

/// How far a clock on Earth was ever from UTC, and more, in microseconds.
const FARTHEST: i64 = 26 * 3_600 * 1_000_000;

/// The date and time that the clock of this zone shows at an instant, which is in microseconds since 1970
/// UTC. `None` when the calendar does not reach so far.
#[must_use]
pub fn local(at: i64, zone: Tz) -> Option<NaiveDateTime> {
    let at = DateTime::from_timestamp_micros(at)?;
    // The last hours of the calendar have no date in the zones that are ahead of UTC.
    at.naive_utc().checked_add_offset(zone.offset_from_utc_datetime(&at.naive_utc()).fix())
}

/// The date and time at which a show that begins at this instant does so by the clock of this zone. A
/// beginning is within the calendar.
#[must_use]
pub fn begins(at: i64, zone: Tz) -> NaiveDateTime {
    local(at, zone).unwrap_or_default()
}

/// The date of an instant by the clock of this zone. `None` when the calendar does not reach so far.
#[must_use]
pub fn date_of(at: i64, zone: Tz) -> Option<NaiveDate> {
    local(at, zone).map(|local| local.date())
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

/// Writes a time of day as HH:MM.
#[must_use]
pub fn format_time(time: NaiveTime) -> String {
    time.format("%H:%M").to_string()
}

/// The instants of a day by the clock of this zone, in microseconds since 1970 UTC: from its first up to the
/// first of the next day, which is excluded. A day that a zone left out has none. `None` for the calendar's
/// last days.
///
/// The clock of a zone goes back over midnight in a few years of the past (Newfoundland put it back at
/// 00:01). The day is then counted from one of its two midnights.
#[must_use]
pub fn span(date: NaiveDate, zone: Tz) -> Option<Range<i64>> {
    Some(first_of(date, zone)?..first_of(date.checked_add_days(Days::new(1))?, zone)?)
}

/// The first instant at which the clock of this zone shows this date or a later one. It is searched by
/// halves, because midnight may not exist or exist twice.
fn first_of(date: NaiveDate, zone: Tz) -> Option<i64> {
    let midnight = date.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
    let (mut before, mut from) = (midnight - FARTHEST, midnight + FARTHEST);
    while from - before > 1 {
        let between = before + (from - before) / 2;
        if date_of(between, zone)? < date { before = between } else { from = between }
    }
    Some(from)
}

/// From when on shows are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// All of them.
    Ever,
    /// Those that begin at this instant, in microseconds since 1970 UTC, or later.
    Instant(i64),
    /// Those that begin on this date by the clock of their venue, or later.
    Date(NaiveDate),
}

impl Since {
    /// The instant by the clock of this zone. What the calendar does not reach nothing begins after.
    #[must_use]
    pub fn in_zone(self, zone: Tz) -> i64 {
        match self {
            Self::Ever => i64::MIN,
            Self::Instant(at) => at,
            Self::Date(date) => first_of(date, zone).unwrap_or(i64::MAX),
        }
    }
}

impl std::fmt::Display for Since {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ever => f.write_str("ever"),
            Self::Instant(at) => at.fmt(f),
            Self::Date(date) => f.write_str(&format(*date)),
        }
    }
}

/// The different dates of these instants by the clock of this zone, as YYYY-MM-DD and in rising order, at
/// most the first [`MAX_DATES`].
pub fn distinct(instants: impl IntoIterator<Item = i64>, zone: Tz) -> Vec<String> {
    let dates: BTreeSet<_> = instants.into_iter().filter_map(|at| date_of(at, zone)).collect();
    dates.into_iter().take(MAX_DATES).map(format).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000_000;

    /// An instant of RFC 3339 in microseconds.
    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
    }

    fn day(text: &str) -> NaiveDate {
        parse(text).unwrap()
    }

    #[test]
    fn a_show_is_on_the_date_that_the_clock_of_its_venue_shows() {
        for (instant, zone, date, time) in [
            ("2026-12-24T15:30:00Z", Tz::Asia__Seoul, "2026-12-25", "00:30"),
            ("2026-12-24T15:30:00Z", Tz::UTC, "2026-12-24", "15:30"),
            ("2026-12-24T23:30:00Z", Tz::Asia__Kathmandu, "2026-12-25", "05:15"),
            ("2026-12-25T02:00:00Z", Tz::America__New_York, "2026-12-24", "21:00"),
            ("2026-07-04T03:59:59Z", Tz::America__New_York, "2026-07-03", "23:59"),
            // Berlin leaves out 02:00 to 03:00 in spring: an instant with the wrong offset is an instant.
            ("2026-03-29T02:30:00+01:00", Tz::Europe__Berlin, "2026-03-29", "03:30"),
            ("2026-03-29T00:59:59Z", Tz::Europe__Berlin, "2026-03-29", "01:59"),
            // And in autumn it is 02:30 twice.
            ("2026-10-25T00:30:00Z", Tz::Europe__Berlin, "2026-10-25", "02:30"),
            ("2026-10-25T01:30:00Z", Tz::Europe__Berlin, "2026-10-25", "02:30"),
            // Lord Howe Island moves its clock by half an hour.
            ("2026-04-04T14:45:00Z", Tz::Australia__Lord_Howe, "2026-04-05", "01:45"),
            ("2026-04-04T15:15:00Z", Tz::Australia__Lord_Howe, "2026-04-05", "01:45"),
            ("2026-10-03T15:30:00Z", Tz::Australia__Lord_Howe, "2026-10-04", "02:30"),
            // Seoul has had another time, and summer time too.
            ("1988-07-01T15:30:00Z", Tz::Asia__Seoul, "1988-07-02", "01:30"),
            ("1955-01-01T15:30:00Z", Tz::Asia__Seoul, "1955-01-02", "00:00"),
        ] {
            let local = local(at(instant), zone).unwrap();
            assert_eq!(
                (format(local.date()).as_str(), format_time(local.time()).as_str()),
                (date, time),
                "{instant} {zone}"
            );
            assert!(span(local.date(), zone).unwrap().contains(&at(instant)), "{instant} {zone}");
        }
    }

    #[test]
    fn a_day_is_as_long_as_its_clock_makes_it() {
        for (date, zone, begins, half_hours) in [
            ("2026-12-25", Tz::Asia__Seoul, "2026-12-24T15:00:00Z", 48),
            ("2026-03-29", Tz::Europe__Berlin, "2026-03-28T23:00:00Z", 46),
            ("2026-10-25", Tz::Europe__Berlin, "2026-10-24T22:00:00Z", 50),
            ("2026-03-08", Tz::America__New_York, "2026-03-08T05:00:00Z", 46),
            ("2026-11-01", Tz::America__New_York, "2026-11-01T04:00:00Z", 50),
            ("2026-04-05", Tz::Australia__Lord_Howe, "2026-04-04T13:00:00Z", 49),
            ("2026-10-04", Tz::Australia__Lord_Howe, "2026-10-03T13:30:00Z", 47),
            // Midnight is left out, it comes twice, and a whole day was left out.
            ("2026-09-06", Tz::America__Santiago, "2026-09-06T04:00:00Z", 46),
            ("2026-11-01", Tz::America__Havana, "2026-11-01T04:00:00Z", 50),
            ("2011-12-30", Tz::Pacific__Apia, "2011-12-30T10:00:00Z", 0),
        ] {
            let span = span(day(date), zone).unwrap();
            assert_eq!(
                (span.start, span.end - span.start),
                (at(begins), half_hours * HOUR / 2),
                "{date} {zone}"
            );
        }
    }

    #[test]
    fn in_every_zone_the_days_to_come_follow_each_other_without_a_gap() {
        for zone in chrono_tz::TZ_VARIANTS {
            let (mut date, mut ended) = (day("2026-01-01"), None);
            while date < day("2028-01-01") {
                let span = span(date, zone).unwrap();
                assert_eq!(date_of(span.start, zone), Some(date), "{zone}");
                assert_eq!(date_of(span.end - 1, zone), Some(date), "{zone}");
                assert_eq!(*ended.get_or_insert(span.start), span.start, "{zone}");
                (date, ended) = (date.succ_opt().unwrap(), Some(span.end));
            }
        }
    }

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
            distinct([3 * day, 5, 3 * day + 7, 2 * day - 1], Tz::UTC),
            ["1970-01-01", "1970-01-02", "1970-01-04"]
        );
    }

    #[test]
    fn dates_end_where_an_answer_must() {
        let dates = distinct((0..20_000).map(|day| day * 86_400_000_000), Tz::UTC);
        assert_eq!(
            (dates.len(), dates[0].as_str(), dates[9_999].as_str()),
            (MAX_DATES, "1970-01-01", "1997-05-18")
        );
    }

    proptest! {
        #[test]
        fn an_instant_is_within_the_day_of_its_date_and_no_other(at in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
            let date = date_of(at, Tz::UTC).unwrap();
            let day = span(date, Tz::UTC).unwrap();
            prop_assert!(day.contains(&at));
            prop_assert_eq!(day.end - day.start, 86_400_000_000);
            prop_assert_eq!(parse(&format(date)), Some(date));
        }
    }
}
