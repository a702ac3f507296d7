//! The failures of the use cases, and the one table that turns each into the fault a caller receives.

use std::time::Duration;

use boxoffice_proto::{Fault, Reason};
use chassis::{
    db::{self, Contended},
    idempotency,
};

use crate::domain::{PolicyRefusal, TokenStatus};

/// Why a use case failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// No queue has this id.
    #[error("no queue {0}")]
    QueueNotFound(String),
    /// No token has this id.
    #[error("no such token")]
    TokenNotFound,
    /// The token is not ACTIVE; it has this status.
    #[error("the token is {}", .0.as_str())]
    TokenNotActive(TokenStatus),
    /// There is no such token of the user who asks.
    #[error("no such token of this user")]
    NotOwner,
    /// The token was issued to another user.
    #[error("the token is another user's")]
    TokenWrongUser,
    /// The token was issued by another queue.
    #[error("the token is of another queue")]
    TokenWrongQueue,
    /// As many tokens wait as the policy allows. The number is after how many microseconds to ask again.
    #[error("the queue is full")]
    QueueFull(i64),
    /// The queue exists with another policy.
    #[error("the queue exists with another policy")]
    PolicyDiffers,
    /// The policy cannot be as the request asks.
    #[error("the policy was refused: {0:?}")]
    Policy(PolicyRefusal),
    /// The queue does not open by lot.
    #[error("the queue has no draw")]
    NoDraw,
    /// The draw was not held yet.
    #[error("the draw was not held yet")]
    NotDrawnYet,
    /// The token took no part in the draw.
    #[error("the token has no lot")]
    NoLot,
    /// The request id was used for another request.
    #[error("the request id was used for another request")]
    RequestIdReused,
    /// As many commands wait as the writer takes, and this one was not decided. The number is after how many
    /// microseconds to ask again.
    #[error("too many commands are waiting")]
    Busy(i64),
    /// The transaction failed, or it is unknown whether it was committed. The cause is in the log.
    #[error("the outcome is unknown")]
    Unknown,
    /// A mistake of this program made a batch fail. Each caller of the batch gets it, so that the log has it
    /// in the trace of each.
    #[error("something went wrong that should not: {0}")]
    Internal(String),
}

impl Error {
    /// Whether this failure is a mistake of this program, and neither the caller's nor the state of the
    /// database.
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
                    // As a member of a problem document `status` is the number of HTTP.
                    .with("token_status", status.as_str())
            }
            Error::NotOwner => Self::new(Reason::NotOwner, Reason::NotOwner.title()),
            Error::TokenWrongUser => Self::new(Reason::TokenWrongUser, "The token belongs to another user."),
            Error::TokenWrongQueue => Self::new(Reason::TokenWrongQueue, "The token is of another queue."),
            Error::QueueFull(after) => come_back(Reason::QueueFull, "The line is full.", after),
            Error::PolicyDiffers => Self::invalid_field(
                "policy",
                "differs from the policy of the queue, which exists already: use UpdateQueue",
            ),
            Error::Policy(PolicyRefusal::NoInstant) => {
                Self::invalid_field("policy.opens_at", "is needed where the opening is DRAW")
            }
            Error::Policy(PolicyRefusal::Fixed) => Self::new(
                Reason::FailedPrecondition,
                "Somebody has joined this queue, so a draw cannot be set, moved or taken back any more: what was \
                 announced to the first holds for all. Make another queue.",
            ),
            Error::Policy(PolicyRefusal::NoBeaconAwaited) => Self::new(
                Reason::FailedPrecondition,
                "No draw of this queue waits for its beacon, so there is none to be held without.",
            ),
            Error::Policy(PolicyRefusal::BeaconAway) => later(
                "The beacon of the draw cannot be announced: its relay gave no answer that can be believed. \
                 Send the same request again.",
            ),
            Error::NoDraw => Self::new(Reason::NotFound, "This queue does not open by lot."),
            Error::NotDrawnYet => Self::new(
                Reason::FailedPrecondition,
                "The draw was not held yet. Ask again after the queue has opened.",
            ),
            Error::NoLot => Self::new(
                Reason::NotFound,
                "This token took no part in the draw: it was issued after the opening, or given back before.",
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
