//! The command line: the commands, their help, and the answer to a wrong setting.

mod audit;
mod backup;
mod demo;
mod drawn_beacon;
mod events;
mod export;
mod keys;
mod places;
mod postgres;
mod token;
mod up;
mod verify_draw;

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

/// A high-demand ticket on-sale: a fair line, seats with temporary holds, a prepaid wallet, and payments that
/// end as "paid and mine" or "not mine and money back".
///
/// Without a command it runs `up`: the whole mesh in this process, on SQLite under ./data, and prints what to
/// try.
#[derive(Parser)]
#[command(name = "boxoffice", version = VERSION, args_conflicts_with_subcommands = true, after_long_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<CliCommand>,
    #[command(flatten)]
    up: up::Up,
}

const VERSION: &str = built::version!();

const EXAMPLES: &str = "\
`boxoffice audit`, `boxoffice backup`, `boxoffice events`, `boxoffice export`, `boxoffice keys`, `boxoffice token` and `boxoffice verify-draw` have exit codes
of their own, see there.

Examples:
  boxoffice                                                      SQLite under ./data, everything on 127.0.0.1
  boxoffice --database-url postgres://me@localhost/boxoffice     PostgreSQL, a schema a service
  boxoffice --hold-ttl 2m --max-active 500                       other rules
  boxoffice demo                                                 fill the mesh that runs with a season
  boxoffice audit                                                is everything as it must be?
  boxoffice backup --help                                        how to copy everything while it runs
  source <(boxoffice completions bash)                           completions for this shell";

#[derive(Subcommand)]
enum CliCommand {
    /// Run all services in this process (the default)
    Up(Box<up::Up>),
    /// Check that no money, seat or place is lost or given twice, while the mesh runs or at rest
    Audit(audit::Audit),
    /// Copy the SQLite files of a mesh while it runs, or say how PostgreSQL is backed up
    Backup(backup::Backup),
    /// Fill a running mesh with a season: concerts, shows, wallets, a line, and a few tickets bought
    Demo(demo::Demo),
    /// Print what other systems are told, list who is told, and tell it again
    Events(events::EventsCommand),
    /// Print every sale of a show, with what the ledger says of its money
    Export(export::Export),
    /// Print a bearer token of the mesh's own issuer
    Token(token::IssueToken),
    /// Check the draw of a queue that opened by lot
    VerifyDraw(verify_draw::VerifyDraw),
    /// Make a private authority and the certificates of the services, for TLS between them
    Keys(keys::Keys),
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> ExitCode {
    let cli = chassis::flags::parse::<Cli>();
    match cli.command {
        None => up::run(cli.up),
        Some(CliCommand::Up(up)) => up::run(*up),
        Some(CliCommand::Audit(audit)) => audit.run(),
        Some(CliCommand::Backup(backup)) => backup.run(),
        Some(CliCommand::Demo(demo)) => demo.run(),
        Some(CliCommand::Export(export)) => export.run(),
        Some(CliCommand::Events(events)) => events.run(),
        Some(CliCommand::Token(token)) => token.run(),
        Some(CliCommand::VerifyDraw(verify)) => verify.run(),
        Some(CliCommand::Keys(keys)) => keys.run(),
    }
}

/// Does the work of a command on this thread.
fn block_on<T, E: Display>(work: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(work).map_err(|error| error.to_string())
}

/// Says on stderr why a command failed, and gives its exit code.
fn failed(command: &str, why: &str, code: u8) -> ExitCode {
    let _unread = writeln!(io::stderr(), "boxoffice {command}: {why}");
    ExitCode::from(code)
}

/// Writes to stdout. That nobody reads any more (`| head`) is no failure.
fn print(text: &str) {
    let _unread = io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_is_explained() {
        fn mute(command: &clap::Command) -> Vec<String> {
            let own = command.get_arguments().filter(|argument| argument.get_help().is_none());
            let mut found: Vec<_> =
                own.map(|argument| format!("{} {}", command.get_name(), argument.get_id())).collect();
            found.extend(command.get_subcommands().flat_map(mute));
            found
        }
        assert_eq!(mute(&Cli::command()), Vec::<String>::new());
    }
}
