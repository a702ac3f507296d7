//! All SQL of the service: one function a statement, on a session that the use case has opened.
//!
//! Locks are always taken in one order (payment, wallet, request id), so transactions wait for each other but
//! never in a ring.

pub(crate) mod entries;
pub(crate) mod payments;
pub(crate) mod wallets;

use chassis::db;

/// A word that the program does not know, in a column whose constraint lists those it does.
fn unknown_word(column: &str, word: &str) -> db::Error {
    db::Error::Other(format!("{column} holds '{word}'").into())
}
