//! What the mesh does, asked of real processes by real clients, in each of its shapes: one process on SQLite, one on PostgreSQL, and
//! the four programs with two replicas each. `cargo test -p tests --test behaviours -- cluster::acceptance` runs a part of it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod acceptance;
mod bad_input;
mod deadlines;
mod errors;
mod failures;
mod idempotency;
mod lines;
mod live;
mod operations;
mod original;
mod outages;
mod reading;
mod replicas;
mod restarts;
mod saga;
mod short_holds;

use std::process::ExitCode;

use tests::suite::{self, Group};

fn main() -> ExitCode {
    let ordinary = Group {
        label: "",
        flags: &[],
        together: [
            acceptance::TOGETHER,
            failures::TOGETHER,
            errors::TOGETHER,
            bad_input::TOGETHER,
            idempotency::TOGETHER,
            lines::TOGETHER,
            live::TOGETHER,
            operations::TOGETHER,
            original::TOGETHER,
            reading::TOGETHER,
        ]
        .concat(),
        alone: [acceptance::ALONE, deadlines::ALONE, saga::ALONE].concat(),
    };
    let short_holds =
        Group { label: "short_holds", flags: &["--hold-ttl", "2s"], together: short_holds::TOGETHER.to_vec(), alone: Vec::new() };
    suite::main(&[ordinary, short_holds], &[restarts::SOLOS, replicas::SOLOS, outages::SOLOS].concat())
}
