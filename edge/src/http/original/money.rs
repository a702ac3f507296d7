//! The original's balance and payments. Amounts may be written `100.00`.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use boxoffice_proto::{Reason, wallet::ChargeWalletRequest};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, OneOfBuilder, Schema, Type},
    },
};
use uuid::Uuid;

use super::super::{
    App,
    extract::{Body, IdempotencyKey, Segment, UserId},
    fields::{Fields, FromFields},
    json::{self, MAX_AMOUNT, Payment, PaymentStatus, UserIdText},
    operation::{GATE_OF_USER, Operation},
    payments::{PAY, settle},
    problem::Problem,
};
use crate::app::{Caller, Pay, wallet};

/// What each operation may be refused with.
pub(in crate::http) const OPERATIONS: &[Operation] = &[
    Operation::of::<boxoffice_proto::wallet::ChargeWalletRequest>(
        "original_charge",
        &[Reason::RequestIdReused],
    )
    .takes_key(),
    Operation::of::<boxoffice_proto::wallet::GetWalletRequest>("original_get_balance", &[]),
    Operation::of::<boxoffice_proto::checkout::PayRequest>("original_pay", PAY)
        .takes_token(GATE_OF_USER)
        .takes_key(),
];

/// An amount as the original writes it: a whole number, or a text such as `100.00`.
pub(in crate::http) struct Amount;

/// A price, written like an [`Amount`]; it may be 0, since shows may be free.
pub(in crate::http) struct Price;

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        written(1, "^[1-9][0-9]{0,11}(\\.0{1,2})?$")
    }
}

impl PartialSchema for Price {
    fn schema() -> RefOr<Schema> {
        written(0, "^(0|[1-9][0-9]{0,11})(\\.0{1,2})?$")
    }
}

impl ToSchema for Amount {}

impl ToSchema for Price {}

fn written(least: i64, text: &str) -> RefOr<Schema> {
    let number =
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least)).maximum(Some(MAX_AMOUNT));
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(text));
    OneOfBuilder::new()
        .item(number)
        .item(text)
        .description(Some("Without a fraction other than zero."))
        .into()
}

/// How much a user has.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct OriginalBalance {
    /// The user whose balance it is.
    #[schema(example = "1")]
    user_id: String,
    /// How much there is, in minor units.
    #[schema(minimum = 0, example = 100_000)]
    amount: i64,
}

/// How much to top up.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"userId": 1, "amount": "100000.00"}))]
pub(in crate::http) struct OriginalCharge {
    /// The user whose wallet is topped up.
    #[schema(value_type = UserIdText)]
    user_id: String,
    /// How much to top up, in minor units.
    #[schema(value_type = Amount)]
    amount: i64,
}

impl FromFields for OriginalCharge {
    fn read(fields: &mut Fields) -> Self {
        Self { user_id: fields.user_id("userId"), amount: fields.money("amount", 1..=MAX_AMOUNT) }
    }
}

/// What to pay for, and how much.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase",
    example = json!({"userId": 1, "reservationId": "0190b6b2-3c1e-7c3a-9a55-6d1a1cbe0d11", "amount": "50000.00"}))]
pub(in crate::http) struct OriginalNewPayment {
    /// The user who pays.
    #[schema(value_type = UserIdText)]
    user_id: String,
    /// The reservation to pay for.
    reservation_id: Uuid,
    /// The price of the reservation, in minor units.
    #[schema(value_type = Price)]
    amount: i64,
}

impl FromFields for OriginalNewPayment {
    fn read(fields: &mut Fields) -> Self {
        Self {
            user_id: fields.user_id("userId"),
            reservation_id: fields.uuid("reservationId"),
            amount: fields.money("amount", 0..=MAX_AMOUNT),
        }
    }
}

/// A payment of a reservation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct OriginalPayment {
    /// The id of the payment.
    #[schema(format = Uuid)]
    payment_id: String,
    /// The user who paid.
    #[schema(example = "1")]
    user_id: String,
    /// The reservation that was paid for.
    #[schema(format = Uuid)]
    reservation_id: String,
    /// How much was paid, in minor units.
    #[schema(minimum = 0, example = 50_000)]
    amount: i64,
    /// CONFIRMED; or PENDING while it settles.
    #[schema(value_type = String, example = "CONFIRMED")]
    status: &'static str,
    /// The status in words, for people.
    #[schema(example = "Paid: the seat is yours.")]
    message: &'static str,
}

/// Top up a wallet
#[utoipa::path(post, path = "/api-orchestration/api/balance/charge", tag = "original", request_body = OriginalCharge,
    responses((status = 200, description = "The balance after the charge.", body = OriginalBalance)))]
pub(in crate::http) async fn original_charge(
    State(edge): App,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<OriginalCharge>,
) -> Result<Response, Problem> {
    let (user_id, amount, request_id) = (new.user_id, new.amount, key.unwrap_or_default());
    let request = ChargeWalletRequest { user_id, amount, request_id };
    let wallet = json::whole(wallet::charge(&edge, &caller, request).await?.wallet)?;
    json::answer(StatusCode::OK, &OriginalBalance { user_id: wallet.user_id, amount: wallet.balance })
}

