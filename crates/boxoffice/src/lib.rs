//! The whole mesh in one process: the same four services over real gRPC on loopback, each on a database of its own.
//!
//! [`Stack::start`] binds every address before anything else happens, so a wrong one is told at once; [`Stack::run`] ends when it
//! is told to, the edge first, so that what people have begun still finds the services that finish it.

mod stack;

pub use stack::{Addresses, Databases, Settings, Stack};
