//! queue-svc as a process of its own.

use std::{net::SocketAddr, process::ExitCode};

use chassis::{
    clock::Clock,
    flags, idempotency,
    lifecycle::Program,
    network::ConnectionArgs,
    program::{self, Rows},
    telemetry::LogArgs,
    tls::{Identities, TlsArgs},
};
use clap::Parser;
use queue_svc::{Config, Listeners, Policy, Retention, migrate, serve};

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
    #[command(flatten, next_help_heading = "TLS")]
    tls: TlsArgs,
    /// Who the edge is, by the URIs or else the DNS names of its certificate: with --tls-client-ca nobody
    /// else is let in
    #[arg(long, env, default_value = "spiffe://boxoffice/edge,edge", help_heading = "TLS")]
    edge_identity: Identities,
    #[command(flatten)]
    rows: Rows,
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    requests: idempotency::RequestRetention,
    #[command(flatten)]
    retention: Retention,
    #[command(flatten)]
    log: LogArgs,
}

const EXAMPLES: &str = "\
Examples:
  queue-svc                                                                  a SQLite file under ./data, 127.0.0.1 alone
  queue-svc --addr 0.0.0.0:24031 --database-url postgres://queue@db/queue    a replica of a cluster
  queue-svc --migrate-only --database-url postgres://queue@db/queue          before the replicas of a new version
  grpcurl -plaintext 127.0.0.1:24031 list                                    what it serves";

fn main() -> ExitCode {
    let Args { addr, http_addr, connections, tls, edge_identity, rows, policy, requests, retention, log } =
        flags::parse();
    program::run(
        Program { name: "queue-svc", version: VERSION },
        &log,
        rows,
        migrate,
        async move |database, shutdown| {
            let tls = tls.server(Some(edge_identity))?;
            let listeners = Listeners::bind(addr, http_addr, connections, tls.as_ref())?;
            serve(Config { database, policy, requests, retention }, listeners, Clock::system(), shutdown)
                .await
        },
    )
}
