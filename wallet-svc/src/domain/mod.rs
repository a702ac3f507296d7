//! The rules of wallets and payments, as plain synchronous Rust. Ids and times are arguments; nothing here
//! refers to a database or a protocol.
//!
//! ```text
//! wallet + amount ──charge/spend/pay/refund──▶ movement | refusal
//!
//! payment: ──▶ COMPLETED ──cancel──▶ CANCELLED
//!           └─▶ FAILED
//! cancel first ──▶ CANCELLED (a tombstone)
//! ```

pub(crate) mod payment;
#[cfg(test)]
mod properties;
pub(crate) mod refusal;
pub(crate) mod wallet;

pub(crate) use payment::{Cancellation, Order, Payment, PaymentStatus, Purpose};
pub(crate) use refusal::Refusal;
pub(crate) use wallet::{Entry, Kind, Movement, Wallet};
