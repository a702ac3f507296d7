//! Undoing a sale: the money is back exactly if the seats are free again, once, whatever is lost on the way
//! and whoever is killed.

use std::{sync::Arc, time::Duration};

use futures::{
    StreamExt,
    future::{join, join_all},
    stream,
};
use serde_json::{Value, json};
use tests::{
    client::Rest,
    eventually::{eventually, holds},
    faults::Meeting,
    mesh::{Role, Shape},
    scenarios, solos,
    suite::{Scenario, Solo},
    trial::{BOUND, Court},
    world::{World, all_at_once, text, unique},
};

use crate::undone::{Tried, losses, stands};

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    a_refund_gives_money_and_seats_back_once_and_is_told_the_same_again,
    what_is_not_sold_is_not_refunded,
    a_refund_that_meets_its_payment_undoes_all_of_it_or_nothing,
];

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::ApartSqlite, Shape::Cluster];
    whatever_is_lost_of_a_refund_it_ends_with_money_and_seats_back,
    an_edge_that_is_killed_at_every_step_of_refunds_leaves_none_half_done,
];

async fn a_refund_gives_money_and_seats_back_once_and_is_told_the_same_again(world: World) {
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 2_500).await;
    let reservation = world.hold(&buyer, sale.show, &[1, 2]).await;
    let key = unique("pay");
    let pay = || {
        let body = json!({"userId": buyer.user, "reservationId": reservation});
        world.rest.post("/v1/payments", body).token(&buyer.token).key(&key)
    };
    let paid = pay().expect(201).await;
    assert_eq!((&paid["refundAskedAt"], &paid["refundedAt"]), (&json!(null), &json!(null)));
    let payment = text(&paid["paymentId"]);
    let refund =
        |reason: &str| world.rest.post(&format!("/v1/payments/{payment}/refund"), json!({"reason": reason}));
    // Everybody at once, on every replica: one refund, and one answer.
    let answers = all_at_once((0..8).map(|nth| refund(&format!("reason {nth}")))).await;
    let told = &refund("one more").expect(200).await;
    for answer in &answers {
        // Whoever waited in vain on a busy machine was told that it goes on.
        assert!(answer.status == 202 || (answer.status, &answer.body) == (200, told), "{}", answer.text);
    }
    assert_eq!((&told["status"], &told["reason"]), (&json!("CANCELLED"), &json!("RESERVATION_CANCELLED")));
    assert!(text(&told["refundReason"]).starts_with("reason "));
    assert_eq!(refund("another").expect(200).await, *told);
    assert_eq!(world.rest.get(&format!("/v1/payments/{payment}")).expect(200).await, *told);
    assert_eq!(pay().expect(201).await, *told, "a replay tells how the payment stands");

    assert_eq!(world.balance(&buyer.user).await, 2_500);
    let kinds: Vec<_> = world.entries(&buyer.user).await.iter().map(|entry| text(&entry["kind"])).collect();
    assert_eq!(kinds, ["REFUND", "PAYMENT", "CHARGE"]);
    let undone = world.reservation(&reservation).await;
    assert_eq!((&undone["status"], text(&undone["paymentId"])), (&json!("REFUNDED"), payment.clone()));
    assert!(undone["refundedAt"].is_string() && undone["confirmedAt"].is_string(), "{undone}");
    // The seats are for sale again, and the old reservation is not.
    let other = world.buyer_with(&sale, 2_000).await;
    let again = world.hold(&other, sale.show, &[2, 1]).await;
    world.paying(&other, &again).expect(201).await;
    let back = world.admitted(&sale.queue, &buyer.user).await;
    let _ = world.paying(&back, &reservation).send().await.problem(409, "RESERVATION_CANCELLED");

    let journal = world.rest.get(&format!("/v1/operator/journal?target={payment}")).expect(200).await;
    let actions = journal["actions"].as_array().unwrap();
    assert!(actions.len() >= 10 && actions.iter().all(|one| one["what"] == "RefundCheckout"), "{journal}");
    assert_eq!(actions[0]["outcome"], "DONE", "{journal}");
}

async fn what_is_not_sold_is_not_refunded(world: World) {
    let refund = |payment: &str| world.rest.post(&format!("/v1/payments/{payment}/refund"), json!({})).send();
    let sale = world.sale(1_000, 5).await;
    let poor = world.buyer_with(&sale, 999).await;
    let reservation = world.hold(&poor, sale.show, &[1]).await;
    let refused = world.paying(&poor, &reservation).send().await.problem(402, "INSUFFICIENT_FUNDS");
    let payment = text(&refused["paymentId"]);
    let refused = refund(&payment).await.problem(409, "REFUND_NOT_POSSIBLE");
    assert_eq!(text(&refused["paymentId"]), payment);
    let _ = refund("7c9e6679-7425-40de-944b-e07fc1f90ae7").await.problem(404, "PAYMENT_NOT_FOUND");
    let _ = refund("x").await.problem(400, "INVALID_ARGUMENT");
    let body = json!({"reason": "x".repeat(201)});
    let _ = world
        .rest
        .post(&format!("/v1/payments/{payment}/refund"), body)
        .send()
        .await
        .problem(400, "INVALID_ARGUMENT");
}

