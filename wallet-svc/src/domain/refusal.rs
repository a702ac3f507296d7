//! Why a well-formed request is not done. Each has one reason of the contract; the table is in `error`.

use uuid::Uuid;

/// A named "no".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The amount is not one that may be moved.
    AmountOutOfRange,
    /// The wallet would hold more than any wallet may.
    BalanceLimit,
    /// The user has no wallet.
    WalletNotFound {
        /// Who.
        user_id: String,
    },
    /// The balance does not cover it. How much is missing is not told: the request may come from somebody
    /// else's hands.
    InsufficientFunds {
        /// The payment that was recorded as FAILED; `None` when it was a use.
        payment_id: Option<Uuid>,
    },
    /// There is no payment with this id.
    PaymentNotFound {
        /// Which.
        payment_id: Uuid,
    },
    /// The payment's id was used for another payment.
    PaymentReused {
        /// Which.
        payment_id: Uuid,
    },
    /// The payment was cancelled before it arrived.
    PaymentBarred {
        /// Which.
        payment_id: Uuid,
    },
}
