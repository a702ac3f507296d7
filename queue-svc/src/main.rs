//! The program queue-svc: a process with its flags, around the service that the library holds.

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
use queue_svc::{BeaconArgs, Config, Policy, Retention, migrate, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const VERSION: &str = built::version!();

/// The virtual waiting room: a fair line in front of an on-sale
#[derive(Parser)]
#[command(
    name = "queue-svc",
    version = VERSION,
    mut_arg("database_url", |arg| arg.default_value("sqlite:data/queue.db")),
    after_long_help = EXAMPLES
)]
struct Args {
    /// Where to serve gRPC
    #[arg(long, env, default_value = "127.0.0.1:24031")]
    addr: SocketAddr,
    /// Where to serve /healthz, /readyz and /metrics
    #[arg(long, env, default_value = "127.0.0.1:24032")]
    http_addr: SocketAddr,
    #[command(flatten)]
    connections: ConnectionArgs,
    #[command(flatten)]
    rows: Rows,
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    beacon: BeaconArgs,
    #[command(flatten)]
    requests: idempotency::RequestRetention,
    #[command(flatten)]
    retention: Retention,
    #[command(flatten)]
    access: ServiceArgs,
    #[command(flatten, next_help_heading = "Logs")]
    log: LogArgs,
}

const EXAMPLES: &str = "\
Examples:
  queue-svc                                                                  a SQLite file under ./data, 127.0.0.1 alone
  queue-svc --addr 0.0.0.0:24031 --insecure-open --database-url postgres://queue@db/queue    a replica of a cluster
  queue-svc --migrate-only --database-url postgres://queue@db/queue          before the replicas of a new version
  grpcurl -plaintext 127.0.0.1:24031 list                                    what it serves";

fn main() -> ExitCode {
    let Args { addr, http_addr, connections, rows, policy, beacon, requests, retention, access, log } =
        flags::parse();
    program::run(
        Program { name: "queue-svc", version: VERSION },
        &log,
        rows,
        migrate,
        async move |database, shutdown| {
            let clock = Clock::system();
            let (doors, listeners) =
                access.open(addr, http_addr, connections, clock.clone(), shutdown.clone()).await?;
            let relay = beacon.relay()?;
            let config = Config { database, policy, relay, requests, retention, doors };
            serve(config, listeners, clock, shutdown).await
        },
    )
}
