//! Wallets, their entries, and payments.

use boxoffice_proto::{bounds, validate::USER_ID, wallet as proto};
use serde::Serialize;
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::{Hollow, Instant, words};
use crate::{
    domain::checkout::{Checkout, Status},
    http::fields::{Fields, FromFields},
};

/// The most that is charged at once.
pub(crate) const MAX_AMOUNT: i64 = 1_000_000_000_000;

/// A user's id in a request: a string, or a number that is read as its decimal text.
pub(crate) struct UserIdText;

impl PartialSchema for UserIdText {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(64))
            .pattern(Some(USER_ID));
        let number =
            ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(i64::MIN)).maximum(Some(u64::MAX));
        OneOfBuilder::new()
            .item(text)
            .item(number)
            .description(Some(
                "1 to 64 visible characters; a number of at most 64 bits is read as its decimal text.",
            ))
            .into()
    }
}

impl ToSchema for UserIdText {
    fn name() -> std::borrow::Cow<'static, str> {
        "UserId".into()
    }
}

words! {
    /// What a movement was.
    EntryKind of proto::EntryKind { Charge, Use, Payment, Refund }
}

/// A user's money, in the currency's minor unit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wallet {
    /// The user whose wallet it is.
    #[schema(example = "ann")]
    pub(crate) user_id: String,
    /// How much there is, in minor units; never negative.
    #[schema(minimum = 0, example = 150_000)]
    pub(crate) balance: i64,
    /// The currency of the wallet: ISO 4217.
    #[schema(pattern = "^[A-Z]{3}$", example = "KRW")]
    pub(crate) currency: String,
    /// How many decimal digits its minor unit is: 0 for KRW, 2 for EUR.
    #[schema(minimum = 0, maximum = 4, example = 0)]
    pub(crate) currency_exponent: i32,
}

impl From<proto::Wallet> for Wallet {
    fn from(wallet: proto::Wallet) -> Self {
        let proto::Wallet { user_id, balance, currency, currency_exponent } = wallet;
        Self { user_id, balance, currency, currency_exponent }
    }
}

/// One movement of a wallet; it never changes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Entry)]
pub(crate) struct WalletEntry {
    /// The id of the movement.
    #[schema(format = Uuid)]
    entry_id: String,
    /// The user whose wallet it is.
    #[schema(example = "ann")]
    user_id: String,
    /// Its number in this wallet, without a gap.
    #[schema(minimum = 1, example = 1)]
    sequence: i64,
    /// The kind of the movement.
    kind: EntryKind,
    /// What it added to the balance.
    #[schema(example = 100_000)]
    amount: i64,
    /// The balance after it.
    #[schema(minimum = 0, example = 100_000)]
    balance_after: i64,
    /// The payment it belongs to; null for CHARGE and USE.
    #[schema(required)]
    payment_id: Option<String>,
    /// When it happened.
    created_at: Instant,
}

impl TryFrom<proto::Entry> for WalletEntry {
    type Error = Hollow;

    fn try_from(entry: proto::Entry) -> Result<Self, Hollow> {
        Ok(Self {
            kind: EntryKind::read(entry.kind)?,
            created_at: Instant::read(entry.created_at.as_ref())?,
            entry_id: entry.entry_id,
            user_id: entry.user_id,
            sequence: entry.sequence,
            amount: entry.amount,
            balance_after: entry.balance_after,
            payment_id: Some(entry.payment_id).filter(|id| !id.is_empty()),
        })
    }
}

/// A page of movements, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entries {
    /// The movements of this page.
    pub(crate) entries: Vec<WalletEntry>,
    /// Where the next page starts; empty on the last.
    pub(crate) next_page_token: String,
}

/// How much to top up.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"amount": 100_000}))]
pub(crate) struct NewCharge {
    /// How much, in minor units.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64)]
    pub(crate) amount: i64,
}

impl FromFields for NewCharge {
    fn read(fields: &mut Fields) -> Self {
        Self { amount: fields.integer("amount", 1..=MAX_AMOUNT) }
    }
}

/// Where a payment stands. All but PENDING are final, except that a COMPLETED one can be refunded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum PaymentStatus {
    /// The payment is still settling.
    Pending,
    /// Paid, and the seats are the user's.
    Completed,
    /// Refused; no money moved.
    Failed,
    /// The wallet was debited, and the money was refunded: a later step was refused, or the sale was undone.
    Cancelled,
}

