//! Why a request to queue-svc is refused, and how each refusal is told.

use std::time::Duration;

use boxoffice_proto::{Fault, Reason};
use chassis::{
    db::{self, Contended},
    idempotency,
};

use crate::domain::TokenStatus;

/// A refusal or a failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// There is no such queue.
    #[error("no queue {0}")]
    QueueNotFound(String),
    /// There is no such token.
    #[error("no such token")]
    TokenNotFound,
    /// The token admits nobody at this moment.
    #[error("the token is {}", .0.as_str())]
    TokenNotActive(TokenStatus),
    /// The token is somebody else's.
    #[error("the token is another user's")]
    TokenWrongUser,
    /// The token is of another queue.
    #[error("the token is of another queue")]
    TokenWrongQueue,
    /// The queue is full; ask again after so many microseconds.
    #[error("the queue is full")]
    QueueFull(i64),
    /// The queue exists with another policy.
    #[error("the queue exists with another policy")]
    PolicyDiffers,
    /// The request id was used for another request.
    #[error("the request id was used for another request")]
    RequestIdReused,
    /// More commands wait than are taken, and nothing was done of this one; ask again after so many
    /// microseconds.
    #[error("too many commands are waiting")]
    Busy(i64),
    /// The transaction failed, or whether it was committed is unknown. The cause is in the log.
    #[error("the outcome is unknown")]
    Unknown,
    /// A mistake of ours that made a batch fail: told to each of its callers, so that it is in the log of
    /// each one's trace.
    #[error("something went wrong that should not: {0}")]
    Internal(String),
}

impl Error {
    /// Is it neither the caller's doing nor the database's state, but wrong in itself?
    pub(crate) const fn is_a_mistake(&self) -> bool {
        matches!(self, Self::Internal(_)) || matches!(self, Self::Db(error) if !error.is_passing())
    }
}

impl Contended for Error {
    fn is_contended(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_contended())
    }
}

impl From<idempotency::Error> for Error {
    fn from(error: idempotency::Error) -> Self {
        match error {
            idempotency::Error::Reused => Self::RequestIdReused,
            idempotency::Error::Db(error) => Self::Db(error),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Db(error) => Self::database("The waiting room's database", error.is_passing(), error),
            Error::Internal(cause) => Self::internal(format_args!("a batch failed: {cause}")),
            Error::QueueNotFound(queue_id) => {
                Self::new(Reason::QueueNotFound, "There is no such queue.").with("queue_id", queue_id)
            }
            Error::TokenNotFound => Self::new(Reason::TokenNotFound, "There is no such token."),
            Error::TokenNotActive(status) => {
                Self::new(Reason::TokenNotActive, format!("The token is {}, not ACTIVE.", status.as_str()))
                    .with("status", status.as_str())
            }
            Error::TokenWrongUser => Self::new(Reason::TokenWrongUser, "The token belongs to another user."),
            Error::TokenWrongQueue => Self::new(Reason::TokenWrongQueue, "The token is of another queue."),
            Error::QueueFull(after) => come_back(Reason::QueueFull, "The line is full.", after),
            Error::PolicyDiffers => Self::invalid_field(
                "policy",
                "differs from the policy of the queue, which exists already: use UpdateQueue",
            ),
            Error::RequestIdReused => {
                Self::new(Reason::RequestIdReused, "The request id was used for another request.")
            }
            Error::Busy(after) => come_back(
                Reason::RateLimited,
                "More people are coming than can be written down at this moment.",
                after,
            ),
            Error::Unknown => {
                later("The waiting room could not make sure of this. Send the same request again.")
            }
        }
    }
}

fn come_back(reason: Reason, detail: &str, after: i64) -> Fault {
    let seconds = u64::try_from(after).unwrap_or(0).div_ceil(1_000_000).max(1);
    Fault::new(reason, format!("{detail} Try again in {seconds} s."))
        .retry_after(Duration::from_secs(seconds))
}

fn later(detail: &str) -> Fault {
    Fault::new(Reason::Unavailable, detail).retry_after(Duration::from_secs(1))
}
