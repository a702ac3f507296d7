//! Halls in sections, and the rules of a show's sale.

use std::sync::Arc;

use booking_svc::{
    Policy,
    app::App,
    domain::{Availability, Hall, HallRow, NewShow, Place, Refusal, Section, Show, show::Sale},
    grpc::Service,
};
use boxoffice_proto::{
    Fault, Reason,
    booking::{
        CreateShowRequest, GetSeatPlanRequest, HoldSeatsRequest, ListSeatsRequest, NewRow, NewSection,
        booking_service_server::BookingService,
    },
    time::timestamp,
};
use chassis::clock::Clock;
use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use uuid::Uuid;

use crate::world::{
    DAY, MINUTE, PRICE, SECOND, START, TTL, World, evening, hold, id, new_show, refusal, worlds, worlds_with,
};

/// The prices of the [`theatre`]'s sections.
const PRICES: [i64; 3] = [30, 10, 20];

/// Two rows of stalls (seats 1 to 5), standing room (6 to 8) and a balcony of one row (9 and 10).
fn theatre() -> Vec<Section> {
    let row = |name: &str, seats, first_label| HallRow { name: name.to_owned(), seats, first_label };
    let section = |name: &str, rows, capacity| Section { name: name.to_owned(), rows, capacity };
    vec![
        section("Stalls", vec![row("A", 2, 11), row("B", 3, 1)], 0),
        section("Floor", Vec::new(), 3),
        section("Balcony", vec![row("A", 2, 7)], 0),
    ]
}

/// A new show in the theatre, with these rules.
fn in_theatre(concert_id: i64, sale: Sale) -> NewShow {
    NewShow {
        price: 10,
        seat_count: 10,
        sections: theatre(),
        prices: PRICES.to_vec(),
        sale,
        ..evening(concert_id)
    }
}

/// A show in the theatre with these rules, of a concert of its own.
async fn theatre_show(world: &World, sale: Sale) -> Show {
    let plain = world.show(1).await;
    world.app.create_show(in_theatre(plain.concert_id, sale), None).await.unwrap()
}

fn place(section: &str, row: &str, label: i32, price: i64) -> Place {
    Place { section: section.to_owned(), row: row.to_owned(), label, price }
}

/// A replica without a memory of its own.
fn replica(world: &World) -> App {
    world.replica(world.clock.clone())
}

#[tokio::test]
async fn seats_of_sections_cost_what_their_sections_do_and_say_where_they_are() {
    for world in worlds().await {
        let show = theatre_show(&world, Sale::default()).await;
        let held = world.hold("ann", &show, &[2, 3, 6, 10]).await.unwrap();
        assert_eq!(held.hold.amount, 30 + 30 + 10 + 20, "{}", world.database.name);
        let expected = [
            (2, place("Stalls", "A", 12, 30)),
            (3, place("Stalls", "B", 1, 30)),
            (6, place("Floor", "", 1, 10)),
            (10, place("Balcony", "A", 8, 20)),
        ];
        assert_eq!(held.hold.tickets().collect::<Vec<_>>(), expected);
        world.app.confirm_reservation(id(&held), "ann", Uuid::from_u128(1), None).await.unwrap();

        // Another replica reads all of it from the rows.
        let other = replica(&world);
        assert_eq!(*other.show(show.show_id).await.unwrap(), show);
        assert_eq!(*other.hall(&show).await.unwrap(), Hall::new(theatre()));
        let read = other.reservation(id(&held)).await.unwrap();
        assert_eq!(read.hold.tickets().collect::<Vec<_>>(), expected);
        let more = hold(&other, "bob", show.show_id, &[9, 8]).await.unwrap();
        assert_eq!(more.hold.amount, 10 + 20);
        assert_eq!(
            refusal(hold(&other, "bob", show.show_id, &[11]).await),
            Refusal::SeatNotFound([11].into())
        );
        let map = world.map(&show).await;
        assert_eq!((map.len(), map[1], map[7]), (10, Availability::Sold, Availability::Held));
        world.audit().await;
    }
}

