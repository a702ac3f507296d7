//! The main function of a service: it runs the migrations and ends, or serves until a signal ends it.

use std::{io, net::SocketAddr, process::ExitCode};

use clap::{
    Arg, Command,
    builder::{StringValueParser, TypedValueParser},
    error::ErrorKind,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    db::{DbConfig, Dialect, Pooler},
    flags,
    lifecycle::{self, Program},
    network::{self, ConnectionArgs, Incoming},
    telemetry::LogArgs,
    tls::ServerTls,
};

/// Flags about the database of a service. The file that is used by default is for the program to set:
/// `#[command(mut_arg("database_url", |arg| arg.default_value("sqlite:data/service.db")))]`.
#[derive(clap::Args, Clone, Debug)]
pub struct Rows {
    /// Where the rows are: sqlite:path/to/file.db or postgres://user@host/database
    #[arg(long, env, hide_env_values = true, required = false, value_parser = DatabaseUrl::ANY)]
    pub database_url: String,
    /// How the pooler in front of PostgreSQL, such as PgBouncer, pools connections
    #[arg(long, env, value_enum, default_value_t)]
    pub database_pooler: Pooler,
    /// Only bring the database up to date, then end
    #[arg(long, env)]
    pub migrate_only: bool,
}

/// Runs a service as a process of its own. `serve` is given its database and the token that ends it.
pub fn run<M, S>(program: Program, log: &LogArgs, rows: Rows, migrate: M, serve: S) -> ExitCode
where
    M: AsyncFnOnce(&DbConfig) -> Result<(), Error>,
    S: AsyncFnOnce(DbConfig, CancellationToken) -> Result<(), Error>,
{
    lifecycle::run(program, log, async |shutdown| {
        let database = DbConfig { pooler: rows.database_pooler, ..DbConfig::at(rows.database_url) };
        if rows.migrate_only { migrate(&database).await } else { serve(database, shutdown).await }
    })
}

/// The sockets that a service behind the edge listens on, already bound.
#[derive(Debug)]
pub struct Listeners {
    /// The socket for gRPC.
    pub grpc: Incoming,
    /// The socket for `/healthz`, `/readyz` and `/metrics`; `None` where another service of the process
    /// answers them.
    pub http: Option<TcpListener>,
}

impl Listeners {
    /// Binds the addresses of `--addr`, whose connections have this TLS in them, and of `--http-addr`.
    ///
    /// # Errors
    /// As [`listen`].
    pub fn bind(
        addr: SocketAddr,
        http_addr: SocketAddr,
        connections: ConnectionArgs,
        tls: Option<&ServerTls>,
    ) -> Result<Self, Error> {
        let (grpc, http) = (listen("--addr", addr)?, listen("--http-addr", http_addr)?);
        Ok(Self { grpc: Incoming::secured(grpc, &connections.counted(), tls), http: Some(http) })
    }
}

/// Listens at the address that a flag gives.
///
/// # Errors
/// The address is taken, or not this machine's; names the address, the flag and its variable.
pub fn listen(flag: &str, addr: SocketAddr) -> Result<TcpListener, Error> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("{flag} ({}): {error}", flags::variable(flag)))
    };
    Ok(network::listen(addr).map_err(named)?)
}

/// The value parser of a database URL. An error is told without the URL itself: there may be a password in
/// it.
#[derive(Clone, Copy, Debug)]
pub struct DatabaseUrl(Option<Dialect>);

impl DatabaseUrl {
    /// The URL of a database of either dialect.
    pub const ANY: Self = Self(None);
    /// The URL of a PostgreSQL server.
    pub const POSTGRES: Self = Self(Some(Dialect::Postgres));
}

impl TypedValueParser for DatabaseUrl {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        let url = StringValueParser::new().parse_ref(command, arg, value)?;
        let config = DbConfig::at(url.clone());
        let why = match (config.dialect(), self.0) {
            (Some(is), wanted) if wanted.is_none_or(|wanted| is == wanted) => match config.check() {
                Ok(()) => return Ok(url),
                Err(why) => why.to_string(),
            },
            (_, Some(Dialect::Postgres)) => "a database's URL begins with postgres://".to_owned(),
            (_, Some(Dialect::Sqlite) | None) => {
                "a database's URL begins with sqlite: or postgres://".to_owned()
            }
        };
        let flag = arg
            .and_then(Arg::get_long)
            .map_or_else(|| "--database-url".to_owned(), |long| format!("--{long}"));
        let why = format!("{flag} ({}): {why}\n", flags::variable(&flag));
        Err(clap::Error::raw(ErrorKind::ValueValidation, why).with_cmd(command))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    #[command(mut_arg("database_url", |arg| arg.default_value("sqlite:data/toy.db")))]
    struct Line {
        #[command(flatten)]
        rows: Rows,
        #[arg(long, value_parser = DatabaseUrl::POSTGRES)]
        server: Option<String>,
    }

    #[test]
    fn each_program_has_a_file_of_its_own_unless_told() {
        let url = |words: &[&str]| Line::try_parse_from(words).map(|line| line.rows.database_url).ok();
        assert_eq!(url(&["toy"]).as_deref(), Some("sqlite:data/toy.db"));
        assert_eq!(
            url(&["toy", "--database-url", "postgresql://x@y/z"]).as_deref(),
            Some("postgresql://x@y/z")
        );
        assert!(Line::try_parse_from(["toy", "--server", "postgres://x@y/z"]).is_ok());
        let usage = <Line as clap::CommandFactory>::command().render_usage().to_string();
        assert!(!usage.contains("database-url"), "nothing is required: {usage}");
    }

    #[test]
    fn a_url_that_is_none_is_refused_with_the_names_to_look_for_and_without_its_password() {
        for bad in
            [["toy", "--database-url", "postgress://me:secret@db/x"], ["toy", "--server", "sqlite:secret"]]
        {
            let refused =
                Line::try_parse_from(bad).map(drop).map_err(|error| (error.exit_code(), error.to_string()));
            let Err((2, why)) = refused else { panic!("{refused:?}") };
            let variable = flags::variable(bad[1]);
            assert!(
                why.contains(bad[1])
                    && why.contains(&variable)
                    && why.contains("postgres://")
                    && !why.contains("secret"),
                "{why}"
            );
        }
    }
}
