//! What happens when a hold lapses, on a mesh whose holds last five seconds.

use std::time::{Duration, Instant};

use boxoffice_proto::{
    Reason,
    booking::{ConfirmReservationRequest, ExtendHoldRequest},
};
use tests::{
    grpc::refused,
    patience::{Patience, is_prompt},
    scenarios,
    suite::Scenario,
    world::{Buyer, World, text},
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

/// How long a hold of this mesh lasts.
pub(crate) const HOLD: Duration = Duration::from_secs(5);

/// A hold, and since when at the latest.
struct Held {
    reservation: String,
    since: Instant,
}

impl Held {
    async fn by(world: &World, buyer: &Buyer, show: i64) -> Self {
        let since = Instant::now();
        Self { reservation: world.hold(buyer, show, &[1]).await, since }
    }

    /// Whether this machine may have taken longer than the hold lasts.
    fn may_have_lapsed(&self) -> bool {
        self.since.elapsed() >= HOLD
    }
}

/// Does it until its steps came while the hold was there that they are about. (They answer whether they did.)
async fn in_time<F: Future<Output = bool>>(world: World, steps: impl Fn(World) -> F) {
    for _ in 0..10 {
        if steps(world.clone()).await {
            return;
        }
    }
    panic!("ten holds of {HOLD:?} were too short for this machine");
}

async fn an_unpaid_hold_expires_and_its_seat_is_free_again(world: World) {
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer(&sale).await;
    let held = world.holding(&buyer, sale.show, &[1]).expect(201).await;
    assert_eq!(held["status"], "HELD");
    world.reservation_until(&text(&held["reservationId"]), "EXPIRED").await;
    world.seat_until(&buyer, sale.show, 1, "AVAILABLE").await;
    let other = world.buyer(&sale).await;
    world.hold(&other, sale.show, &[1]).await;
}

async fn seats_of_a_lapsed_hold_can_be_taken_before_any_sweep(world: World) {
    let sale = world.sale(1_000, 2).await;
    let (first, second) = (world.buyer(&sale).await, world.buyer(&sale).await);
    let before = Instant::now();
    world.hold(&first, sale.show, &[1, 2]).await;
    let (held, patience) = (Instant::now(), Patience::new(HOLD));
    loop {
        let answer = world.holding(&second, sale.show, &[1]).send().await;
        if answer.status == 201 {
            break;
        }
        let _ = answer.problem(409, "SEAT_TAKEN");
        assert!(!patience.is_over(), "not free");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(before.elapsed() >= HOLD, "free after {:?}", before.elapsed());
    let late = held.elapsed().saturating_sub(HOLD);
    assert!(is_prompt(late, Duration::from_millis(100)), "free by the clock, not by a sweep: {late:?} late");
}

async fn a_paid_seat_is_not_freed_when_its_hold_would_have_lapsed(world: World) {
    in_time(world, |world| async move {
        let sale = world.sale(1_000, 5).await;
        let buyer = world.buyer_with(&sale, 1_000).await;
        let held = Held::by(&world, &buyer, sale.show).await;
        let paid = world.paying(&buyer, &held.reservation).settled().await;
        if paid.status != 201 && held.may_have_lapsed() {
            return false;
        }
        let _ = paid.expect(201);
        sleep(HOLD + Duration::from_secs(2)).await; // and a sweep or two
        let other = world.buyer(&sale).await;
        let _ = world.holding(&other, sale.show, &[1]).send().await.problem(409, "SEAT_TAKEN");
        world.seat_until(&other, sale.show, 1, "SOLD").await;
        assert_eq!(world.reservation(&held.reservation).await["status"], "CONFIRMED");
        true
    })
    .await;
}

async fn a_cancelled_hold_frees_nothing_of_the_next_holder_when_it_lapses(world: World) {
    in_time(world, |world| async move {
        let sale = world.sale(1_000, 5).await;
        let (first, second, third) =
            (world.buyer(&sale).await, world.buyer_with(&sale, 1_000).await, world.buyer(&sale).await);
        let cancelled = Held::by(&world, &first, sale.show).await;
        let path = format!("/v1/reservations/{}", cancelled.reservation);
        let refusal = world.rest.delete(&path).token(&first.token).send().await;
        if cancelled.may_have_lapsed() {
            return false;
        }
        assert_eq!(refusal.status, 204, "{}", refusal.text);
        sleep(HOLD / 2).await;
        let held = Held::by(&world, &second, sale.show).await;
        // The first's time is over.
        sleep(HOLD.saturating_sub(cancelled.since.elapsed()) + Duration::from_millis(300)).await;
        let beside = world.holding(&third, sale.show, &[1]).send().await;
        let paid = world.paying(&second, &held.reservation).settled().await;
        if held.may_have_lapsed() {
            return false;
        }
        let _ = beside.problem(409, "SEAT_TAKEN");
        let _ = paid.expect(201);
        assert_eq!(world.reservation(&cancelled.reservation).await["status"], "CANCELLED");
        true
    })
    .await;
}

async fn a_lapsed_hold_frees_nothing_of_the_next_holder(world: World) {
    in_time(world, |world| async move {
        let sale = world.sale(1_000, 5).await;
        let (first, second, third) =
            (world.buyer(&sale).await, world.buyer_with(&sale, 1_000).await, world.buyer(&sale).await);
        let lapsed = world.hold(&first, sale.show, &[1]).await;
        world.reservation_until(&lapsed, "EXPIRED").await;
        let held = Held::by(&world, &second, sale.show).await;
        sleep(Duration::from_millis(1_200)).await; // a sweep has passed over the first
        assert_eq!(world.reservation(&lapsed).await["status"], "EXPIRED");
        let swept = world.holding(&third, sale.show, &[1]).send().await;
        let _ =
            world.rest.delete(&format!("/v1/reservations/{lapsed}")).token(&first.token).expect(204).await;
        let cancelled = world.holding(&third, sale.show, &[1]).send().await;
        let paid = world.paying(&second, &held.reservation).settled().await;
        if held.may_have_lapsed() {
            return false;
        }
        let _ = (swept.problem(409, "SEAT_TAKEN"), cancelled.problem(409, "SEAT_TAKEN"), paid.expect(201));
        assert_eq!(world.reservation(&held.reservation).await["status"], "CONFIRMED");
        true
    })
    .await;
}

async fn a_lapsed_hold_is_refused_by_rest_and_grpc(world: World) {
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 1_000).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    world.reservation_until(&reservation, "EXPIRED").await;
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
    in_time(world, |world| async move {
        let sale = world.sale(1_000, 5).await;
        let buyer = world.buyer(&sale).await;
        let held = Held::by(&world, &buyer, sale.show).await;
        let (reservation_id, payment_id) = (held.reservation.clone(), Uuid::new_v4().to_string());
        let (user_id, request_id) = (buyer.user.clone(), String::new());
        let span = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let extend =
            ExtendHoldRequest { reservation_id, user_id, payment_id, extend_by: span(300), request_id };
        let extended = world.grpc.booking().extend_hold(extend.clone()).await;
        let shorter = world
            .grpc
            .booking()
            .extend_hold(ExtendHoldRequest { extend_by: span(1), ..extend.clone() })
            .await;
        if extended.is_err() && held.may_have_lapsed() {
            return false;
        }
        extended.unwrap();
        shorter.unwrap();
        sleep(HOLD + Duration::from_secs(1)).await;
        let other = world.buyer(&sale).await;
        let _ = world.holding(&other, sale.show, &[1]).send().await.problem(409, "SEAT_TAKEN");
        let ExtendHoldRequest { reservation_id, user_id, payment_id, .. } = extend;
        let confirm =
            ConfirmReservationRequest { reservation_id, user_id, payment_id, request_id: String::new() };
        let confirmed = world
            .grpc
            .booking()
            .confirm_reservation(confirm)
            .await
            .unwrap()
            .into_inner()
            .reservation
            .unwrap();
        assert_eq!(confirmed.reservation_id, held.reservation);
        assert_eq!(text(&world.reservation(&held.reservation).await["status"]), "CONFIRMED");
        true
    })
    .await;
}
