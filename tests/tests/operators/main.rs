//! What people do beside a mesh: audit it, and fill it with a demo. The commands are the built ones, the meshes real.
#![allow(clippy::unwrap_used, reason = "tests")]

mod audit;
mod demo;

use std::process::ExitCode;

use tests::suite;

fn main() -> ExitCode {
    suite::main(&[], &[&audit::solos(), demo::SOLOS].concat())
}
