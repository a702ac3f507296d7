//! Paying when something is slow, lost or refused on the way: money and seat are one outcome. The wallet is
//! held up by a lock on its table, which makes "while the debit is in flight" a moment that a test can stand
//! in.

use std::{collections::HashSet, time::Duration};

use boxoffice_proto::{
    Reason,
    booking::CancelReservationRequest,
    checkout::{CheckoutStatus, GetCheckoutRequest, ListCheckoutsRequest, PayRequest},
    wallet::{ChargeWalletRequest, GetPaymentRequest, PaymentStatus},
};
use serde_json::json;
use tests::{
    eventually::{eventually, holds},
    grpc::refused,
    scenarios,
    suite::Scenario,
    world::{World, all_at_once, int, text, unique},
};
use tokio::time::sleep;

pub(crate) const ALONE: &[Scenario] = scenarios![
    a_confirmation_refused_after_the_debit_gives_the_money_back,
    a_payment_that_settles_slowly_is_told_where_to_look,
    many_clicks_during_a_slow_payment_are_one_payment,
    a_slow_charge_is_applied_once_however_often_it_is_sent,
    fifty_buyers_pay_at_once_and_each_has_paid_once,
];

async fn a_confirmation_refused_after_the_debit_gives_the_money_back(world: World) {
    let sale = world.sale(4_000, 5).await;
    let buyer = world.buyer_with(&sale, 10_000).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    let lock = world.mesh.databases.hold_up("wallet").await;
    let paying = tokio::spawn(world.paying(&buyer, &reservation).settled());
    // What is written down is debited, whatever becomes of the reservation meanwhile.
    world.checkout_begun(&buyer.user).await;
    let cancel = CancelReservationRequest {
        reservation_id: reservation.clone(),
        user_id: buyer.user.clone(),
        request_id: String::new(),
    };
    world.grpc.booking().cancel_reservation(cancel).await.unwrap();
    lock.release().await;
    let answer = paying.await.unwrap();
    let told = answer.text.clone();
    let problem = answer.problem(409, "RESERVATION_CANCELLED");
    assert!(told.contains("CANCELLED"), "the answer says what became of the payment: {told}");
    drop(problem);

    assert_eq!(world.balance(&buyer.user).await, 10_000);
    let payments = world.rest.get(&format!("/v1/users/{}/payments", buyer.user)).expect(200).await;
    assert_eq!(payments["payments"].as_array().unwrap().len(), 1);
    let payment = &payments["payments"][0];
    assert_eq!((&payment["status"], int(&payment["amount"])), (&json!("CANCELLED"), 4_000));
    let id = text(&payment["paymentId"]);
    let checkout = world
        .grpc
        .checkout()
        .get_checkout(GetCheckoutRequest { checkout_id: id.clone(), user_id: String::new() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(checkout.checkout.unwrap().status(), CheckoutStatus::Compensated);
    let record = world
        .grpc
        .wallet()
        .get_payment(GetPaymentRequest { payment_id: id, user_id: String::new() })
        .await
        .unwrap()
        .into_inner()
        .payment
        .unwrap();
    assert_eq!(record.status(), PaymentStatus::Cancelled);
    let kinds: Vec<_> = world.entries(&buyer.user).await.iter().map(|entry| text(&entry["kind"])).collect();
    assert_eq!(kinds, ["REFUND", "PAYMENT", "CHARGE"], "debited, and given back");
    assert_eq!(world.reservation(&reservation).await["status"], "CANCELLED");
    let other = world.buyer(&sale).await;
    world.hold(&other, sale.show, &[1]).await;
    let pay = PayRequest {
        user_id: buyer.user,
        reservation_id: reservation,
        token: buyer.token,
        request_id: String::new(),
    };
    refused(world.grpc.checkout().pay(pay).await, Reason::ReservationCancelled);
}

async fn a_payment_that_settles_slowly_is_told_where_to_look(world: World) {
    let sale = world.sale(4_000, 5).await;
    let buyer = world.buyer_with(&sale, 10_000).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    let lock = world.mesh.databases.hold_up("wallet").await;
    let answer = world.paying(&buyer, &reservation).key(&unique("slow")).send().await;
    let location = answer.header("location");
    let pending = answer.expect(202);
    assert_eq!(pending["status"], "PENDING");
    assert_eq!(location, format!("/v1/payments/{}", text(&pending["paymentId"])));
    assert_eq!(world.reservation(&reservation).await["status"], "HELD");
    lock.release().await;
    let settled = eventually(Duration::from_secs(30), || async {
        holds(world.rest.get(&location).expect(200).await, |payment| payment["status"] == "COMPLETED")
    })
    .await;
    assert_eq!(settled["paymentId"], pending["paymentId"]);
    world.until(&buyer.token, "COMPLETED").await;
    assert_eq!(world.balance(&buyer.user).await, 6_000);
    assert_eq!(world.reservation(&reservation).await["status"], "CONFIRMED");
    let open = ListCheckoutsRequest { status: CheckoutStatus::Pending.into(), ..Default::default() };
    assert!(world.grpc.checkout().list_checkouts(open).await.unwrap().into_inner().checkouts.is_empty());
}

async fn many_clicks_during_a_slow_payment_are_one_payment(world: World) {
    let sale = world.sale(4_000, 5).await;
    let buyer = world.buyer_with(&sale, 50_000).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    let lock = world.mesh.databases.hold_up("wallet").await;
    let clicks = tokio::spawn(all_at_once(
        (0..10).map(|_| world.paying(&buyer, &reservation).unkeyed()).collect::<Vec<_>>(),
    ));
    // Longer than the 500 ms after which the reference implementation pays twice.
    sleep(Duration::from_millis(1_500)).await;
    lock.release().await;
    let answers = clicks.await.unwrap();
    let ids: HashSet<_> = answers
        .into_iter()
        .map(|answer| {
            assert!(matches!(answer.status, 201 | 202), "{} {}", answer.status, answer.text);
            text(&answer.body["paymentId"])
        })
        .collect();
    assert_eq!(ids.len(), 1, "one payment, the same answer to all");
    world.until(&buyer.token, "COMPLETED").await;
    assert_eq!(world.balance(&buyer.user).await, 46_000);
}

async fn a_slow_charge_is_applied_once_however_often_it_is_sent(world: World) {
    let (user, key) = (unique("user"), unique("key"));
    world.charge(&user, 100).await;
    let lock = world.mesh.databases.hold_up("wallet").await;
    let charge = || {
        let mut wallet = world.grpc.wallet();
        let mut request = tonic::Request::new(ChargeWalletRequest {
            user_id: user.clone(),
            amount: 500,
            request_id: key.clone(),
        });
        request.set_timeout(Duration::from_millis(300)); // the client gives up; the outcome is unknown to it
        async move { wallet.charge_wallet(request).await }
    };
    for _ in 0..3 {
        charge().await.unwrap_err();
    }
    lock.release().await;
    let request = ChargeWalletRequest { user_id: user.clone(), amount: 500, request_id: key.clone() };
    eventually(Duration::from_secs(10), || async {
        world.grpc.wallet().charge_wallet(request.clone()).await.map_err(|status| status.to_string())
    })
    .await;
    assert_eq!(world.balance(&user).await, 600);
}

async fn fifty_buyers_pay_at_once_and_each_has_paid_once(world: World) {
    let sale = world.sale(1_000, 60).await;
    let mut holds = Vec::new();
    for seat in 1..=50 {
        let buyer = world.buyer_with(&sale, 1_500).await;
        let reservation = world.hold(&buyer, sale.show, &[seat]).await;
        holds.push((buyer, reservation));
    }
    let answers =
        all_at_once(holds.iter().map(|(buyer, reservation)| world.paying(buyer, reservation))).await;
    for answer in answers {
        assert!(matches!(answer.status, 201 | 202), "{} {}", answer.status, answer.text);
    }
    for (buyer, reservation) in &holds {
        world.reservation_until(reservation, "CONFIRMED").await;
        assert_eq!(world.balance(&buyer.user).await, 500);
        world.until(&buyer.token, "COMPLETED").await;
    }
}
