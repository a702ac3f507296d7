//! What can be typed: the commands, their help, and what a wrong setting is answered with.

mod audit;
mod demo;
mod up;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

/// A high-demand ticket on-sale: a fair line, seats with temporary holds, a prepaid wallet, and payments that end as "paid and
/// mine" or "not mine and money back".
///
/// Without a command it runs `up`: the whole mesh in this process, on SQLite under ./data, and prints what to try.
/// A flag with an [env: NAME] can be set by that environment variable instead; the flag wins.
#[derive(Parser)]
#[command(
    name = "boxoffice",
    version = env!("BOXOFFICE_VERSION"),
    args_conflicts_with_subcommands = true,
    after_help = "Exit codes: 0 ended as asked · 1 could not start, failed, or had to end with work in flight · 2 a wrong flag or variable.\n\
                  `boxoffice audit` has its own, see there.",
    after_long_help = AFTER_HELP
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: up::Up,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  ended as asked: SIGTERM or Ctrl-C, with everything in flight finished
  1  could not start, a service failed, or ended with work in flight (a second signal, or 20 s after the first)
  2  a wrong flag or variable
`boxoffice audit` has its own, see there.

Environment:
  RUST_LOG   what is logged, such as `debug` or `info,edge=debug`
  NO_COLOR   no colours in help and errors (logs never have any)

Examples:
  boxoffice                                                      SQLite under ./data, everything on 127.0.0.1
  boxoffice --database-url postgres://me@localhost/boxoffice     PostgreSQL, a schema a service
  boxoffice demo                                                 fill the mesh that runs with a season
  boxoffice audit                                                is everything as it must be?
  source <(boxoffice completions bash)                           completions for this shell";

#[derive(Subcommand)]
enum Command {
    /// Run all services in this process (the default)
    Up(Box<up::Up>),
    /// Check that no money, seat or place is lost or given twice, while the mesh runs or at rest
    Audit(audit::Audit),
    /// Fill a running mesh with a season: concerts, shows, wallets, a line, and a few tickets bought
    Demo(demo::Demo),
    /// Print completions for a shell
    ///
    /// For example `source <(boxoffice completions bash)`, or into the folder where your shell looks for them.
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> ExitCode {
    let cli = chassis::flags::parse::<Cli>();
    match cli.command {
        None => up::run(cli.up),
        Some(Command::Up(up)) => up::run(*up),
        Some(Command::Audit(audit)) => audit.run(),
        Some(Command::Demo(demo)) => demo.run(),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "boxoffice", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
}

/// Writes to stdout. Nobody may be reading any more (`| head`), which is no failure.
fn print(text: &str) -> ExitCode {
    let _unread = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_is_explained() {
        fn mute(command: &clap::Command) -> Vec<String> {
            let own = command.get_arguments().filter(|argument| argument.get_help().is_none());
            let mut found: Vec<_> = own.map(|argument| format!("{} {}", command.get_name(), argument.get_id())).collect();
            found.extend(command.get_subcommands().flat_map(mute));
            found
        }
        assert_eq!(mute(&Cli::command()), Vec::<String>::new());
    }
}
