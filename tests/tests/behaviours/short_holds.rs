//! What happens when a hold lapses, on a mesh whose holds last two seconds.

use std::time::Duration;

use boxoffice_proto::{
    Reason,
    booking::{ConfirmReservationRequest, ExtendHoldRequest, HoldSeatsRequest},
};
use tests::{
    grpc::refused,
    scenarios,
    suite::Scenario,
    world::{World, text, unique},
};
use tokio::time::sleep;
use uuid::Uuid;

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    an_unpaid_hold_expires_and_its_seat_is_free_again,
    a_paid_seat_is_not_freed_when_its_hold_would_have_lapsed,
    a_cancelled_hold_frees_nothing_of_the_next_holder_when_it_lapses,
    a_lapsed_hold_frees_nothing_of_the_next_holder,
    a_lapsed_hold_is_refused_by_rest_and_grpc,
    a_hold_is_kept_alive_while_its_payment_is_in_flight,
    seats_of_a_lapsed_hold_can_be_taken_before_any_sweep,
];

const LAPSE: Duration = Duration::from_millis(3_000);

async fn an_unpaid_hold_expires_and_its_seat_is_free_again(world: World) {
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer(&sale).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    world.seat_until(&buyer, sale.show, 1, "HELD").await;
    sleep(LAPSE).await;
    assert_eq!(world.reservation(&reservation).await["status"], "EXPIRED");
    world.seat_until(&buyer, sale.show, 1, "AVAILABLE").await;
    let other = world.buyer(&sale).await;
    world.hold(&other, sale.show, &[1]).await;
}

async fn seats_of_a_lapsed_hold_can_be_taken_before_any_sweep(world: World) {
    let sale = world.sale(1_000, 2).await;
    let (first, second) = (world.buyer(&sale).await, world.buyer(&sale).await);
    world.hold(&first, sale.show, &[1, 2]).await;
    let begun = std::time::Instant::now();
    let won = loop {
        let answer = world.holding(&second, sale.show, &[1]).send().await;
        if answer.status == 201 {
            break begun.elapsed();
        }
        let _ = answer.problem(409, "SEAT_TAKEN");
        assert!(begun.elapsed() < Duration::from_secs(5));
        sleep(Duration::from_millis(20)).await;
    };
    assert!(
        (Duration::from_millis(1_500)..Duration::from_millis(2_500)).contains(&won),
        "free by the clock, not by a sweep: {won:?}"
    );
}

async fn a_paid_seat_is_not_freed_when_its_hold_would_have_lapsed(world: World) {
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 1_000).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    let _ = world.paying(&buyer, &reservation).expect(201).await;
    sleep(LAPSE + Duration::from_secs(2)).await; // and a sweep or two
    let other = world.buyer(&sale).await;
    let _ = world.holding(&other, sale.show, &[1]).send().await.problem(409, "SEAT_TAKEN");
    world.seat_until(&other, sale.show, 1, "SOLD").await;
    assert_eq!(world.reservation(&reservation).await["status"], "CONFIRMED");
}

async fn a_cancelled_hold_frees_nothing_of_the_next_holder_when_it_lapses(world: World) {
    let sale = world.sale(1_000, 5).await;
    let (first, second, third) = (world.buyer(&sale).await, world.buyer_with(&sale, 1_000).await, world.buyer(&sale).await);
    let cancelled = world.hold(&first, sale.show, &[1]).await;
    let _ = world.rest.delete(&format!("/v1/reservations/{cancelled}")).token(&first.token).expect(204).await;
    sleep(Duration::from_millis(1_200)).await;
    let held = world.hold(&second, sale.show, &[1]).await;
    sleep(Duration::from_millis(1_300)).await; // the first hold's time is over, the second's is not
    let _ = world.holding(&third, sale.show, &[1]).send().await.problem(409, "SEAT_TAKEN");
    let _ = world.paying(&second, &held).expect(201).await;
    assert_eq!(world.reservation(&cancelled).await["status"], "CANCELLED");
}

