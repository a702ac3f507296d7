//! Payments as whoever runs the sale looks at them: all of them, the story of each, and having one tried
//! again.

use axum::{extract::State, http::StatusCode, response::Response};
use boxoffice_proto::{
    Reason,
    checkout::{GetCheckoutRequest, ListCheckoutsRequest, RetryCheckoutRequest},
    validate::Checks,
};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    App,
    extract::{IdempotencyKey, Page, Params, Segment},
    json::{self, Payment, PaymentStatus, Payments, Story},
    operation::Operation,
    problem::Problem,
};
use crate::{
    app::{Caller, Filter, cursor},
    domain::checkout::Status,
};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::of::<ListCheckoutsRequest>("list_all_payments", &[]),
    Operation::of::<GetCheckoutRequest>("get_payment_story", &[Reason::PaymentNotFound]),
    Operation::of::<RetryCheckoutRequest>("retry_payment", &[Reason::PaymentNotFound]).needs_no_key(),
];

/// The parameters that narrow the list of payments.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes parameters that the handler reads one by one")]
pub(super) struct Which {
    /// Only those that stand so; left out for all of them.
    #[param(required = false, example = "PENDING")]
    status: PaymentStatus,
    /// `true`: only those that wait for an operator.
    #[param(required = false, example = true)]
    parked: bool,
}

/// List payments, newest first
///
/// Everybody's to operators and support, to others their own; those that were made over the edge. With
/// `parked=true` those that cannot go on: a step of theirs keeps failing, and they are tried once a minute
/// until somebody has mended its cause.
#[utoipa::path(get, path = "/v1/payments", tag = "operator", params(Which, Page),
    responses((status = 200, description = "One page of payments.", body = Payments)))]
pub(super) async fn list_all_payments(
    State(edge): App,
    caller: Caller,
    params: Params,
    page: Page,
) -> Result<Response, Problem> {
    let mut checks = Checks::default();
    let status = params.get("status")?.and_then(|word| {
        let known = status(word);
        if known.is_none() {
            checks.refuse("status", "must be PENDING, COMPLETED, FAILED or CANCELLED");
        }
        known
    });
    let parked = match params.get("parked")? {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            checks.refuse("parked", "must be true or false");
            false
        }
    };
    let filter = Filter { user_id: None, status, parked };
    let page = filter.page(page.page_size, &page.page_token, &mut checks);
    checks.finish()?;
    let found = edge.till.list(&caller, filter, *page.from(), page.limit()).await?;
    let (checkouts, next_page_token) = page.cut(found, cursor, |_| 0);
    let payments = checkouts.into_iter().map(Payment::from).collect();
    json::answer(StatusCode::OK, &Payments { payments, next_page_token })
}

/// The status that a word of REST means.
fn status(word: &str) -> Option<Status> {
    match word {
        "PENDING" => Some(Status::Pending),
        "COMPLETED" => Some(Status::Completed),
        "FAILED" => Some(Status::Failed),
        "CANCELLED" => Some(Status::Compensated),
        _ => None,
    }
}

/// Read what was tried for a payment
///
/// Step by step, with the outcome of each attempt. A payment that was made in the wallet without a checkout
/// has no story.
#[utoipa::path(get, path = "/v1/payments/{paymentId}/story", tag = "operator",
    params(("paymentId" = Uuid, Path, description = "The id of the payment.")),
    responses((status = 200, description = "The story so far.", body = Story)))]
pub(super) async fn get_payment_story(
    State(edge): App,
    Segment(id): Segment<Uuid>,
    caller: Caller,
) -> Result<Response, Problem> {
    json::answer(StatusCode::OK, &Story::from(edge.till.get(&caller, id, String::new()).await?))
}

/// Have a payment tried again
///
/// One that waits for an operator goes on within a second instead of within a minute. Any other is answered
/// as it stands.
#[utoipa::path(post, path = "/v1/payments/{paymentId}/retry", tag = "operator",
    params(("paymentId" = Uuid, Path, description = "The id of the payment.")),
    responses((status = 200, description = "The payment as it is now.", body = Payment)))]
pub(super) async fn retry_payment(
    State(edge): App,
    Segment(id): Segment<Uuid>,
    caller: Caller,
    IdempotencyKey(_key): IdempotencyKey,
) -> Result<Response, Problem> {
    json::answer(StatusCode::OK, &Payment::from(edge.till.retry(&caller, id).await?))
}
