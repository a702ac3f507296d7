//! The harness: the mesh as people run it (real processes, real clients, both databases), ready to be asked
//! questions.
//!
//! - [`mesh`] starts the programs in one of three [`mesh::Shape`]s, kills and restarts them, and stops them
//!   at the end.
//! - [`client`] speaks REST to it, [`grpc`] speaks gRPC, [`pages`] speak gRPC-Web; [`world`] knows the steps
//!   of an on-sale.
//! - [`audit`] looks into the databases afterwards: money conserved, no seat twice, nothing half-done.
//! - [`trial`] runs one checkout through a mesh in which [`faults`] befall its calls ([`proxy`], [`wire`]),
//!   and judges what became of it; [`load`] keeps buying whatever happens, and looks for what it was told;
//!   [`server`] is a PostgreSQL that may be crashed.
//! - [`requests`] has the requests for shows and holds, [`raw`] calls any method by its path; [`patience`]
//!   says how long to wait for anything.
//! - [`collector`] takes the spans of traces.
//! - [`receiver`] is told of events and alerts.
//! - [`keys`] are the certificates of a mesh whose programs prove to each other who they are.
//! - [`raw`] calls any method by its path; [`patience`] says how long to wait for anything.
//! - [`suite`] runs scenarios against shared meshes, and fails when a mesh does not end cleanly.
//!
//! Nothing outside the checkout is assumed to be running but the PostgreSQL of `TEST_POSTGRES_URL`, which
//! `tests/run` starts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a harness that cannot go on should say where, and fail the test"
)]

pub use chassis::testing::patience;

pub mod audit;
pub mod client;
pub mod collector;
pub mod databases;
pub mod eventually;
pub mod faults;
pub mod frames;
pub mod grpc;
pub mod keys;
pub mod load;
pub mod mesh;
pub mod pages;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod receiver;
pub mod relay;
pub mod requests;
pub mod server;
mod shape;
pub mod suite;
pub mod trial;
pub mod wire;
pub mod world;
