//! Reading the command line. Every flag may come from the environment; what is wrong is told with the name of both.

use std::env;

use clap::{
    Parser,
    error::{ContextKind, ContextValue},
};

/// The command line of this process; a wrong one ends it with exit code 2 and a message that says what to do.
#[must_use]
pub fn parse<C: Parser>() -> C {
    C::try_parse().unwrap_or_else(|error| naming_the_variable(error, &C::command()).exit())
}

/// A wrong value may have come from the environment, where nobody looks: then clap's message, which names the flag, gets a line that
/// names the variable.
fn naming_the_variable(mut error: clap::Error, command: &clap::Command) -> clap::Error {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return error };
    let flag = argument.split([' ', '=']).next().unwrap_or_default().to_owned();
    let typed = env::args().any(|word| word.split('=').next() == Some(&flag));
    let Some(variable) = variable_of(command, flag.trim_start_matches('-')) else { return error };
    if !typed && env::var_os(&variable).is_some() {
        let tip = format!("the value comes from the environment variable {variable}");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

fn variable_of(command: &clap::Command, long: &str) -> Option<String> {
    let argument = command.get_arguments().find(|argument| argument.get_long() == Some(long));
    let variable = argument.and_then(|argument| argument.get_env()).map(|name| name.to_string_lossy().into_owned());
    variable.or_else(|| command.get_subcommands().find_map(|command| variable_of(command, long)))
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    #[test]
    fn a_flag_finds_its_variable_also_in_a_command() {
        let flag = |name: &'static str, variable: &'static str| Arg::new(name).long(name).env(variable);
        let command = Command::new("up").arg(flag("max-active", "MAX_ACTIVE"));
        let command = command.subcommand(Command::new("audit").arg(flag("unsettled-after", "UNSETTLED_AFTER")));
        assert_eq!(variable_of(&command, "max-active").as_deref(), Some("MAX_ACTIVE"));
        assert_eq!(variable_of(&command, "unsettled-after").as_deref(), Some("UNSETTLED_AFTER"));
        assert_eq!(variable_of(&command, "no-such-flag"), None);
    }
}
