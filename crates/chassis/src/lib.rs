//! What every service of a mesh needs and none is about: telemetry, lifecycle, gRPC servers and clients,
//! databases.
//!
//! Nothing in here knows the product. A service built on it is a function of its configuration, its
//! listeners, a [`clock::Clock`] and a shutdown token; only [`lifecycle::run`] touches what a process has
//! once (signals, the log subscriber, the exit code).

pub mod alerts;
pub mod arrival;
pub mod back_off;
pub mod background;
pub mod channel;
pub mod clock;
pub mod collector;
pub mod context;
pub mod db;
mod error;
mod exporter;
pub mod flags;
pub mod health;
pub mod hex;
pub mod host;
pub mod idempotency;
pub mod in_process;
pub mod lifecycle;
pub mod limits;
pub mod meters;
pub mod network;
pub mod page;
pub mod probes;
pub mod program;
pub mod prune;
pub mod rfc3339;
pub mod server;
pub mod telemetry;
pub mod testing;
pub mod threads;
pub mod ticks;
pub mod tls;
pub mod trace;
mod tracestate;
pub mod web;

pub use error::Error;

/// A service as it runs. Boxed, so that its code is made once, with its own crate, and not again with every
/// program that awaits it.
pub type Serving = futures::future::BoxFuture<'static, Result<(), Error>>;
