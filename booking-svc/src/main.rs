//! booking-svc as a process of its own.

use std::{net::SocketAddr, process::ExitCode};

use booking_svc::{Config, Listeners, Policy, migrate, serve};
use chassis::{
    clock::Clock,
    flags,
    network::{ConnectionArgs, Incoming},
    program::{self, Rows, listen},
    telemetry::LogArgs,
};
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Booking: concerts, shows and seats; seats held for a while, then confirmed or free again
#[derive(Parser)]
#[command(
    name = "booking-svc",
    version = built::version!(),
    mut_arg("database_url", |arg| arg.default_value("sqlite:data/booking.db")),
    after_long_help = EXAMPLES
)]
struct Args {
    /// Where to serve gRPC
    #[arg(long, env, default_value = "127.0.0.1:24071")]
    addr: SocketAddr,
    /// Where to serve /healthz, /readyz and /metrics
    #[arg(long, env, default_value = "127.0.0.1:24072")]
    http_addr: SocketAddr,
    #[command(flatten)]
    connections: ConnectionArgs,
    #[command(flatten)]
    rows: Rows,
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    log: LogArgs,
}

const EXAMPLES: &str = "\
Examples:
  booking-svc                                                                      a SQLite file under ./data, 127.0.0.1 alone
  booking-svc --addr 0.0.0.0:24071 --database-url postgres://booking@db/booking    a replica of a cluster
  booking-svc --migrate-only --database-url postgres://booking@db/booking          before the replicas of a new version
  grpcurl -plaintext 127.0.0.1:24071 list                                          what it serves";

fn main() -> ExitCode {
    let Args { addr, http_addr, connections, rows, policy, log } = flags::parse();
    program::run("booking-svc", &log, rows, migrate, async move |database, shutdown| {
        let (grpc, http) = (listen("--addr", addr)?, listen("--http-addr", http_addr)?);
        let listeners = Listeners { grpc: Incoming::counted(grpc, &connections.counted()), http: Some(http) };
        serve(Config { database, policy }, listeners, Clock::system(), shutdown).await
    })
}
