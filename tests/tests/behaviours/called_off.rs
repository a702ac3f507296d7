//! Calling a show off: nobody gets its seats any more, each of its sales is refunded once, and it is
//! CANCELLED when all of them are; whoever races with it, whatever is lost on the way, and whoever is
//! killed.

use std::{sync::Arc, time::Duration};

use boxoffice_proto::{
    Reason,
    booking::{
        CancelShowRequest, GetShowRequest, HoldSeatsRequest, ShowStatus, UpdateShowRequest,
        booking_service_client::BookingServiceClient,
    },
    checkout::RetryCheckoutRequest,
};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    client::{Call, Rest},
    eventually::{eventually, holds},
    faults::{
        Meeting,
        Mishap::{Refused, Slow},
        Rule,
    },
    grpc::refused,
    mesh::{Role, Shape},
    requests::hold_message,
    scenarios, solos,
    suite::{Scenario, Solo},
    trial::{BOUND, Court},
    world::{Buyer, World, all_at_once, int, text, unique},
};

use crate::undone::{Tried, losses, refunds_of, stands};

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    each_sale_of_a_show_that_is_called_off_is_refunded_once_and_nobody_gets_a_seat,
    payments_that_race_with_it_end_refunded_or_refused,
    a_refund_of_one_sale_that_races_with_it_is_the_same_refund,
    what_was_not_sold_is_called_off_at_once_and_what_is_not_there_is_not,
    a_show_that_moves_is_told,
];

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::ApartSqlite, Shape::Cluster];
    whatever_is_lost_every_sale_is_refunded_and_what_is_parked_is_told,
    edges_that_are_killed_at_every_step_leave_no_sale,
    programs_that_are_killed_again_and_again_leave_no_sale,
];

/// How long it may take until a show is cancelled; usually a second.
const SOON: Duration = Duration::from_secs(30);

fn calling_off(rest: &Rest, show: i64) -> Call {
    rest.call(Method::POST, &format!("/v1/shows/{show}/cancel"))
}

/// Waits until a show is CANCELLED, as every edge tells it.
async fn cancelled(rest: &Rest, show: i64) -> Value {
    eventually(SOON, || async {
        let told = rest.get(&format!("/v1/shows/{show}")).try_send().await?;
        holds(told.body, |told| told["status"] == "CANCELLED")
    })
    .await
}

/// A sale that was made.
struct Sold {
    buyer: Buyer,
    reservation: String,
    payment: String,
}

async fn sold(world: &World, sale: &tests::world::Sale, seats: &[i32]) -> Sold {
    let buyer = world.buyer_with(sale, 10_000).await;
    let reservation = world.hold(&buyer, sale.show, seats).await;
    let payment = text(&world.paying(&buyer, &reservation).expect(201).await["paymentId"]);
    Sold { buyer, reservation, payment }
}

impl Sold {
    /// Money and seats are back, once.
    async fn is_undone(&self, world: &World, why: &str) {
        let payment = world.rest.get(&format!("/v1/payments/{}", self.payment)).expect(200).await;
        assert_eq!((&payment["status"], &payment["refundReason"]), (&json!("CANCELLED"), &json!(why)));
        assert_eq!(world.reservation(&self.reservation).await["status"], "REFUNDED");
        let user = &self.buyer.user;
        assert_eq!((world.balance(user).await, refunds_of(world, user).await), (10_000, 1));
    }
}

const OFF: &str = "The show was called off.";

