//! Concurrent requests: exactly one of them gets a seat, none deadlock, and the limit holds.

use std::sync::Arc;

use booking_svc::{
    domain::{Availability, Refusal, Status},
    error::Error,
};
use chassis::args;
use futures::future::join_all;
use uuid::Uuid;

use crate::world::{TTL, hold, hold_with_id, id, limited, refusal, taken, worlds, worlds_with};

async fn one_seat(crowd: usize) {
    for world in worlds().await {
        let show = world.show(50).await;
        let requests = (0..crowd).map(|user| {
            let app = Arc::clone(&world.app);
            let show_id = show.show_id;
            tokio::spawn(async move { hold(&app, &format!("user-{user}"), show_id, &[7]).await })
        });
        let mut winners = 0;
        for result in join_all(requests).await {
            match result.unwrap() {
                Ok(_) => winners += 1,
                lost => assert_eq!(refusal(lost), taken(&[7]), "{}", world.database.name),
            }
        }
        assert_eq!(winners, 1, "{}", world.database.name);
        world.audit().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_users_who_hold_one_seat_at_once_one_wins() {
    one_seat(10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_three_hundred_users_who_hold_one_seat_at_once_one_wins() {
    one_seat(300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crossing_holds_of_several_seats_are_all_or_none_and_never_deadlock() {
    let selections: [&[i32]; 6] = [&[1, 2], &[2, 1], &[2, 3, 4], &[4, 3, 1], &[5, 4, 3, 2, 1], &[5]];
    for world in worlds().await {
        for _ in 0..15 {
            let show = world.show(5).await;
            let requests = (0..24).map(|user| {
                let app = Arc::clone(&world.app);
                let (show_id, seats) = (show.show_id, selections[user % selections.len()]);
                tokio::spawn(async move { hold(&app, &format!("user-{user}"), show_id, seats).await })
            });
            let mut held = Vec::new();
            for result in join_all(requests).await {
                match result.unwrap() {
                    Ok(reservation) => held.extend(reservation.hold.seats),
                    lost => assert!(matches!(refusal(lost), Refusal::SeatTaken(_))),
                }
            }
            let before = held.len();
            held.sort_unstable();
            held.dedup();
            assert!(before > 0 && held.len() == before, "{}: {held:?}", world.database.name);
            let shown = world.map(&show).await.iter().filter(|seat| **seat == Availability::Held).count();
            assert_eq!(shown, before, "{}: none of a lost hold's seats is kept", world.database.name);
        }
        world.audit().await;
        world.assert_no_deadlock().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lapsed_holds_are_taken_swept_and_confirmed_at_once_without_deadlock_or_loss() {
    for world in worlds().await {
        for round in 0..10 {
            let show = world.show(12).await;
            let mut old = Vec::new();
            for start in [1, 4, 7, 10] {
                old.push(world.hold("early", &show, &[start, start + 1, start + 2]).await.unwrap());
            }
            world.clock.advance(5 * 60 * 1_000_000);
            let mut requests = Vec::new();
            for user in 0..12 {
                let app = Arc::clone(&world.app);
                let (show_id, old) = (show.show_id, id(&old[user % 4]));
                requests.push(tokio::spawn(async move {
                    let n = i32::try_from(user).unwrap();
                    match n % 3 {
                        0 => drop(
                            hold(&app, &format!("late-{n}"), show_id, &[12 - n, n + 1])
                                .await
                                .map_err(|e| assert!(e.is_refusal(), "{e}")),
                        ),
                        1 => {
                            assert_eq!(
                                refusal(app.confirm_reservation(old, "early", Uuid::new_v4(), None).await),
                                Refusal::HoldExpired
                            )
                        }
                        _ => drop(app.sweep().await.unwrap()),
                    }
                }));
            }
            for request in join_all(requests).await {
                request.unwrap();
            }
            world.app.sweep().await.unwrap();
            for reservation in &old {
                assert_eq!(
                    world.status(reservation).await,
                    Status::Expired,
                    "{} round {round}",
                    world.database.name
                );
            }
            world.audit().await;
        }
        world.assert_no_deadlock().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_never_holds_more_of_a_show_than_the_limit_however_many_requests_at_once() {
    for world in worlds_with(limited(4)).await {
        let show = world.show(50).await;
        let requests = (0..20).map(|n| {
            let app = Arc::clone(&world.app);
            let show_id = show.show_id;
            tokio::spawn(async move { hold(&app, "ann", show_id, &[2 * n + 1, 2 * n + 2]).await })
        });
        let mut held = 0;
        for result in join_all(requests).await {
            match result.unwrap() {
                Ok(_) => held += 1,
                lost => assert_eq!(refusal(lost), Refusal::HoldLimit(4)),
            }
        }
        assert_eq!(held, 2, "{}: two holds of two seats", world.database.name);
        let shown = world.map(&show).await.iter().filter(|seat| **seat == Availability::Held).count();
        assert_eq!(shown, 4, "{}: a refused hold keeps nothing", world.database.name);
        // The limit counts neither other users, nor other shows, nor holds that expired or are paid for.
        hold(&world.app, "bob", show.show_id, &[50]).await.unwrap();
        let other = world.show(5).await;
        let paid = world.hold("ann", &other, &[1, 2, 3, 4]).await.unwrap();
        assert_eq!(refusal(world.hold("ann", &other, &[5]).await), Refusal::HoldLimit(4));
        world.app.confirm_reservation(id(&paid), "ann", Uuid::new_v4(), None).await.unwrap();
        world.hold("ann", &other, &[5]).await.unwrap();
        world.clock.advance(crate::world::TTL);
        world.hold("ann", &show, &[41, 42, 43, 44]).await.unwrap();
        assert_eq!(refusal(world.hold("ann", &show, &[1, 2, 3, 4, 5]).await), Refusal::HoldLimit(4));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sent_many_times_at_once_is_one_hold_and_everybody_gets_its_answer() {
    for world in worlds().await {
        let show = world.show(5).await;
        let requests = (0..30).map(|_| {
            let app = Arc::clone(&world.app);
            let show_id = show.show_id;
            tokio::spawn(async move { hold_with_id(&app, "ann", show_id, &[1, 2], Some("click")).await })
        });
        let answers: Vec<_> =
            join_all(requests).await.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
        assert!(answers.iter().all(|answer| answer == &answers[0]), "{}", world.database.name);
        let all = world.app.reservations("ann", (i64::MAX, Uuid::max()), 50).await.unwrap();
        assert_eq!(all.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_payments_of_one_hold_at_once_one_confirms() {
    for world in worlds().await {
        let show = world.show(5).await;
        let reservation = world.hold("ann", &show, &[1, 2]).await.unwrap();
        let requests = (0..20).map(|_| {
            let (app, id) = (Arc::clone(&world.app), id(&reservation));
            tokio::spawn(async move { app.confirm_reservation(id, "ann", Uuid::new_v4(), None).await })
        });
        let results = join_all(requests).await;
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().map(Result::unwrap).partition(Result::is_ok);
        assert_eq!(won.len(), 1, "{}", world.database.name);
        for loser in lost {
            assert_eq!(refusal(loser), Refusal::AlreadyPaid);
        }
        world.audit().await;
    }
}

/// I-TAKEN-NOW: whoever is too late waits for nobody; and a replica never refuses what another has given
/// back.
#[tokio::test]
async fn who_is_too_late_is_refused_without_a_transaction_and_who_is_not_is_never() {
    for world in worlds().await {
        let (show, other) = (world.show(3).await, world.replica(world.clock.clone()));
        let held = world.hold("ann", &show, &[1]).await.unwrap();
        assert_eq!(
            refusal(hold(&other, "bob", show.show_id, &[1]).await),
            taken(&[1]),
            "remembered from here on"
        );
        // Nobody else can write now: on SQLite nothing, on PostgreSQL not this seat.
        let mut writer = world.db.begin().await.unwrap();
        let lock = "UPDATE seat SET held_until = held_until WHERE show_id = $1 AND seat_number = 1";
        writer.execute(lock, args![show.show_id]).await.unwrap();
        assert_eq!(
            refusal(hold(&other, "bob", show.show_id, &[1, 2]).await),
            taken(&[1]),
            "{}",
            world.database.name
        );
        writer.rollback().await;
        // What another replica frees is free in the next moment, whatever is remembered.
        world.app.cancel_reservation(id(&held), "ann", None).await.unwrap();
        let again = hold_with_id(&other, "bob", show.show_id, &[1, 2], Some("again")).await.unwrap();
        // The seats are taken by the first attempt of this very request.
        for app in [&*world.app, &other] {
            assert_eq!(refusal(hold(app, "cid", show.show_id, &[2]).await), taken(&[2]));
            let replayed = hold_with_id(app, "bob", show.show_id, &[1, 2], Some("again")).await.unwrap();
            assert_eq!(id(&replayed), id(&again), "{}", world.database.name);
            let reused = hold_with_id(app, "bob", show.show_id, &[2], Some("again")).await;
            assert!(matches!(reused, Err(Error::RequestIdReused)), "{reused:?}");
        }
        // By the clock.
        world.clock.advance(TTL);
        hold(&other, "cid", show.show_id, &[1]).await.unwrap();
        // Other reasons come first, as ever.
        let beyond = hold(&other, "dan", show.show_id, &[1, 4]).await;
        assert_eq!(refusal(beyond), Refusal::SeatNotFound([4].into()));
        world.audit().await;
    }
}