/// A refund is asked for again and again, at every replica, while the payment is under way.
async fn a_refund_that_meets_its_payment_undoes_all_of_it_or_nothing(world: World) {
    let sale = world.sale(1_000, 20).await;
    let races = (1..=20).map(|seat| {
        let pace = u64::from(i32::unsigned_abs(seat));
        let (world, sale) = (&world, &sale);
        async move {
            let buyer = world.buyer_with(sale, 1_000).await;
            let reservation = world.hold(&buyer, sale.show, &[seat]).await;
            let asked = async {
                let path = format!("/v1/payments/{}/refund", world.checkout_begun(&buyer.user).await);
                let asked = (0..8).map(|nth| {
                    let refund = world.rest.post(&path, json!({"reason": "rain"}));
                    async move {
                        // Each race at another pace, so that some come before, in and after every step.
                        tokio::time::sleep(Duration::from_millis(nth * pace)).await;
                        refund.send().await
                    }
                });
                join_all(asked).await
            };
            let (paid, asked) = join(world.paying(&buyer, &reservation).send(), asked).await;
            assert!(matches!(paid.status, 201 | 202), "{}", paid.text);
            let (taken, refused): (Vec<_>, Vec<_>) =
                asked.into_iter().partition(|answer| matches!(answer.status, 200 | 202));
            let is_undone = !taken.is_empty();
            for answer in refused {
                let _ = answer.problem(409, "REFUND_NOT_POSSIBLE");
            }
            let (status, stands, balance) =
                if is_undone { ("CANCELLED", "REFUNDED", 1_000) } else { ("COMPLETED", "CONFIRMED", 0) };
            let path = format!("/v1/payments/{}", text(&paid.body["paymentId"]));
            eventually(BOUND, || async {
                let payment = world.rest.get(&path).expect(200).await;
                holds(payment, |payment| payment["status"] == status)
            })
            .await;
            assert_eq!(world.reservation(&reservation).await["status"], stands);
            assert_eq!(world.balance(&buyer.user).await, balance);
        }
    });
    join_all(races).await;
}

/// Asks until it is done, as an operator would.
async fn refunded(sold: &Tried, rest: &Rest) -> Value {
    let path = format!("/v1/payments/{}/refund", sold.payment);
    eventually(BOUND, || async {
        let answer = rest.post(&path, json!({"reason": "rain"})).try_send().await?;
        holds(answer, |answer| answer.status == 200).map(|answer| answer.body)
    })
    .await
}

async fn whatever_is_lost_of_a_refund_it_ends_with_money_and_seats_back(shape: Shape) {
    let court = Court::open(shape).await;
    // In waves, so that a small machine refunds no more at once than it can within a bound.
    let all = stream::iter(losses(shape)).map(|rule| async {
        let sold = Tried::of(&court, rule).await;
        let told = refunded(&sold, &court.world.rest).await;
        assert_eq!((&told["status"], &told["refundReason"]), (&json!("CANCELLED"), &json!("rain")));
        sold
    });
    let all: Vec<Tried> = all.buffer_unordered(16).collect().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    for sold in &all {
        sold.judge(&court.world).await;
    }
    drop(all);
    court.close().await;
}

async fn an_edge_that_is_killed_at_every_step_of_refunds_leaves_none_half_done(shape: Shape) {
    let court = Court::open(shape).await;
    let (meeting, late) = (Arc::<Meeting>::default(), Arc::<Meeting>::default());
    let (first, other) = {
        let edges = court.world.mesh.rest();
        (Rest::new(vec![edges[0].clone()]), Rest::new(vec![edges[edges.len() - 1].clone()]))
    };
    let all = Tried::each(&court, stands(&meeting, &late)).await;
    let asking: Vec<_> = all
        .iter()
        .map(|sold| {
            let call =
                first.post(&format!("/v1/payments/{}/refund", sold.payment), json!({"reason": "rain"}));
            tokio::spawn(async move { call.try_send().await })
        })
        .collect();
    meeting.of(8, BOUND).await.unwrap();
    late.of(4, BOUND).await.unwrap();
    court.world.mesh.of(Role::Edge)[0].process.kill();
    if shape == Shape::ApartSqlite {
        court.world.mesh.restart_ended().await;
    }
    meeting.end();
    let told = join_all(all.iter().map(|sold| refunded(sold, &other))).await;
    court.world.mesh.restart_ended().await;
    late.end();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for (sold, told) in all.iter().zip(&told) {
        assert_eq!((&told["status"], &told["refundReason"]), (&json!("CANCELLED"), &json!("rain")));
        sold.judge(&court.world).await;
    }
    asking.iter().for_each(tokio::task::JoinHandle::abort);
    drop(all);
    court.close().await;
}
