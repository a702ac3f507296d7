//! Reading the command line. Every flag may come from the environment; a wrong value is reported with the
//! names of both. A variable that is set but empty counts as not set: that is what a deployment template
//! makes of a missing value. Every program has a command `completions` beside its own.

mod secrets;

use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    process,
};

use clap::{
    Arg, ArgMatches, Command, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
    value_parser,
};
use clap_complete::Shell;

/// The exit codes of a program, in one line and in full.
const EXIT_CODES: &str = "Exit codes: 0 ended as asked · 1 could not start, failed, or had to end with work in flight · 2 a wrong flag or variable";
const TAUGHT: &str = "\
Exit codes:
  0  ended as asked: SIGTERM or Ctrl-C, with everything in flight finished
  1  could not start, failed, or ended with work in flight (a second signal, or 20 s after the first)
  2  a wrong flag or variable

Environment:
  A flag with an [env: NAME] can be set by that variable instead; the flag wins. An empty variable counts as not set.
  RUST_LOG   what is logged, such as `debug` or `info,sqlx=debug`; alerts always are
  NO_COLOR   no colours in help and errors (logs never have any)";

/// The command that prints completions, and its argument.
const COMPLETIONS: &str = "completions";
const SHELL: &str = "shell";

/// The command line of this process; a wrong one ends it with exit code 2 and a message that says what to do.
/// `--help` ends with what holds for every program (exit codes, environment), then with what the program
/// itself says there, such as examples. Asked for completions, the process prints them and ends.
#[must_use]
pub fn parse<C: Parser>() -> C {
    let words: Vec<OsString> = env::args_os().collect();
    let mut command =
        secrets::read(without_empty(taught(C::command())), &words).unwrap_or_else(|error| error.exit());
    let read = command.try_get_matches_from_mut(words);
    if read.as_ref().is_err_and(|error| error.kind() == ErrorKind::DisplayHelp) {
        // Help names all variables, also those that are empty at this moment.
        command = taught(C::command());
        if let Err(help) = command.try_get_matches_from_mut(env::args_os()) {
            help.exit();
        }
    }
    if let Some(shell) = read.as_ref().ok().and_then(shell_to_complete) {
        // Nobody may be reading any more (`| head`), which is no failure.
        let _unread = io::stdout().write_all(&completions(taught(C::command()), shell));
        process::exit(0);
    }
    let read = read.and_then(|mut matches| {
        C::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    });
    read.unwrap_or_else(|error| naming_the_variable(error, &command).exit())
}

/// The same command without its variables that are empty.
fn without_empty(command: Command) -> Command {
    let set = |arg: Arg| match arg.get_env() {
        Some(name) if environment(&name.to_string_lossy()).is_none() => arg.env(None::<&'static str>),
        Some(_) | None => arg,
    };
    command.mut_args(set).mut_subcommands(without_empty)
}

/// The value of an environment variable; `None` when it is not set, or empty.
#[must_use]
pub fn environment(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

fn taught(command: Command) -> Command {
    let own = command.get_after_long_help().map(|own| format!("\n\n{own}")).unwrap_or_default();
    let shell = Arg::new(SHELL).required(true).value_parser(value_parser!(Shell)).help("Which shell");
    let example = format!("source <({} {COMPLETIONS} bash)", command.get_name());
    let completions = Command::new(COMPLETIONS).arg(shell).about("Print completions for a shell").long_about(format!(
        "Print completions for a shell\n\nFor example `{example}`, or into the folder where your shell looks for them."
    ));
    let command = secrets::with_files(command).subcommand(completions).args_conflicts_with_subcommands(true);
    command.after_help(EXIT_CODES).after_long_help(format!("{TAUGHT}{own}"))
}

fn shell_to_complete(matches: &ArgMatches) -> Option<Shell> {
    matches.subcommand_matches(COMPLETIONS)?.get_one(SHELL).copied()
}

fn completions(mut command: Command, shell: Shell) -> Vec<u8> {
    let (name, mut script) = (command.get_name().to_owned(), Vec::new());
    clap_complete::generate(shell, &mut command, name, &mut script);
    script
}

/// A wrong value may have come from the environment, where nobody looks: then a line that names the variable
/// is added to clap's message, which names the flag.
fn naming_the_variable(mut error: clap::Error, command: &Command) -> clap::Error {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return error };
    let flag = argument.split([' ', '=']).next().unwrap_or_default().to_owned();
    // Arguments need not be UTF-8.
    let typed = env::args_os().any(|word| word.to_string_lossy().split('=').next() == Some(flag.as_str()));
    let Some(variable) = variable_of(command, flag.trim_start_matches('-')) else { return error };
    if !typed && environment(&variable).is_some() {
        let tip = format!("the value comes from the environment variable {variable}");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

fn variable_of(command: &Command, long: &str) -> Option<String> {
    let argument = command.get_arguments().find(|argument| argument.get_long() == Some(long));
    let variable =
        argument.and_then(|argument| argument.get_env()).map(|name| name.to_string_lossy().into_owned());
    variable.or_else(|| command.get_subcommands().find_map(|command| variable_of(command, long)))
}

/// The environment variable of a flag.
#[must_use]
pub fn variable(flag: &str) -> String {
    flag.trim_start_matches('-').to_ascii_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_finds_its_variable_also_in_a_command() {
        let flag = |name: &'static str, variable: &'static str| Arg::new(name).long(name).env(variable);
        let command = Command::new("up").arg(flag("max-active", "MAX_ACTIVE"));
        let command =
            command.subcommand(Command::new("audit").arg(flag("unsettled-after", "UNSETTLED_AFTER")));
        assert_eq!(variable_of(&command, "max-active").as_deref(), Some("MAX_ACTIVE"));
        assert_eq!(variable_of(&command, "unsettled-after").as_deref(), Some("UNSETTLED_AFTER"));
        assert_eq!(variable_of(&command, "no-such-flag"), None);
        assert_eq!(variable("--max-active"), "MAX_ACTIVE");
    }

    #[test]
    fn every_program_completes_itself() {
        let toy = || taught(Command::new("toy-svc").arg(Arg::new("max-active").long("max-active")));
        toy().debug_assert();
        let asked = |words: &[&str]| {
            toy().try_get_matches_from(words).map(|matches| shell_to_complete(&matches)).ok()
        };
        assert_eq!(asked(&["toy-svc"]), Some(None));
        assert_eq!(asked(&["toy-svc", "--max-active", "completions"]), Some(None), "a value");
        assert_eq!(asked(&["toy-svc", "completions", "zsh"]), Some(Some(Shell::Zsh)));
        for wrong in
            [&["toy-svc", "completions"][..], &["toy-svc", "completions", "tcsh"], &["toy-svc", "bash"]]
        {
            assert_eq!(asked(wrong), None, "{wrong:?}");
        }
        for shell in [Shell::Bash, Shell::Fish] {
            let script = String::from_utf8(completions(toy(), shell)).unwrap_or_default();
            assert!(
                ["toy-svc", "max-active", COMPLETIONS].iter().all(|word| script.contains(word)),
                "{script}"
            );
        }
    }
}
