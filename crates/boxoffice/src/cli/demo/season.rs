//! The season that the demo puts on: invented concerts, venues and people.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
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
    begins: Moment,
    /// When its sale opens, where it is not open at once.
    opens: Option<Moment>,
    /// When its sale closes, where it does not as the show begins.
    closes: Option<Moment>,
    /// The request that creates it, but for its moments. Its title is unique in its concert.
    new: Value,
}

/// A moment by the clock of a venue.
#[derive(Deserialize)]
struct Moment {
    /// Days after the season's first, the first of a month.
    day: i64,
    time: NaiveTime,
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

impl DemoShow {
    pub(super) fn title(&self) -> &str {
        self.new["title"].as_str().unwrap_or_default()
    }

    /// The request that creates it in a season that begins on this day, in this time zone. It is the same
    /// whenever it is made, so that it can be made again.
    pub(super) fn request(&self, first: NaiveDate, zone: Tz) -> Value {
        let Self { begins, opens, closes, new } = self;
        let mut request = new.clone();
        for (name, moment) in
            [("startsAt", Some(begins)), ("opensAt", opens.as_ref()), ("closesAt", closes.as_ref())]
        {
            if let Some(moment) = moment {
                request[name] = moment.of(first, zone).to_rfc3339_opts(SecondsFormat::Secs, false).into();
            }
        }
        request
    }
}

impl Moment {
    /// The instant: the first one where the clock shows the time twice, and where it leaves it out the one at
    /// which it is that time in Greenwich.
    fn of(&self, first: NaiveDate, zone: Tz) -> DateTime<Tz> {
        let there = (first + TimeDelta::days(self.day)).and_time(self.time);
        zone.from_local_datetime(&there).earliest().unwrap_or_else(|| zone.from_utc_datetime(&there))
    }
}

/// The first day of the season that is put on today: the first of the month after next.
pub(super) fn first_day(today: DateTime<Utc>) -> NaiveDate {
    let in_two_months = today.date_naive() + Months::new(2);
    in_two_months.with_day(1).unwrap_or(in_two_months)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request of a show of the season that is put on then.
    fn requested(concert: &DemoConcert, show: &DemoShow, today: &str) -> Value {
        let zone = concert.new["timeZone"].as_str().expect("a zone").parse().expect("a zone");
        show.request(first_day(today.parse().expect("a time")), zone)
    }

    fn instant(request: &Value, name: &str) -> Option<DateTime<Utc>> {
        request[name].as_str().map(|text| text.parse().expect("an instant"))
    }

    #[test]
    fn a_season_begins_the_month_after_next_also_over_new_year() {
        let season = concerts();
        for (today, expected) in [
            ("2026-11-22T10:00:00Z", "2027-01-02T20:00:00+09:00"),
            ("2026-12-31T23:00:00Z", "2027-02-02T20:00:00+09:00"),
            ("2026-01-31T00:00:00Z", "2026-03-02T20:00:00+09:00"),
        ] {
            let request = requested(&season[2], &season[2].shows[0], today);
            assert_eq!(request["startsAt"], expected);
        }
    }

    #[test]
    fn a_show_begins_at_the_same_time_of_day_in_summer_and_in_winter() {
        let season = concerts();
        for (today, expected) in [
            ("2026-11-22T10:00:00Z", "2027-01-13T19:30:00+11:00"),
            ("2026-05-22T10:00:00Z", "2026-07-13T19:30:00+10:00"),
        ] {
            let request = requested(&season[3], &season[3].shows[0], today);
            assert_eq!(request["startsAt"], expected);
        }
    }

    #[test]
    fn every_show_can_be_put_on_sale_and_one_is_not_open_yet() {
        let mut opening = 0;
        for today in (1..=12).map(|month| format!("2027-{month:02}-28T12:00:00Z")) {
            let now: DateTime<Utc> = today.parse().expect("a time");
            for (concert, show) in
                concerts().iter().flat_map(|all| all.shows.iter().map(move |one| (all, one)))
            {
                let request = requested(concert, show, &today);
                let at = |name| instant(&request, name);
                let begins = at("startsAt").expect("a beginning");
                let minutes = request["durationMinutes"].as_i64().expect("minutes");
                let closes = at("closesAt").unwrap_or(begins);
                assert!(closes <= begins + TimeDelta::minutes(minutes), "{request}");
                assert!(at("opensAt").is_none_or(|opens| now < opens && opens < closes), "{request}");
                opening += usize::from(at("opensAt").is_some());
            }
        }
        assert_eq!(opening, 12);
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
            let show = &season[*concert].shows[*show];
            assert!(first + seats <= seats_of(&show.new), "{user}");
            assert!(show.opens.is_none(), "{user} buys at once");
            assert!(show.new["maxSeatsPerUser"].as_i64().is_none_or(|most| *seats <= most), "{user}");
        }
    }
}
