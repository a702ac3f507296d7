//! One program of the mesh as a child process: its output in a file, its signals by pid, never outliving its
//! owner.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::sleep;

use crate::patience::Patience;

/// What to start.
#[derive(Clone, Debug)]
pub struct Program {
    /// A name for messages and for the log file, unique in its mesh.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Where its log goes.
    pub dir: PathBuf,
}

/// Signals the tests send.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// SIGTERM: asks the process to finish.
    Term,
    /// SIGINT, as Ctrl-C sends it.
    Int,
    /// SIGKILL, as if the machine was lost.
    Kill,
    /// SIGSTOP, as if the machine hung.
    Stop,
    /// SIGCONT: it goes on after [`Stop`](Self::Stop).
    Cont,
}

/// A running (or ended) program.
#[derive(Debug)]
pub struct Process {
    program: Program,
    child: Mutex<Child>,
}

/// Where the programs are: `BOXOFFICE_BIN_DIR`, or beside the test executable.
///
/// # Panics
/// When the test executable is not where cargo puts it.
#[must_use]
pub fn programs() -> PathBuf {
    if let Some(dir) = std::env::var_os("BOXOFFICE_BIN_DIR") {
        return dir.into();
    }
    let test = std::env::current_exe().expect("a running program has a path");
    test.parent().and_then(Path::parent).expect("cargo puts tests into <profile>/deps").to_owned()
}

/// The path of one of the five programs.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    binary_of(&programs(), name)
}

/// The same, in a folder of programs of another build.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn binary_of(programs: &Path, name: &str) -> PathBuf {
    let path = programs.join(name);
    assert!(
        path.is_file(),
        "{} is not built: run `cargo build --workspace` first, as tests/run does",
        path.display()
    );
    path
}

impl Process {
    /// Starts a program. It gets only what is on its command line: the environment is empty but for the path
    /// and logging.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(program: Program) -> Self {
        let child = Self::spawn(&program);
        Self { program, child: Mutex::new(child) }
    }

    fn spawn(program: &Program) -> Child {
        let log = File::options()
            .create(true)
            .append(true)
            .open(Self::log_of(program))
            .expect("a log can be written");
        let child = Command::new(&program.path)
            .args(&program.args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUST_LOG", std::env::var_os("TEST_RUST_LOG").unwrap_or_else(|| "info".into()))
            .env("RUST_BACKTRACE", "1")
            .current_dir(&program.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.path.display()));
        if let Some(dir) = std::env::var_os("TEST_RUN_DIR") {
            // For tests/run, in case this test is killed before it can stop its children.
            let note = PathBuf::from(dir).join(format!("{}.pid", child.id()));
            let _ = fs::write(note, format!("{} {}\n", child.id(), program.path.display()));
        }
        child
    }

    fn log_of(program: &Program) -> PathBuf {
        program.dir.join(format!("{}.log", program.name))
    }

    fn with_child<T>(&self, ask: impl FnOnce(&mut Child) -> T) -> T {
        ask(&mut self.child.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The name in messages, unique in its mesh.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.program.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.with_child(|child| child.id())
    }

    /// The exit status; `None` while it runs.
    #[must_use]
    pub fn ended(&self) -> Option<ExitStatus> {
        self.with_child(|child| child.try_wait().ok().flatten())
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&self, signal: Signal) {
        if self.ended().is_some() {
            return;
        }
        let name = match signal {
            Signal::Term => "TERM",
            Signal::Int => "INT",
            Signal::Kill => "KILL",
            Signal::Stop => "STOP",
            Signal::Cont => "CONT",
        };
        // The shell's own `kill`: there is one wherever there is a shell.
        let _ = Command::new("sh").args(["-c", &format!("kill -s {name} {}", self.pid())]).status();
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(&self) {
        self.with_child(|child| {
            let _ = child.kill();
            let _ = child.wait();
        });
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When it has not in time: usually it ends within this.
    pub async fn wait(&self, usual: Duration) -> Result<ExitStatus, String> {
        let patience = Patience::new(usual);
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            if patience.is_over() {
                return Err(format!("{} has not ended {patience}", self.name()));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks it to finish and waits for it.
    ///
    /// # Errors
    /// When it does not exit with 0 in time.
    pub async fn terminate(&self) -> Result<(), String> {
        self.signal(Signal::Term);
        let status = self.wait(Duration::from_secs(20)).await?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("{} ended with {status} after SIGTERM", self.name()))
        }
    }

    /// Starts it again, with the same arguments, after it has ended.
    pub fn restart(&self) {
        self.kill();
        let fresh = Self::spawn(&self.program);
        self.with_child(|child| *child = fresh);
    }

    /// All it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(Self::log_of(&self.program))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
