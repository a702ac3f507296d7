//! Takes the figures that the documents quote, one command each: `cargo run --release --bin bench -- polls`.
//! See the README beside.
//!
//! Each command runs twice: the outer half ([`keeper`]) makes what is needed, the inner half (`inside`)
//! measures.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program whose output is its purpose")]
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measurement that cannot go on should say where; what it counts is far from any bound"
)]

mod bare;
mod crowd;
mod histogram;
mod http;
mod keeper;
mod load;
mod meter;
mod report;
mod sale;
mod scenarios;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Takes the figures that the documents quote.
#[derive(Parser)]
#[command(name = "bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Outer(Scenario),
    /// What polls are compared with: serves until it is killed
    #[command(hide = true)]
    Bare,
    /// The measurement itself, started by the outer half
    #[command(hide = true, subcommand)]
    Inside(Scenario),
}

/// What is measured.
#[derive(Subcommand, Clone)]
enum Scenario {
    /// Polls over REST with 1,000, 110,000 and 1,000,000 waiting, against a bare axum handler
    Polls(Size),
    /// 1,000,000 durable joins over REST
    Joins(Size),
    /// 1,000,000 waiting: memory each, ready after a restart, how soon a freed place is taken, and how soon
    /// all know what the seller says
    Waiting(Size),
    /// The whole planned load at once, for 60 s, at its rates
    Planned(Size),
    /// 100,000 registered: how soon a line that opens by lot is open, and what polls feel of it
    Opening(Size),
    /// Open SSE streams: memory each, and what a moving line costs
    Streams(Size),
    /// Holds against the database's own limit, and a seat that everybody wants
    Holds(Size),
    /// Checkouts, 64 in flight, on PostgreSQL and on SQLite
    Checkouts(Size),
    /// 100,000 seats sold, from joining to paying
    Funnel(Size),
    /// A hall of 100,000 seats in 500 sections: made, its plan read, sold out, its books told
    Halls(Size),
    /// A show with 10,000 sales is called off: how soon each is refunded, and what one costs
    Refunds(Size),
    /// Joins while ten million rows whose time is over are removed
    Prune(Size),
    /// Polls beside silent connections and half calls, against polls alone
    Attacks(Size),
    /// The seat map of 12,000 seats while 500 a second are held, against a bare axum handler, and live
    Availability(Size),
    /// The same requests at an open house and at a secured one, and polls over mutual TLS against plaintext
    Access(Size),
    /// Polls that no trace is told of, where traces are told of others, against polls where none are
    Traces(Size),
    /// Joins, holds and checkouts of this build and of another one by turns
    Against(Against),
}

/// What this build is compared with.
#[derive(clap::Args, Clone)]
struct Against {
    /// The folder with the other build's programs
    programs: std::path::PathBuf,
    #[command(flatten)]
    size: Size,
}

/// How much of it.
#[derive(clap::Args, Clone, Copy)]
struct Size {
    /// A hundredth of everything: shows that the program works, and makes no figures
    #[arg(long)]
    trial: bool,
}

impl Size {
    /// A number of people or seats, or of a trial.
    const fn of(self, whole: usize) -> usize {
        if self.trial { whole.div_ceil(100) } else { whole }
    }

    /// Seconds a step lasts.
    const fn seconds(self, whole: u64) -> u64 {
        if self.trial { 1 } else { whole }
    }
}

impl Scenario {
    const fn name(&self) -> &'static str {
        match self {
            Self::Polls(_) => "polls",
            Self::Joins(_) => "joins",
            Self::Waiting(_) => "waiting",
            Self::Planned(_) => "planned",
            Self::Opening(_) => "opening",
            Self::Streams(_) => "streams",
            Self::Holds(_) => "holds",
            Self::Checkouts(_) => "checkouts",
            Self::Funnel(_) => "funnel",
            Self::Halls(_) => "halls",
            Self::Refunds(_) => "refunds",
            Self::Prune(_) => "prune",
            Self::Attacks(_) => "attacks",
            Self::Access(_) => "access",
            Self::Availability(_) => "availability",
            Self::Traces(_) => "traces",
            Self::Against(_) => "against",
        }
    }

    const fn size(&self) -> Size {
        match self {
            Self::Polls(size)
            | Self::Joins(size)
            | Self::Waiting(size)
            | Self::Planned(size)
            | Self::Opening(size)
            | Self::Streams(size)
            | Self::Holds(size)
            | Self::Checkouts(size)
            | Self::Funnel(size)
            | Self::Halls(size)
            | Self::Refunds(size)
            | Self::Prune(size)
            | Self::Attacks(size)
            | Self::Access(size)
            | Self::Traces(size)
            | Self::Against(Against { size, .. })
            | Self::Availability(size) => *size,
        }
    }

    async fn measure(self) {
        println!("{}: {}", self.name(), meter::conditions());
        if cfg!(debug_assertions) || self.size().trial {
            println!("  A TRIAL, OR NOT OPTIMISED: these are no figures");
        }
        match self {
            Self::Polls(size) => scenarios::polls::measure(size).await,
            Self::Joins(size) => scenarios::joins::measure(size).await,
            Self::Waiting(size) => scenarios::waiting::measure(size).await,
            Self::Planned(size) => scenarios::planned::measure(size).await,
            Self::Opening(size) => scenarios::opening::measure(size).await,
            Self::Streams(size) => scenarios::streams::measure(size).await,
            Self::Holds(size) => scenarios::holds::measure(size).await,
            Self::Checkouts(size) => scenarios::checkouts::measure(size).await,
            Self::Funnel(size) => scenarios::funnel::measure(size).await,
            Self::Halls(size) => scenarios::halls::measure(size).await,
            Self::Refunds(size) => scenarios::refunds::measure(size).await,
            Self::Prune(size) => scenarios::prune::measure(size).await,
            Self::Attacks(size) => scenarios::attacks::measure(size).await,
            Self::Access(size) => scenarios::access::measure(size).await,
            Self::Availability(size) => scenarios::availability::measure(size).await,
            Self::Traces(size) => scenarios::traces::measure(size).await,
            Self::Against(Against { programs, size }) => scenarios::against::measure(programs, size).await,
        }
    }
}

/// A runtime; the generator has one thread, so that it takes no more of the machine than it must.
fn runtime(mut builder: tokio::runtime::Builder) -> tokio::runtime::Runtime {
    builder.enable_all().build().expect("a runtime")
}

fn main() -> ExitCode {
    let one_thread = || runtime(tokio::runtime::Builder::new_current_thread());
    match Cli::parse().command {
        Command::Outer(scenario) => {
            let mut args = vec![scenario.name().to_owned()];
            if let Scenario::Against(against) = &scenario {
                let programs = std::path::absolute(&against.programs);
                args.push(programs.expect("a path that is not empty").display().to_string());
            }
            args.extend(scenario.size().trial.then(|| "--trial".to_owned()));
            one_thread().block_on(keeper::run(&args))
        }
        Command::Inside(scenario) => {
            one_thread().block_on(scenario.measure());
            ExitCode::SUCCESS
        }
        Command::Bare => {
            runtime(tokio::runtime::Builder::new_multi_thread()).block_on(bare::serve());
            ExitCode::SUCCESS
        }
    }
}
