//! Concerts and shows: created once, listed newest first.

use booking_svc::{
    domain::{Availability, NewConcert, NewShow, Refusal, dates::Since},
    error::Error,
};
use uuid::Uuid;

use crate::world::{DAY, SECOND, START, another_show, evening, refusal, worlds};

fn night() -> NewConcert {
    NewConcert { title: "Night".to_owned(), queue_id: "default".to_owned(), time_zone: None }
}

#[tokio::test]
async fn a_repeated_creation_is_one_concert_and_one_show() {
    for world in worlds().await {
        let app = &world.app;
        let concert = app.create_concert(night(), Some("c".to_owned())).await.unwrap();
        assert_eq!(app.create_concert(night(), Some("c".to_owned())).await.unwrap(), concert);
        let other = NewConcert { title: "Day".to_owned(), ..night() };
        assert!(matches!(app.create_concert(other, Some("c".to_owned())).await, Err(Error::RequestIdReused)));
        let show = NewShow {
            description: "Doors at eight.".to_owned(),
            seat_count: 100_000,
            ..evening(concert.concert_id)
        };
        let first = app.create_show(show.clone(), Some("s".to_owned())).await.unwrap();
        assert_eq!(app.create_show(show.clone(), Some("s".to_owned())).await.unwrap(), first);
        let other = NewShow { title: "Early".to_owned(), ..show.clone() };
        assert!(matches!(app.create_show(other, Some("s".to_owned())).await, Err(Error::RequestIdReused)));
        assert_eq!(*app.show(first.show_id).await.unwrap(), first);
        assert_eq!(world.map(&first).await, [Availability::Available; 100_000]);
        assert_eq!(world.seat_rows().await, 0, "a seat that nobody has needs no row");
        let orphan = NewShow { concert_id: 999, ..show };
        assert_eq!(refusal(app.create_show(orphan, None).await), Refusal::ConcertNotFound);
        assert_eq!(app.concerts(i64::MAX, 51).await.unwrap(), [concert]);
    }
}

#[tokio::test]
async fn lists_page_newest_first_and_lose_nothing_that_shares_an_instant() {
    for world in worlds().await {
        let app = &world.app;
        for _ in 0..5 {
            app.create_concert(night(), None).await.unwrap();
        }
        let first = app.concerts(i64::MAX, 2).await.unwrap();
        let second = app.concerts(first[1].concert_id, 3).await.unwrap();
        let numbers: Vec<_> = first.iter().chain(&second).map(|concert| concert.concert_id).collect();
        assert_eq!(numbers, [5, 4, 3, 2, 1]);
        let shows =
            [another_show(app, 1, 9, START + DAY).await, another_show(app, 1, 9, START + 2 * DAY).await];
        assert_eq!(
            app.shows(1, Since::Ever, i64::MAX, 3).await.unwrap(),
            [shows[1].clone(), shows[0].clone()]
        );
        assert_eq!(refusal(app.shows(999, Since::Ever, i64::MAX, 2).await), Refusal::ConcertNotFound);

        for seat in 1..=7 {
            world.hold("ann", &shows[0], &[seat]).await.unwrap();
            if seat % 3 == 0 {
                world.clock.advance(SECOND);
            }
        }
        world.hold("bob", &shows[0], &[8]).await.unwrap();
        let (mut all, mut before) = (Vec::new(), (i64::MAX, Uuid::max()));
        loop {
            let page = app.reservations("ann", before, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            before = (last.hold.held_at, last.hold.reservation_id);
            all.extend(page);
        }
        assert_eq!(all.len(), 7);
        assert!(all.windows(2).all(|pair| pair[0].hold.held_at >= pair[1].hold.held_at));
        let seats: std::collections::BTreeSet<_> =
            all.iter().flat_map(|one| one.hold.seats.clone()).collect();
        assert_eq!(seats, (1..=7).collect(), "{}", world.database.name);
    }
}
