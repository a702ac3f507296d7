//! The whole mesh in one process: the same four services over gRPC, each with a database of its own. The edge
//! calls the others in-process ([`chassis::in_process`]); everybody else reaches them on the addresses where
//! they listen.
//!
//! [`Stack::start`] binds every address before anything else happens, so a wrong one is reported at once.
//! [`Stack::run`] ends the edge first, so that the requests in flight still find the services that they need.

mod stack;

pub use stack::{Addresses, Databases, Settings, Stack, StackRetention};