async fn a_lapsed_hold_frees_nothing_of_the_next_holder(world: World) {
    let sale = world.sale(1_000, 5).await;
    let (first, second, third) = (world.buyer(&sale).await, world.buyer_with(&sale, 1_000).await, world.buyer(&sale).await);
    let lapsed = world.hold(&first, sale.show, &[1]).await;
    sleep(Duration::from_millis(2_050)).await;
    let held = world.hold(&second, sale.show, &[1]).await;
    sleep(Duration::from_millis(1_200)).await; // a sweep has passed over the first
    assert_eq!(world.reservation(&lapsed).await["status"], "EXPIRED");
    let _ = world.holding(&third, sale.show, &[1]).send().await.problem(409, "SEAT_TAKEN");
    let _ = world.rest.delete(&format!("/v1/reservations/{lapsed}")).token(&first.token).expect(204).await;
    let _ = world.holding(&third, sale.show, &[1]).send().await.problem(409, "SEAT_TAKEN");
    let _ = world.paying(&second, &held).expect(201).await;
    assert_eq!(world.reservation(&held).await["status"], "CONFIRMED");
}

async fn a_lapsed_hold_is_refused_by_rest_and_grpc(world: World) {
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 1_000).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    sleep(LAPSE).await;
    let _ = world.paying(&buyer, &reservation).send().await.problem(409, "HOLD_EXPIRED");
    assert_eq!(world.balance(&buyer.user).await, 1_000);
    let confirm = ConfirmReservationRequest {
        reservation_id: reservation.clone(),
        user_id: buyer.user.clone(),
        payment_id: Uuid::new_v4().to_string(),
        request_id: String::new(),
    };
    refused(world.grpc.booking().confirm_reservation(confirm).await, Reason::HoldExpired);
    let extend = ExtendHoldRequest {
        reservation_id: reservation,
        user_id: buyer.user,
        payment_id: Uuid::new_v4().to_string(),
        extend_by: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        request_id: String::new(),
    };
    refused(world.grpc.booking().extend_hold(extend).await, Reason::HoldExpired);
}

async fn a_hold_is_kept_alive_while_its_payment_is_in_flight(world: World) {
    let sale = world.sale(1_000, 5).await;
    let user = unique("user");
    let hold = HoldSeatsRequest {
        user_id: user.clone(),
        show_id: sale.show,
        seat_numbers: vec![1],
        request_id: String::new(),
        replay_only: false,
    };
    let held = world.grpc.booking().hold_seats(hold).await.unwrap().into_inner().reservation.unwrap();
    let payment = Uuid::new_v4().to_string();
    let extend = ExtendHoldRequest {
        reservation_id: held.reservation_id.clone(),
        user_id: user.clone(),
        payment_id: payment.clone(),
        extend_by: Some(prost_types::Duration { seconds: 8, nanos: 0 }),
        request_id: String::new(),
    };
    world.grpc.booking().extend_hold(extend.clone()).await.unwrap();
    let shorter = ExtendHoldRequest { extend_by: Some(prost_types::Duration { seconds: 1, nanos: 0 }), ..extend };
    world.grpc.booking().extend_hold(shorter).await.unwrap();
    sleep(LAPSE).await;
    let other = world.buyer(&sale).await;
    let _ = world.holding(&other, sale.show, &[1]).send().await.problem(409, "SEAT_TAKEN");
    let confirm = ConfirmReservationRequest {
        reservation_id: held.reservation_id.clone(),
        user_id: user,
        payment_id: payment,
        request_id: String::new(),
    };
    let confirmed = world.grpc.booking().confirm_reservation(confirm).await.unwrap().into_inner().reservation.unwrap();
    assert_eq!(confirmed.reservation_id, held.reservation_id);
    assert_eq!(text(&world.reservation(&held.reservation_id).await["status"]), "CONFIRMED");
}
