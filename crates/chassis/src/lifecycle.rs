//! The life of a process: start, signals, end. The only place that touches what a process has once.

use std::{future::Future, process::ExitCode, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    telemetry::{self, LogArgs},
};

/// How long a program may take to end after the first signal. A pod's grace period must be longer. It has
/// room for stages that follow each other: in the launcher the edge's servers, its checkouts, then the
/// services' servers.
pub const DRAIN: Duration = Duration::from_secs(20);
/// How long a server waits for the calls in flight. Also the price of a peer that neither speaks nor goes
/// away.
pub const SERVER_DRAIN: Duration = Duration::from_secs(6);
/// What blocking tasks get after the program itself has ended.
const RUNTIME_SHUTDOWN: Duration = Duration::from_secs(1);
/// As for a command line that cannot be read.
const WRONG_SETTING: u8 = 2;

/// Who a program is.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// What it is called, in messages.
    pub name: &'static str,
    /// What its `--version` tells behind the name.
    pub version: &'static str,
}

/// Runs a program to its end. The first SIGTERM or SIGINT cancels the token it is given (exit code 0 once it
/// has finished); a second one, or the end of [`DRAIN`], ends it at once. An error is told in one line (exit
/// code 1, or 2 for a setting that makes no sense).
pub fn run<P, F>(Program { name, version }: Program, log: &LogArgs, program: P) -> ExitCode
where
    P: FnOnce(CancellationToken) -> F,
    F: Future<Output = Result<(), Error>>,
{
    let _log = telemetry::init(log, version);
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
        let shutdown = CancellationToken::new();
        let program = program(shutdown.clone());
        tokio::select! {
            ended = program => ended.map_or_else(|error| failed(name, &error), |()| ExitCode::SUCCESS),
            code = signals(name, shutdown) => code,
        }
    });
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    code
}

/// What this process makes from now on is for its own user alone, whatever mask it was started with: database
/// files hold live tokens.
pub fn keep_files_private() {
    use rustix::{fs::Mode, process::umask};
    umask(Mode::RWXG | Mode::RWXO);
}

/// Every connection is a file. What a process gets by default (1,024) is an old courtesy to `select`, which
/// nothing here uses; what it may have is the administrator's word.
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

/// Ends only when the process has to: on a second signal, or when draining takes too long.
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
