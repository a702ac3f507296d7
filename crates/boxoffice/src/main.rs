//! `boxoffice`: a ticket on-sale in one command.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use boxoffice::{Addresses, Databases, Settings, Stack};
use chassis::{Error, clock::Clock, lifecycle, telemetry::LogArgs};
use clap::{Args, Parser, Subcommand};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A high-demand ticket on-sale: a fair line, seats with temporary holds, a prepaid wallet, and payments that end as "paid and
/// mine" or "not mine and money back".
///
/// Without a command it runs `up`: the whole mesh in this process, on SQLite under ./data, and prints what to try.
/// Every flag is also an environment variable: --rest-addr is REST_ADDR.
#[derive(Parser)]
#[command(name = "boxoffice", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: Up,
}

#[derive(Subcommand)]
enum Command {
    /// Run all services in this process (the default)
    Up(Box<Up>),
}

#[derive(Args)]
struct Up {
    /// Folder of the SQLite files, made when missing
    #[arg(long, env, default_value = "./data")]
    data_dir: PathBuf,
    /// A PostgreSQL server instead of files, such as postgres://user@host/database: each service lives in a schema of its own
    #[arg(long, env, hide_env_values = true)]
    database_url: Option<String>,
    #[command(flatten)]
    addresses: Addresses,
    #[command(flatten, next_help_heading = "Waiting room (the `default` queue's policy at its first start)")]
    queue: queue_svc::Policy,
    #[command(flatten, next_help_heading = "Booking")]
    booking: booking_svc::Policy,
    #[command(flatten, next_help_heading = "Wallet")]
    wallet: wallet_svc::Policy,
    #[command(flatten, next_help_heading = "Edge")]
    edge: edge::Policy,
    #[command(flatten, next_help_heading = "Logs")]
    log: LogArgs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let up = match cli.command {
        Some(Command::Up(up)) => *up,
        None => cli.up,
    };
    let log = up.log.clone();
    lifecycle::run("boxoffice", &log, |shutdown| run(up, shutdown))
}

async fn run(up: Up, shutdown: CancellationToken) -> Result<(), Error> {
    let databases = up.database_url.map_or_else(|| Databases::Folder(up.data_dir), Databases::Postgres);
    let place = match &databases {
        Databases::Folder(folder) => format!("SQLite files in {}", folder.display()),
        Databases::Postgres(_) => "PostgreSQL, a schema a service".to_owned(),
    };
    let Up { addresses, queue, booking, wallet, edge, .. } = up;
    let stack = Stack::start(Settings { addresses, databases, queue, booking, wallet, edge }, Clock::system()).await?;
    // Nobody may be reading; that is no reason not to serve.
    let _unread = io::stdout().write_all(welcome(&stack.addresses(), &place).as_bytes());
    stack.run(shutdown).await
}

fn welcome(at: &Addresses, place: &str) -> String {
    let Addresses { rest_addr, grpc_addr, queue_addr, booking_addr, wallet_addr } = at;
    format!(
        "boxoffice is open. {place}.

  REST, API page   http://{rest_addr}/docs
  gRPC             queue {queue_addr} · booking {booking_addr} · wallet {wallet_addr} · checkout {grpc_addr}
  health, metrics  http://{rest_addr}/readyz · http://{rest_addr}/metrics

Try:  curl -s -X POST http://{rest_addr}/v1/queues/default/tokens -H 'Content-Type: application/json' -d '{{\"userId\":\"ann\"}}'
The README's tour goes on from there. Ctrl-C stops; started again, nothing is lost.
"
    )
}
