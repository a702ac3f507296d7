//! A payment: what an order and a cancellation make of it.
//!
//! ```text
//!  order ──covered──────▶ COMPLETED ──cancel──▶ CANCELLED (refunded, once: I-PAY-ONCE)
//!        └─not covered──▶ FAILED    ──cancel──▶ FAILED    (nothing moved, nothing to give back)
//!  cancel before order ─▶ CANCELLED, a tombstone: the order that comes later is barred
//! ```
//! One payment id is one payment (I-PAY-ONCE): the same order again gets the first answer, and another order
//! under the same id is refused.

use std::ops::RangeInclusive;

use serde::Serialize;
use uuid::Uuid;

use super::Refusal;

/// The amounts that a payment may have, in the currency's minor unit; a payment of 0 moves nothing.
pub(crate) const PAYABLE: RangeInclusive<i64> = 0..=1_000_000_000_000;
/// The recorded reason of a payment that the balance did not cover; the same word as the contract's reason.
const INSUFFICIENT_FUNDS: &str = "INSUFFICIENT_FUNDS";
/// The recorded reason of a cancelled payment for which the caller gave none.
const CANCELLED: &str = "CANCELLED";

/// The status of a recorded payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PaymentStatus {
    /// The wallet was debited.
    Completed,
    /// The balance did not cover it, and nothing was debited.
    Failed,
    /// It was refunded, or cancelled before its order arrived.
    Cancelled,
}

impl PaymentStatus {
    /// Every status that a payment may have.
    pub(crate) const ALL: [Self; 3] = [Self::Completed, Self::Failed, Self::Cancelled];

    /// The word in the table's `status` column.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// A request to debit a wallet for a reservation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Order {
    /// The payment's id, which the caller chose.
    pub(crate) payment_id: Uuid,
    /// The user whose wallet is debited.
    pub(crate) user_id: String,
    /// The reservation that is paid for.
    pub(crate) reservation_id: Uuid,
    /// The amount in the currency's minor unit, within [`PAYABLE`].
    pub(crate) amount: i64,
}

/// Who pays for which reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Purpose {
    /// The user whose wallet is debited.
    pub(crate) user_id: String,
    /// The reservation that is paid for.
    pub(crate) reservation_id: Uuid,
}

/// A payment as its row has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    /// The payment's id.
    pub(crate) payment_id: Uuid,
    /// Who pays for what; `None` on a tombstone.
    pub(crate) purpose: Option<Purpose>,
    /// The amount in the currency's minor unit; 0 on a tombstone.
    pub(crate) amount: i64,
    /// What has become of the payment.
    pub(crate) status: PaymentStatus,
    /// Why it failed or was cancelled, as a stable word; empty when it is completed.
    pub(crate) reason: String,
    /// When the row was written, in microseconds since 1970 UTC.
    pub(crate) created_at: i64,
    /// When the payment got its present status, in microseconds since 1970 UTC.
    pub(crate) settled_at: i64,
}

/// What the rules decide about a cancellation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cancellation {
    /// The payment stays as it is: it failed, or it was cancelled before.
    Stands,
    /// The payment is cancelled, and its user gets the amount back.
    TakenBack {
        /// The cancelled payment, to be written.
        payment: Payment,
        /// The user whose wallet gets the refund.
        user_id: String,
        /// The amount of the refund in the currency's minor unit; 0 when nothing was debited.
        refund: i64,
    },
}

impl Payment {
    /// The payment of an order that the balance covers.
    pub(crate) fn completed(order: &Order, now: i64) -> Self {
        Self {
            payment_id: order.payment_id,
            purpose: Some(Purpose { user_id: order.user_id.clone(), reservation_id: order.reservation_id }),
            amount: order.amount,
            status: PaymentStatus::Completed,
            reason: String::new(),
            created_at: now,
            settled_at: now,
        }
    }

    /// The payment of an order that the balance does not cover.
    pub(crate) fn failed(order: &Order, now: i64) -> Self {
        Self {
            status: PaymentStatus::Failed,
            reason: INSUFFICIENT_FUNDS.to_owned(),
            ..Self::completed(order, now)
        }
    }

    /// The row that a cancellation writes when it comes before its payment, so that the order is refused
    /// later.
    pub(crate) fn tombstone(payment_id: Uuid, reason: &str, now: i64) -> Self {
        Self {
            payment_id,
            purpose: None,
            amount: 0,
            status: PaymentStatus::Cancelled,
            reason: word(reason),
            created_at: now,
            settled_at: now,
        }
    }

