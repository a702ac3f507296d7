//! Seats that are left to the service to choose, on one replica and on several.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use booking_svc::{
    app::{App, HoldSeats},
    domain::{Best, HallRow, NewShow, Refusal, Reservation, Section, Selection, Show, Wanted},
    error::Error,
    grpc::Service,
    store::catalog,
};
use boxoffice_proto::{
    Fault, Reason,
    booking::{BestAvailable, HoldSeatsRequest, booking_service_server::BookingService},
};
use chassis::{db::Dialect, testing::patience::timeout};
use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use tonic::Request;

use crate::world::{MINUTE, START, TTL, World, evening, id, refusal, worlds};

/// A show whose stalls have so many rows of so many seats, with standing room for three behind them.
async fn hall(world: &World, rows: i32, seats: i32) -> Show {
    let plain = world.show(1).await;
    let rows = (1..=rows).map(|nth| HallRow { name: nth.to_string(), seats, first_label: 1 }).collect();
    let sections = vec![
        Section { name: "Stalls".to_owned(), rows, capacity: 0 },
        Section { name: "Floor".to_owned(), rows: Vec::new(), capacity: 3 },
    ];
    let seat_count = sections.iter().map(Section::size).sum();
    let new = NewShow { seat_count, sections, prices: vec![30, 10], price: 10, ..evening(plain.concert_id) };
    world.app.create_show(new, None).await.unwrap()
}

fn best(count: i32) -> Best {
    Best { count, section: String::new(), together: true }
}

