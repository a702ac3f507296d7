//! Why the rules refuse a well-formed request. The table in `error` gives each refusal its reason of the
//! contract.

use uuid::Uuid;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The amount is outside the range of one movement.
    AmountOutOfRange,
    /// The charge would fill the wallet beyond the highest balance.
    BalanceLimit,
    /// The user has no wallet.
    WalletNotFound {
        /// The user of the request.
        user_id: String,
    },
    /// The balance does not cover the amount. The answer does not say how much is missing, because the caller
    /// may not be the wallet's owner.
    InsufficientFunds {
        /// The payment that was recorded as FAILED; `None` when the request was a use.
        payment_id: Option<Uuid>,
    },
    /// No payment has this id.
    PaymentNotFound {
        /// The id of the request.
        payment_id: Uuid,
    },
    /// The payment's id was used for another payment.
    PaymentReused {
        /// The id of the request.
        payment_id: Uuid,
    },
    /// The payment was cancelled before it arrived.
    PaymentBarred {
        /// The payment's id.
        payment_id: Uuid,
    },
}
