//! The outer half: makes everything that a measurement needs, runs the measurement as a child, and takes
//! everything away again, however the child ends.
//!
//! It builds the programs (when it was itself started by cargo), starts a private PostgreSQL, lifts the limit
//! of open files where it may, waits within a bound, and ends what the child left behind by the process ids
//! that it noted.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    process,
    signal::unix::{SignalKind, signal},
    time::sleep,
};

/// Names the postmaster's process to the child.
pub(crate) const POSTGRES_PID: &str = "BENCH_POSTGRES_PID";
/// No measurement takes longer.
const LONGEST: Duration = Duration::from_secs(1_800);
/// Enough for 100,000 streams at both ends.
const OPEN_FILES: u32 = 250_000;

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate is two folders below the root").to_owned()
}

fn program() -> PathBuf {
    std::env::current_exe().expect("a running program has a path")
}

/// Where the programs are: beside this one.
fn programs() -> PathBuf {
    program().parent().expect("a file is in a folder").to_owned()
}

/// Runs this program again as `inside ARGS…`, with all that it needs around it.
pub(crate) async fn run(args: &[String]) -> ExitCode {
    build();
    let dir = TempDir::with_prefix("bench-").expect("a temporary folder can be made");
    // PostgreSQL never runs as root: its user must come through to its own folder.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("a folder of one's own");
    let server = Server::start(dir.path().join("postgres"));
    let notes = dir.path().join("notes");
    fs::create_dir(&notes).expect("a folder of one's own");
    let mut child = process::Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -n {OPEN_FILES} 2>/dev/null || ulimit -n \"$(ulimit -Hn)\"; exec \"$0\" \"$@\""),
        ])
        .arg(program())
        .arg("inside")
        .args(args)
        .env("TMPDIR", dir.path())
        .env("TEST_POSTGRES_URL", &server.url)
        .env("TEST_RUN_DIR", &notes)
        .env("TEST_RUST_LOG", std::env::var_os("RUST_LOG").unwrap_or_else(|| "info".into()))
        .env("BOXOFFICE_BIN_DIR", programs())
        .env(POSTGRES_PID, server.pid.to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("a shell starts");
    let mut stop = signal(SignalKind::terminate()).expect("signals can be listened to");
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be listened to");
    let code = tokio::select! {
        ended = child.wait() => ended.ok().and_then(|status| status.code()).unwrap_or(1),
        _ = stop.recv() => 143,
        _ = interrupt.recv() => 130,
        () = sleep(LONGEST) => {
            eprintln!("stopped: it took longer than {LONGEST:?}");
            1
        }
    };
    let _ended = child.kill().await;
    end_what_is_left(&notes);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Builds the programs as this one was built. Nothing to do takes cargo a second; figures of yesterday's
/// programs help nobody.
fn build() {
    let Some(cargo) = std::env::var_os("CARGO") else { return };
    let programs = programs();
    let profile = match programs.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    // All of the workspace but this program, which runs: so every library is compiled with the features it
    // has everywhere else.
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--workspace", "--exclude", "bench", "--bins", "--profile", profile])
        .current_dir(root())
        .status();
    assert!(built.is_ok_and(|status| status.success()), "the programs do not build");
}

/// Ends the processes whose ids were noted and which still are what they were.
fn end_what_is_left(notes: &Path) {
    for note in fs::read_dir(notes).into_iter().flatten().flatten() {
        let text = fs::read_to_string(note.path()).unwrap_or_default();
        let Some((pid, path)) = text.trim().split_once(' ') else { continue };
        if fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == Path::new(path)) {
            let _gone = Command::new("sh").args(["-c", &format!("kill -s KILL {pid}")]).status();
        }
    }
}

/// The throwaway PostgreSQL.
struct Server {
    dir: PathBuf,
    url: String,
    pid: u32,
}

impl Server {
    fn start(dir: PathBuf) -> Self {
        let started = Command::new(root().join("tests/postgres"))
            .arg("start")
            .arg(&dir)
            .stderr(Stdio::inherit())
            .output();
        let url = started
            .ok()
            .filter(|output| output.status.success())
            .and_then(|output| String::from_utf8(output.stdout).ok());
        let url =
            url.expect("PostgreSQL does not start (Debian: apt-get install postgresql)").trim().to_owned();
        let pid = fs::read_to_string(dir.join("data/postmaster.pid")).ok();
        let pid = pid
            .and_then(|text| text.lines().next()?.trim().parse().ok())
            .expect("a running server leaves its process id");
        Self { dir, url, pid }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _stopped = Command::new(root().join("tests/postgres")).arg("stop").arg(&self.dir).status();
    }
}
