//! Every refusal of the rules, by name.

use std::collections::BTreeSet;

/// Which part of a request names a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedIn {
    /// The wish for the best seats.
    Wish,
    /// The prices that a show is to have.
    Prices,
}

/// Why a request was refused. A refusal is a final answer: the same request without a change in between is
/// refused again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No concert has this id.
    #[error("there is no such concert")]
    ConcertNotFound,
    /// No show has this id.
    #[error("there is no such show")]
    ShowNotFound,
    /// The new show would have begun already.
    #[error("a show that has begun cannot be made")]
    BeginsInThePast,
    /// The show has no seats with these numbers.
    #[error("the show has no such seat")]
    SeatNotFound(BTreeSet<i32>),
    /// Another hold or reservation has these seats.
    #[error("somebody has one of these seats")]
    SeatTaken(BTreeSet<i32>),
    /// Fewer seats than were wished are free, or fewer go side by side.
    #[error("there are not so many seats")]
    SeatsUnavailable {
        /// How many seats are free in the section, or in the hall.
        available: i32,
        /// How many of them go side by side at most.
        together: i32,
    },
    /// Another request took the seats that were chosen for this one, which may choose again.
    #[error("somebody was faster")]
    Overtaken,
    /// The show's seats are not sold yet.
    #[error("the sale has not opened")]
    SalesNotOpen {
        /// When it opens, in microseconds since 1970 UTC.
        opens_at: i64,
        /// How long that is from now, in microseconds.
        wait: i64,
    },
    /// The show has begun or its sale has closed, so its seats are no longer sold.
    #[error("the sale has closed")]
    SalesClosed,
    /// The show is called off.
    #[error("the show is called off")]
    ShowCancelled,
    /// The show would be on sale at no time.
    #[error("the sale would close before it opens")]
    NeverOnSale,
    /// The show's sale would close after the show has ended.
    #[error("the sale would close after the show")]
    ClosesTooLate,
    /// The user would hold more seats of the show than this limit.
    #[error("a user may hold {0} seats of a show")]
    HoldLimit(i64),
    /// The user would have more seats of the show, held and bought, than this number that the show allows.
    #[error("a user may have {0} seats of the show")]
    SeatLimit(i64),
    /// Too many holds of the user ended unpaid lately.
    #[error("a user whose holds end unpaid waits before the next one")]
    CoolingDown {
        /// How long the user must wait, in microseconds.
        wait: i64,
        /// How many seats of a show a user may hold.
        limit: i64,
    },
    /// No hold has this id.
    #[error("there is no such reservation")]
    ReservationNotFound,
    /// The hold belongs to another user.
    #[error("the reservation belongs to another user")]
    NotOwner,
    /// The hold has expired.
    #[error("the hold has lapsed")]
    HoldExpired,
    /// The hold was cancelled.
    #[error("the reservation was cancelled")]
    ReservationCancelled,
    /// The reservation is confirmed; where the request names a payment, by another one.
    #[error("the reservation is paid for")]
    AlreadyPaid,
    /// The hall of the show has no section of the name that stands in this part of the request.
    #[error("the show has no such section")]
    SectionNotFound(NamedIn),
    /// What is to be changed is not as it was when the request was made.
    #[error("somebody has changed it meanwhile")]
    Outdated,
    /// The reservation is not one that was sold, so that nothing can be taken back.
    #[error("the reservation was not sold")]
    NotSold,
    /// The payment has confirmed another reservation.
    #[error("the payment has confirmed another reservation")]
    PaymentUsed,
}
