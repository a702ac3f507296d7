//! Undoing a sale: the money is back exactly if the seats are free again, once, whatever is lost on the way
//! and whoever is killed.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, future::join_all, stream};
use serde_json::{Value, json};
use tests::{
    client::Rest,
    eventually::{eventually, holds},
    faults::{
        COMMIT,
        Loss::{Code, Cut, Silence},
        Meeting,
        Mishap::{self, Echo, Lost, Slow, Stands, Twice},
        Moment::{After, Before},
        Rule, Then,
    },
    mesh::{Role, Shape},
    scenarios, solos,
    suite::{Scenario, Solo},
    trial::{BOUND, Course::Paid, Court, Trial},
    world::{World, all_at_once, text, unique},
};

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    a_refund_gives_money_and_seats_back_once_and_is_told_the_same_again,
    what_is_not_sold_is_not_refunded,
];

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::ApartSqlite, Shape::Cluster];
    whatever_is_lost_of_a_refund_it_ends_with_money_and_seats_back,
    an_edge_that_is_killed_at_every_step_of_refunds_leaves_none_half_done,
];

/// The calls of a refund.
const STEPS: [&str; 2] = ["RefundReservation", "CancelPayment"];

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

/// A sale, whose refund will meet what it is to meet.
struct Sold {
    trial: Trial,
    payment: Value,
    before: i64,
}

impl Sold {
    async fn of(court: &Court, rule: Rule) -> Self {
        let trial = court.begin(Paid.with(rule)).await;
        let before = court.world.balance(&trial.buyer().user).await;
        let told = trial.told(&court.world.rest).await.unwrap();
        assert_eq!(told.status, 201, "{}", told.text);
        Self { trial, payment: told.body, before }
    }

    fn id(&self) -> String {
        text(&self.payment["paymentId"])
    }

    /// Asks until it is done, as an operator would.
    async fn refunded(&self, rest: &Rest) -> Value {
        let path = format!("/v1/payments/{}/refund", self.id());
        eventually(BOUND, || async {
            let answer = rest.post(&path, json!({"reason": "rain"})).try_send().await?;
            holds(answer, |answer| answer.status == 200).map(|answer| answer.body)
        })
        .await
    }

    async fn judge(&self, world: &World) {
        let user = &self.trial.buyer().user;
        let (balance, kinds) = (world.balance(user).await, world.entries(user).await);
        let refunds = kinds.iter().filter(|entry| entry["kind"] == "REFUND").count();
        assert_eq!((balance, refunds), (self.before, 1), "{}", self.trial.explain("the money"));
        let reservation = world.reservation(&text(&self.payment["reservationId"])).await;
        assert_eq!(reservation["status"], "REFUNDED", "{}", self.trial.explain("the seats"));
    }
}

fn mishaps() -> Vec<(usize, Mishap)> {
    let mut all = Vec::new();
    for moment in [Before, After] {
        all.extend(
            [(1, Cut), (7, Code(tonic::Code::Unavailable)), (1, Code(tonic::Code::NotFound))]
                .map(|(times, loss)| (times, Lost(moment, loss))),
        );
    }
    all.extend([
        (1, Lost(After, Silence)),
        (2, Twice),
        (1, Echo(Duration::from_secs(2))),
        (1, Slow(Duration::from_secs(1))),
    ]);
    all
}

async fn whatever_is_lost_of_a_refund_it_ends_with_money_and_seats_back(shape: Shape) {
    let court = Court::open(shape).await;
    let mut rules: Vec<Rule> = Vec::new();
    for method in STEPS {
        rules.extend(mishaps().into_iter().map(|(times, mishap)| Rule::first(method, times, mishap)));
    }
    if shape == Shape::Cluster {
        // The journal's writes after the payment's own two.
        for first in 2..6 {
            for moment in [Before, After] {
                rules.push(Rule { method: COMMIT, first, times: 1, mishap: Lost(moment, Cut) });
            }
        }
    }
    let all = stream::iter(rules).map(|rule| async {
        let sold = Sold::of(&court, rule).await;
        let told = sold.refunded(&court.world.rest).await;
        assert_eq!((&told["status"], &told["refundReason"]), (&json!("CANCELLED"), &json!("rain")));
        sold
    });
    let all: Vec<Sold> = all.buffer_unordered(16).collect().await;
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
    let mut rules = Vec::new();
    for method in STEPS {
        for moment in [Before, After] {
            for (then, meeting) in [(Then::Vanishes, &meeting), (Then::Goes, &meeting), (Then::Goes, &late)] {
                rules.push(Rule::first(method, 1, Stands(moment, then, Arc::clone(meeting))));
            }
        }
    }
    let (first, other) = {
        let edges = court.world.mesh.rest();
        (Rest::new(vec![edges[0].clone()]), Rest::new(vec![edges[edges.len() - 1].clone()]))
    };
    let all = join_all(rules.into_iter().map(|rule| Sold::of(&court, rule))).await;
    let asking: Vec<_> = all
        .iter()
        .map(|sold| {
            let call = first.post(&format!("/v1/payments/{}/refund", sold.id()), json!({"reason": "rain"}));
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
    let told = join_all(all.iter().map(|sold| sold.refunded(&other))).await;
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
