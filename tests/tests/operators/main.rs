//! What people do to a mesh: audit it, back it up, fill it with a demo, roll it over, end it. The commands
//! are the built ones, the meshes real.
#![allow(clippy::unwrap_used, reason = "tests")]

mod audit;
mod backup;
mod demo;
mod draws;
mod ending;
mod files;
mod rolling;
mod secured;

use std::process::ExitCode;

use tests::suite;

fn main() -> ExitCode {
    suite::main(
        &[],
        &[
            &audit::solos(),
            &backup::solos(),
            &demo::solos(),
            draws::SOLOS,
            ending::SOLOS,
            &files::solos(),
            rolling::SOLOS,
            &secured::solos(),
        ]
        .concat(),
    )
}
