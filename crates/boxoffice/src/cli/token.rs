//! `boxoffice token`: a bearer token of the mesh's own issuer.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use access::{Issuer, Role};
use chassis::{clock::Clock, lifecycle};
use clap::{Args, builder::NonEmptyStringValueParser};

/// For whom, and for how long. What the token says comes from the command line alone: the variable that
/// `--user` would have is the name somebody is logged in with.
#[derive(Args)]
#[command(long_about = ABOUT, after_help = AFTER, after_long_help = AFTER)]
pub(crate) struct IssueToken {
    /// Who its bearer is
    #[arg(long)]
    user: String,
    /// What the bearer may do besides what any user may; several with commas
    #[arg(long, value_enum, value_delimiter = ',')]
    role: Vec<Role>,
    /// How long it is valid
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    lifetime: Duration,
    /// The folder that the mesh was started with: the issuer's key is there, and is made there if it is
    /// missing
    #[arg(long, env, default_value = "./data")]
    data_dir: PathBuf,
    /// What the token is for: the mesh's --auth-audience
    #[arg(long, env, default_value = "boxoffice", value_parser = NonEmptyStringValueParser::new())]
    auth_audience: String,
}

const ABOUT: &str = "\
Print a bearer token of the mesh's own issuer

A mesh that was started with `--auth-issuer local` accepts it, and asks nobody: the token is signed with the key in its folder. The mesh
need not run, and whoever may read that folder may get a token for anybody.";

const AFTER: &str = "\
Exit codes: 0 the token is printed · 1 the key cannot be read or made · 2 a wrong flag

Examples:
  boxoffice token --user ann
  boxoffice token --user root --role operator,cashier --for 8h
  curl -H \"Authorization: Bearer $(boxoffice token --user ann)\" http://127.0.0.1:24000/v1/wallets/ann";

/// There is no token.
const NONE: u8 = 1;
/// As for every wrong setting.
const WRONG_SETTING: u8 = 2;

impl IssueToken {
    pub(crate) fn run(self) -> ExitCode {
        lifecycle::keep_files_private();
        let issuer = match Issuer::open(&self.data_dir) {
            Ok(issuer) => issuer,
            Err(error) => return failed(&error.to_string(), NONE),
        };
        let roles = self.role.into_iter().collect();
        match issuer.issue(&self.auth_audience, &self.user, roles, self.lifetime, Clock::system().now()) {
            Ok(token) => {
                super::print(&format!("{token}\n"));
                ExitCode::SUCCESS
            }
            Err(_) => failed("--user: must be 1 to 64 visible characters, without spaces", WRONG_SETTING),
        }
    }
}

fn failed(error: &str, code: u8) -> ExitCode {
    let _unread = writeln!(io::stderr(), "boxoffice token: {error}");
    ExitCode::from(code)
}
