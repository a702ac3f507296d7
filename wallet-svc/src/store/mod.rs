//! All SQL of the service: one statement a function, on a session that the use case opened.
//!
//! Every transaction takes its locks in the same order, so that none deadlock: payment, wallet, request id.

pub(crate) mod entries;
pub(crate) mod payments;
pub(crate) mod wallets;

use chassis::db;

/// The failure for a word that this program does not know, in a column whose constraint lists those it knows.
fn unknown_word(column: &str, word: &str) -> db::Error {
    db::Error::Other(format!("{column} holds '{word}'").into())
}
