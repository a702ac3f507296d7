//! A PostgreSQL server of one's own, for a scenario in which it is the server that fails; a replica of it,
//! a PgBouncer, and a NATS server.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::net::TcpStream;

use crate::{
    eventually::eventually,
    process::{Process, Program},
};

/// A throwaway server. It is stopped and removed when this goes.
#[derive(Debug)]
pub struct Server {
    dir: PathBuf,
    /// Its superuser's URL.
    pub url: String,
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/postgres");
const POOLER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pgbouncer");

/// A folder that nobody has yet.
fn folder(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let base = std::env::var_os("TEST_RUN_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    base.join(format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// Runs a script that starts something in this folder; answers its URL.
fn started(script: &str, what: &str, dir: &Path, args: &[&str]) -> String {
    let started = Command::new(script).arg(what).arg(dir).args(args).output().expect("a script can be run");
    assert!(started.status.success(), "{script} {what}: {}", String::from_utf8_lossy(&started.stderr));
    String::from_utf8_lossy(&started.stdout).trim().to_owned()
}

impl Server {
    /// Starts one, as `tests/postgres` does. It takes seconds.
    ///
    /// # Panics
    /// When PostgreSQL's programs are not installed, or it does not start.
    #[must_use]
    pub fn start() -> Self {
        let dir = folder("postgres");
        let url = started(SCRIPT, "start", &dir, &[]);
        Self { dir, url }
    }

    /// Starts a server that follows this one.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn replica(&self) -> Self {
        let dir = folder("postgres");
        let url = started(SCRIPT, "replica", &dir, &[&self.url]);
        Self { dir, url }
    }

    /// Has a replica follow nobody any more, and take writes.
    ///
    /// # Panics
    /// When it does not.
    pub async fn promote(&self) {
        let promoted = tokio::process::Command::new(SCRIPT).arg("promote").arg(&self.dir).status().await;
        assert!(
            promoted.is_ok_and(|status| status.success()),
            "tests/postgres promote {}",
            self.dir.display()
        );
    }

    /// Restarts it as after a crash; answers when it takes connections again.
    ///
    /// # Panics
    /// When it does not.
    pub async fn restart(&self) {
        let restarted = tokio::process::Command::new(SCRIPT).arg("restart").arg(&self.dir).status().await;
        assert!(
            restarted.is_ok_and(|status| status.success()),
            "tests/postgres restart {}",
            self.dir.display()
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new(SCRIPT).arg("stop").arg(&self.dir).status();
    }
}

/// A PgBouncer before a server. It is stopped and removed when this goes.
#[derive(Debug)]
pub struct PgBouncer {
    dir: PathBuf,
    url: String,
}

impl PgBouncer {
    /// Starts one before the server of this URL, with this `pool_mode` and more settings, each a line of its
    /// file.
    ///
    /// # Panics
    /// When PgBouncer is not installed, or does not start.
    #[must_use]
    pub fn before(server: &str, mode: &str, settings: &[&str]) -> Self {
        let dir = folder("pgbouncer");
        let url = started(POOLER, "start", &dir, &[&[server, mode], settings].concat());
        Self { dir, url }
    }

    /// The way through it to a database of its server.
    #[must_use]
    pub fn to(&self, database: &str) -> String {
        let base = self.url.rsplit_once('/').map_or(self.url.as_str(), |(base, _)| base);
        format!("{base}/{}", database.rsplit('/').next().unwrap_or_default())
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = Command::new(POOLER).arg("stop").arg(&self.dir).status();
    }
}

/// A NATS server with JetStream. It is killed and removed when this goes.
#[derive(Debug)]
pub struct NatsServer {
    process: Process,
    address: SocketAddr,
    dir: PathBuf,
}

impl NatsServer {
    /// Starts one: the program that `NATS_SERVER` names, or the one that is installed.
    ///
    /// # Panics
    /// When there is none, or it does not start.
    pub async fn start() -> Self {
        let dir = folder("nats");
        std::fs::create_dir_all(&dir).expect("a temporary folder can be made");
        let installed = ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"];
        let path = std::env::var_os("NATS_SERVER")
            .map(PathBuf::from)
            .or_else(|| installed.into_iter().map(PathBuf::from).find(|path| path.is_file()));
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = free.local_addr().expect("a bound socket has an address");
        drop(free);
        let args = ["-js", "-a", "127.0.0.1", "-p", &address.port().to_string(), "-sd", "store"];
        let program = Program {
            name: "nats".to_owned(),
            path: path.expect("nats-server is not installed (Debian: apt-get install nats-server)"),
            args: args.map(str::to_owned).to_vec(),
            dir: dir.clone(),
        };
        let server = Self { process: Process::start(program), address, dir };
        server.ready().await;
        server
    }

    async fn ready(&self) {
        eventually(Duration::from_secs(10), || async {
            TcpStream::connect(self.address)
                .await
                .map(drop)
                .map_err(|error| format!("{error}: {}", self.process.log()))
        })
        .await;
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Kills it.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts it again after that, with what it had written down.
    pub async fn restart(&self) {
        self.process.restart();
        self.ready().await;
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.process.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