async fn each_sale_of_a_show_that_is_called_off_is_refunded_once_and_nobody_gets_a_seat(world: World) {
    let sale = world.sale(1_000, 60).await;
    let sales = join_all((0..20).map(|n| {
        let (world, sale) = (&world, &sale);
        async move { sold(world, sale, &[2 * n + 1, 2 * n + 2]).await }
    }))
    .await;
    // One was refunded before, which is none of it; and one is held.
    let before = sold(&world, &sale, &[50]).await;
    let refund = format!("/v1/payments/{}/refund", before.payment);
    world.rest.post(&refund, json!({"reason": "ill"})).expect(200).await;
    let holder = world.buyer_with(&sale, 5_000).await;
    let held = world.hold(&holder, sale.show, &[55]).await;
    let path = format!("/v1/shows/{}", sale.show);
    let read = world.rest.get(&path).send().await;
    assert_eq!((&read.body["status"], &read.body["refunds"]), (&json!("SCHEDULED"), &json!(null)));

    // Everybody at once, on every replica.
    let answers = all_at_once((0..6).map(|_| calling_off(&world.rest, sale.show))).await;
    for answer in &answers {
        assert_eq!(answer.status, 202, "{}", answer.text);
        assert!(
            matches!(answer.body["status"].as_str(), Some("CANCELLING" | "CANCELLED")),
            "{}",
            answer.text
        );
        assert_eq!(answer.header("location"), path);
    }
    let show = cancelled(&world.rest, sale.show).await;
    assert_eq!(show["refunds"], json!({"total": 20, "done": 20, "parked": 0}));
    for sold in &sales {
        sold.is_undone(&world, OFF).await;
    }
    before.is_undone(&world, "ill").await;

    // Nobody gets a seat, by any door, and the hold is over.
    let late = world.buyer_with(&sale, 5_000).await;
    let _ = world.holding(&late, sale.show, &[60]).send().await.problem(409, "SHOW_CANCELLED");
    let best = json!({"userId": late.user, "showId": sale.show, "count": 2});
    let best = world.rest.post("/v1/reservations", best).token(&late.token).key(&unique("hold"));
    let _ = best.send().await.problem(409, "SHOW_CANCELLED");
    let hold = HoldSeatsRequest { request_id: unique("hold"), ..hold_message("zoe", sale.show, &[59]) };
    refused(world.grpc.booking().hold_seats(hold).await, Reason::ShowCancelled);
    assert_eq!(world.reservation(&held).await["status"], "CANCELLED");
    let _ = world.paying(&holder, &held).send().await.problem(409, "SHOW_CANCELLED");
    assert_eq!(world.balance(&holder.user).await, 5_000);
    let map = world.rest.get(&format!("{path}/seats")).token(&late.token).expect(200).await;
    let seats = map["seats"].as_array().unwrap();
    assert!(seats.iter().all(|seat| seat["status"] == "SOLD"), "{map}");
    let dates = world.rest.get(&format!("/v1/concerts/{}/dates", sale.concert)).token(&late.token);
    assert_eq!(dates.expect(200).await["availableDates"], json!([]));
    let changed = world.rest.call(Method::PATCH, &path).json(json!({"title": "New"}));
    let _ = changed.header("if-match", "\"x\"").send().await.problem(409, "SHOW_CANCELLED");
    let change = UpdateShowRequest { show_id: sale.show, ..UpdateShowRequest::default() };
    refused(world.grpc.booking().update_show(change).await, Reason::ShowCancelled);

    // The books have all of it, to the unit.
    let books = eventually(Duration::from_secs(5), || async {
        let books = world.rest.get(&format!("{path}/sales")).expect(200).await;
        holds(books, |books| books["net"] == 0)
    })
    .await;
    let sums = ["held", "sold", "gross", "refunded"].map(|name| int(&books[name]));
    assert_eq!(sums, [0, 0, 41_000, 41_000], "{books}");
    // Calling it off again is answered with the show as it is; its tag is another one than before.
    let again = calling_off(&world.rest, sale.show).expect(202).await;
    assert_eq!(again, show);
    let now = world.rest.get(&path).header("if-none-match", read.header("etag")).send().await;
    assert_eq!((now.status, &now.body), (200, &show));
    let listed = world.rest.get(&format!("/v1/concerts/{}/shows", sale.concert)).expect(200).await;
    assert_eq!(listed["shows"], json!([show]));
    let told = world.grpc.booking().get_show(GetShowRequest { show_id: sale.show }).await.unwrap();
    assert_eq!(told.into_inner().show.unwrap().status(), ShowStatus::Cancelled);
    let journal = world.rest.get(&format!("/v1/operator/journal?target={}&what=CancelShow", sale.show));
    let actions = journal.expect(200).await["actions"].as_array().unwrap().clone();
    assert!(actions.len() >= 7 && actions.iter().all(|one| one["outcome"] == "DONE"), "{actions:?}");
    eventually(Duration::from_secs(5), || async {
        let logs = world.mesh.logs(100_000);
        let told = logs.lines().filter(|line| line.contains("boxoffice.show.cancelled"));
        let subject = format!("\"{}\"", sale.show);
        holds(told.filter(|line| line.contains(&subject)).count(), |told| *told == 1)
    })
    .await;
}