/// One payment of one reservation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "paymentId": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "userId": "ann",
    "reservationId": "0190b6b2-3c1e-7c3a-9a55-6d1a1cbe0d11", "amount": 50_000, "status": "COMPLETED", "reason": null,
    "createdAt": "2026-12-24T19:30:00.000000Z", "settledAt": "2026-12-24T19:30:00.012345Z",
    "refundAskedAt": null, "refundReason": null, "refundedAt": null}))]
pub(crate) struct Payment {
    /// The id of the payment.
    #[schema(format = Uuid, example = "7c9e6679-7425-40de-944b-e07fc1f90ae7")]
    pub(crate) payment_id: String,
    /// The user who pays.
    #[schema(example = "ann")]
    pub(crate) user_id: String,
    /// The reservation that is paid for.
    #[schema(format = Uuid, example = "0190b6b2-3c1e-7c3a-9a55-6d1a1cbe0d11")]
    pub(crate) reservation_id: String,
    /// How much, fixed when the seats were held.
    #[schema(minimum = 0, example = 50_000)]
    pub(crate) amount: i64,
    /// Where it stands.
    pub(crate) status: PaymentStatus,
    /// Why it did not complete, or RESERVATION_CANCELLED when the sale was undone; null when fine.
    #[schema(required)]
    pub(crate) reason: Option<String>,
    /// When it was begun.
    pub(crate) created_at: Instant,
    /// When it ended; null while PENDING.
    #[schema(required)]
    pub(crate) settled_at: Option<Instant>,
    /// When a refund was asked for; null unless one was.
    #[schema(required)]
    pub(crate) refund_asked_at: Option<Instant>,
    /// Why the sale is undone, in the words of whoever asked; null unless a refund was asked for.
    #[schema(required)]
    pub(crate) refund_reason: Option<String>,
    /// When the money was back and the seats were free; null until then.
    #[schema(required)]
    pub(crate) refunded_at: Option<Instant>,
}

impl From<Checkout> for Payment {
    fn from(checkout: Checkout) -> Self {
        Self {
            payment_id: checkout.checkout_id.to_string(),
            user_id: checkout.user_id,
            reservation_id: checkout.reservation_id.to_string(),
            amount: checkout.amount,
            status: match checkout.status {
                Status::Pending => PaymentStatus::Pending,
                Status::Completed => PaymentStatus::Completed,
                Status::Failed => PaymentStatus::Failed,
                Status::Compensated => PaymentStatus::Cancelled,
            },
            reason: checkout.reason,
            created_at: Instant(checkout.created_at),
            settled_at: checkout.settled_at.map(Instant),
            refund_asked_at: checkout.refund.as_ref().map(|refund| Instant(refund.asked_at)),
            refunded_at: checkout.refund.as_ref().and_then(|refund| refund.done_at).map(Instant),
            refund_reason: checkout.refund.map(|refund| refund.reason),
        }
    }
}

/// A page of payments, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payments {
    /// The payments of this page.
    pub(crate) payments: Vec<Payment>,
    /// Where the next page starts; empty on the last.
    pub(crate) next_page_token: String,
}

/// Why a sale is undone.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"reason": "The buyer is ill."}))]
pub(crate) struct NewRefund {
    /// Why, in a few words; receivers of events are told.
    #[schema(
        max_length = 200,
        pattern = "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]*$"
    )]
    pub(crate) reason: Option<String>,
}

impl FromFields for NewRefund {
    const MAY_BE_LEFT_OUT: bool = true;

    fn read(fields: &mut Fields) -> Self {
        Self { reason: fields.optional_text("reason", bounds::WHY) }
    }
}

/// What to pay for.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase",
    example = json!({"userId": "ann", "reservationId": "0190b6b2-3c1e-7c3a-9a55-6d1a1cbe0d11"}))]
pub(crate) struct NewPayment {
    /// The user who pays.
    #[schema(value_type = UserIdText)]
    pub(crate) user_id: String,
    /// The reservation to pay for.
    pub(crate) reservation_id: Uuid,
}

impl FromFields for NewPayment {
    fn read(fields: &mut Fields) -> Self {
        Self { user_id: fields.user_id("userId"), reservation_id: fields.uuid("reservationId") }
    }
}
