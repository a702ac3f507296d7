//! The members that a problem document has because of its code. The services send them as texts, which is all
//! that `ErrorInfo.metadata` can hold; here they get their JSON types, and the names that they have elsewhere
//! in the API.

use boxoffice_proto::Reason;
use serde_json::{Value, json};

/// A member of a problem document.
pub(super) struct Member {
    /// The key in `ErrorInfo.metadata`.
    pub(super) key: &'static str,
    /// Whether every refusal with this code has it.
    pub(super) always: bool,
}

const SEATS: Member = Member { key: "seat_numbers", always: true };
const LIMIT: Member = Member { key: "max_held_seats", always: true };
const AVAILABLE: Member = Member { key: "available", always: true };
const TOGETHER: Member = Member { key: "together", always: true };
const OPENS: Member = Member { key: "opens_at", always: true };
const QUEUE: Member = Member { key: "queue_id", always: true };
const WHY: Member = Member { key: "why", always: true };
const ROLE: Member = Member { key: "role", always: true };
const USER: Member = Member { key: "user_id", always: false };
const RESERVATION: Member = Member { key: "reservation_id", always: false };
const PAYMENT: Member = Member { key: "payment_id", always: false };
const TOKEN_STATUS: Member = Member { key: "token_status", always: true };
const PAYMENT_STATUS: Member = Member { key: "payment_status", always: false };
/// The members of a refusal that may end a payment.
const ENDED: &[Member] = &[PAYMENT, PAYMENT_STATUS];
/// The members of a refusal that may come before a payment is begun, or end it.
const UNPAYABLE: &[Member] = &[RESERVATION, PAYMENT, PAYMENT_STATUS];

/// The members that refusals of this reason may have.
pub(super) const fn of(reason: Reason) -> &'static [Member] {
    match reason {
        Reason::SeatTaken | Reason::SeatNotFound => &[SEATS],
        Reason::SeatsUnavailable => &[AVAILABLE, TOGETHER],
        Reason::HoldLimit => &[LIMIT],
        Reason::SalesNotOpen => &[OPENS],
        Reason::QueueNotFound => &[QUEUE],
        Reason::WalletNotFound => &[USER, PAYMENT, PAYMENT_STATUS],
        Reason::PaymentNotFound | Reason::RequestIdReused | Reason::RefundNotPossible => &[PAYMENT],
        Reason::InsufficientFunds | Reason::ReservationNotFound => ENDED,
        Reason::NotOwner
        | Reason::HoldExpired
        | Reason::AlreadyPaid
        | Reason::ReservationCancelled
        | Reason::ShowCancelled => UNPAYABLE,
        Reason::TokenNotActive => &[TOKEN_STATUS],
        Reason::CredentialsInvalid => &[WHY],
        Reason::NotAllowed => &[ROLE],
        Reason::InvalidArgument
        | Reason::CredentialsMissing
        | Reason::TokenMissing
        | Reason::TokenWrongUser
        | Reason::TokenWrongQueue
        | Reason::TokenNotFound
        | Reason::ConcertNotFound
        | Reason::ShowNotFound
        | Reason::NotFound
        | Reason::SalesClosed
        | Reason::PreconditionFailed
        | Reason::FailedPrecondition
        | Reason::QueueFull
        | Reason::RateLimited
        | Reason::Unavailable
        | Reason::DeadlineExceeded
        | Reason::Unimplemented
        | Reason::Internal => &[],
    }
}

/// A member's value in its JSON type. A text that cannot be read, as of a newer service, stays a text.
pub(super) fn value(key: &str, text: &str) -> Value {
    let read = match key {
        "seat_numbers" => {
            text.split(',').map(str::parse).collect::<Result<Vec<i32>, _>>().ok().map(|seats| json!(seats))
        }
        "max_held_seats" | "available" | "together" => text.parse::<i64>().ok().map(|number| json!(number)),
        _ => None,
    };
    read.unwrap_or_else(|| json!(text))
}

/// A member's schema, with an example.
pub(super) fn schema(key: &str) -> Value {
    match key {
        "seat_numbers" => json!({
            "type": "array", "items": {"type": "integer", "format": "int32"}, "example": [7],
            "description": "The seats that cannot be had, rising.",
        }),
        "max_held_seats" => json!({
            "type": "integer", "format": "int64", "minimum": 1, "example": 50,
            "description": "How many seats of one show a user may hold unpaid, or where the show has a limit of its own, may have in all.",
        }),
        "available" => json!({
            "type": "integer", "format": "int32", "minimum": 0, "example": 7,
            "description": "How many seats are free in the section that was asked for, or in the hall.",
        }),
        "together" => json!({
            "type": "integer", "format": "int32", "minimum": 0, "example": 3,
            "description": "How many of them go side by side at most.",
        }),
        "opens_at" => json!({
            "type": "string", "format": "date-time", "example": "2026-12-01T10:00:00.000000Z",
            "description": "When the sale of the show opens.",
        }),
        "queue_id" => {
            json!({"type": "string", "example": "vip", "description": "The name that no queue has."})
        }
        "user_id" => json!({"type": "string", "example": "ann", "description": "The user without a wallet."}),
        "payment_status" => json!({
            "type": "string", "enum": ["FAILED", "CANCELLED"], "example": "FAILED",
            "description": "What became of the payment: FAILED when no money was taken, CANCELLED when it went back.",
        }),
        "token_status" => json!({
            "type": "string", "enum": ["REGISTERED", "WAITING", "COMPLETED", "EXPIRED", "LEFT"], "example": "WAITING",
            "description": "What the token is instead.",
        }),
        "why" => json!({
            "type": "string", "example": "expired", "description": "What is wrong with the bearer token, in a word.",
        }),
        "role" => json!({
            "type": "string", "example": "operator",
            "description": "The roles that may, separated by commas; empty: nobody may over this door.",
        }),
        "reservation_id" => identifier("The reservation that was to be paid for."),
        "payment_id" => identifier("The payment that was refused."),
        _ => json!({"type": "string"}),
    }
}

fn identifier(description: &str) -> Value {
    json!({"type": "string", "format": "uuid", "example": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "description": description})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_numbers_are_no_texts_and_what_is_unknown_is_kept() {
        assert_eq!(value("seat_numbers", "1,20"), json!([1, 20]));
        assert_eq!(value("max_held_seats", "50"), json!(50));
        for (key, text) in
            [("seat_numbers", "A1"), ("seat_numbers", ""), ("max_held_seats", "many"), ("else", "7")]
        {
            assert_eq!(value(key, text), json!(text));
        }
    }

    #[test]
    fn the_example_of_a_member_is_what_its_text_becomes() {
        for member in Reason::ALL.iter().flat_map(|reason| of(*reason)) {
            let schema = schema(member.key);
            let text = match &schema["example"] {
                Value::String(text) => text.clone(),
                Value::Array(items) => items.iter().map(Value::to_string).collect::<Vec<_>>().join(","),
                other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
                    other.to_string()
                }
            };
            assert_eq!(value(member.key, &text), schema["example"], "{}", member.key);
            assert!(schema["description"].is_string(), "{}", member.key);
        }
    }
}
