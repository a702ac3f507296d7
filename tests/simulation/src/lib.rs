//! The whole mesh in virtual time, on a network that delays, loses, cuts and stalls, with servers that die: a
//! run is its seed.
//!
//! - [`plan`], [`hall`]: what a seed decides; [`weather`]: what goes wrong
//! - [`mesh`]: the services as they are, on the simulated network
//! - [`person`], [`office`], [`clerk`], [`mending`]: who uses them, over REST
//! - [`model`]: what they were told, and what must be true because of it
//! - [`mistake`]: programs that are wrong on purpose, to see that it is found
//! - [`run`]: one seed; [`history`]: what happened in it
//! - [`child`]: a seed in a process of its own, so that nothing outside of the seed has a part in it;
//!   [`forge`]: mistakes that are made on purpose
//!
//! **Why a run is reproducible.** Every server has a single-threaded runtime whose time is virtual, and they
//! run one after the other. Databases answer at once (`chassis::db::simulate`). All randomness, down to the
//! hash maps' keys, comes from the system call that `simulated-seed` replaces, and so from the seed. A
//! process runs one seed.

pub mod child;
pub mod clerk;
pub mod forge;
pub mod hall;
pub mod history;
pub mod mending;
pub mod mesh;
pub mod mistake;
pub mod model;
pub mod office;
pub mod person;
pub mod plan;
pub mod rest;
pub mod run;
pub mod weather;

/// Seeds that once found something, and what it was: they come first, always.
pub const KNOWN: &[(u64, &str)] =
    &[(474, "the model took a hold that a replica ahead in time had swept for one that still held")];
