#!/usr/bin/env bash
# sqlx 0.9.0 (crates.io): `Pool::num_idle` may tell a number near 2^64 for a pool that has four connections.
#
# What somebody expects who puts it on a board: a number from 0 to `Pool::size`. A pool counts an idle connection after it has put it where
# others can take it, and whoever takes one subtracts at once; so while connections are taken and given back by several threads the unsigned
# counter is below zero for moments, and is told as it stands. Nothing but the figure is wrong, but a sum over two pools overflows (a panic in
# a debug build), and a gauge jumps to 1.8e19.
#
# Seen: `num_idle` of 18446744073709551615 with a `size` of 4, within a second on two cores. This script fails when that is not seen any more.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "idle"
version = "0.0.0"
edition = "2024"

[dependencies]
sqlx = { version = "=0.9.0", default-features = false, features = ["runtime-tokio", "sqlite-bundled"] }
tokio = { version = "1.54", features = ["macros", "rt-multi-thread", "time"] }
TOML
cat >"$work/src/main.rs" <<'RUST'
use std::{process::ExitCode, thread, time::{Duration, Instant}};

use sqlx::sqlite::SqlitePoolOptions;

#[tokio::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() -> ExitCode {
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .test_before_acquire(false)
        .connect_lazy("sqlite::memory:")
        .expect("an address");
    for _ in 0..16 {
        let pool = pool.clone();
        tokio::spawn(async move {
            loop {
                drop(pool.acquire().await);
            }
        });
    }
    let watched = pool.clone();
    let seen = thread::spawn(move || {
        let until = Instant::now() + Duration::from_secs(120);
        while Instant::now() < until {
            let (idle, size) = (watched.num_idle(), watched.size());
            if idle > 1_000_000 {
                return Some((idle, size));
            }
        }
        None
    });
    match tokio::task::spawn_blocking(move || seen.join().expect("no panic")).await.expect("no panic") {
        Some((idle, size)) => {
            println!("num_idle is {idle} while size is {size}");
            std::process::exit(0)
        }
        None => {
            println!("num_idle was never more than size");
            std::process::exit(1)
        }
    }
}
RUST
cd "$work"
CARGO_TARGET_DIR=$work/target cargo run --quiet
