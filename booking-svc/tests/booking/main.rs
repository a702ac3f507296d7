//! The service on both databases: every test runs on SQLite and on PostgreSQL, with a clock that stands until
//! it is moved.
#![allow(clippy::unwrap_used, reason = "tests")]

mod availability;
mod batches;
mod best;
mod books;
mod cancelling;
mod catalog;
mod contention;
mod cooldown;
mod costs;
mod events;
mod halls;
mod lifecycle;
mod mending;
mod retention;
mod rolling;
mod schema;
mod sizes;
mod venues;
mod views;
mod wire;
mod world;
