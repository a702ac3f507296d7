//! The season that the demo puts on: invented concerts, venues and people.

use chrono::{DateTime, Datelike, Days, TimeDelta, Utc};

/// A concert and its shows.
pub(super) struct DemoConcert {
    pub(super) title: &'static str,
    /// The queue before the concert.
    pub(super) line: &'static str,
    pub(super) shows: &'static [DemoShow],
}

/// One show of a concert.
pub(super) struct DemoShow {
    /// Unique in its concert.
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    /// Days after the season's first.
    pub(super) day: u64,
    /// Hour of the day, UTC.
    pub(super) hour: i64,
    pub(super) minutes: i64,
    pub(super) price: i64,
    pub(super) seats: i64,
}

/// Somebody with a wallet, and what they do.
pub(super) struct Visitor {
    pub(super) user: &'static str,
    pub(super) charge: i64,
    /// The indexes of concert and show in [`SEASON`], and the number of the first seat.
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
/// How many join it.
pub(super) const FANS: usize = 20;

const fn show(
    title: &'static str,
    day: u64,
    hour: i64,
    minutes: i64,
    price: i64,
    seats: i64,
    description: &'static str,
) -> DemoShow {
    DemoShow { title, description, day, hour, minutes, price, seats }
}

pub(super) const SEASON: &[DemoConcert] = &[
    DemoConcert {
        title: "The Tin Lanterns: Farewell Tour",
        line: BUSY,
        shows: &[
            show(
                "First night",
                21,
                10,
                150,
                165_000,
                12_000,
                "Riverside Arena. The last tour of the four from the harbour.",
            ),
            show("Second night", 22, 10, 150, 165_000, 12_000, "Riverside Arena. The last of the last."),
        ],
    },
    DemoConcert {
        title: "Winter Strings",
        line: DEFAULT,
        shows: &[
            show(
                "Matinee",
                3,
                5,
                100,
                55_000,
                800,
                "Linden Hall. Suites for a small orchestra, for early birds.",
            ),
            show(
                "Evening",
                3,
                10,
                120,
                77_000,
                800,
                "Linden Hall. The same suites, and a cello by candlelight.",
            ),
            show("Encore", 10, 10, 120, 77_000, 800, "Linden Hall. By request."),
        ],
    },
    DemoConcert {
        title: "Blue Cellar Jazz Nights",
        line: DEFAULT,
        shows: &[
            show("Trio", 1, 11, 90, 33_000, 60, "The Blue Cellar. Piano, bass, drums, and whoever comes in."),
            show("Quartet", 8, 11, 90, 33_000, 60, "The Blue Cellar. With the saxophone back from the sea."),
            show("Jam session", 15, 12, 180, 20_000, 60, "The Blue Cellar. Bring what you play."),
        ],
    },
    DemoConcert {
        title: "A Hundred Voices",
        line: DEFAULT,
        shows: &[show(
            "Choral evening",
            12,
            10,
            110,
            44_000,
            2_400,
            "Opera House. One choir, one hall, no microphone.",
        )],
    },
    DemoConcert {
        title: "Planet Parade, for families",
        line: DEFAULT,
        shows: &[
            show("Morning", 6, 2, 60, 12_000, 300, "Observatory Dome. The solar system, sung."),
            show("Afternoon", 6, 6, 60, 12_000, 300, "Observatory Dome. Once more with Pluto."),
        ],
    },
];

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
        for (today, expected) in [
            ("2026-11-22T10:00:00Z", "2027-01-02"),
            ("2026-12-31T23:00:00Z", "2027-02-02"),
            ("2026-01-31T00:00:00Z", "2026-03-02"),
        ] {
            let today = today.parse().expect("a time");
            let begins = begins(&SEASON[2].shows[0], today).expect("a time");
            assert_eq!(begins.format("%Y-%m-%d").to_string(), expected);
        }
    }

    #[test]
    fn every_visitor_wants_seats_that_there_are() {
        for Visitor { user, wants: (concert, show, first), seats, .. } in VISITORS {
            assert!(first + seats <= SEASON[*concert].shows[*show].seats, "{user}");
        }
    }
}
