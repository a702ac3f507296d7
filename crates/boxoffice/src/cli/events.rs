//! `boxoffice events`: what other systems are told, who is told, and telling it again.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use chassis::{
    Error,
    clock::Clock,
    db::{DbConfig, Dialect},
    lifecycle,
    program::DatabaseUrl,
};
use clap::{Args, Subcommand};
use edge::EventBook;
use tokio::time::sleep;

/// Which edge's events, and what to do with them.
#[derive(Args)]
#[command(long_about = ABOUT, after_help = AFTER, after_long_help = AFTER)]
pub(crate) struct EventsCommand {
    #[command(subcommand)]
    what: What,
}

/// Where the edge keeps its journal.
#[derive(Args)]
struct EdgePlace {
    /// Folder of the launcher's SQLite files
    #[arg(long, env, default_value = "./data")]
    data_dir: PathBuf,
    /// The launcher's PostgreSQL server instead of files; the edge lives in a schema of its own
    #[arg(long, env, hide_env_values = true, value_parser = DatabaseUrl::POSTGRES)]
    database_url: Option<String>,
    /// Of separate programs: the edge's database, `sqlite:path/to/file.db` or `postgres://…`
    #[arg(long, env, hide_env_values = true, value_parser = DatabaseUrl::ANY)]
    edge_database_url: Option<String>,
}

#[derive(Subcommand)]
enum What {
    /// List who is told, how far, and what is wrong
    Subscribers(EdgePlace),
    /// Print events as they happen, a CloudEvent in JSON a line
    Tail {
        #[command(flatten)]
        place: EdgePlace,
        /// Begin with the event of this id, or the oldest there is, instead of now
        #[arg(long, value_name = "ID|oldest")]
        from: Option<String>,
        /// End at the newest event instead of waiting for more
        #[arg(long)]
        until_now: bool,
    },
    /// Send a subscriber everything from an event on, again or for the first time
    Replay {
        #[command(flatten)]
        place: EdgePlace,
        /// Its name, as `subscribers` lists it, or its address
        #[arg(long, value_name = "NAME|URL")]
        subscriber: String,
        /// The id of the event to begin with, or the oldest there is
        #[arg(long, value_name = "ID|oldest")]
        from: String,
    },
}

const ABOUT: &str = "\
What other systems are told, who is told, and telling it again

It works in the edge's own database, beside the edges that run or while none does, so it is for who may read and write that. Events are
kept for --events-retention of the edge.";

const AFTER: &str = "\
Exit codes: 0 done · 1 failed · 2 a wrong flag, no such subscriber, no such event

Examples:
  boxoffice events subscribers
  boxoffice events tail | jq -r .type
  boxoffice events tail --from oldest --until-now
  boxoffice events replay --subscriber crm.example#3fa9c1d2 --from 6f1c…/payment
  boxoffice events replay --subscriber crm.example#3fa9c1d2 --from 9b02…/payment     also a later one: what is between is passed over";

/// How often to look for news.
const LOOK: Duration = Duration::from_millis(300);
/// It could not be done.
const FAILED: u8 = 1;
/// As for every wrong setting.
const WRONG_SETTING: u8 = 2;

impl EventsCommand {
    pub(crate) fn run(self) -> ExitCode {
        lifecycle::keep_files_private();
        match super::block_on(async { Ok::<_, String>(self.what.done().await) }) {
            Ok(Ok(())) => ExitCode::SUCCESS,
            Ok(Err(error @ Error::Config(_))) => super::failed("events", &error.to_string(), WRONG_SETTING),
            Ok(Err(error)) => super::failed("events", &error.to_string(), FAILED),
            Err(error) => super::failed("events", &error, FAILED),
        }
    }
}

impl What {
    async fn done(self) -> Result<(), Error> {
        let (Self::Subscribers(place) | Self::Tail { place, .. } | Self::Replay { place, .. }) = &self;
        let book = EventBook::open(&place.database()?).await?;
        let done = match self {
            Self::Subscribers(_) => list(&book).await,
            Self::Tail { from, until_now, .. } => tail(&book, from.as_deref(), until_now).await,
            Self::Replay { subscriber, from, .. } => {
                book.replay(&subscriber, &from, &Clock::system()).await.map(|name| {
                    super::print(&format!("{name} is sent everything from {from} on\n"));
                })
            }
        };
        let closed = book.close().await;
        done.and(closed)
    }
}

impl EdgePlace {
    fn database(&self) -> Result<DbConfig, Error> {
        let config = match (&self.edge_database_url, &self.database_url) {
            (Some(url), _) => DbConfig::at(url),
            (None, Some(url)) => DbConfig { schema: Some("edge".to_owned()), ..DbConfig::at(url) },
            (None, None) => DbConfig::at(format!("sqlite:{}", self.data_dir.join("edge.db").display())),
        };
        // A file that is not there would be made.
        let file = config.url.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//"));
        match (config.dialect(), file) {
            (Some(Dialect::Sqlite), Some(file)) if !std::path::Path::new(file).exists() => {
                Err(Error::Config(format!("there is no file {file} (--data-dir, --edge-database-url)")))
            }
            _ => Ok(config),
        }
    }
}

async fn list(book: &EventBook) -> Result<(), Error> {
    let mut text = String::new();
    for one in book.subscribers(&Clock::system()).await? {
        let how = match (one.gone, one.failing, one.told) {
            (true, ..) => "wants no events (410): replay begins again".to_owned(),
            (false, Some((attempts, why)), _) => format!("fails, {attempts} times in a row: {why}"),
            (false, None, true) => "is told".to_owned(),
            (false, None, false) => "no edge tells it now".to_owned(),
        };
        text.push_str(&format!("{}\t{} behind\t{how}\n", one.name, one.behind));
    }
    super::print(&text);
    Ok(())
}

async fn tail(book: &EventBook, from: Option<&str>, until_now: bool) -> Result<(), Error> {
    let mut position = book.before(from).await?;
    loop {
        let events = book.after(position).await?;
        if events.is_empty() {
            if until_now {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        for event in events {
            position = event.position;
            // Nobody reads any more (`| head`), which is the end and no failure.
            if writeln!(io::stdout(), "{}", event.body).is_err() {
                return Ok(());
            }
        }
    }
}