async fn payments_that_race_with_it_end_refunded_or_refused(world: World) {
    let sale = world.sale(1_000, 40).await;
    let mut holds = Vec::new();
    for seat in 1..=24 {
        let buyer = world.buyer_with(&sale, 10_000).await;
        let held = world.hold(&buyer, sale.show, &[seat]).await;
        holds.push((buyer, held));
    }
    let paying = holds.iter().enumerate().map(|(n, (buyer, held))| {
        let call = world.paying(buyer, held);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(4 * n as u64)).await;
            call.send().await
        })
    });
    let paying: Vec<_> = paying.collect();
    tokio::time::sleep(Duration::from_millis(40)).await;
    let off = calling_off(&world.rest, sale.show).expect(202).await;
    assert!(off["refunds"]["parked"] == 0, "{off}");
    let mut paid = 0;
    for answer in join_all(paying).await {
        let answer = answer.unwrap();
        match answer.status {
            // It was refunded before it was told, or goes on by itself.
            201 | 202 => paid += 1,
            _ => drop(answer.problem(409, "SHOW_CANCELLED")),
        }
    }
    let show = cancelled(&world.rest, sale.show).await;
    assert!(int(&show["refunds"]["done"]) <= paid, "{show}, {paid} were paid");
    for (buyer, held) in &holds {
        let status = text(&world.reservation(held).await["status"]);
        assert!(matches!(status.as_str(), "REFUNDED" | "CANCELLED"), "{status}");
        eventually(SOON, || async { holds_money(&world, buyer).await }).await;
    }
}

async fn holds_money(world: &World, buyer: &Buyer) -> Result<i64, String> {
    holds(world.balance(&buyer.user).await, |balance| *balance == 10_000)
}

async fn a_refund_of_one_sale_that_races_with_it_is_the_same_refund(world: World) {
    let sale = world.sale(1_000, 40).await;
    let sales = join_all((1..=16).map(|seat| {
        let (world, sale) = (&world, &sale);
        async move { sold(world, sale, &[seat]).await }
    }))
    .await;
    let refund = |sold: &Sold| {
        let path = format!("/v1/payments/{}/refund", sold.payment);
        world.rest.post(&path, json!({"reason": "ill"}))
    };
    let mut calls: Vec<_> = sales.iter().map(refund).collect();
    calls.insert(8, calling_off(&world.rest, sale.show));
    for answer in all_at_once(calls).await {
        assert!(matches!(answer.status, 200 | 202), "{}", answer.text);
    }
    let show = cancelled(&world.rest, sale.show).await;
    assert!(int(&show["refunds"]["done"]) <= 16, "{show}");
    for sold in &sales {
        refund(sold).expect(200).await;
        let payment = world.rest.get(&format!("/v1/payments/{}", sold.payment)).expect(200).await;
        sold.is_undone(&world, &text(&payment["refundReason"])).await;
    }
}

async fn what_was_not_sold_is_called_off_at_once_and_what_is_not_there_is_not(world: World) {
    let sale = world.sale(1_000, 5).await;
    let mut edge = BookingServiceClient::new(world.grpc.checkout.next());
    let off = edge.cancel_show(CancelShowRequest { show_id: sale.show }).await.unwrap().into_inner();
    assert_eq!((off.sales_left, off.show.unwrap().show_id), (0, sale.show));
    let show = cancelled(&world.rest, sale.show).await;
    assert_eq!(show["refunds"], json!({"total": 0, "done": 0, "parked": 0}));
    let _ = calling_off(&world.rest, 999_999_999).send().await.problem(404, "SHOW_NOT_FOUND");
    let _ = world.rest.call(Method::POST, "/v1/shows/x/cancel").send().await.problem(400, "INVALID_ARGUMENT");
}

async fn a_show_that_moves_is_told(world: World) {
    let sale = world.sale(1_000, 5).await;
    let path = format!("/v1/shows/{}", sale.show);
    let change = |body: Value| world.rest.call(Method::PATCH, &path).json(body);
    change(json!({"title": "Another"})).expect(200).await;
    change(json!({"startsAt": tests::world::STARTS_AT})).expect(200).await;
    let _ = change(json!({"startsAt": "2020-01-01T00:00:00Z"})).send().await.problem(400, "INVALID_ARGUMENT");
    // There and back before anybody has looked.
    change(json!({"startsAt": "2032-06-02T19:00:00Z"})).expect(200).await;
    change(json!({"startsAt": tests::world::STARTS_AT})).expect(200).await;
    let subject = format!("\"{}\"", sale.show);
    let told = || {
        let logs = world.mesh.logs(100_000);
        let told = logs.lines().filter(|line| line.contains("boxoffice.show.changed"));
        told.filter(|line| line.contains(&subject)).count()
    };
    eventually(Duration::from_secs(5), || async { holds(told(), |told| *told > 1) }).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(told(), 2, "what did not move it is no news");
}

