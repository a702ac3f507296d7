//! gRPC: reads requests, hands them to [`crate::app`], writes answers. Nothing is decided here but whether a
//! field makes sense.

mod convert;
mod service;

pub use service::Service;
