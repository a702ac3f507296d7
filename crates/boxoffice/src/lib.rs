//! The whole mesh in one process: the same four services over gRPC, each on a database of its own. The edge
//! calls the others in-process ([`chassis::in_process`]); everybody else reaches them where they listen.
//!
//! [`Stack::start`] binds every address before anything else happens, so a wrong one is told at once;
//! [`Stack::run`] ends when it is told to, the edge first, so that what people have begun still finds the
//! services that finish it.

mod stack;

pub use stack::{Addresses, Databases, Settings, Stack, StackRetention};