async fn choose(
    app: &App,
    user: &str,
    show: i64,
    wish: Best,
    key: Option<&str>,
) -> Result<Reservation, Error> {
    let command = HoldSeats { user_id: user.to_owned(), show_id: show, seats: Wanted::Best(wish) };
    app.hold_seats(command, key.map(str::to_owned)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_at_once_over_replicas_get_three_hundred_pairs_side_by_side() {
    for world in worlds().await {
        let show = hall(&world, 34, 20).await;
        let apps = [Arc::clone(&world.app), Arc::new(world.replica(world.clock.clone()))];
        let requests = (0..300_usize).map(|nth| {
            let (app, show) = (Arc::clone(&apps[nth % 2]), show.show_id);
            tokio::spawn(async move { choose(&app, &format!("user-{nth}"), show, best(2), None).await })
        });
        let mut seats = Vec::new();
        for answer in join_all(requests).await {
            let pair = answer.unwrap().unwrap().hold.seats;
            let [one, other] = pair[..] else { panic!("{pair:?}") };
            assert!(one + 1 == other && (one - 1) / 20 == (other - 1) / 20, "{pair:?} are side by side");
            seats.extend(pair);
        }
        seats.sort_unstable();
        seats.dedup();
        assert_eq!(seats.len(), 600, "{}: no two get one seat", world.database.name);
        let none = choose(&world.app, "late", show.show_id, best(4), None).await;
        assert_eq!(refusal(none), Refusal::SeatsUnavailable { available: 83, together: 3 });
        world.audit().await;
        world.assert_no_deadlock().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_choose_and_those_who_let_choose_get_different_seats_without_deadlock() {
    for world in worlds().await {
        for _ in 0..4 {
            let show = hall(&world, 8, 10).await;
            let apps = [Arc::clone(&world.app), Arc::new(world.replica(world.clock.clone()))];
            let requests = (0..80_i32).map(|nth| {
                let app = Arc::clone(&apps[usize::try_from(nth).unwrap() / 2 % 2]);
                let show = show.show_id;
                tokio::spawn(async move {
                    let user = format!("user-{nth}");
                    if nth % 2 == 0 {
                        return choose(&app, &user, show, best(2), None).await;
                    }
                    let seats = Selection::new(&[nth, (nth + 10) % 80 + 1]).unwrap();
                    let command = HoldSeats { user_id: user, show_id: show, seats: Wanted::These(seats) };
                    app.hold_seats(command, None).await
                })
            });
            let mut held = Vec::new();
            for answer in join_all(requests).await {
                match answer.unwrap() {
                    Ok(reservation) => held.extend(reservation.hold.seats),
                    lost => assert!(
                        matches!(refusal(lost), Refusal::SeatTaken(_) | Refusal::SeatsUnavailable { .. }),
                        "{}",
                        world.database.name
                    ),
                }
            }
            let all = held.len();
            held.sort_unstable();
            held.dedup();
            assert_eq!(held.len(), all, "{}", world.database.name);
        }
        world.audit().await;
        world.assert_no_deadlock().await;
    }
}

#[tokio::test]
async fn a_repeated_wish_gets_the_same_seats_and_its_id_serves_no_other() {
    for world in worlds().await {
        let show = hall(&world, 2, 6).await;
        let first = choose(&world.app, "ann", show.show_id, best(2), Some("click")).await.unwrap();
        assert_eq!(first.hold.seats, [3, 4], "{}", world.database.name);
        let other = world.replica(world.clock.clone());
        for app in [&*world.app, &other] {
            let again = choose(app, "ann", show.show_id, best(2), Some("click")).await.unwrap();
            assert_eq!(again, first);
            let apart = Best { together: false, ..best(2) };
            let reused = choose(app, "ann", show.show_id, apart, Some("click")).await;
            assert!(matches!(reused, Err(Error::RequestIdReused)), "{reused:?}");
        }
        // What lapsed may be chosen again, swept or not, and what is given back as well.
        world.clock.advance(TTL);
        let second = choose(&world.app, "bob", show.show_id, best(2), None).await.unwrap();
        assert_eq!(second.hold.seats, [3, 4]);
        world.app.cancel_reservation(id(&second), "bob", None).await.unwrap();
        let third = choose(&world.app, "cid", show.show_id, best(2), None).await.unwrap();
        assert_eq!(third.hold.seats, [3, 4]);
        world.audit().await;
    }
}

#[tokio::test]
async fn over_grpc_a_wish_is_granted_or_told_what_there_is() {
    for world in worlds().await {
        let show_id = hall(&world, 2, 6).await.show_id;
        let api = Service::new(Arc::clone(&world.app), "KRW".parse().unwrap(), CancellationToken::new());
        let ask = async |wish: BestAvailable, seat_numbers: Vec<i32>| {
            let best_available = Some(wish);
            let (user_id, rest) = ("ann".to_owned(), HoldSeatsRequest::default());
            let request = HoldSeatsRequest { user_id, show_id, seat_numbers, best_available, ..rest };
            let answer = api.hold_seats(Request::new(request)).await;
            answer.map(|held| held.into_inner().reservation.unwrap()).map_err(|status| Fault::from(&status))
        };
        let wish =
            |count, section: &str, together| BestAvailable { count, section: section.to_owned(), together };
        assert_eq!(ask(wish(3, "", None), vec![]).await.unwrap().seat_numbers, [1, 2, 3]);
        assert_eq!(ask(wish(2, "Floor", Some(true)), vec![]).await.unwrap().seat_numbers, [13, 14]);
        let short = ask(wish(7, "Stalls", None), vec![]).await.unwrap_err();
        assert_eq!(short.reason, Reason::SeatsUnavailable);
        assert_eq!((short.metadata["available"].as_str(), short.metadata["together"].as_str()), ("9", "6"));
        let apart = ask(wish(7, "Stalls", Some(false)), vec![]).await.unwrap();
        assert_eq!(apart.seat_numbers, [4, 5, 6, 7, 8, 9, 10]);
        for (wish, seats, field) in [
            (wish(0, "", None), vec![], "best_available.count"),
            (wish(51, "", None), vec![], "best_available.count"),
            (wish(1, &"a".repeat(101), None), vec![], "best_available.section"),
            (wish(1, "Balcony", None), vec![], "best_available.section"),
            (wish(1, "", None), vec![1], "seat_numbers"),
        ] {
            let fault = ask(wish, seats).await.unwrap_err();
            assert_eq!((fault.reason, fault.violations[0].field.as_str()), (Reason::InvalidArgument, field));
        }
        world.audit().await;
    }
}

#[tokio::test]
async fn a_wish_before_the_sale_opens_waits_for_nobody_who_chooses() {
    for world in worlds().await {
        let plain = world.show(1).await;
        let opens = booking_svc::domain::show::Sale { opens_at: Some(START + MINUTE), ..plain.sale };
        let new = NewShow { seat_count: 4, sale: opens, ..evening(plain.concert_id) };
        let show_id = world.app.create_show(new, None).await.unwrap().show_id;
        // On SQLite there is one writer, which is waited for in any case.
        let busy = if world.db.dialect() == Dialect::Postgres {
            let mut session = world.db.begin().await.unwrap();
            catalog::lock_shows(&mut session, &BTreeSet::from([show_id])).await.unwrap();
            Some(session)
        } else {
            None
        };
        let wish = choose(&world.app, "ann", show_id, best(2), Some("click"));
        let early = timeout(Duration::from_millis(300), wish).await.expect("nobody is waited for");
        let told = Refusal::SalesNotOpen { opens_at: START + MINUTE, wait: MINUTE };
        assert_eq!(refusal(early), told, "{}", world.database.name);
        if let Some(session) = busy {
            session.rollback().await;
        }
        world.clock.advance(MINUTE);
        let held = choose(&world.app, "ann", show_id, best(2), Some("click")).await.unwrap();
        assert_eq!(held.hold.seats, [1, 2], "{}", world.database.name);
    }
}
