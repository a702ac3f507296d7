//! All SQL of the service: one statement a function, on a session that the use case opened. Nothing here
//! decides a rule, but every write repeats the condition under which it is right, so that a stale read cannot
//! make it wrong.
//!
//! Every transaction takes its locks in the same order, so that none deadlock: shows whose seats it chooses,
//! then holds by their ids, then seats by (show, number), then `holder` rows by user and show, then the rows
//! of recorded answers by their names, then the versions of shows' seats.

pub mod books;
pub mod cancelling;
pub mod catalog;
pub mod changes;
pub mod events;
pub mod holds;
pub mod mending;
pub mod refunds;
pub mod seats;
pub mod show_events;

use chassis::db::{Error, Migrations};

/// The migrations that make this service's schema.
#[must_use]
pub fn migrations() -> Migrations {
    chassis::migrations!()
}

/// The failure for a row that the constraints should not have let in: a mistake in this program.
fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::Other(format!("unreadable row: {what}").into())
}

/// Reads a number that a constraint keeps within 32 bits.
fn small(value: i64) -> Result<i32, Error> {
    i32::try_from(value).map_err(|_| corrupt(value))
}
