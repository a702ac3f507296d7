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
        assert_eq!(world.map(&show).await, [Availability::Sold, Availability::Held], "{}", world.database.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reader_sees_what_was_done_before_it_asked() {
    for world in worlds().await {
        let show = world.show(40).await;
        let readers = (0..4).map(|_| {
            let (app, show_id) = (Arc::clone(&world.app), show.show_id);
            tokio::spawn(async move {
                for _ in 0..50 {
                    app.seats_of_show(show_id).await.unwrap();
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
        let date = dates::date_of(START).unwrap();
        let maps = app.seats_of_date(late.concert_id, date).await.unwrap();
        let look = |n: usize| maps[n].seen_at(START).map(|(_, seat)| seat).collect::<Vec<_>>();
        assert_eq!(maps.iter().map(|map| map.show.show_id).collect::<Vec<_>>(), [begun.show_id, late.show_id]);
        assert_eq!((look(0), look(1)), (vec![Availability::Sold], vec![Availability::Available; 2]));
        let none = app.seats_of_date(late.concert_id, dates::parse("2030-01-01").unwrap()).await.unwrap();
        assert!(none.is_empty());
        assert_eq!(refusal(app.seats_of_date(999, date).await.map(|maps| maps.len())), Refusal::ConcertNotFound);
        assert_eq!(refusal(app.seats_of_show(999).await), Refusal::ShowNotFound);
        assert_eq!(refusal(app.reservation(Uuid::nil()).await), Refusal::ReservationNotFound);
    }
}