async fn whatever_is_lost_every_sale_is_refunded_and_what_is_parked_is_told(shape: Shape) {
    let court = Court::open(shape).await;
    let mut rules = losses(shape);
    // Until an operator has it tried again; a refund is parked after ten answers that cannot be.
    rules.push(Rule::first("CancelPayment", 10, Refused(Reason::InvalidArgument)));
    let all = Tried::each(&court, rules).await;
    let (show, world) = (court.show(), court.world.clone());
    calling_off(&world.rest, show).expect(202).await;
    let others = all.len() - 1;
    let told = eventually(SOON, || async {
        let told = world.rest.get(&format!("/v1/shows/{show}")).expect(200).await;
        holds(told["refunds"].clone(), |refunds| {
            *refunds == json!({"total": others + 1, "done": others, "parked": 1})
        })
    })
    .await;
    assert_eq!(told["parked"], 1);
    let parked = all.last().unwrap();
    let alerts = || world.mesh.complaints().into_iter().filter(|line| line.contains("\"alert\":true"));
    assert!(alerts().any(|line| line.contains(&parked.payment)), "{:?}", alerts().collect::<Vec<_>>());
    let retry = RetryCheckoutRequest { checkout_id: parked.payment.clone() };
    world.grpc.checkout().retry_checkout(retry).await.unwrap();
    cancelled(&world.rest, show).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    for sold in &all {
        sold.judge(&world).await;
    }
    drop((all, world));
    court.close().await;
}

async fn edges_that_are_killed_at_every_step_leave_no_sale(shape: Shape) {
    let court = Court::open(shape).await;
    let (meeting, late) = (Arc::<Meeting>::default(), Arc::<Meeting>::default());
    let mut rules = stands(&meeting, &late);
    // More than stand, so that some are not begun when the blow falls.
    let others = (0..30).map(|_| Rule::first("RefundReservation", 1, Slow(Duration::from_millis(200))));
    rules.extend(others);
    let all = Tried::each(&court, rules).await;
    let (show, world) = (court.show(), court.world.clone());
    calling_off(&world.rest, show).expect(202).await;
    meeting.of(8, BOUND).await.unwrap();
    late.of(4, BOUND).await.unwrap();
    for edge in world.mesh.of(Role::Edge) {
        edge.process.kill();
    }
    world.mesh.restart_ended().await;
    meeting.end();
    let told = cancelled(&world.rest, show).await;
    assert_eq!(told["refunds"]["done"], json!(all.len()), "{told}");
    late.end();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for sold in &all {
        sold.judge(&world).await;
    }
    drop((all, world));
    court.close().await;
}

async fn programs_that_are_killed_again_and_again_leave_no_sale(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let sale = world.sale(1_000, 200).await;
    let sales = join_all((1..=60).map(|seat| {
        let (world, sale) = (&world, &sale);
        async move { sold(world, sale, &[seat]).await }
    }))
    .await;
    let path = format!("/v1/shows/{}/cancel", sale.show);
    // It is asked for while the programs die, as an operator would, until it is answered.
    let asking = {
        let (rest, path) = (world.rest.clone(), path.clone());
        tokio::spawn(async move {
            eventually(SOON, || async {
                let answer = rest.call(Method::POST, &path).try_send().await?;
                holds(answer.status, |status| *status == 202)
            })
            .await
        })
    };
    for role in [Role::Edge, Role::Booking, Role::Edge, Role::Wallet, Role::Edge] {
        tokio::time::sleep(Duration::from_millis(150)).await;
        for node in world.mesh.of(role) {
            node.process.kill();
        }
        world.mesh.restart_ended().await;
    }
    asking.await.unwrap();
    let told = cancelled(&world.rest, sale.show).await;
    assert_eq!(told["refunds"], json!({"total": 60, "done": 60, "parked": 0}));
    for sold in &sales {
        sold.is_undone(&world, OFF).await;
    }
    world.finish().await;
}
