//! The waiting room as a process of its own.

use std::{net::SocketAddr, process::ExitCode};

use chassis::{clock::Clock, db::DbConfig, flags, lifecycle, network::listen, telemetry::LogArgs};
use clap::Parser;
use queue_svc::{Config, Listeners, Policy, migrate, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The virtual waiting room: a fair line in front of an on-sale.
#[derive(Debug, Parser)]
#[command(name = "queue-svc", version)]
struct Args {
    /// Where to serve gRPC
    #[arg(long, env, default_value = "127.0.0.1:24031")]
    addr: SocketAddr,
    /// Where to serve healthz, readyz and metrics
    #[arg(long, env, default_value = "127.0.0.1:24032")]
    http_addr: SocketAddr,
    /// The database: sqlite:path/to/file.db or postgres://user@host/database
    #[arg(long, env, hide_env_values = true, default_value = "sqlite:data/queue.db")]
    database_url: String,
    /// Only bring the database up to date, then end
    #[arg(long, env)]
    migrate_only: bool,
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    log: LogArgs,
}

fn main() -> ExitCode {
    let args: Args = flags::parse();
    lifecycle::run("queue-svc", &args.log, async |shutdown| {
        let database = DbConfig { url: args.database_url, schema: None };
        if args.migrate_only {
            return migrate(&database).await;
        }
        let (grpc, http) = (listen(args.addr)?, listen(args.http_addr)?);
        let listeners = Listeners { grpc: grpc.into(), http: Some(http) };
        serve(Config { database, policy: args.policy }, listeners, Clock::system(), shutdown).await
    })
}
