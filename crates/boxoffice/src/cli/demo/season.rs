//! The season that the demo puts on: invented concerts, venues and people.

use chrono::{DateTime, Datelike, Days, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Value;

/// A concert and its shows, as `season.json` has them.
#[derive(Deserialize)]
pub(super) struct DemoConcert {
    /// The request that creates it.
    pub(super) new: Value,
    pub(super) shows: Vec<DemoShow>,
}

/// One show of a concert.
#[derive(Deserialize)]
pub(super) struct DemoShow {
    /// Days after the season's first.
    day: u64,
    /// Hour of the day, UTC.
    hour: i64,
    /// The request that creates it, but for its beginning. Its title is unique in its concert.
    pub(super) new: Value,
}

/// Somebody with a wallet, and what they do.
pub(super) struct Visitor {
    pub(super) user: &'static str,
    pub(super) charge: i64,
    /// The indexes of concert and show in the season, and the number of the first seat.
    pub(super) wants: (usize, usize, i64),
    pub(super) seats: i64,
    pub(super) pays: bool,
}

/// The queue that always exists.
pub(super) const DEFAULT: &str = "default";
/// A queue that admits few people, so that some wait.
pub(super) const BUSY: &str = "demo-busy";
/// How many may be admitted there at the same time.
pub(super) const BUSY_ACTIVE: i64 = 3;
/// How many join it, and the one that opens.
pub(super) const FANS: usize = 20;
/// A queue that opens by lot, soon after the first run.
pub(super) const OPENING: &str = "demo-opening";
/// After how many seconds it opens: so long that one can register from a browser.
pub(super) const OPENS_AFTER: i64 = 120;

pub(super) const VISITORS: &[Visitor] = &[
    Visitor { user: "demo-ann", charge: 300_000, wants: (1, 1, 101), seats: 2, pays: true },
    Visitor { user: "demo-bob", charge: 100_000, wants: (2, 0, 7), seats: 1, pays: true },
    Visitor { user: "demo-cho", charge: 200_000, wants: (3, 0, 1_200), seats: 4, pays: true },
    Visitor { user: "demo-dee", charge: 60_000, wants: (4, 0, 40), seats: 3, pays: true },
    // Not enough for the seat: the payment fails, and the seat is free again.
    Visitor { user: "demo-eli", charge: 5_000, wants: (2, 0, 20), seats: 1, pays: true },
    // Still thinking: the seats stay held for a while.
    Visitor { user: "demo-fay", charge: 150_000, wants: (1, 1, 201), seats: 2, pays: false },
];

/// The concerts of the season.
pub(super) fn concerts() -> Vec<DemoConcert> {
    serde_json::from_str(include_str!("season.json")).expect("a test reads the same file")
}

/// When a show begins, counted from the first of the month after next.
pub(super) fn begins(show: &DemoShow, today: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let month = today.month0() + 2;
    let (year, month) = (today.year() + i32::try_from(month / 12).ok()?, month % 12 + 1);
    let first = chrono::NaiveDate::from_ymd_opt(year, month, 1)?;
    Some(
        (first.checked_add_days(Days::new(show.day))?.and_hms_opt(0, 0, 0)? + TimeDelta::hours(show.hour))
            .and_utc(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_season_begins_the_month_after_next_also_over_new_year() {
        let season = concerts();
        for (today, expected) in [
            ("2026-11-22T10:00:00Z", "2027-01-02"),
            ("2026-12-31T23:00:00Z", "2027-02-02"),
            ("2026-01-31T00:00:00Z", "2026-03-02"),
        ] {
            let today = today.parse().expect("a time");
            let begins = begins(&season[2].shows[0], today).expect("a time");
            assert_eq!(begins.format("%Y-%m-%d").to_string(), expected);
        }
    }

    /// How many seats a new show has, with one price or in sections.
    fn seats_of(new: &Value) -> i64 {
        let number = |value: &Value| value.as_i64().unwrap_or_default();
        let rows = |section: &Value| -> i64 {
            section["rows"].as_array().into_iter().flatten().map(|row| number(&row["seats"])).sum()
        };
        let sections = new["sections"].as_array().into_iter().flatten();
        sections.map(|section| number(&section["capacity"]) + rows(section)).sum::<i64>()
            + number(&new["seatCount"])
    }

    #[test]
    fn every_visitor_wants_seats_that_there_are() {
        let season = concerts();
        for Visitor { user, wants: (concert, show, first), seats, .. } in VISITORS {
            let there = seats_of(&season[*concert].shows[*show].new);
            assert!(first + seats <= there, "{user}");
        }
    }
}
