//! A seed in a process of its own: what it is told, and what it tells.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use audit::{Options, Sources};
use serde::{Deserialize, Serialize};

use crate::{
    forge::forge,
    history::{History, Violation},
    run::Sabotage,
};

/// How long a seed may take by the machine's clock.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a process that ran a seed tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The same for the same run.
    pub digest: String,
    /// Everything that happened.
    pub history: History,
}

/// A seed to run.
#[derive(Clone, Debug, clap::Args, Serialize, Deserialize)]
pub struct Task {
    /// Which
    #[arg(long)]
    pub seed: u64,
    /// Make a mistake on purpose, which must be found
    #[arg(long, value_enum)]
    pub sabotage: Option<Sabotage>,
    /// The core to run on: a server and its database, which wait for each other, are faster on one than on
    /// two
    #[arg(long)]
    pub core: Option<usize>,
}

impl Task {
    /// Runs the seed in a new process and audits what it leaves.
    ///
    /// # Errors
    /// The process could not be started, took too long, or did not tell.
    pub fn run(&self, program: &Path) -> Result<Outcome, String> {
        let folder = folder().map_err(|error| format!("no folder for the databases: {error}"))?;
        let mut outcome = self.in_process(program, folder.path())?;
        if let Some(sabotage) = self.sabotage {
            block_on(forge(folder.path(), sabotage))?.map_err(|error| error.to_string())?;
        }
        outcome.history.violations.extend(audited(folder.path())?);
        Ok(outcome)
    }

    fn in_process(&self, program: &Path, folder: &Path) -> Result<Outcome, String> {
        let mut command = Command::new(program);
        command.arg("--seed").arg(self.seed.to_string()).arg("--folder").arg(folder);
        if let Some(core) = self.core {
            command.arg("--core").arg(core.to_string());
        }
        if let Some(sabotage) = self.sabotage.as_ref().and_then(clap::ValueEnum::to_possible_value) {
            command.arg("--sabotage").arg(sabotage.get_name());
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut child = child.map_err(|error| format!("{}: {error}", program.display()))?;
        let stdout = child.stdout.take();
        let (told, tells) = mpsc::channel();
        thread::spawn(move || {
            let mut text = String::new();
            let read = stdout.map_or(Ok(0), |mut stdout| stdout.read_to_string(&mut text));
            told.send(read.map(|_| text))
        });
        let text = tells.recv_timeout(PATIENCE);
        if text.is_err() {
            child.kill().map_err(|error| error.to_string())?;
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        let text =
            text.map_err(|_| format!("not over after {PATIENCE:?}"))?.map_err(|error| error.to_string())?;
        serde_json::from_str(&text).map_err(|error| format!("{status}, and told nothing ({error})"))
    }
}

/// A folder for databases: in memory, where there is such a place.
fn folder() -> io::Result<tempfile::TempDir> {
    let memory = PathBuf::from("/dev/shm");
    let named = tempfile::Builder::new().prefix("boxoffice-seed-").to_owned();
    if memory.is_dir() { named.tempdir_in(memory) } else { named.tempdir() }
}

/// What the judge of the databases finds.
fn audited(folder: &Path) -> Result<Vec<Violation>, String> {
    let report = block_on(async { audit::audit(&Sources::in_folder(folder), &Options::at_rest()).await })?
        .map_err(|error| format!("the audit could not look: {error}"))?;
    let differences = report.differences.iter();
    Ok(differences
        .map(|found| Violation { rule: "AUDIT".to_owned(), what: found.to_string(), who: Vec::new() })
        .collect())
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(|error| error.to_string())?.block_on(work))
}
