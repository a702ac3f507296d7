//! All SQL of queue-svc: the queue's row ([`queue`]), its tokens ([`token`]). Answered requests are
//! the chassis's.
//!
//! Every function runs in a session of its caller, who decides what is one transaction.

pub mod queue;
pub mod token;

use chassis::db::{Error, Migrations};

/// The tables.
#[must_use]
pub fn migrations() -> Migrations {
    chassis::migrations!()
}

/// A value in a row that no version of this program wrote.
fn strange(what: &str, value: i64) -> Error {
    Error::Other(format!("{what} cannot be {value}").into())
}
