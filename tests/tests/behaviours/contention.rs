//! Everybody wants the same thing at once: no deadlock, no 500, nobody waits without end, and exactly as many
//! win as can. (Three hundred at one seat, and charges and uses by themselves, are in `acceptance`.)

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use boxoffice_proto::{
    Reason,
    booking::HoldSeatsRequest,
    wallet::{ChargeWalletRequest, UseWalletRequest},
};
use futures::future::join_all;
use tests::{
    client::Answer,
    grpc::{patiently, refused},
    patience::is_prompt,
    requests::hold_message,
    scenarios,
    suite::Scenario,
    world::{World, int, text, unique},
};

pub(crate) const ALONE: &[Scenario] = scenarios![
    two_hundred_cross_each_other_for_eight_seats_and_as_many_win_as_can,
    one_user_charges_and_uses_three_hundred_times_at_once,
    fifty_equal_payments_over_all_edges_are_one_payment,
];

/// Nobody usually waits longer.
const BOUNDED: Duration = Duration::from_secs(10);

/// Even ones take seats upwards, odd ones downwards, four of eight in a row: every two of them meet
/// somewhere.
async fn two_hundred_cross_each_other_for_eight_seats_and_as_many_win_as_can(world: World) {
    let sale = world.sale(1_000, 8).await;
    let begun = Instant::now();
    let holds = (0..200_i32).map(|nth| {
        let first = nth % 5 + 1;
        let mut seats: Vec<i32> = (first..first + 4).collect();
        if nth % 2 == 1 {
            seats.reverse();
        }
        let (grpc, request_id) = (world.grpc.clone(), unique("hold"));
        let hold = HoldSeatsRequest { request_id, ..hold_message(&unique("user"), sale.show, &seats) };
        tokio::spawn(async move {
            let grpc = &grpc;
            patiently(hold, |hold| async move { grpc.booking().hold_seats(hold).await }).await
        })
    });
    let mut owners = HashMap::new();
    for answer in join_all(holds).await {
        match answer.unwrap() {
            Ok(held) => {
                let held = held.into_inner().reservation.unwrap();
                for seat in &held.seat_numbers {
                    assert_eq!(
                        owners.insert(*seat, held.reservation_id.clone()),
                        None,
                        "seat {seat} was given twice"
                    );
                }
            }
            Err(status) => drop(refused::<()>(Err(status), Reason::SeatTaken)),
        }
    }
    assert!(is_prompt(begun.elapsed(), BOUNDED), "{:?}", begun.elapsed());
    let winners = owners.values().collect::<HashSet<_>>().len();
    assert!(
        winners == owners.len() / 4 && (1..=2).contains(&winners),
        "{winners} have {} seats",
        owners.len()
    );
    // Whoever lost left nothing behind: what the winners have not got is free.
    let free: Vec<i32> = (1..=8).filter(|seat| !owners.contains_key(seat)).collect();
    if !free.is_empty() {
        let rest = hold_message(&unique("user"), sale.show, &free);
        world.grpc.booking().hold_seats(rest).await.unwrap();
    }
}

async fn one_user_charges_and_uses_three_hundred_times_at_once(world: World) {
    let user = unique("user");
    world.charge(&user, 300_000).await;
    let begun = Instant::now();
    // Who is told to come back does so, with the same id.
    let moves = (0..600).map(|nth| {
        let (grpc, user_id, request_id) = (world.grpc.clone(), user.clone(), unique("move"));
        tokio::spawn(async move {
            let grpc = &grpc;
            if nth % 2 == 0 {
                let charge = ChargeWalletRequest { user_id, amount: 500, request_id };
                let charged =
                    patiently(charge, |charge| async move { grpc.wallet().charge_wallet(charge).await })
                        .await;
                charged.map(|answer| answer.into_inner().entry)
            } else {
                let spend = UseWalletRequest { user_id, amount: 1_000, request_id };
                let spent =
                    patiently(spend, |spend| async move { grpc.wallet().use_wallet(spend).await }).await;
                spent.map(|answer| answer.into_inner().entry)
            }
        })
    });
    let mut sequences = HashSet::new();
    for answer in join_all(moves).await {
        assert!(sequences.insert(answer.unwrap().unwrap().unwrap().sequence), "each has an entry of its own");
    }
    assert!(is_prompt(begun.elapsed(), BOUNDED), "{:?}", begun.elapsed());
    assert_eq!(world.balance(&user).await, 300_000 + 300 * 500 - 300 * 1_000);
    let entries = world.entries(&user).await;
    assert_eq!(entries.len(), 601);
    assert_eq!(entries.iter().map(|entry| int(&entry["amount"])).sum::<i64>(), 150_000);
}

async fn fifty_equal_payments_over_all_edges_are_one_payment(world: World) {
    for with_a_key in [true, false] {
        let sale = world.sale(1_000, 5).await;
        let buyer = world.buyer_with(&sale, 100_000).await;
        let reservation = world.hold(&buyer, sale.show, &[1]).await;
        let key = unique("pay");
        let pay = || world.paying(&buyer, &reservation);
        let click = || if with_a_key { pay().key(&key) } else { pay().unkeyed() };
        let clicks = (0..50).map(|_| {
            let call = click();
            tokio::spawn(async move {
                let begun = Instant::now();
                (call.send().await, begun.elapsed())
            })
        });
        let answers: Vec<(Answer, Duration)> =
            join_all(clicks).await.into_iter().map(Result::unwrap).collect();
        let mut ids = HashSet::new();
        for (answer, took) in answers {
            assert!(is_prompt(took, BOUNDED), "{took:?}");
            match answer.status {
                201 | 202 => drop(ids.insert(text(&answer.body["paymentId"]))),
                // Without a key, who comes when it is over is told so.
                403 | 409 if !with_a_key => {
                    assert!(matches!(answer.code(), "TOKEN_NOT_ACTIVE" | "ALREADY_PAID"), "{}", answer.text)
                }
                // Nor has a key to come back with.
                503 | 504 if !with_a_key => {}
                status => panic!("{status} {}", answer.text),
            }
        }
        assert_eq!(ids.len(), 1, "{ids:?}");
        assert_eq!(world.balance(&buyer.user).await, 99_000);
        assert_eq!(world.reservation(&reservation).await["status"], "CONFIRMED");
    }
}
