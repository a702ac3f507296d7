//! The wallet service as a process of its own.

use std::{net::SocketAddr, process::ExitCode};

use access::AccessArgs;
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
use wallet_svc::{Config, Listeners, Policy, migrate, serve};

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
    #[command(flatten, next_help_heading = "TLS")]
    tls: TlsArgs,
    /// Who the edge is, by the URIs or else the DNS names of its certificate. With --tls-client-ca it may do
    /// everything, and nobody else may do anything without a bearer token (--auth-issuer)
    #[arg(long, env, default_value = "spiffe://boxoffice/edge,edge", help_heading = "TLS")]
    edge_identity: Identities,
    #[command(flatten)]
    rows: Rows,
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    requests: idempotency::RequestRetention,
    #[command(flatten, next_help_heading = "Who may call")]
    access: AccessArgs,
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
    let Args { addr, http_addr, connections, tls, edge_identity, rows, policy, requests, access, log } =
        flags::parse();
    program::run(
        Program { name: "wallet-svc", version: VERSION },
        &log,
        rows,
        migrate,
        async move |database, shutdown| {
            let bound = [("--addr", addr), ("--http-addr", http_addr)];
            let clock = Clock::system();
            let doors = access
                .doors_of_service(&bound, &tls, &edge_identity, clock.clone(), shutdown.clone())
                .await?;
            let tls = tls.server((!doors.are_secured()).then_some(edge_identity))?;
            let listeners = Listeners::bind(addr, http_addr, connections, tls.as_ref())?;
            serve(Config { database, policy, requests, doors }, listeners, clock, shutdown).await
        },
    )
}
