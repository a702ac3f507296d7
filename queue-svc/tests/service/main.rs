//! The waiting room as its callers see it: real gRPC, on both databases, one replica or two.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod beacon;
mod crowd;
mod drawing;
mod harness;
mod hearing;
mod opening;
mod polls;
mod queue;
mod refusals;
mod replicas;
mod retention;
mod rolling;
mod time;
mod watch;
