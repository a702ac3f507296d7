//! The books of a show: whatever happens to its holds, the sums are those of their rows, on every replica.

use booking_svc::domain::{
    ConcertChange, Section,
    books::Sales,
    dates::{self, Since},
};
use uuid::Uuid;

use crate::world::{DAY, START, TTL, another_show, evening, hold, id, new_show, worlds};

/// Held, sold, free, gross, refunded.
fn told(sales: &Sales) -> [i64; 5] {
    [sales.held, sales.sold, sales.free(), sales.gross, sales.refunded]
}

#[tokio::test]
async fn the_sums_follow_every_hold_by_section() {
    for world in worlds().await {
        let concert = world.show(1).await.concert_id;
        let section = |name: &str| Section { name: name.to_owned(), rows: Vec::new(), capacity: 4 };
        let new = booking_svc::domain::NewShow {
            starts_at: START + 30 * DAY,
            seat_count: 8,
            price: 20,
            sections: vec![section("Stalls"), section("Floor")],
            prices: vec![50, 20],
            ..evening(concert)
        };
        let show = world.app.create_show(new, None).await.unwrap();
        let replica = world.replica(world.clock.clone());
        let sums = async || {
            // The other replica may serve what it read within the last quarter of a second.
            world.clock.advance(250_000);
            let books = world.app.sales(show.show_id).await.unwrap();
            assert_eq!(replica.sales(show.show_id).await.unwrap(), books, "{}", world.database.name);
            (told(&books.0), books.1.iter().map(|(_, sales)| told(sales)).collect::<Vec<_>>())
        };
        assert_eq!(sums().await, ([0, 0, 8, 0, 0], vec![[0, 0, 4, 0, 0]; 2]));
        let both = hold(&world.app, "ann", show.show_id, &[4, 5]).await.unwrap();
        let lapses = hold(&world.app, "bob", show.show_id, &[1]).await.unwrap();
        assert_eq!(sums().await, ([3, 0, 5, 0, 0], vec![[2, 0, 2, 0, 0], [1, 0, 3, 0, 0]]));
        let payment = Uuid::from_u128(1);
        world.app.confirm_reservation(id(&both), "ann", payment, None).await.unwrap();
        assert_eq!(sums().await, ([1, 2, 5, 70, 0], vec![[1, 1, 2, 50, 0], [0, 1, 3, 20, 0]]));
        world.clock.advance(TTL);
        assert_eq!(sums().await.0, [0, 2, 6, 70, 0], "{:?} has lapsed by the clock", id(&lapses));
        world.app.refund_reservation(id(&both), "ann", payment).await.unwrap();
        let again = hold(&world.app, "cid", show.show_id, &[5]).await.unwrap();
        world.app.confirm_reservation(id(&again), "cid", Uuid::from_u128(2), None).await.unwrap();
        assert_eq!(sums().await, ([0, 1, 7, 90, 70], vec![[0, 0, 4, 50, 50], [0, 1, 3, 40, 20]]));
        let by_seat = world.app.reservations_by_seat(show.show_id, 0, 10).await.unwrap();
        assert_eq!(by_seat.iter().map(|(seat, one)| (*seat, id(one))).collect::<Vec<_>>(), [(5, id(&again))]);
    }
}

#[tokio::test]
async fn concerts_to_come_are_listed_by_their_next_show_a_page_at_a_time() {
    for world in worlds().await {
        // From the third day on: the first concert comes last, one has a show that was, and that of one is
        // called off.
        let from = Since::Instant(START + 2 * DAY);
        let mut concerts = Vec::new();
        for days in [&[9][..], &[1, 5], &[7], &[5], &[6]] {
            let first = new_show(&world.app, 1, START + days[0] * DAY).await;
            for more in &days[1..] {
                another_show(&world.app, first.concert_id, 1, START + more * DAY).await;
            }
            concerts.push(first);
        }
        world.app.cancel_show(concerts[4].show_id).await.unwrap();
        let (mut after, mut told) = ((i64::MIN, i64::MIN), Vec::new());
        while let Some((next, concert)) = world.app.concerts_to_come(from, after, 1).await.unwrap().pop() {
            after = (next, concert.concert_id);
            told.push((concert.concert_id, (next - START) / DAY));
        }
        let of = |at: usize| concerts[at].concert_id;
        assert_eq!(told, [(of(1), 5), (of(3), 5), (of(2), 7), (of(0), 9)], "{}", world.database.name);
    }
}

/// Half past midnight in Seoul is the day before in UTC, and ten in the evening in New York the day after.
#[tokio::test]
async fn a_date_from_which_shows_are_listed_is_the_venues() {
    for world in worlds().await {
        let (app, name) = (&world.app, world.database.name);
        let (day, next) = (dates::parse("2027-02-01").unwrap(), dates::parse("2027-02-02").unwrap());
        let midnight = dates::span(next, chrono_tz::UTC).unwrap().start;
        let hour = DAY / 24;
        let mut shows = Vec::new();
        for (zone, at) in [
            (chrono_tz::Asia::Seoul, midnight - 8 * hour),
            (chrono_tz::America::New_York, midnight + 3 * hour),
            (chrono_tz::UTC, midnight),
        ] {
            let show = new_show(app, 1, at).await;
            let change = ConcertChange { time_zone: Some(zone), ..ConcertChange::default() };
            app.update_concert(show.concert_id, change, None, None).await.unwrap();
            shows.push(show);
        }
        for (from, expected) in
            [(Since::Date(day), [true, true, true]), (Since::Date(next), [true, false, true])]
        {
            let listed = app.concerts_to_come(from, (i64::MIN, i64::MIN), 9).await.unwrap();
            let is_listed = |concert_id| listed.iter().any(|(_, concert)| concert.concert_id == concert_id);
            let all: Vec<_> = shows.iter().map(|show| is_listed(show.concert_id)).collect();
            assert_eq!(all, expected, "{name}: {from}");
            for (show, expected) in shows.iter().zip(expected) {
                let to_come = app.shows_to_come(show.concert_id, from, (i64::MIN, 0), 9).await.unwrap();
                let newest = app.shows(show.concert_id, from, i64::MAX, 9).await.unwrap();
                assert_eq!([to_come.len(), newest.len()], [usize::from(expected); 2], "{name}: {from}");
            }
        }
    }
}
