//! Reading the URL of a PostgreSQL database. A parameter that sqlx would ignore is refused by its name,
//! because whoever wrote it relies on it.

use std::{fmt, str::FromStr};

use sqlx::postgres::PgConnectOptions;
use url::Url;

use super::Error;

/// The parameters that sqlx knows.
const KNOWN: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];
const SEVERAL_HOSTS: &str = "a URL of PostgreSQL names one host: give the address that leads to the primary";

/// Where a server is, and what is to be set once connected.
#[derive(Debug)]
pub(in crate::db) struct Address {
    pub(super) options: PgConnectOptions,
    /// What was asked for in `options`: name and value.
    pub(super) settings: Vec<(String, String)>,
}

impl Address {
    /// The database's name; without one a server takes the user's.
    pub(in crate::db) fn database(&self) -> &str {
        self.options.get_database().unwrap_or_else(|| self.options.get_username())
    }

    /// Reads a URL. What is wrong with it is told without its password.
    pub(in crate::db) fn read(url: &str) -> Result<Self, Error> {
        Self::parse(url).map_err(|why| Error::Other(why.into()))
    }

    fn parse(url: &str) -> Result<Self, String> {
        if hosts(url).contains(',') {
            return Err(SEVERAL_HOSTS.to_owned());
        }
        let mut url = Url::parse(url).map_err(|error| error.to_string())?;
        let asked: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let (mut kept, mut settings) = (Vec::new(), Vec::new());
        for (name, value) in asked {
            if let Some(setting) = name.strip_prefix("options[").and_then(|name| name.strip_suffix(']')) {
                settings.push((setting.to_owned(), value));
            } else if name == "options" {
                settings.extend(command_line(&value)?);
            } else {
                refuse(&name, &value)?;
                kept.push((name, value));
            }
        }
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
        let options = PgConnectOptions::from_str(url.as_str()).map_err(|error| error.to_string())?;
        // sqlx would send this setting in the startup packet, where poolers refuse it; no column of ours is a
        // fraction.
        let options = options.extra_float_digits(None);
        // What is left there comes from the environment (PGOPTIONS).
        let mut all = options.get_options().map(command_line).transpose()?.unwrap_or_default();
        all.append(&mut settings);
        Ok(Self { options, settings: all })
    }
}

/// For messages: without the password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.options.get_host(), self.options.get_port());
        write!(f, "postgres://{host}:{port}/{}", self.options.get_database().unwrap_or_default())
    }
}

fn refuse(name: &str, value: &str) -> Result<(), String> {
    match (name, value) {
        ("host" | "hostaddr" | "port", several) if several.contains(',') => Err(SEVERAL_HOSTS.to_owned()),
        ("statement-cache-capacity", "0") => {
            Err("statement-cache-capacity=0 is not supported; for a pooler see --database-pooler (DATABASE_POOLER)".to_owned())
        }
        ("target_session_attrs", _) => Err("target_session_attrs is not supported in a URL of PostgreSQL: without it, a \
             server that takes no writes is left, and its address asked again"
            .to_owned()),
        (known, _) if KNOWN.contains(&known) => Ok(()),
        (unknown, _) => Err(format!("{unknown} is not supported in a URL of PostgreSQL")),
    }
}

/// The host and port of a URL, if it has any.
fn hosts(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts)
}

/// The settings of a PostgreSQL command line: `-c name=value`, `-cname=value` or `--name=value`, where a
/// backslash keeps the space after it.
fn command_line(options: &str) -> Result<Vec<(String, String)>, String> {
    let (mut words, mut word, mut kept) = (Vec::new(), String::new(), false);
    for letter in options.chars() {
        match letter {
            '\\' if !kept => kept = true,
            space if space.is_whitespace() && !kept => words.push(std::mem::take(&mut word)),
            _ => {
                word.push(letter);
                kept = false;
            }
        }
    }
    words.push(word);
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next().unwrap_or_default(),
            Some(setting) => setting.to_owned(),
            None => return Err("options of PostgreSQL are -c name=value".to_owned()),
        };
        let (name, value) = setting.split_once('=').ok_or("options of PostgreSQL are -c name=value")?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_ignored_is_refused_by_its_name_and_without_the_password() {
        let several = "names one host";
        for (url, names) in [
            ("postgres://me:secret@one:5432,two:5433/db", several),
            ("postgres://me:secret@one,two/db", several),
            ("postgres:///db?user=me&password=secret&host=one,two", several),
            ("postgres://me:secret@one/db?target_session_attrs=read-write", "target_session_attrs"),
            ("postgres://me:secret@one/db?connect_timeout=5", "connect_timeout"),
            ("postgres://me:secret@one/db?statement-cache-capacity=0", "--database-pooler"),
            ("postgres://me:secret@one/db?options=-d%205", "-c name=value"),
            ("postgres://me:secret@one:port/db", "port"),
        ] {
            let why = Address::parse(url).map(|address| address.settings).expect_err(url);
            assert!(why.contains(names) && !why.contains("secret"), "{url}: {why}");
        }
        for url in [
            "postgres://me:se,cret@one:5432/db?sslmode=disable&application_name=x",
            "postgresql:///db?host=/var/run/postgresql&user=me",
            "postgres://me@one/db?statement-cache-capacity=50",
            "postgres://[::1]:5432/db",
        ] {
            assert_eq!(Address::parse(url).map(|address| address.settings), Ok(Vec::new()), "{url}");
        }
    }

    #[test]
    fn settings_are_made_by_statement_instead_of_riding_in_the_startup_packet() {
        let url = "postgres://me@one/db?options=-c%20search_path%3Da,b%20--work-mem=4MB%20-cx.y=a%5C%20b&options[geqo]=off";
        let address = Address::parse(url).unwrap();
        let settings: Vec<_> =
            address.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(settings, [("search_path", "a,b"), ("work_mem", "4MB"), ("x.y", "a b"), ("geqo", "off")]);
        assert_eq!(address.options.get_options(), None);
        assert_eq!((address.options.get_host(), address.options.get_database()), ("one", Some("db")));
    }
}