/// Read a balance
#[utoipa::path(get, path = "/api-orchestration/api/balance/{userId}", tag = "original",
    params(("userId" = String, Path, description = "The id of the user.", example = "1")),
    responses(
        (status = 200, description = "The balance of the wallet.", body = OriginalBalance),
        (status = 204, description = "This user has no wallet yet."),
    ))]
pub(in crate::http) async fn original_get_balance(
    State(edge): App,
    Segment(UserId(user_id)): Segment<UserId>,
    caller: Caller,
) -> Result<Response, Problem> {
    match wallet::get(&edge, &caller, user_id).await {
        Ok(wallet) => {
            json::answer(StatusCode::OK, &OriginalBalance { user_id: wallet.user_id, amount: wallet.balance })
        }
        Err(fault) if fault.reason == Reason::WalletNotFound => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(fault) => Err(fault.into()),
    }
}

/// Pay for a reservation
///
/// An `amount` that is not the price is refused, and nothing is paid.
#[utoipa::path(post, path = "/api-orchestration/api/balance/payment", tag = "original", request_body = OriginalNewPayment,
    responses(
        (status = 200, description = "The payment is complete.", body = OriginalPayment),
        (status = 202, description = "The payment is still being settled and goes on by itself.", body = OriginalPayment, headers(
            ("Location" = String, description = "The address at which to ask."),
            ("Retry-After" = i64, description = "When to ask, in seconds.")),
            example = json!({"paymentId": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "userId": "1",
                "reservationId": "0190b6b2-3c1e-7c3a-9a55-6d1a1cbe0d11", "amount": 50_000, "status": "PENDING",
                "message": "The payment is still settling; ask again at Location."})),
    ))]
pub(in crate::http) async fn original_pay(
    State(edge): App,
    caller: Caller,
    IdempotencyKey(request_id): IdempotencyKey,
    Body(new): Body<OriginalNewPayment>,
) -> Result<Response, Problem> {
    let OriginalNewPayment { user_id, reservation_id, amount } = new;
    let command = Pay { user_id, reservation_id, request_id, price: Some(amount) };
    let payment = Payment::from(edge.till.pay(&caller, command).await?);
    let (http, status, message) = match payment.status {
        PaymentStatus::Pending => {
            (StatusCode::ACCEPTED, "PENDING", "The payment is still settling; ask again at Location.")
        }
        // The replay of one that was refunded since.
        PaymentStatus::Cancelled => {
            (StatusCode::OK, "CANCELLED", "Refunded: the money is in the wallet again.")
        }
        PaymentStatus::Completed | PaymentStatus::Failed => {
            (StatusCode::OK, "CONFIRMED", "Paid: the seat is yours.")
        }
    };
    let body = OriginalPayment {
        payment_id: payment.payment_id.clone(),
        user_id: payment.user_id.clone(),
        reservation_id: payment.reservation_id.clone(),
        amount: payment.amount,
        status,
        message,
    };
    let mut response = json::answer(http, &body)?;
    settle(&mut response, &payment);
    Ok(response)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde_json::{Value, json};

    use super::*;

    fn reads<T: FromFields>(amount: &Value) -> bool {
        let body =
            json!({"userId": 1, "reservationId": "0190b6b2-3c1e-7c3a-9a55-6d1a1cbe0d11", "amount": amount});
        let mut fields = Fields::new(body.as_object().unwrap().clone(), false);
        T::read(&mut fields);
        fields.finish().is_ok()
    }

    /// The least number, and what a text may be.
    fn described<T: PartialSchema>() -> (Value, Value) {
        let schema = serde_json::to_value(T::schema()).unwrap();
        (schema["oneOf"][0]["minimum"].clone(), schema["oneOf"][1]["pattern"].clone())
    }

    #[test]
    fn what_is_free_is_paid_and_nothing_is_no_charge_and_the_document_says_so() {
        for nothing in [json!(0), json!(0.0), json!("0"), json!("0.0"), json!("0.00")] {
            assert!(reads::<OriginalNewPayment>(&nothing), "{nothing}");
            assert!(!reads::<OriginalCharge>(&nothing), "{nothing}");
        }
        for some in [json!(1), json!("1"), json!("100000.00")] {
            assert!(reads::<OriginalNewPayment>(&some) && reads::<OriginalCharge>(&some), "{some}");
        }
        assert_eq!(described::<Price>(), (json!(0), json!("^(0|[1-9][0-9]{0,11})(\\.0{1,2})?$")));
        assert_eq!(described::<Amount>(), (json!(1), json!("^[1-9][0-9]{0,11}(\\.0{1,2})?$")));
        let schema = serde_json::to_value(OriginalNewPayment::schema()).unwrap();
        assert_eq!(schema["properties"]["amount"]["$ref"], "#/components/schemas/Price");
    }
}
