//! `boxoffice up`: the whole mesh in this process.

use std::{path::PathBuf, process::ExitCode};

use boxoffice::{Addresses, Databases, Settings, Stack};
use chassis::{Error, clock::Clock, db::Pooler, lifecycle, program::DatabaseUrl, telemetry::LogArgs};
use clap::Args;
use tokio_util::sync::CancellationToken;

/// What the mesh can be told.
#[derive(Args)]
pub(crate) struct Up {
    /// Folder of the SQLite files, made when missing
    #[arg(long, env, default_value = "./data")]
    data_dir: PathBuf,
    /// A PostgreSQL server instead of files, such as postgres://user@host/database: each service lives in a schema of its own
    #[arg(long, env, hide_env_values = true, value_parser = DatabaseUrl::POSTGRES)]
    database_url: Option<String>,
    /// How the pooler in front of PostgreSQL, such as PgBouncer, pools connections
    #[arg(long, env, value_enum, default_value_t)]
    database_pooler: Pooler,
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

/// Runs it until a signal comes.
pub(crate) fn run(up: Up) -> ExitCode {
    let log = up.log.clone();
    lifecycle::run("boxoffice", &log, |shutdown| serve(up, shutdown))
}

async fn serve(up: Up, shutdown: CancellationToken) -> Result<(), Error> {
    let databases = match up.database_url {
        None => Databases::Folder(up.data_dir),
        Some(url) => Databases::Postgres { url, pooler: up.database_pooler },
    };
    let place = match &databases {
        Databases::Folder(folder) => format!("SQLite files in {}", folder.display()),
        Databases::Postgres { .. } => "PostgreSQL, a schema a service".to_owned(),
    };
    let Up { addresses, queue, booking, wallet, edge, .. } = up;
    let stack = Stack::start(Settings { addresses, databases, queue, booking, wallet, edge }, Clock::system()).await?;
    super::print(&welcome(&stack.addresses(), &place));
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
The README's tour goes on from there; `boxoffice demo` fills the house. Ctrl-C stops; started again, nothing is lost.
"
    )
}
