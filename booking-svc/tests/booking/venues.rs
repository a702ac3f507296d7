//! Dates and times by the clock of the venue.

use booking_svc::{
    Policy,
    domain::{NewConcert, NewShow, dates},
};
use chassis::args;
use chrono_tz::Tz;

use crate::world::{DAY, MINUTE, START, evening, worlds, worlds_with};

const HOUR: i64 = 60 * MINUTE;

fn at(time_zone: Option<Tz>) -> NewConcert {
    NewConcert { title: "Night".to_owned(), queue_id: "vip".to_owned(), time_zone }
}

#[tokio::test]
async fn a_show_is_found_on_the_date_of_its_venue_and_on_no_other() {
    for world in worlds().await {
        let app = &world.app;
        let concert = app.create_concert(at(Some(Tz::Asia__Seoul)), None).await.unwrap();
        assert_eq!(app.concert(concert.concert_id).await.unwrap().time_zone, Tz::Asia__Seoul);
        // START is 17:00 in Seoul: this is 00:30 there on the next day.
        let new = NewShow { starts_at: START + 7 * HOUR + 30 * MINUTE, ..evening(concert.concert_id) };
        let show = app.create_show(new, Some("s".to_owned())).await.unwrap();
        assert_eq!(show.begins().to_string(), "2027-01-16 00:30:00");
        assert_eq!(*app.show(show.show_id).await.unwrap(), show, "{}", world.database.name);
        assert_eq!(*app.available_dates(concert.concert_id).await.unwrap(), ["2027-01-16"]);
        for (date, expected) in [("2027-01-15", vec![]), ("2027-01-16", vec![show]), ("2027-01-17", vec![])] {
            let date = dates::parse(date).unwrap();
            let found = app.shows_of_date(concert.concert_id, date, (i64::MIN, 0), 9).await.unwrap();
            assert_eq!(found, expected, "{date}");
        }
    }
}

#[tokio::test]
async fn shows_in_the_hour_that_comes_twice_are_on_one_date_in_their_order() {
    for world in worlds().await {
        let app = &world.app;
        let concert = app.create_concert(at(Some(Tz::Europe__Berlin)), None).await.unwrap();
        let mut shows = Vec::new();
        // 2027-10-31T00:30:00Z is 02:30 in summer time, and an hour later it is 02:30 again.
        for starts_at in [1_824_942_600_000_000, 1_824_942_600_000_000 + HOUR] {
            let new = NewShow { starts_at, ..evening(concert.concert_id) };
            shows.push(app.create_show(new, None).await.unwrap());
        }
        assert_eq!(shows[0].begins().to_string(), "2027-10-31 02:30:00");
        assert_eq!(shows[0].begins(), shows[1].begins());
        let date = dates::parse("2027-10-31").unwrap();
        let found = app.shows_of_date(concert.concert_id, date, (i64::MIN, 0), 9).await.unwrap();
        assert_eq!(found, shows, "{}", world.database.name);
        assert_eq!(*app.available_dates(concert.concert_id).await.unwrap(), ["2027-10-31"]);
    }
}

#[tokio::test]
async fn who_names_no_zone_gets_the_operators_and_what_older_programs_make_is_in_utc() {
    for world in worlds_with(Policy { time_zone: Tz::Asia__Kathmandu, ..Policy::default() }).await {
        let concert = world.app.create_concert(at(None), None).await.unwrap();
        assert_eq!(concert.time_zone, Tz::Asia__Kathmandu);
        let new = NewShow { starts_at: START + DAY + 11 * HOUR, ..evening(concert.concert_id) };
        let show = world.app.create_show(new, None).await.unwrap();
        assert_eq!(show.begins().to_string(), "2027-01-17 00:45:00");

        let mut session = world.db.begin().await.unwrap();
        let sql =
            "INSERT INTO concert (title, queue_id, created_at) VALUES ($1, $2, $3) RETURNING concert_id";
        let row = session.one(sql, args!["Old", "default", START]).await.unwrap();
        let old: i64 = row.get("concert_id").unwrap();
        session.commit().await.unwrap();
        assert_eq!(world.app.concert(old).await.unwrap().time_zone, Tz::UTC, "{}", world.database.name);
    }
}