#[tokio::test]
async fn a_show_with_sections_is_created_once_and_other_shows_are_as_ever() {
    for world in worlds().await {
        let plain = new_show(&world.app, 5, START + DAY).await;
        let new = in_theatre(plain.concert_id, Sale::default());
        let first = world.app.create_show(new.clone(), Some("hall".to_owned())).await.unwrap();
        let again = replica(&world).create_show(new.clone(), Some("hall".to_owned())).await.unwrap();
        assert_eq!(again, first);
        let other = NewShow { prices: vec![30, 10, 21], ..new };
        assert!(world.app.create_show(other, Some("hall".to_owned())).await.is_err());

        assert!(plain.prices.is_empty());
        assert_eq!(*world.app.hall(&plain).await.unwrap(), Hall::of_one_row(5));
        let held = world.hold("ann", &plain, &[4, 5]).await.unwrap();
        assert_eq!((held.hold.amount, held.hold.places.len()), (2 * PRICE, 0));
        let told: Vec<_> = held.hold.tickets().collect();
        assert_eq!(told, [(4, place("", "", 4, PRICE)), (5, place("", "", 5, PRICE))]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_never_has_more_seats_than_the_show_allows_however_many_requests_there_are() {
    for world in worlds().await {
        let sale = Sale { max_seats_per_user: Some(8), ..Sale::default() };
        let plain = world.show(1).await;
        let large = NewShow { seat_count: 700, sale, ..evening(plain.concert_id) };
        let show = world.app.create_show(large, None).await.unwrap();
        let bought = world.hold("ann", &show, &[700]).await.unwrap();
        world.app.confirm_reservation(id(&bought), "ann", Uuid::from_u128(1), None).await.unwrap();
        let replicas = [replica(&world), replica(&world)];
        // 150 want one seat and 150 want two, and pay at the other replica while the others still ask.
        let asks = (0..300_i32).map(|nth| {
            let here = usize::try_from(nth % 2).unwrap();
            let (asked, paid) = (&replicas[here], &replicas[1 - here]);
            let (show, payment) = (show.show_id, Uuid::from_u128(100 + u128::from(nth.unsigned_abs())));
            let seats: Vec<i32> = (2 * nth + 1..=2 * nth + 1 + nth / 2 % 2).collect();
            async move {
                let held = hold(asked, "ann", show, &seats).await?;
                paid.confirm_reservation(id(&held), "ann", payment, None).await.unwrap();
                Ok(seats.len())
            }
        });
        let mut granted = 0;
        for answer in join_all(asks).await {
            match answer {
                Ok(seats) => granted += seats,
                refused => assert_eq!(refusal(refused), Refusal::SeatLimit(8)),
            }
        }
        assert_eq!(granted, 7, "{}: one was bought before", world.database.name);
        assert_eq!(refusal(world.hold("ann", &show, &[699]).await), Refusal::SeatLimit(8));
        world.hold("bob", &show, &[691, 692, 693, 694, 695, 696, 697, 698]).await.unwrap();
        world.audit().await;
        world.assert_no_deadlock().await;
    }
}

#[tokio::test]
async fn where_a_show_limits_seats_a_lapsed_hold_counts_until_it_is_closed() {
    for world in worlds_with(Policy { max_held_seats: 1, ..Policy::default() }).await {
        let sale = Sale { max_seats_per_user: Some(2), ..Sale::default() };
        let show = theatre_show(&world, sale).await;
        let held = world.hold("ann", &show, &[1, 2]).await.unwrap();
        assert_eq!(refusal(world.hold("ann", &show, &[3, 4, 5]).await), Refusal::SeatLimit(2));
        world.clock.advance(TTL);
        // By a slower clock its payment may be confirming it at this moment.
        assert_eq!(refusal(world.hold("ann", &show, &[3]).await), Refusal::SeatLimit(2));
        world.hold("bob", &show, &[1]).await.unwrap();
        world.app.sweep().await.unwrap();
        let again = world.hold("ann", &show, &[2, 3]).await.unwrap();
        let late = world.app.confirm_reservation(id(&held), "ann", Uuid::from_u128(1), None).await;
        assert_eq!(refusal(late), Refusal::HoldExpired);
        world.app.cancel_reservation(id(&again), "ann", None).await.unwrap();
        world.hold("ann", &show, &[4, 5]).await.unwrap();
        world.audit().await;
    }
}

#[tokio::test]
async fn a_sale_opens_and_closes_by_the_clock_of_the_replica_that_decides() {
    for world in worlds().await {
        let (opens_at, closes_at) = (START + MINUTE, START + 2 * MINUTE);
        let sale = Sale { opens_at: Some(opens_at), closes_at: Some(closes_at), max_seats_per_user: None };
        let show = theatre_show(&world, sale).await;
        let early = |wait| Refusal::SalesNotOpen { opens_at, wait };
        assert_eq!(refusal(world.hold("ann", &show, &[1]).await), early(MINUTE));
        world.clock.advance(MINUTE - 1);
        assert_eq!(refusal(world.hold("ann", &show, &[1]).await), early(1));
        world.clock.advance(1);
        let held = world.hold("ann", &show, &[1]).await.unwrap();
        assert_eq!(world.map(&show).await[1], Availability::Available);
        let dates = world.app.available_dates(show.concert_id).await.unwrap();
        assert_eq!(dates.len(), 2, "{}: that of the show, and that of the plain one", world.database.name);
        world.clock.advance(MINUTE);
        assert_eq!(refusal(world.hold("ann", &show, &[2]).await), Refusal::SalesClosed);
        assert_eq!(world.map(&show).await, [Availability::Sold; 10]);
        let dates = world.app.available_dates(show.concert_id).await.unwrap();
        assert_eq!(dates.len(), 1, "{}", world.database.name);
        // What was held in time may be paid for.
        world.app.confirm_reservation(id(&held), "ann", Uuid::from_u128(1), None).await.unwrap();

        let new = |sale| in_theatre(show.concert_id, sale);
        let (ends_at, at) = (START + DAY + 120 * MINUTE, |at| Some(START + at));
        for (opens_at, closes_at, expected) in [
            (at(DAY), None, Refusal::NeverOnSale),
            (at(5), at(5), Refusal::NeverOnSale),
            (None, Some(ends_at + 1), Refusal::ClosesTooLate),
        ] {
            let sale = Sale { opens_at, closes_at, max_seats_per_user: None };
            assert_eq!(refusal(world.app.create_show(new(sale), None).await), expected);
        }
        let until_the_end = Sale { closes_at: Some(ends_at), ..Sale::default() };
        let late = world.app.create_show(new(until_the_end), None).await.unwrap();
        world.clock.advance(DAY);
        world.hold("ann", &late, &[1]).await.unwrap();
        world.clock.advance(2 * 60 * MINUTE - 2 * MINUTE - SECOND);
        world.hold("ann", &late, &[2]).await.unwrap();
        world.clock.advance(SECOND);
        assert_eq!(refusal(world.hold("ann", &late, &[3]).await), Refusal::SalesClosed);
    }
}

#[tokio::test]
async fn replicas_whose_clocks_are_a_second_apart_open_and_close_a_sale_within_that_second() {
    const HALF: i64 = SECOND / 2;
    for world in worlds().await {
        let (opens_at, closes_at) = (START + MINUTE, START + 2 * MINUTE);
        let sale = Sale { opens_at: Some(opens_at), closes_at: Some(closes_at), max_seats_per_user: None };
        let show = theatre_show(&world, sale).await;
        let (fast, slow) = (Clock::manual(START + HALF), Clock::manual(START - HALF));
        let replicas = [world.replica(fast.clone()), world.replica(slow.clone())];
        let (mut now, mut seats) = (START, 1..=10);
        for (at, expected) in [
            (opens_at - HALF - 1, [false, false]),
            (opens_at - HALF, [true, false]),
            (opens_at + HALF - 1, [true, false]),
            (opens_at + HALF, [true, true]),
            (closes_at - HALF - 1, [true, true]),
            (closes_at - HALF, [false, true]),
            (closes_at + HALF - 1, [false, true]),
            (closes_at + HALF, [false, false]),
        ] {
            [&fast, &slow].into_iter().for_each(|clock| clock.advance(at - now));
            now = at;
            for (replica, sells) in replicas.iter().zip(expected) {
                let seat = seats.clone().next().unwrap();
                let told = hold(replica, &format!("user-{seat}"), show.show_id, &[seat]).await;
                assert_eq!(told.is_ok(), sells, "{} at {}: {told:?}", world.database.name, at - opens_at);
                if sells {
                    seats.next();
                } else if at < closes_at - HALF {
                    assert!(matches!(refusal(told), Refusal::SalesNotOpen { .. }));
                } else {
                    assert_eq!(refusal(told), Refusal::SalesClosed);
                }
            }
        }
        assert_eq!(seats.count(), 2, "{}: eight were sold", world.database.name);
    }
}

fn message(concert_id: i64) -> CreateShowRequest {
    let row = |name: &str, seats, first_seat| NewRow { name: name.to_owned(), seats, first_seat };
    let section =
        |name: &str, price, rows, capacity| NewSection { name: name.to_owned(), price, rows, capacity };
    CreateShowRequest {
        concert_id,
        starts_at: Some(timestamp(START + DAY)),
        duration_minutes: 120,
        title: "Evening".to_owned(),
        sections: vec![
            section("Stalls", 30, vec![row("A", 2, Some(11)), row("B", 3, None)], 0),
            section("Floor", 10, Vec::new(), 3),
            section("Balcony", 20, vec![row("A", 2, Some(7))], 0),
        ],
        opens_at: Some(timestamp(START + MINUTE)),
        max_seats_per_user: Some(4),
        ..CreateShowRequest::default()
    }
}

#[tokio::test]
async fn a_plan_and_prices_and_rules_are_told_over_grpc() {
    for world in worlds().await {
        let api = Service::new(Arc::clone(&world.app), "KRW".parse().unwrap(), CancellationToken::new());
        let concert_id = world.show(1).await.concert_id;
        let show =
            api.create_show(Request::new(message(concert_id))).await.unwrap().into_inner().show.unwrap();
        assert_eq!((show.seat_count, show.price, show.max_seats_per_user), (10, 10, Some(4)));
        assert_eq!((show.opens_at, show.closes_at), (Some(timestamp(START + MINUTE)), None));
        let show_id = show.show_id;
        let plan =
            api.get_seat_plan(Request::new(GetSeatPlanRequest { show_id })).await.unwrap().into_inner();
        let sections: Vec<_> = plan.sections.iter().map(|s| (s.name.as_str(), s.price, s.standing)).collect();
        assert_eq!(sections, [("Stalls", 30, false), ("Floor", 10, true), ("Balcony", 20, false)]);
        let numbers: Vec<_> = plan.sections.iter().map(|s| (s.first_seat, s.last_seat)).collect();
        assert_eq!(numbers, [(1, 5), (6, 8), (9, 10)]);
        let rows: Vec<_> =
            plan.sections[0].rows.iter().map(|r| (r.first_seat, r.last_seat, r.first_label)).collect();
        assert_eq!(rows, [(1, 2, 11), (3, 5, 1)]);

        let seats = ListSeatsRequest { show_id, ..ListSeatsRequest::default() };
        let map = api.list_seats(Request::new(seats)).await.unwrap().into_inner().seat_maps.remove(0);
        let prices: Vec<_> = map.prices.iter().map(|p| (p.first_seat, p.last_seat, p.price)).collect();
        assert_eq!((map.seats.len(), prices), (10, vec![(1, 5, 30), (6, 8, 10), (9, 10, 20)]));

        let ask = HoldSeatsRequest {
            user_id: "ann".to_owned(),
            show_id,
            seat_numbers: vec![9, 3],
            ..HoldSeatsRequest::default()
        };
        let early = Fault::from(&api.hold_seats(Request::new(ask.clone())).await.unwrap_err());
        assert_eq!((early.reason, early.retry_after.unwrap().as_secs()), (Reason::SalesNotOpen, 60));
        assert_eq!(early.metadata["opens_at"], "2027-01-15T08:01:00.000000Z");
        world.clock.advance(MINUTE);
        let held = api.hold_seats(Request::new(ask)).await.unwrap().into_inner().reservation.unwrap();
        let told: Vec<_> = held
            .seats
            .iter()
            .map(|s| (s.seat_number, s.section.as_str(), s.row.as_str(), s.label, s.price))
            .collect();
        assert_eq!(told, [(3, "Stalls", "B", 1, 30), (9, "Balcony", "A", 7, 20)]);
        assert_eq!((held.amount, held.seat_numbers), (50, vec![3, 9]));

        let nobody = api.get_seat_plan(Request::new(GetSeatPlanRequest { show_id: 999 })).await;
        assert_eq!(Fault::from(&nobody.unwrap_err()).reason, Reason::ShowNotFound);
        let wrong = CreateShowRequest { closes_at: Some(timestamp(START)), ..message(concert_id) };
        let wrong = Fault::from(&api.create_show(Request::new(wrong)).await.unwrap_err());
        assert_eq!(
            (wrong.reason, wrong.violations[0].field.as_str()),
            (Reason::InvalidArgument, "closes_at")
        );
    }
}

#[tokio::test]
async fn the_largest_hall_is_created_held_and_told() {
    for world in worlds().await {
        let plain = world.show(1).await;
        let row = |nth: usize| HallRow { name: format!("{nth}"), seats: 50, first_label: 1 };
        let section = |nth: usize| Section {
            name: format!("Block {nth}"),
            rows: (0..40).map(row).collect(),
            capacity: 0,
        };
        let new = NewShow {
            seat_count: 100_000,
            sections: (0..50).map(section).collect(),
            prices: (0..50).collect(),
            ..evening(plain.concert_id)
        };
        let show = world.app.create_show(new, None).await.unwrap();
        let held = hold(&replica(&world), "ann", show.show_id, &[1, 50_000, 100_000]).await.unwrap();
        assert_eq!(held.hold.amount, 24 + 49, "{}", world.database.name);
        let last = held.hold.tickets().last().unwrap();
        assert_eq!(last, (100_000, place("Block 49", "39", 50, 49)));
    }
}
