//! `boxoffice backup`: copies the SQLite files of a mesh while it sells, so that the audit accepts the copy
//! and a mesh can be started from it.
//!
//! The journal comes first: while nobody can write to it for some milliseconds, the instants of all copies
//! are fixed ([`chassis::db::Snapshots`]). So a checkout that is settled in the copy is final in the copies
//! of wallet and booking, whatever these know of was begun in the copy of the journal, and what is PENDING
//! there is finished by the mesh that is started from it.
//!
//! A backup is complete or not there at all: it is made in a folder beside the one that was asked for, and
//! renamed in the end.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use audit::{Source, Sources};
use chassis::{clock::Clock, db::Snapshots, lifecycle, rfc3339::Rfc3339};
use chrono::DateTime;
use clap::Args;
use serde_json::{Value, json};

use super::{failed, places::Places, postgres};

/// The flags of a backup: which databases, and the folder to copy to.
#[derive(Args)]
#[command(long_about = ABOUT, after_help = AFTER, after_long_help = AFTER)]
pub(crate) struct Backup {
    /// The folder to make; it must not be there yet
    #[arg(long, env)]
    out: PathBuf,
    #[command(flatten)]
    places: Places,
}

const ABOUT: &str = "\
Copy the SQLite files of a mesh while it runs, or say how PostgreSQL is backed up

The files are copied as of one instant: what is settled in the copy of the journal is final in the others, so `boxoffice audit` finds
nothing in a backup, and a mesh that is started from one finishes what was in flight. Sales go on; for some milliseconds, in which the
instant is fixed, payments wait. Run it as the user that the mesh runs as: nobody else may read its files, nor the copies.

To restore, stop the mesh and start it on a copy of the folder: `cp -r BACKUP NEW; boxoffice --data-dir NEW`. What happened after the
backup is not in it.

PostgreSQL has tools of its own, and a consistent copy is theirs to make: for it this prints the commands and makes nothing.";

const AFTER: &str = "\
Exit codes: 0 the backup is there · 1 there is none · 2 a wrong flag or address · 3 none was made: the commands for PostgreSQL are printed

Examples:
  boxoffice backup --out /backups/2026-12-24                                   the launcher's files under ./data
  boxoffice backup --out /backups/2026-12-24 --data-dir /data && boxoffice audit --data-dir /backups/2026-12-24
  boxoffice backup --out /backups/2026-12-24 --edge-database-url sqlite:/edge/edge.db --wallet-database-url sqlite:/wallet/wallet.db \\
                   --booking-database-url sqlite:/booking/booking.db --queue-database-url sqlite:/queue/queue.db
  boxoffice backup --out /backups/2026-12-24 --database-url postgres://me@localhost/boxoffice    what to run instead";

/// The exit code when no backup was made.
const NONE: u8 = 1;
/// The exit code of every wrong setting.
const WRONG_SETTING: u8 = 2;
/// The exit code when the tools of PostgreSQL are to be used instead.
const NOT_OURS: u8 = 3;
/// The file that is written last, beside the copies: it says when they were made, which the audit needs.
const NOTE: &str = "backup.json";

impl Backup {
    pub(crate) fn run(self) -> ExitCode {
        lifecycle::keep_files_private();
        let sources = match self.places.sources() {
            Ok(sources) => sources,
            Err(error) => return failed("backup", &error, WRONG_SETTING),
        };
        let (files, servers) = sorted(&sources);
        if !servers.is_empty() {
            super::print(&postgres::commands(&servers, &self.out));
            return failed(
                "backup",
                "nothing was written: PostgreSQL is backed up with its own tools",
                NOT_OURS,
            );
        }
        match make(&self.out, &files) {
            Ok(taken_at) => {
                super::print(&told(&self.out, &files, taken_at));
                ExitCode::SUCCESS
            }
            Err(error) => failed("backup", &error, NONE),
        }
    }
}

/// Values with the names of their services.
type Named<'a, T> = Vec<(&'static str, &'a T)>;

