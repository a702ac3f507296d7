//! booking-svc as a process of its own.

use std::{net::SocketAddr, process::ExitCode};

use access::ServiceArgs;
use booking_svc::{Config, Policy, Retention, migrate, serve};
use boxoffice_proto::Currency;
use chassis::{
    clock::Clock,
    flags, idempotency,
    lifecycle::Program,
    network::ConnectionArgs,
    program::{self, Rows},
    telemetry::LogArgs,
};
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const VERSION: &str = built::version!();

/// Booking: concerts, shows and seats; seats held for a while, then confirmed or free again
#[derive(Parser)]
#[command(
    name = "booking-svc",
    version = VERSION,
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
    /// The currency of every price, an ISO 4217 code with a minor unit; prices are whole numbers of that. The
    /// same at wallet-svc
    #[arg(long, env, default_value = "KRW")]
    currency: Currency,
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
  booking-svc                                                                      a SQLite file under ./data, 127.0.0.1 alone
  booking-svc --addr 0.0.0.0:24071 --insecure-open --database-url postgres://booking@db/booking    a replica of a cluster
  booking-svc --migrate-only --database-url postgres://booking@db/booking          before the replicas of a new version
  grpcurl -plaintext 127.0.0.1:24071 list                                          what it serves";

fn main() -> ExitCode {
    let Args { addr, http_addr, connections, rows, policy, currency, requests, retention, access, log } =
        flags::parse();
    program::run(
        Program { name: "booking-svc", version: VERSION },
        &log,
        rows,
        migrate,
        async move |database, shutdown| {
            let clock = Clock::system();
            let (doors, listeners) =
                access.open(addr, http_addr, connections, clock.clone(), shutdown.clone()).await?;
            serve(
                Config { database, policy, currency, requests, retention, doors },
                listeners,
                clock,
                shutdown,
            )
            .await
        },
    )
}
