//! Conversion of protobuf requests into domain values. A fault names every field that is wrong, not only the
//! first.

use std::ops::RangeInclusive;

use boxoffice_proto::{Fault, validate::Checks, wallet as pb};
use chassis::page::{List, PageRequest};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    app::{Cancel, EntryCursor, Move, PaymentCursor},
    domain::{Order, payment::PAYABLE, wallet::AMOUNT},
};

/// How many characters a cancellation's reason may have.
const REASON: RangeInclusive<usize> = 0..=128;

/// A command, and its request id if it has one.
type WithId<T> = Result<(T, Option<String>), Fault>;

pub(super) fn charge_wallet(request: &pb::ChargeWalletRequest) -> WithId<Move> {
    movement(&request.user_id, request.amount, &request.request_id)
}

pub(super) fn use_wallet(request: &pb::UseWalletRequest) -> WithId<Move> {
    movement(&request.user_id, request.amount, &request.request_id)
}

fn movement(user_id: &str, amount: i64, request_id: &str) -> WithId<Move> {
    Checks::of(|checks| {
        let user_id = checks.user_id("user_id", user_id);
        let amount = checks.range("amount", amount, AMOUNT);
        (Move { user_id, amount }, checks.request_id(request_id))
    })
}

/// The user whose wallet is meant.
pub(super) fn get_wallet(request: &pb::GetWalletRequest) -> Result<String, Fault> {
    Checks::of(|checks| checks.user_id("user_id", &request.user_id))
}

pub(super) fn list_entries(
    request: &pb::ListEntriesRequest,
) -> Result<(String, PageRequest<EntryCursor>), Fault> {
    list("entries", &request.user_id, request.page_size, &request.page_token, EntryCursor::START)
}

pub(super) fn list_payments(
    request: &pb::ListPaymentsRequest,
) -> Result<(String, PageRequest<PaymentCursor>), Fault> {
    list("payments", &request.user_id, request.page_size, &request.page_token, PaymentCursor::START)
}

/// A page of what a user has.
fn list<C: Serialize + DeserializeOwned>(
    name: &str,
    user_id: &str,
    page_size: i32,
    page_token: &str,
    start: C,
) -> Result<(String, PageRequest<C>), Fault> {
    Checks::of(|checks| {
        let user_id = checks.user_id("user_id", user_id);
        let refuse = |field: &str, wrong: &str| checks.refuse(field, wrong);
        let page = List::of(name, &user_id).read(page_size, page_token, start, refuse);
        (user_id, page)
    })
}

pub(super) fn create_payment(request: &pb::CreatePaymentRequest) -> WithId<Order> {
    Checks::of(|checks| {
        let order = Order {
            payment_id: checks.uuid("payment_id", &request.payment_id),
            user_id: checks.user_id("user_id", &request.user_id),
            reservation_id: checks.uuid("reservation_id", &request.reservation_id),
            amount: checks.range("amount", request.amount, PAYABLE),
        };
        (order, checks.request_id(&request.request_id))
    })
}

/// Which payment.
/// Which payment, and whose it must be; empty: anybody's.
pub(super) fn get_payment(request: &pb::GetPaymentRequest) -> Result<(Uuid, String), Fault> {
    Checks::of(|checks| {
        let user = checks.any_user("user_id", &request.user_id);
        (checks.uuid("payment_id", &request.payment_id), user)
    })
}

pub(super) fn cancel_payment(request: &pb::CancelPaymentRequest) -> WithId<Cancel> {
    Checks::of(|checks| {
        let payment_id = checks.uuid("payment_id", &request.payment_id);
        let reason = checks.text("reason", &request.reason, REASON);
        (Cancel { payment_id, reason }, checks.request_id(&request.request_id))
    })
}