/// The SQLite files, the journal first, and the databases that are on a server, each with its service.
fn sorted(sources: &Sources) -> (Named<'_, Path>, Named<'_, Source>) {
    let Sources { queue, booking, wallet, edge } = sources;
    let (mut files, mut servers) = (Vec::new(), Vec::new());
    for (service, place) in [("edge", edge), ("wallet", wallet), ("booking", booking), ("queue", queue)] {
        match place {
            Some(Source::Sqlite(file)) => files.push((service, file.as_path())),
            Some(place @ Source::Postgres { .. }) => servers.push((service, place)),
            None => {}
        }
    }
    (files, servers)
}

/// Makes the backup; answers when it was made, in microseconds since 1970.
fn make(out: &Path, files: &[(&str, &Path)]) -> Result<i64, String> {
    if fs::symlink_metadata(out).is_ok() {
        return Err(format!("{} is there already; a backup overwrites nothing", out.display()));
    }
    let Some(name) = out.file_name() else {
        return Err(format!("{} is no name for a folder", out.display()));
    };
    if let Some((service, file)) = files.iter().find(|(_, file)| !file.is_file()) {
        return Err(format!(
            "{service}: there is no file {}; --data-dir is the folder that the mesh was started with",
            file.display()
        ));
    }
    let within = out.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let partial = within.join(format!("{}.partial-{}", name.display(), std::process::id()));
    let named = |what: &Path, error: io::Error| format!("{}: {error}", what.display());
    fs::create_dir_all(within).map_err(|error| named(within, error))?;
    fs::create_dir(&partial).map_err(|error| named(&partial, error))?;
    let made = fill(&partial, files).and_then(|taken_at| {
        fs::rename(&partial, out).and_then(|()| sync(within)).map_err(|error| named(out, error))?;
        Ok(taken_at)
    });
    if made.is_err() {
        let _gone = fs::remove_dir_all(&partial);
    }
    made
}

fn fill(folder: &Path, files: &[(&str, &Path)]) -> Result<i64, String> {
    let sources: Vec<&Path> = files.iter().map(|(_, file)| *file).collect();
    let snapshots = Snapshots::of(&sources).map_err(|error| error.to_string())?;
    let taken_at = Clock::system().now();
    let written = |path: &Path, written: io::Result<()>| {
        written.map_err(|error| format!("{}: {error}", path.display()))
    };
    for (number, (service, file)) in files.iter().enumerate() {
        let copy = folder.join(format!("{service}.db"));
        snapshots
            .copy(number, &copy)
            .map_err(|error| format!("{service}: {} to {}: {error}", file.display(), copy.display()))?;
        written(&copy, sync(&copy))?;
    }
    let note = folder.join(NOTE);
    let told = json!({"takenAt": Rfc3339::of(taken_at).as_str(), "version": built::version!()});
    written(&note, fs::write(&note, format!("{told:#}\n")).and_then(|()| sync(&note)))?;
    written(folder, sync(folder))?;
    Ok(taken_at)
}

/// Makes the content of a file, or the entries of a folder, durable.
fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn told(out: &Path, files: &[(&str, &Path)], taken_at: i64) -> String {
    let services = files.iter().map(|(service, _)| *service).collect::<Vec<_>>().join(", ");
    format!(
        "{}: {services} as of {}.

  check     boxoffice audit --data-dir {}
  restore   stop the mesh, and start it on a copy of this folder
",
        out.display(),
        Rfc3339::of(taken_at).as_str(),
        out.display()
    )
}

/// When the files in a folder were copied, in microseconds since 1970; `None` when the folder is no backup.
pub(super) fn taken_at(folder: &Path) -> Result<Option<i64>, String> {
    let note = folder.join(NOTE);
    let text = match fs::read(&note) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", note.display())),
    };
    let told: Option<Value> = serde_json::from_slice(&text).ok();
    let at = told.as_ref().and_then(|told| DateTime::parse_from_rfc3339(told["takenAt"].as_str()?).ok());
    at.map(|at| Some(at.timestamp_micros()))
        .ok_or_else(|| format!("{} does not say when the backup was taken", note.display()))
}
