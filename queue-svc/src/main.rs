//! The waiting room as a process of its own.

use std::{net::SocketAddr, process::ExitCode};

use chassis::{clock::Clock, db::DbConfig, lifecycle, telemetry::LogArgs};
use clap::Parser;
use queue_svc::{Config, Listeners, Policy, serve};
use tokio::net::TcpListener;

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
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    log: LogArgs,
}

fn main() -> ExitCode {
    let args = Args::parse();
    lifecycle::run("queue-svc", &args.log, async |shutdown| {
        let listeners =
            Listeners { grpc: TcpListener::bind(args.addr).await?, http: Some(TcpListener::bind(args.http_addr).await?) };
        let config = Config { database: DbConfig { url: args.database_url, schema: None }, policy: args.policy };
        serve(config, listeners, Clock::system(), shutdown).await
    })
}
