//! Conversion of protobuf requests into commands. A fault names every field that is wrong, not only the
//! first.

use boxoffice_proto::{
    Fault, bounds,
    checkout::{
        CheckoutStatus, GetCheckoutRequest, ListCheckoutsRequest, PayRequest, RefundCheckoutRequest,
        RetryCheckoutRequest,
    },
    queue::{GetTokenRequest, WatchTokenRequest},
    validate::Checks,
};
use chassis::page::PageRequest;
use uuid::Uuid;

use crate::{
    app::{Before, Filter, Pay},
    domain::checkout,
};

/// A user who is left out is the caller, where it is known who that is.
pub(super) fn pay(request: &PayRequest, knows_caller: bool) -> Result<Pay, Fault> {
    Checks::of(|checks| Pay {
        user_id: if knows_caller {
            checks.any_user("user_id", &request.user_id)
        } else {
            checks.user_id("user_id", &request.user_id)
        },
        reservation_id: checks.uuid("reservation_id", &request.reservation_id),
        request_id: checks.request_id(&request.request_id),
        price: None,
    })
}

/// Which checkout, and whose it must be; empty: anybody's.
pub(super) fn get_checkout(request: &GetCheckoutRequest) -> Result<(Uuid, String), Fault> {
    Checks::of(|checks| {
        let user = checks.any_user("user_id", &request.user_id);
        (checks.uuid("checkout_id", &request.checkout_id), user)
    })
}

/// The checkout that is to be tried again.
pub(super) fn retry_checkout(request: &RetryCheckoutRequest) -> Result<Uuid, Fault> {
    Checks::of(|checks| checks.uuid("checkout_id", &request.checkout_id))
}

/// The checkout that is to be refunded, and why.
pub(super) fn refund_checkout(request: &RefundCheckoutRequest) -> Result<(Uuid, String), Fault> {
    Checks::of(|checks| {
        let checkout_id = checks.uuid("checkout_id", &request.checkout_id);
        (checkout_id, checks.text("reason", &request.reason, bounds::WHY))
    })
}

/// The token that is asked for; `None`: the live one of a user, who need not be named where the caller is
/// known.
pub(super) fn token_of(request: &GetTokenRequest, is_known: bool) -> Result<Option<Uuid>, Fault> {
    if request.token.is_empty() && (is_known || !request.user_id.is_empty()) {
        return Ok(None);
    }
    Checks::of(|checks| Some(checks.uuid("token", &request.token)))
}

/// The token that is to be followed.
pub(super) fn watched(request: &WatchTokenRequest) -> Result<Uuid, Fault> {
    Checks::of(|checks| checks.uuid("token", &request.token))
}

pub(super) fn list_checkouts(request: &ListCheckoutsRequest) -> Result<(Filter, PageRequest<Before>), Fault> {
    let mut checks = Checks::default();
    let user_id = (!request.user_id.is_empty()).then(|| checks.user_id("user_id", &request.user_id));
    let status = match CheckoutStatus::try_from(request.status) {
        Ok(CheckoutStatus::Unspecified) => None,
        Ok(CheckoutStatus::Pending) => Some(checkout::Status::Pending),
        Ok(CheckoutStatus::Completed) => Some(checkout::Status::Completed),
        Ok(CheckoutStatus::Failed) => Some(checkout::Status::Failed),
        Ok(CheckoutStatus::Compensated) => Some(checkout::Status::Compensated),
        Err(_) => {
            checks.refuse("status", "must be a CheckoutStatus");
            None
        }
    };
    let filter = Filter { user_id, status, parked: request.parked };
    let page = filter.page(request.page_size, &request.page_token, &mut checks);
    checks.finish()?;
    Ok((filter, page))
}
