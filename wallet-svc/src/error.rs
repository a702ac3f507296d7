//! The failures of the use cases, and the one table that turns each into the fault a caller receives.

use boxoffice_proto::{Fault, Reason};
use chassis::{
    db::{self, Contended},
    idempotency,
};

use crate::domain::{Refusal, wallet};

/// Why a use case failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A rule of the domain refused the request.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// The request id was used for another request.
    #[error("the request id was used for another request")]
    RequestReused,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] db::Error),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<idempotency::Error> for Error {
    fn from(error: idempotency::Error) -> Self {
        match error {
            idempotency::Error::Reused => Self::RequestReused,
            idempotency::Error::Db(error) => Self::Db(error),
        }
    }
}

impl Contended for Error {
    fn is_contended(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_contended())
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => refusal.into(),
            Error::RequestReused => Self::new(
                Reason::RequestIdReused,
                "This request_id was used for another request; choose a fresh one.",
            ),
            Error::Db(error) => Self::database("The ledger", error.is_passing(), error),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::AmountOutOfRange => Self::invalid_field(
                "amount",
                format!("must be {} to {}", wallet::AMOUNT.start(), wallet::AMOUNT.end()),
            ),
            Refusal::BalanceLimit => Self::invalid_field(
                "amount",
                format!("would take the balance beyond {}", wallet::BALANCE_LIMIT),
            ),
            Refusal::WalletNotFound { user_id } => {
                Self::new(Reason::WalletNotFound, "This user has no wallet yet; the first charge opens it.")
                    .with("user_id", user_id)
            }
            Refusal::InsufficientFunds { payment_id: Some(payment_id) } => Self::new(
                Reason::InsufficientFunds,
                "The balance does not cover this payment; it is recorded as FAILED.",
            )
            .with("payment_id", payment_id),
            Refusal::InsufficientFunds { payment_id: None } => {
                Self::new(Reason::InsufficientFunds, "The balance does not cover this; nothing was moved.")
            }
            Refusal::PaymentNotFound { payment_id } => {
                Self::new(Reason::PaymentNotFound, Reason::PaymentNotFound.title())
                    .with("payment_id", payment_id)
            }
            Refusal::PaymentReused { payment_id } => {
                Self::new(Reason::RequestIdReused, "This payment_id was used for another payment.")
                    .with("payment_id", payment_id)
            }
            Refusal::PaymentBarred { payment_id } => {
                Self::new(Reason::ReservationCancelled, "This payment was cancelled before it arrived.")
                    .with("payment_id", payment_id)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_database_out_of_reach_says_when_to_come_back() {
        let fault = Fault::from(Error::Db(db::Error::lost_race("the payment")));
        assert_eq!((fault.reason, fault.retry_after), (Reason::Unavailable, Some(Duration::from_secs(1))));
        let fault = Fault::from(Error::Db(db::Error::Unavailable(sqlx::Error::PoolTimedOut)));
        assert_eq!((fault.reason, fault.retry_after), (Reason::Unavailable, Some(Duration::from_secs(1))));
    }

    #[test]
    fn what_nobody_expected_tells_the_caller_nothing() {
        let fault = Fault::from(Error::Db(db::Error::Other("password=hunter2".into())));
        assert_eq!(fault.reason, Reason::Internal);
        assert!(!fault.to_string().contains("hunter2"));
    }
}
