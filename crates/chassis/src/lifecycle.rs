//! The life of a process: start, signals, end. Nothing else touches what a process has only once.

use std::{future::Future, process::ExitCode, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, alerts, exporter,
    telemetry::{self, LogArgs},
};

/// How long a program may take to end after the first signal. A pod's grace period must be longer. It leaves
/// time for stages that follow each other, such as a front and then the services behind it.
pub const DRAIN: Duration = Duration::from_secs(20);
/// How long a server waits for the calls in flight, and so how long a peer that neither answers nor
/// disconnects can delay its end.
pub const SERVER_DRAIN: Duration = Duration::from_secs(6);
/// How long blocking tasks may still run after the program itself has ended.
const RUNTIME_SHUTDOWN: Duration = Duration::from_secs(1);
/// The exit code for a wrong setting, the same as for a command line that cannot be read.
const WRONG_SETTING: u8 = 2;

/// A program, as its messages and `--version` name it.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The name in messages, such as `toy-svc`.
    pub name: &'static str,
    /// What `--version` prints after the name, such as `0.1.0 (5a5522887139)`.
    pub version: &'static str,
}

/// Runs a program to its end. The first SIGTERM or SIGINT cancels the token that the program is given (exit
/// code 0 once it has finished); a second one, or the end of [`DRAIN`], ends it at once. An error is logged
/// in one line (exit code 1, or 2 for a wrong setting).
pub fn run<P, F>(Program { name, version }: Program, log: &LogArgs, program: P) -> ExitCode
where
    P: FnOnce(CancellationToken) -> F,
    F: Future<Output = Result<(), Error>>,
{
    let _log = telemetry::init(log, version);
    alerts::begin(name, &log.alerts);
    keep_files_private();
    open_as_many_files_as_allowed();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "{name}: no runtime");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        if let Err(error) = telemetry::send_traces(log, name, version) {
            return failed(name, &error);
        }
        let shutdown = CancellationToken::new();
        let program = program(shutdown.clone());
        tokio::select! {
            ended = program => ended.map_or_else(|error| failed(name, &error), |()| ExitCode::SUCCESS),
            code = signals(name, shutdown) => code,
        }
    });
    exporter::end();
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    code
}

/// Makes the files that this process creates from now on readable by its own user alone, whatever its umask
/// was: database files hold secrets.
pub fn keep_files_private() {
    use rustix::{fs::Mode, process::umask};
    umask(Mode::RWXG | Mode::RWXO);
}

/// Raises the limit of open files to what the administrator allows, because every connection is a file. The
/// default (1,024) is an old courtesy to `select`, which nothing here uses.
fn open_as_many_files_as_allowed() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of open files could not be raised; connections beyond it will wait");
    }
}

fn failed(name: &str, error: &Error) -> ExitCode {
    tracing::error!("{name}: {error}");
    match error {
        Error::Config(_) => ExitCode::from(WRONG_SETTING),
        Error::Db(_) | Error::Io(_) | Error::Task(_) => ExitCode::FAILURE,
    }
}

/// Waits for signals; ends only when the process has to, on a second signal or when draining takes too long.
async fn signals(name: &str, shutdown: CancellationToken) -> ExitCode {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("{name}: signals cannot be received");
        return ExitCode::FAILURE;
    };
    let mut next = async || {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    };
    next().await;
    tracing::info!("{name}: finishing what is in flight; a second signal ends at once");
    shutdown.cancel();
    tokio::select! {
        () = next() => tracing::warn!("{name}: ended by a second signal"),
        () = tokio::time::sleep(DRAIN) => tracing::warn!("{name}: ended with work in flight, after {DRAIN:?}"),
    }
    ExitCode::FAILURE
}
