//! REST, SSE and WebSocket: requests become commands, answers become JSON, and refusals become problem
//! documents. Nothing is decided here; what is done is a use case of [`app`](crate::app).
//!
//! ```text
//! listener ▸ front ▸ CORS ▸ observe ▸ limited ▸ handler
//!            └─ a poll ▸ observe, without a router ▸ handler
//! ```
//! Everything that a client can send wrongly is answered with a [`problem`] document; nothing that it sends
//! makes a 500.

mod availability;
mod books;
mod concerts;
mod connection;
mod day;
mod docs;
mod draws;
mod extract;
mod fields;
mod front;
pub(crate) mod journal;
mod json;
mod limited;
mod members;
mod mending;
mod middleware;
mod object;
mod openapi;
mod operation;
mod origin;
mod original;
mod pages;
mod payments;
mod problem;
mod queues;
mod reservations;
mod router;
mod seats;
mod serve;
mod stories;
mod streams;
mod tail;
#[cfg(test)]
mod tests;
mod tokens;
mod unread;
mod wallets;

use std::sync::Arc;

use axum::extract::State;

pub(crate) use self::{front::Front, serve::serve};
use crate::app::Edge;

/// The state that every handler gets.
type App = State<Arc<Edge>>;
