//! Paying for a reservation, and what became of it.

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use boxoffice_proto::{Reason, validate::Checks};
use uuid::Uuid;

use super::{
    App,
    extract::{Body, IdempotencyKey, Page, Segment, UserId},
    json::{self, NewPayment, NewRefund, Payment, PaymentStatus, Payments},
    operation::{GATE_OF_USER, Operation},
    problem::Problem,
};
use crate::app::{Caller, Filter, Pay, cursor};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::of::<boxoffice_proto::checkout::PayRequest>("pay", PAY).takes_token(GATE_OF_USER).takes_key(),
    Operation::of::<boxoffice_proto::checkout::GetCheckoutRequest>("get_payment", &[Reason::PaymentNotFound]),
    Operation::of::<boxoffice_proto::checkout::RefundCheckoutRequest>(
        "refund_payment",
        &[Reason::PaymentNotFound, Reason::RefundNotPossible],
    )
    .needs_no_key()
    .body_is_optional(),
    Operation::of::<boxoffice_proto::checkout::ListCheckoutsRequest>("list_payments", &[]),
];

/// What paying may be refused with.
pub(super) const PAY: &[Reason] = &[
    Reason::ReservationNotFound,
    Reason::NotOwner,
    Reason::InsufficientFunds,
    Reason::HoldExpired,
    Reason::AlreadyPaid,
    Reason::ReservationCancelled,
    Reason::ShowCancelled,
    Reason::RequestIdReused,
];

/// Pay for a reservation
///
/// Money and seats change hands together or not at all. Paying twice for one reservation is one payment with
/// one answer; with the same `Idempotency-Key` the first answer comes again whatever has become of the token.
/// A refusal that ended a payment carries `paymentId` and `paymentStatus` (FAILED, or CANCELLED when money
/// went back).
#[utoipa::path(post, path = "/v1/payments", tag = "wallet", request_body = NewPayment,
    responses(
        (status = 201, description = "The payment is complete and the seats are the user's.", body = Payment,
            headers(("Location" = String, description = "The address of the payment."))),
        (status = 202, description = "The payment is still being settled and goes on by itself: ask at `Location`.", body = Payment, headers(
            ("Location" = String, description = "The address of the payment."),
            ("Retry-After" = i64, description = "When to ask, in seconds.")),
            example = json!({"paymentId": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "userId": "ann",
                "reservationId": "0190b6b2-3c1e-7c3a-9a55-6d1a1cbe0d11", "amount": 50_000, "status": "PENDING", "reason": null,
                "createdAt": "2026-12-24T19:30:00.000000Z", "settledAt": null,
                "refundAskedAt": null, "refundReason": null, "refundedAt": null})),
    ))]
pub(super) async fn pay(
    State(edge): App,
    caller: Caller,
    IdempotencyKey(request_id): IdempotencyKey,
    Body(new): Body<NewPayment>,
) -> Result<Response, Problem> {
    let command = Pay { user_id: new.user_id, reservation_id: new.reservation_id, request_id, price: None };
    let payment = Payment::from(edge.till.pay(&caller, command).await?);
    let status =
        if payment.status == PaymentStatus::Pending { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    let mut response = json::answer(status, &payment)?;
    settle(&mut response, &payment);
    Ok(response)
}

/// Says where the payment is, and when to ask while it settles.
pub(super) fn settle(response: &mut Response, payment: &Payment) {
    locate(response, payment, payment.status == PaymentStatus::Pending);
}

/// Says where the payment is, and when to ask while it is under way.
fn locate(response: &mut Response, payment: &Payment, is_under_way: bool) {
    json::locate(response, &format!("/v1/payments/{}", payment.payment_id));
    if is_under_way {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
}

/// Read a payment
#[utoipa::path(get, path = "/v1/payments/{paymentId}", tag = "wallet",
    params(("paymentId" = Uuid, Path, description = "The id of the payment.")),
    responses((status = 200, description = "The payment as it is now.", body = Payment)))]
