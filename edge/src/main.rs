//! The edge as a program: parse, bind, serve.

use std::{net::SocketAddr, process::ExitCode};

use chassis::{clock::Clock, db::DbConfig, flags, lifecycle, network::listen, telemetry::LogArgs};
use clap::Parser;
use edge::{Config, Listeners, Policy, Upstreams};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// REST in, gRPC out; and the saga that pays.
#[derive(Parser)]
#[command(name = "edge", version)]
struct Args {
    /// Where to serve REST, SSE, WebSocket, probes and metrics.
    #[arg(long, env, default_value = "127.0.0.1:24000")]
    rest_addr: SocketAddr,
    /// Where to serve gRPC.
    #[arg(long, env, default_value = "127.0.0.1:24051")]
    grpc_addr: SocketAddr,
    /// The saga's journal: `sqlite:path/to/file.db` or `postgres://user@host/database`.
    #[arg(long, env, hide_env_values = true, default_value = "sqlite:./data/edge.db")]
    database_url: String,
    /// Only bring the database up to date, then end.
    #[arg(long, env)]
    migrate_only: bool,
    #[command(flatten)]
    upstreams: Upstreams,
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    log: LogArgs,
}

fn main() -> ExitCode {
    let Args { rest_addr, grpc_addr, database_url, migrate_only, upstreams, policy, log } = flags::parse();
    lifecycle::run("edge", &log, async move |shutdown| {
        let database = DbConfig { url: database_url, schema: None };
        if migrate_only {
            return edge::migrate(&database).await;
        }
        let (rest, grpc) = (listen(rest_addr)?, listen(grpc_addr)?);
        let listeners = Listeners { rest: rest.into(), grpc: grpc.into() };
        edge::serve(Config { database, policy, upstreams }, listeners, Clock::system(), shutdown).await
    })
}
