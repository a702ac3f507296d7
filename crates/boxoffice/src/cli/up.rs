//! `boxoffice up`: the whole mesh in this process.

use std::{path::PathBuf, process::ExitCode, thread};

use access::{AccessArgs, Doors, Trusted};
use boxoffice::{Addresses, Databases, Settings, Stack, StackRetention};
use chassis::{
    Error,
    clock::Clock,
    db::Pooler,
    lifecycle::{self, Program},
    network::ConnectionArgs,
    program::DatabaseUrl,
    telemetry::{LogArgs, LogFormat},
    tls::{RestTlsArgs, TlsArgs},
};
use clap::Args;
use tokio_util::sync::CancellationToken;

/// The flags of the launcher.
#[derive(Args)]
pub(crate) struct Up {
    /// Folder of the SQLite files, made when missing (then nobody else may enter it)
    #[arg(long, env, default_value = "./data")]
    data_dir: PathBuf,
    /// A PostgreSQL server instead of files, such as postgres://user@host/database: each service lives in a
    /// schema of its own
    #[arg(long, env, hide_env_values = true, value_parser = DatabaseUrl::POSTGRES)]
    database_url: Option<String>,
    /// How the pooler in front of PostgreSQL, such as PgBouncer, pools connections
    #[arg(long, env, value_enum, default_value_t)]
    database_pooler: Pooler,
    #[command(flatten)]
    addresses: Addresses,
    #[command(flatten)]
    connections: ConnectionArgs,
    #[command(flatten, next_help_heading = "TLS")]
    tls: TlsArgs,
    #[command(flatten, next_help_heading = "TLS")]
    rest_tls: RestTlsArgs,
    #[command(flatten, next_help_heading = "Waiting room (the `default` queue's policy at its first start)")]
    queue: queue_svc::Policy,
    #[command(flatten, next_help_heading = "Draws")]
    beacon: queue_svc::BeaconArgs,
    #[command(flatten, next_help_heading = "Booking")]
    booking: booking_svc::Policy,
    #[command(flatten, next_help_heading = "Wallet")]
    wallet: wallet_svc::Policy,
    #[command(flatten, next_help_heading = "Edge")]
    edge: edge::Policy,
    #[command(flatten, next_help_heading = "Who may call")]
    access: AccessArgs,
    #[command(flatten, next_help_heading = "How long rows are kept")]
    retention: StackRetention,
    #[command(flatten, next_help_heading = "Logs")]
    log: LogArgs,
}

/// Runs the mesh until a signal ends it.
pub(crate) fn run(up: Up) -> ExitCode {
    let log = up.log.clone();
    lifecycle::run(Program { name: "boxoffice", version: super::VERSION }, &log, |shutdown| {
        serve(up, shutdown)
    })
}

async fn serve(up: Up, shutdown: CancellationToken) -> Result<(), Error> {
    let clock = Clock::system();
    let bound = up.addresses.bound();
    let doors = up.access.doors(&bound, &up.data_dir, clock.clone(), shutdown.clone()).await?;
    let databases = match up.database_url {
        None => Databases::Folder(up.data_dir),
        Some(url) => Databases::Postgres { url, pooler: up.database_pooler },
    };
    let place = match &databases {
        Databases::Folder(folder) => format!("SQLite files in {}", folder.display()),
        Databases::Postgres { .. } => "PostgreSQL, a schema a service".to_owned(),
    };
    let Up {
        addresses,
        connections,
        tls,
        rest_tls,
        queue,
        beacon,
        booking,
        wallet,
        edge,
        retention,
        access,
        log,
        ..
    } = up;
    let opened = doors.clone();
    let scheme = if rest_tls.rest_tls_cert.is_some() { "https" } else { "http" };
    let pages = edge.pages.0;
    let settings = Settings {
        addresses,
        connections,
        tls,
        rest_tls,
        databases,
        queue,
        beacon,
        booking,
        wallet,
        edge,
        retention,
        doors,
    };
    let stack = Stack::start(settings, clock).await?;
    Opened { at: stack.addresses(), scheme, pages, place, doors: opened, issuer: access.auth_issuer }
        .tell(log.log_format);
    stack.run(shutdown).await
}

/// What people and machines are told once the mesh is open.
struct Opened {
    at: Addresses,
    /// The scheme of REST.
    scheme: &'static str,
    /// Whether buyers' pages are served.
    pages: bool,
    place: String,
    doors: Doors,
    issuer: Option<Trusted>,
}

impl Opened {
    /// Tells people on stdout, and machines in a line of the log.
    fn tell(&self, format: LogFormat) {
        let Self {
            at: Addresses { rest_addr, grpc_addr, queue_addr, booking_addr, wallet_addr, .. },
            place,
            ..
        } = self;
        match format {
            LogFormat::Pretty => {
                let text = self.for_people();
                // On a thread of its own: where stdout is a pipe that nobody reads, this blocks for ever, and
                // the mesh must not.
                let _told =
                    thread::Builder::new().name("welcome".to_owned()).spawn(move || super::print(&text));
            }
            LogFormat::Json => tracing::info!(
                %rest_addr, %grpc_addr, %queue_addr, %booking_addr, %wallet_addr, place, "boxoffice is open"
            ),
        }
    }

    fn for_people(&self) -> String {
        let Self { at, scheme, pages, place, doors, issuer } = self;
        let Addresses { rest_addr, metrics_addr, grpc_addr, queue_addr, booking_addr, wallet_addr } = at;
        let first = if *pages {
            format!(
                "  on sale          {scheme}://{rest_addr}/ · box office {scheme}://{rest_addr}/operator\n"
            )
        } else {
            String::new()
        };
        let page = if doors.docs { "/docs" } else { "" };
        let metrics = match metrics_addr {
            Some(addr) => format!(" · http://{addr}/metrics"),
            None if doors.are_secured() => String::new(),
            None => format!(" · {scheme}://{rest_addr}/metrics"),
        };
        let (bearer, callers) = match issuer {
            None => ("", "anybody on this machine: nobody is asked who they are".to_owned()),
            Some(Trusted::Local) => (
                " -H \"Authorization: Bearer $(boxoffice token --user ann)\"",
                "bearer tokens; an operator's: boxoffice token --user root --role operator".to_owned(),
            ),
            Some(issuer) => (" -H \"Authorization: Bearer $TOKEN\"", format!("bearer tokens of {issuer}")),
        };
        format!(
            "boxoffice is open. {place}.

{first}  REST, API page   {scheme}://{rest_addr}{page}
  gRPC             queue {queue_addr} · booking {booking_addr} · wallet {wallet_addr} · checkout {grpc_addr}
  health, metrics  {scheme}://{rest_addr}/readyz{metrics}
  callers          {callers}

Try:  curl -s -X POST {scheme}://{rest_addr}/v1/queues/default/tokens -H 'Content-Type: application/json'{bearer} -d '{{\"userId\":\"ann\"}}'
The README's tour goes on from there; `boxoffice demo` fills the house. Ctrl-C stops; started again, nothing is lost.
"
        )
    }
}
