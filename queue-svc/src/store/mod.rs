//! All SQL of the service: the queues' rows ([`queue`]), the tokens' rows ([`token`]), what was drawn
//! ([`draw`]) and what is to be told ([`event`]). The chassis keeps the recorded answers of requests.
//!
//! Every function works on a session that the caller opened, who decides what is one transaction.

pub mod draw;
pub mod event;
pub mod queue;
pub mod token;

use chassis::db::{Error, Migrations};

/// The migrations that make this service's schema.
#[must_use]
pub fn migrations() -> Migrations {
    chassis::migrations!()
}

/// The failure for a value in a row that no version of this program writes.
fn strange(what: &str, value: i64) -> Error {
    Error::Other(format!("{what} cannot be {value}").into())
}
