//! The wallet service as a process of its own.

use std::{net::SocketAddr, process::ExitCode};

use access::ServiceArgs;
use chassis::{
    clock::Clock,
    flags, idempotency,
    lifecycle::Program,
    network::ConnectionArgs,
    program::{self, Rows},
    telemetry::LogArgs,
};
use clap::Parser;
use wallet_svc::{Config, Policy, migrate, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const VERSION: &str = built::version!();

/// Prepaid wallets over gRPC: an append-only ledger and its payments
#[derive(Parser)]
#[command(
    name = "wallet-svc",
    version = VERSION,
    mut_arg("database_url", |arg| arg.default_value("sqlite:data/wallet.db")),
    after_long_help = EXAMPLES
)]
struct Args {
    /// Where to serve gRPC
    #[arg(long, env, default_value = "127.0.0.1:24081")]
    addr: SocketAddr,
    /// Where to serve /healthz, /readyz and /metrics
    #[arg(long, env, default_value = "127.0.0.1:24082")]
    http_addr: SocketAddr,
    #[command(flatten)]
    connections: ConnectionArgs,
    #[command(flatten)]
    rows: Rows,
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    requests: idempotency::RequestRetention,
    #[command(flatten)]
    access: ServiceArgs,
    #[command(flatten, next_help_heading = "Logs")]
    log: LogArgs,
}

const EXAMPLES: &str = "\
Examples:
  wallet-svc                                                                    a SQLite file under ./data, 127.0.0.1 alone
  wallet-svc --addr 0.0.0.0:24081 --insecure-open --database-url postgres://wallet@db/wallet    a replica of a cluster
  wallet-svc --migrate-only --database-url postgres://wallet@db/wallet          before the replicas of a new version
  grpcurl -plaintext 127.0.0.1:24081 list                                       what it serves";

fn main() -> ExitCode {
    let Args { addr, http_addr, connections, rows, policy, requests, access, log } = flags::parse();
    program::run(
        Program { name: "wallet-svc", version: VERSION },
        &log,
        rows,
        migrate,
        async move |database, shutdown| {
            let clock = Clock::system();
            let (doors, listeners) =
                access.open(addr, http_addr, connections, clock.clone(), shutdown.clone()).await?;
            serve(Config { database, policy, requests, doors }, listeners, clock, shutdown).await
        },
    )
}