pub(super) async fn get_payment(
    State(edge): App,
    Segment(id): Segment<Uuid>,
    caller: Caller,
) -> Result<Response, Problem> {
    json::answer(StatusCode::OK, &Payment::from(edge.till.payment(&caller, id).await?))
}

/// Refund a payment
///
/// Undoes a sale, exactly once: its seats are free again, its reservation is REFUNDED, and its money is back
/// in the user's wallet. Asking again gets the same payment as it stands, and changes nothing; the first
/// reason is kept. Only a payment that is COMPLETED can be refunded.
#[utoipa::path(post, path = "/v1/payments/{paymentId}/refund", tag = "wallet", request_body = NewRefund,
    params(("paymentId" = Uuid, Path, description = "The id of the payment.")),
    responses(
        (status = 200, description = "The money is back and the seats are free: the payment is CANCELLED.", body = Payment,
            example = json!({"paymentId": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "userId": "ann",
                "reservationId": "0190b6b2-3c1e-7c3a-9a55-6d1a1cbe0d11", "amount": 50_000, "status": "CANCELLED",
                "reason": "RESERVATION_CANCELLED",
                "createdAt": "2026-12-24T19:30:00.000000Z", "settledAt": "2026-12-24T19:30:00.012345Z",
                "refundAskedAt": "2026-12-25T08:00:00.000000Z", "refundReason": "The buyer is ill.",
                "refundedAt": "2026-12-25T08:00:00.012345Z"})),
        (status = 202, description = "The refund goes on by itself: ask at `Location`.", body = Payment, headers(
            ("Location" = String, description = "The address of the payment."),
            ("Retry-After" = i64, description = "When to ask, in seconds.")),
            example = json!({"paymentId": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "userId": "ann",
                "reservationId": "0190b6b2-3c1e-7c3a-9a55-6d1a1cbe0d11", "amount": 50_000, "status": "COMPLETED", "reason": null,
                "createdAt": "2026-12-24T19:30:00.000000Z", "settledAt": "2026-12-24T19:30:00.012345Z",
                "refundAskedAt": "2026-12-25T08:00:00.000000Z", "refundReason": "The buyer is ill.", "refundedAt": null})),
    ))]
pub(super) async fn refund_payment(
    State(edge): App,
    Segment(id): Segment<Uuid>,
    caller: Caller,
    IdempotencyKey(_key): IdempotencyKey,
    Body(new): Body<NewRefund>,
) -> Result<Response, Problem> {
    let checkout = edge.till.refund(&caller, id, new.reason.unwrap_or_default()).await?;
    let is_going_on = checkout.is_being_refunded();
    let payment = Payment::from(checkout);
    if !is_going_on {
        return json::answer(StatusCode::OK, &payment);
    }
    let mut response = json::answer(StatusCode::ACCEPTED, &payment)?;
    locate(&mut response, &payment, true);
    Ok(response)
}

/// List a user's payments, newest first
#[utoipa::path(get, path = "/v1/users/{userId}/payments", tag = "wallet",
    params(("userId" = String, Path, description = "The user who pays.", example = "ann"), Page),
    responses((status = 200, description = "One page of payments.", body = Payments)))]
pub(super) async fn list_payments(
    State(edge): App,
    Segment(UserId(user_id)): Segment<UserId>,
    caller: Caller,
    page: Page,
) -> Result<Response, Problem> {
    let filter = Filter { user_id: Some(user_id), ..Filter::default() };
    let page = Checks::of(|checks| filter.page(page.page_size, &page.page_token, checks))?;
    let found = edge.till.list(&caller, filter, *page.from(), page.limit()).await?;
    // A payment is some hundred bytes, so a page of them needs no other bound than its rows.
    let (checkouts, next_page_token) = page.cut(found, cursor, |_| 0);
    let payments = checkouts.into_iter().map(Payment::from).collect();
    json::answer(StatusCode::OK, &Payments { payments, next_page_token })
}
