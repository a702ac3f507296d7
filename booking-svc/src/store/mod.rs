//! All SQL. One query a function, on a session that the use case opened; nothing here decides a rule, but
//! every write repeats the condition under which it is right, so that the row itself decides.
//!
//! Lock order, the same for everybody, so that nobody waits in a circle: the hold's row, then seats by (show,
//! number), then the user's `holder` row.

pub mod catalog;
pub mod holds;
pub mod seats;

use chassis::db::{Error, Migrations};

/// This service's schema.
#[must_use]
pub fn migrations() -> Migrations {
    chassis::migrations!()
}

/// A row that should not be able to exist: a mistake of ours, told to the log.
fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::Other(format!("unreadable row: {what}").into())
}

/// A number that a constraint keeps small.
fn small(value: i64) -> Result<i32, Error> {
    i32::try_from(value).map_err(|_| corrupt(value))
}
