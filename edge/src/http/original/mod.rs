//! The routes of the original API document, kept for its clients. They do the same as the other routes, with
//! the same checks.
//!
//! `concertOptionId` is a show, `seatId` a seat's number and `tokenValue` a token; the queue is `default`.

pub(super) mod money;
pub(super) mod seats;
pub(super) mod token;

use super::operation::Operation;

/// What each operation may be refused with.
pub(super) const OPERATIONS: [&[Operation]; 3] = [money::OPERATIONS, seats::OPERATIONS, token::OPERATIONS];
