//! The failures of the use cases, and the one table that turns each into the fault a caller receives.

use std::{collections::BTreeSet, time::Duration};

use boxoffice_proto::{Fault, Reason};
use chassis::{
    db::{self, Contended},
    idempotency,
    rfc3339::Rfc3339,
};

use crate::domain::{Refusal, refusal::NamedIn};

/// Why a use case failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule of the domain refused the request.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The request id was used for another request.
    #[error("the request id was used for another request")]
    RequestIdReused,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] db::Error),
}

impl Error {
    /// Whether it is certain that the request has changed nothing. A commit whose outcome is unknown is not.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(_) | Self::RequestIdReused => true,
            Self::Db(_) => false,
        }
    }

    /// The value of the `outcome` label in the metrics: the reason that the caller is told.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => reason(refusal).as_str(),
            Self::RequestIdReused => Reason::RequestIdReused.as_str(),
            Self::Db(error) if error.is_passing() => Reason::Unavailable.as_str(),
            Self::Db(_) => Reason::Internal.as_str(),
        }
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

/// The contract's reason for each refusal.
const fn reason(refusal: &Refusal) -> Reason {
    match refusal {
        Refusal::ConcertNotFound => Reason::ConcertNotFound,
        Refusal::ShowNotFound => Reason::ShowNotFound,
        Refusal::SeatNotFound(_) => Reason::SeatNotFound,
        Refusal::SeatTaken(_) => Reason::SeatTaken,
        Refusal::SeatsUnavailable { .. } => Reason::SeatsUnavailable,
        Refusal::Overtaken => Reason::Unavailable,
        Refusal::SalesNotOpen { .. } => Reason::SalesNotOpen,
        Refusal::SalesClosed => Reason::SalesClosed,
        Refusal::ShowCancelled => Reason::ShowCancelled,
        Refusal::HoldLimit(_) | Refusal::SeatLimit(_) | Refusal::CoolingDown { .. } => Reason::HoldLimit,
        Refusal::ReservationNotFound => Reason::ReservationNotFound,
        Refusal::NotOwner => Reason::NotOwner,
        Refusal::HoldExpired => Reason::HoldExpired,
        Refusal::ReservationCancelled => Reason::ReservationCancelled,
        Refusal::AlreadyPaid => Reason::AlreadyPaid,
        Refusal::NotSold => Reason::RefundNotPossible,
        Refusal::Outdated => Reason::PreconditionFailed,
        Refusal::PaymentUsed
        | Refusal::BeginsInThePast
        | Refusal::NeverOnSale
        | Refusal::ClosesTooLate
        | Refusal::SectionNotFound(_) => Reason::InvalidArgument,
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let fault = |detail: &str| Self::new(reason(&refusal), detail);
        match &refusal {
            Refusal::ConcertNotFound => fault("There is no such concert."),
            Refusal::ShowNotFound => fault("There is no such show."),
            Refusal::SeatNotFound(seats) => {
                fault("The show has no such seat.").with("seat_numbers", comma_list(seats))
            }
            Refusal::SeatTaken(seats) => fault("Somebody else has one of these seats; choose others.")
                .with("seat_numbers", comma_list(seats)),
            Refusal::SeatsUnavailable { available, together } => {
                fault("There are not so many seats, or not side by side; ask for fewer, or apart.")
                    .with("available", available)
                    .with("together", together)
            }
            Refusal::Overtaken => {
                fault("Others were faster several times; ask again.").retry_after(Duration::from_secs(1))
            }
            Refusal::SalesNotOpen { opens_at, wait } => fault("The show is not on sale yet.")
                .with("opens_at", Rfc3339::of(*opens_at).as_str())
                .retry_after(Duration::from_micros(wait.unsigned_abs())),
            Refusal::SalesClosed => fault("The show is no longer on sale."),
            Refusal::ShowCancelled => fault("The show is called off."),
            Refusal::NeverOnSale => Self::invalid_field(
                "closes_at",
                "must be after opens_at; without it the sale closes at starts_at",
            ),
            Refusal::ClosesTooLate => {
                Self::invalid_field("closes_at", "must not be after the end of the show")
            }
            Refusal::HoldLimit(limit) => {
                fault("You would hold more seats of this show than one may; pay for or give back some first.")
                    .with("max_held_seats", limit)
            }
            Refusal::SeatLimit(limit) => {
                fault("You would have more seats of this show, held and bought, than one person may.")
                    .with("max_held_seats", limit)
            }
            Refusal::CoolingDown { wait, limit } => {
                fault("Several of your holds of this show ended unpaid; wait a little before the next one.")
                    .with("max_held_seats", limit)
                    .retry_after(Duration::from_micros(wait.unsigned_abs()))
            }
            Refusal::ReservationNotFound => fault("There is no such reservation."),
            Refusal::NotOwner => fault("The reservation belongs to another user."),
            Refusal::HoldExpired => fault("The hold has lapsed; its seats are free again."),
            Refusal::ReservationCancelled => fault("The reservation was cancelled."),
            Refusal::AlreadyPaid => fault("The reservation is paid for already."),
            Refusal::SectionNotFound(NamedIn::Wish) => {
                Self::invalid_field("best_available.section", "must be a section of the show's hall")
            }
            Refusal::SectionNotFound(NamedIn::Prices) => {
                Self::invalid_field("prices", "must name sections that the show has, each at most once")
            }
            Refusal::Outdated => {
                fault("Somebody else has changed this meanwhile; read it again, and decide anew.")
            }
            Refusal::NotSold => fault("The reservation was not sold, so nothing can be taken back."),
            Refusal::BeginsInThePast => Self::invalid_field("starts_at", "must not be in the past"),
            Refusal::PaymentUsed => Self::invalid_field("payment_id", "has paid for another reservation"),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => refusal.into(),
            Error::RequestIdReused => {
                Self::new(Reason::RequestIdReused, "The request id was used for another request.")
            }
            Error::Db(error) => Self::database("The booking database", error.is_passing(), error),
        }
    }
}

fn comma_list(seats: &BTreeSet<i32>) -> String {
    seats.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}
