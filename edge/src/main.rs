//! The edge as a program: parse, bind, serve.

use std::{net::SocketAddr, process::ExitCode};

use access::AccessArgs;
use chassis::{
    clock::Clock,
    flags,
    lifecycle::Program,
    network::{ConnectionArgs, Incoming},
    program::{self, Rows, listen},
    telemetry::LogArgs,
    threads::Threads,
    tls::{MeshArgs, RestTlsArgs, TlsArgs},
};
use clap::Parser;
use edge::{Config, Listeners, Policy, Retention, UpstreamIdentities, Upstreams, migrate, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const VERSION: &str = built::version!();

/// REST in, gRPC out; and the saga that pays
#[derive(Parser)]
#[command(
    name = "edge",
    version = VERSION,
    mut_arg("database_url", |arg| arg.default_value("sqlite:data/edge.db")),
    after_long_help = EXAMPLES
)]
struct Args {
    /// Where to serve REST, SSE, WebSocket, probes and metrics
    #[arg(long, env, default_value = "127.0.0.1:24000")]
    rest_addr: SocketAddr,
    /// Where to serve gRPC
    #[arg(long, env, default_value = "127.0.0.1:24051")]
    grpc_addr: SocketAddr,
    /// Where to serve /metrics and probes besides; /metrics is at --rest-addr too where nobody is asked who
    /// they are, and otherwise here alone
    #[arg(long, env)]
    metrics_addr: Option<SocketAddr>,
    #[command(flatten)]
    connections: ConnectionArgs,
    #[command(flatten)]
    rows: Rows,
    #[command(flatten)]
    upstreams: Upstreams,
    #[command(flatten, next_help_heading = "TLS")]
    tls: TlsArgs,
    #[command(flatten, next_help_heading = "TLS")]
    rest_tls: RestTlsArgs,
    #[command(flatten, next_help_heading = "TLS")]
    mesh: MeshArgs,
    #[command(flatten, next_help_heading = "TLS")]
    identities: UpstreamIdentities,
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    retention: Retention,
    #[command(flatten, next_help_heading = "Who may call")]
    access: AccessArgs,
    #[command(flatten, next_help_heading = "Logs")]
    log: LogArgs,
}

const EXAMPLES: &str = "\
Examples:
  edge                                                          the services on 127.0.0.1, its journal in a SQLite file under ./data
  edge --queue-url http://queue-1:24031,http://queue-2:24031    two replicas of a service, balanced
  edge --queue-url http://queue-svc:24031                       a name: every address it leads to, looked up every 5 s
  edge --migrate-only --database-url postgres://edge@db/edge    before the replicas of a new version
  edge --browse open --on-payment-failure keep                  dates and seats for all; a refused payment keeps the hold";

fn main() -> ExitCode {
    let args: Args = flags::parse();
    let (policy, retention, access, log) = (args.policy, args.retention, args.access, args.log);
    let Args { rest_addr, grpc_addr, metrics_addr, connections, rows, upstreams, .. } = args;
    let Args { tls, rest_tls, mesh, identities, .. } = args;
    program::run(
        Program { name: "edge", version: VERSION },
        &log,
        rows,
        migrate,
        async move |database, shutdown| {
            let clock = Clock::system();
            let metrics = metrics_addr.map(|addr| ("--metrics-addr", addr));
            let bound = [("--rest-addr", rest_addr), ("--grpc-addr", grpc_addr)];
            let bound: Vec<_> = bound.into_iter().chain(metrics).collect();
            let mesh_tls = tls.client(&mesh)?;
            let doors =
                access.doors_of_edge(&bound, mesh_tls.is_some(), clock.clone(), shutdown.clone()).await?;
            let upstreams = upstreams.secured(mesh_tls.as_ref(), identities)?;
            let (rest_tls, grpc_tls) = (rest_tls.server()?, tls.server_for_pages()?);
            let metrics = metrics_addr.map(|addr| listen("--metrics-addr", addr)).transpose()?;
            let (rest, grpc) = (listen("--rest-addr", rest_addr)?, listen("--grpc-addr", grpc_addr)?);
            let (connections, threads) = (
                connections.counted_behind(&policy.limits.trusted_proxies),
                Threads::beside_this_runtime("rest")?,
            );
            let rest = Incoming::secured(rest, &connections, rest_tls.as_ref());
            let grpc = Incoming::secured(grpc, &connections, grpc_tls.as_ref());
            let listeners = Listeners { rest, grpc, metrics, threads };
            serve(Config { database, policy, retention, upstreams, doors }, listeners, clock, shutdown).await
        },
    )
}
