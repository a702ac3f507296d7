//! The flags that say where the databases of a mesh are, for the commands that look at them.

use std::path::{Path, PathBuf};

use audit::{Error, Source, Sources};
use chassis::{flags, program::DatabaseUrl};
use clap::Args;

/// The databases of the mesh that the command reads.
#[derive(Args)]
pub(super) struct Places {
    /// Folder of the launcher's SQLite files
    #[arg(long, env, default_value = "./data")]
    data_dir: PathBuf,
    /// The launcher's PostgreSQL server instead of files; each service in a schema of its own
    #[arg(long, env, hide_env_values = true, value_parser = DatabaseUrl::POSTGRES)]
    database_url: Option<String>,
    /// Of separate programs: the queue service's database, `sqlite:path/to/file.db` or `postgres://…`
    #[arg(long, env, hide_env_values = true, value_parser = DatabaseUrl::ANY, help_heading = SEPARATE)]
    queue_database_url: Option<String>,
    /// The booking service's
    #[arg(long, env, hide_env_values = true, value_parser = DatabaseUrl::ANY, help_heading = SEPARATE)]
    booking_database_url: Option<String>,
    /// The wallet service's
    #[arg(long, env, hide_env_values = true, value_parser = DatabaseUrl::ANY, help_heading = SEPARATE)]
    wallet_database_url: Option<String>,
    /// The edge's: the journal of checkouts
    #[arg(long, env, hide_env_values = true, value_parser = DatabaseUrl::ANY, help_heading = SEPARATE)]
    edge_database_url: Option<String>,
}

const SEPARATE: &str = "Separate programs (those that are given are looked at, instead of the above)";

impl Places {
    /// The databases to look at. An error names the flag and its variable.
    pub(super) fn sources(&self) -> Result<Sources, String> {
        if self.are_apart() {
            let place = |flag: &str, url: &Option<String>| {
                url.as_deref().map(|url| named(flag, url.parse::<Source>())).transpose()
            };
            return Ok(Sources {
                queue: place("--queue-database-url", &self.queue_database_url)?,
                booking: place("--booking-database-url", &self.booking_database_url)?,
                wallet: place("--wallet-database-url", &self.wallet_database_url)?,
                edge: place("--edge-database-url", &self.edge_database_url)?,
            });
        }
        match &self.database_url {
            Some(url) => named("--database-url", Sources::in_schemas(url)),
            None => Ok(Sources::in_folder(&self.data_dir)),
        }
    }

    /// The folder of the SQLite files, if the databases are in one.
    pub(super) fn folder(&self) -> Option<&Path> {
        (!self.are_apart() && self.database_url.is_none()).then_some(self.data_dir.as_path())
    }

    fn are_apart(&self) -> bool {
        let urls = [
            &self.queue_database_url,
            &self.booking_database_url,
            &self.wallet_database_url,
            &self.edge_database_url,
        ];
        urls.into_iter().any(Option::is_some)
    }
}

fn named<T>(flag: &str, read: Result<T, Error>) -> Result<T, String> {
    read.map_err(|error| format!("{flag} ({}): {error}", flags::variable(flag)))
}
