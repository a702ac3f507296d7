//! Everything that the rules refuse, by name.

use std::collections::BTreeSet;

/// Why a request was refused. Each is an answer: repeating the request repeats it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No concert has this number.
    #[error("there is no such concert")]
    ConcertNotFound,
    /// No show has this number.
    #[error("there is no such show")]
    ShowNotFound,
    /// The show to be would have begun already.
    #[error("a show that has begun cannot be made")]
    BeginsInThePast,
    /// The show has not got these seats.
    #[error("the show has no such seat")]
    SeatNotFound(BTreeSet<i32>),
    /// Somebody has these seats.
    #[error("somebody has one of these seats")]
    SeatTaken(BTreeSet<i32>),
    /// The show has begun.
    #[error("the show has begun")]
    SalesClosed,
    /// The user would hold more seats of the show than one may.
    #[error("a user may hold {0} seats of a show")]
    HoldLimit(i64),
    /// No hold has this id.
    #[error("there is no such reservation")]
    ReservationNotFound,
    /// The hold is somebody else's.
    #[error("the reservation belongs to another user")]
    NotOwner,
    /// The hold has lapsed.
    #[error("the hold has lapsed")]
    HoldExpired,
    /// The hold was given back.
    #[error("the reservation was cancelled")]
    ReservationCancelled,
    /// The reservation is confirmed (by another payment, where one was named).
    #[error("the reservation is paid for")]
    AlreadyPaid,
    /// The payment has confirmed another reservation.
    #[error("the payment has confirmed another reservation")]
    PaymentUsed,
}
