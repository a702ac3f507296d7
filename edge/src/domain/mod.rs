//! The rules of paying and of following a place, as plain synchronous Rust: no I/O, no SQL, no wire types;
//! time and ids come in as arguments.

pub(crate) mod action;
pub(crate) mod call_off;
pub(crate) mod checkout;
pub(crate) mod event;
pub(crate) mod history;
pub(crate) mod pace;
pub(crate) mod poll_pace;
pub(crate) mod saga;
pub(crate) mod story;
