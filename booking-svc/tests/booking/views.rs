//! Seat maps and dates: own writes are seen at once, others' within a quarter of a second.

use std::{sync::Arc, time::Duration};

use booking_svc::domain::{Availability, Refusal, dates};
use uuid::Uuid;

use crate::world::{DAY, MINUTE, START, TTL, another_show, hold, id, new_show, refusal, worlds};

#[tokio::test]
async fn a_replica_reads_its_own_writes_at_once_and_anothers_soon() {
    for world in worlds().await {
        let show = world.show(2).await;
        let other = world.replica(world.clock.clone());
        assert_eq!(world.map(&show).await, [Availability::Available; 2]);
        let held = world.hold("ann", &show, &[1]).await.unwrap();
        assert_eq!(world.map(&show).await, [Availability::Held, Availability::Available]);
        world.app.confirm_reservation(id(&held), "ann", Uuid::new_v4(), None).await.unwrap();
        assert_eq!(world.map(&show).await, [Availability::Sold, Availability::Available]);
        hold(&other, "bob", show.show_id, &[2]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert_eq!(
            world.map(&show).await,
            [Availability::Sold, Availability::Held],
            "{}",
            world.database.name
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reader_sees_what_was_done_before_it_asked() {
    for world in worlds().await {
        let show = world.show(40).await;
        let readers = (0..4).map(|_| {
            let (app, show) = (Arc::clone(&world.app), Arc::new(show.clone()));
            tokio::spawn(async move {
                for _ in 0..50 {
                    app.seat_map(Arc::clone(&show)).await.unwrap();
                }
            })
        });
        let readers: Vec<_> = readers.collect();
        for seat in 1..=40 {
            world.hold("ann", &show, &[seat]).await.unwrap();
            let held = world.map(&show).await.iter().filter(|look| **look == Availability::Held).count();
            assert_eq!(i32::try_from(held), Ok(seat), "{}", world.database.name);
        }
        for reader in readers {
            reader.await.unwrap();
        }
    }
}

#[tokio::test]
async fn dates_are_those_of_shows_not_begun_with_a_free_seat() {
    for world in worlds().await {
        let app = &world.app;
        let begun = new_show(app, 3, START).await;
        let concert = begun.concert_id;
        let dates = async || app.available_dates(concert).await.unwrap().to_vec();
        assert!(dates().await.is_empty(), "a show that has begun is not on sale");
        let full = another_show(app, concert, 2, START + 2 * DAY).await;
        another_show(app, concert, 2, START + DAY).await;
        another_show(app, concert, 2, START + DAY + MINUTE).await;
        assert_eq!(dates().await, ["2027-01-16", "2027-01-17"]);
        world.hold("ann", &full, &[1, 2]).await.unwrap();
        assert_eq!(dates().await, ["2027-01-16"], "{}", world.database.name);
        world.clock.advance(TTL);
        assert_eq!(dates().await, ["2027-01-16", "2027-01-17"], "lapsed is free");
        let again = world.hold("bob", &full, &[2]).await.unwrap();
        assert_eq!(
            dates().await,
            ["2027-01-16", "2027-01-17"],
            "a seat that was never held, or has lapsed, beside a held one"
        );
        world.app.confirm_reservation(id(&again), "bob", Uuid::from_u128(9), None).await.unwrap();
        let last = world.hold("bob", &full, &[1]).await.unwrap();
        assert_eq!(dates().await, ["2027-01-16"], "one sold, one held");
        world.app.cancel_reservation(id(&last), "bob", None).await.unwrap();
        assert_eq!(dates().await, ["2027-01-16", "2027-01-17"], "given back is free");
        world.clock.advance(DAY);
        assert_eq!(dates().await, ["2027-01-17"], "begun by now");
        assert_eq!(refusal(app.available_dates(999).await), Refusal::ConcertNotFound);
    }
}

#[tokio::test]
async fn a_day_shows_all_its_shows_in_order_and_a_begun_one_has_nothing_to_be_had() {
    for world in worlds().await {
        let app = &world.app;
        let late = new_show(app, 2, START + 2 * 60 * MINUTE).await;
        let begun = another_show(app, late.concert_id, 1, START - MINUTE).await;
        another_show(app, late.concert_id, 1, START + DAY).await;
        let date = dates::date_of(START, chrono_tz::Tz::UTC).unwrap();
        let shows =
            async |date, after, limit| app.shows_of_date(late.concert_id, date, after, limit).await.unwrap();
        assert_eq!(shows(date, (i64::MIN, 0), 9).await, [begun.clone(), late.clone()]);
        assert_eq!(shows(date, (i64::MIN, 0), 1).await, std::slice::from_ref(&begun));
        assert_eq!(shows(date, (begun.starts_at, begun.show_id), 9).await, std::slice::from_ref(&late));
        assert_eq!(world.map(&begun).await, [Availability::Sold]);
        assert_eq!(world.map(&late).await, [Availability::Available; 2]);
        assert!(shows(dates::parse("2030-01-01").unwrap(), (i64::MIN, 0), 9).await.is_empty());
        assert_eq!(refusal(app.shows_of_date(999, date, (i64::MIN, 0), 9).await), Refusal::ConcertNotFound);
        assert_eq!(refusal(app.show(999).await), Refusal::ShowNotFound);
        assert_eq!(refusal(app.reservation(Uuid::nil()).await), Refusal::ReservationNotFound);
    }
}
