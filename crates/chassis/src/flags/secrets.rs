//! Secrets by file: every flag whose variable may hold a secret (it hides its value from `--help`) has a
//! second one with `-file` behind its name, as has its variable with `_FILE`. The content of that file,
//! without white space around it, takes the place of the value; so no secret stands in a process list, in a
//! manifest, or in the environment that a crash report copies.

use std::{ffi::OsString, fs, path::PathBuf};

use clap::{Arg, ArgMatches, Command, error::ErrorKind, parser::ValueSource, value_parser};

use super::variable;

/// What is behind the name of a flag whose value is in a file.
const SUFFIX: &str = "-file";

/// The command with a `-file` flag beside each secret.
pub(crate) fn with_files(command: Command) -> Command {
    let files: Vec<_> = secrets(&command).iter().filter_map(beside).collect();
    files.into_iter().fold(command, Command::arg).mut_subcommands(with_files)
}

/// The command in which what the files say are defaults. A wrong command line is left for the real parsing to
/// find.
///
/// # Errors
/// A file cannot be read, or is empty; told with its path, flag and variable.
pub(crate) fn read(command: Command, words: &[OsString]) -> Result<Command, clap::Error> {
    let lenient = command.clone().ignore_errors(true).disable_help_flag(true).disable_version_flag(true);
    match lenient.try_get_matches_from(words) {
        Ok(matches) => filled(command, &matches),
        Err(_wrong) => Ok(command),
    }
}

fn filled(command: Command, matches: &ArgMatches) -> Result<Command, clap::Error> {
    let mut command = command;
    for secret in secrets(&command) {
        let Some(long) = secret.get_long() else { continue };
        let id = format!("{long}{SUFFIX}");
        let given = matches.value_source(&id).is_some_and(|source| source != ValueSource::DefaultValue);
        let Some(path) = matches.get_one::<PathBuf>(&id).filter(|_| given) else { continue };
        let content = fs::read_to_string(path).map_err(|error| error.to_string());
        let value = content.and_then(|content| match content.trim() {
            "" => Err("it is empty".to_owned()),
            value => Ok(value.to_owned()),
        });
        let value = value.map_err(|why| {
            let why = format!("--{id} ({}): {}: {why}\n", variable(&id), path.display());
            clap::Error::raw(ErrorKind::ValueValidation, why).with_cmd(&command)
        })?;
        command = command.mut_arg(secret.get_id().clone(), |arg| {
            arg.default_value(value).hide_default_value(true).required(false)
        });
    }
    let Some((name, inner)) = matches.subcommand() else { return Ok(command) };
    let Some(subcommand) = command.find_subcommand(name).cloned() else { return Ok(command) };
    let subcommand = filled(subcommand, inner)?;
    Ok(command.mut_subcommand(name, |_| subcommand))
}

/// The flags of a command that may hold a secret.
fn secrets(command: &Command) -> Vec<Arg> {
    command.get_arguments().filter(|arg| arg.is_hide_env_values_set()).cloned().collect()
}

/// The flag for the file that holds this one's value.
fn beside(secret: &Arg) -> Option<Arg> {
    let long = secret.get_long()?;
    let name = format!("{long}{SUFFIX}");
    let help = format!("A file that holds --{long}, so that no secret is on the command line");
    let arg = Arg::new(name.clone()).env(variable(&name)).long(name).value_name("FILE");
    let arg = arg.value_parser(value_parser!(PathBuf)).help(help).conflicts_with(secret.get_id().clone());
    Some(match secret.get_help_heading() {
        Some(heading) => arg.help_heading(heading.to_owned()),
        None => arg,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use clap::Args as _;

    use super::*;
    use crate::program::Rows;

    fn toy() -> Command {
        with_files(
            Rows::augment_args(Command::new("toy")).subcommand(Rows::augment_args(Command::new("audit"))),
        )
    }

    /// What `--database-url` is read as.
    fn url(words: &[&str]) -> Result<String, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let read = read(toy(), &words).and_then(|command| command.try_get_matches_from(words));
        let matches = read.map_err(|error| error.to_string())?;
        let matches = matches.subcommand().map_or(&matches, |(_, inner)| inner);
        Ok(matches.get_one::<String>("database_url").cloned().unwrap_or_default())
    }

    #[test]
    fn a_secret_is_read_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("url");
        let file = path.to_str().unwrap();
        fs::write(&path, "postgres://me:secret@db/x\n").unwrap();
        toy().debug_assert();
        for words in
            [&["toy", "--database-url-file", file][..], &["toy", "audit", "--database-url-file", file]]
        {
            assert_eq!(url(words).as_deref(), Ok("postgres://me:secret@db/x"), "{words:?}");
        }
        let both = url(&["toy", "--database-url-file", file, "--database-url", "sqlite:x"]).unwrap_err();
        assert!(both.contains("cannot be used with") && !both.contains("secret"), "{both}");
        fs::write(&path, "mysql://me:secret@db/x").unwrap();
        let wrong = url(&["toy", "--database-url-file", file]).unwrap_err();
        assert!(wrong.contains("--database-url") && !wrong.contains("secret"), "{wrong}");
        fs::write(&path, " \n").unwrap();
        for path in [file, "/no/such/file"] {
            let told = url(&["toy", "--database-url-file", path]).unwrap_err();
            assert!(told.contains("DATABASE_URL_FILE") && told.contains(path), "{told}");
        }
        assert!(!toy().render_long_help().to_string().contains("secret@"));
    }
}