    /// Decides about an order whose id this payment has. The same order is granted again unless it failed.
    ///
    /// # Errors
    /// `PaymentBarred` on a tombstone, `PaymentReused` when the order is another one, `InsufficientFunds`
    /// when the payment failed.
    pub(crate) fn again(&self, order: &Order) -> Result<(), Refusal> {
        let payment_id = self.payment_id;
        let Some(purpose) = &self.purpose else {
            return Err(Refusal::PaymentBarred { payment_id });
        };
        let same = purpose.user_id == order.user_id
            && purpose.reservation_id == order.reservation_id
            && self.amount == order.amount;
        if !same {
            return Err(Refusal::PaymentReused { payment_id });
        }
        match self.status {
            PaymentStatus::Completed | PaymentStatus::Cancelled => Ok(()),
            PaymentStatus::Failed => Err(Refusal::InsufficientFunds { payment_id: Some(payment_id) }),
        }
    }

    /// Decides about a cancellation at this time. Only a completed payment can be cancelled, and only once.
    pub(crate) fn cancel(&self, reason: &str, now: i64) -> Cancellation {
        match (self.status, &self.purpose) {
            (PaymentStatus::Completed, Some(purpose)) => Cancellation::TakenBack {
                payment: Self {
                    status: PaymentStatus::Cancelled,
                    reason: word(reason),
                    settled_at: now,
                    ..self.clone()
                },
                user_id: purpose.user_id.clone(),
                refund: self.amount,
            },
            (PaymentStatus::Completed | PaymentStatus::Failed | PaymentStatus::Cancelled, _) => {
                Cancellation::Stands
            }
        }
    }

    /// Whether money was debited for it and given back.
    pub(crate) fn is_refunded(&self) -> bool {
        self.status == PaymentStatus::Cancelled && self.purpose.is_some() && self.amount > 0
    }
}

/// The reason to record for a cancellation.
fn word(reason: &str) -> String {
    if reason.is_empty() { CANCELLED.to_owned() } else { reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(1);

    fn order() -> Order {
        Order { payment_id: ID, user_id: "ann".to_owned(), reservation_id: Uuid::from_u128(2), amount: 300 }
    }

    #[test]
    fn the_same_order_again_is_answered_as_the_first_time() {
        assert_eq!(Payment::completed(&order(), 1).again(&order()), Ok(()));
        let refused = Err(Refusal::InsufficientFunds { payment_id: Some(ID) });
        assert_eq!(Payment::failed(&order(), 1).again(&order()), refused);
    }

    #[test]
    fn another_order_under_a_used_id_is_refused_whatever_became_of_the_first() {
        let others = [
            Order { user_id: "bob".to_owned(), ..order() },
            Order { reservation_id: Uuid::nil(), ..order() },
            Order { amount: 299, ..order() },
        ];
        for other in others {
            for recorded in [Payment::completed(&order(), 1), Payment::failed(&order(), 1)] {
                assert_eq!(recorded.again(&other), Err(Refusal::PaymentReused { payment_id: ID }));
            }
        }
    }

    #[test]
    fn a_completed_payment_is_given_back_once() {
        let completed = Payment::completed(&order(), 1);
        let Cancellation::TakenBack { payment, user_id, refund } = completed.cancel("SEAT_LOST", 9) else {
            panic!("a completed payment can be taken back");
        };
        assert_eq!((user_id.as_str(), refund), ("ann", 300));
        assert_eq!((payment.reason.as_str(), payment.created_at, payment.settled_at), ("SEAT_LOST", 1, 9));
        assert!(payment.is_refunded() && !completed.is_refunded());
        assert_eq!(payment.cancel("AGAIN", 10), Cancellation::Stands);
        assert_eq!(payment.again(&order()), Ok(()), "the order again is answered with what became of it");
    }

    #[test]
    fn a_failed_payment_stays_failed() {
        assert_eq!(Payment::failed(&order(), 1).cancel("", 2), Cancellation::Stands);
    }

    #[test]
    fn a_tombstone_bars_the_order_that_comes_late() {
        let tombstone = Payment::tombstone(ID, "", 1);
        assert_eq!(tombstone.reason, "CANCELLED");
        assert!(!tombstone.is_refunded());
        assert_eq!(tombstone.again(&order()), Err(Refusal::PaymentBarred { payment_id: ID }));
        assert_eq!(tombstone.cancel("", 2), Cancellation::Stands);
    }
}
