//! The mesh in each of its shapes, as processes on free ports with private databases.
//!
//! A mesh ends in [`Mesh::finish`]: every process must exit with 0 on SIGTERM, and the audit of its databases
//! must find nothing.

use std::{
    collections::HashSet,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::sleep;

pub use crate::shape::{Role, SERVICES, Shape};
use crate::{
    audit,
    databases::{Databases, server_url},
    patience::Patience,
    process::{Process, Program, binary_of, programs},
    server::PgBouncer,
};

/// How long a program usually takes at most from its start until it is ready.
const READY: Duration = Duration::from_secs(30);

/// What stands between the programs of a mesh: where they are told to find each other and their databases. By
/// default nothing does. (The launcher's services find each other by themselves.)
pub trait Wiring: Sync {
    /// Where the edge finds a replica of this service that listens here.
    fn service(&self, _service: Role, at: SocketAddr) -> SocketAddr {
        at
    }

    /// Where the programs are.
    fn programs(&self) -> PathBuf {
        programs()
    }

    /// How the edge calls services: `http`, or `https` where they are started with certificates.
    fn scheme(&self) -> &'static str {
        "http"
    }

    /// Flags of a program of this role beside those that every mesh needs, name and value by turns.
    fn flags(&self, _role: Role) -> Vec<String> {
        Vec::new()
    }

    /// The URL under which a program of this role finds its database.
    fn database(&self, _role: Role, url: &str) -> String {
        url.to_owned()
    }
}

/// Nothing in between.
#[derive(Clone, Copy, Debug)]
pub struct Direct;

impl Wiring for Direct {}

/// One process and where it listens.
#[derive(Debug)]
pub struct Node {
    /// What it is.
    pub role: Role,
    /// The process.
    pub process: Process,
    /// Probes and metrics; at an edge and the launcher also REST.
    pub http: SocketAddr,
    /// Its gRPC addresses by the service they serve.
    pub grpc: Vec<(Role, SocketAddr)>,
}

/// A running mesh.
#[derive(Debug)]
pub struct Mesh {
    /// Its shape.
    pub shape: Shape,
    /// Its processes.
    pub nodes: Vec<Node>,
    /// Its databases.
    pub databases: Databases,
    /// What stands before them.
    pooler: Option<PgBouncer>,
    /// Where its programs are.
    programs: PathBuf,
    dir: TempDir,
}

/// A free port of 127.0.0.1, below the range that outgoing connections are given: a program that is restarted
/// finds its port again.
fn free_address() -> SocketAddr {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let given = given.get_or_insert_default();
    let mut port = 22_000 + u16::try_from(std::process::id() % 8_000).unwrap_or(0);
    loop {
        port = if port >= 31_999 { 22_000 } else { port + 1 };
        if given.contains(&port) {
            continue;
        }
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            given.insert(port);
            return listener.local_addr().expect("a bound socket has an address");
        }
    }
}

impl Mesh {
    /// Starts a mesh with extra policy flags (name and value by turns) and waits until every process is
    /// ready.
    ///
    /// # Panics
    /// When it is not ready in time; with its log.
    pub async fn start(shape: Shape, flags: &[&str]) -> Self {
        Self::start_wired(shape, flags, None, &Direct).await
    }

    /// The same, on a PostgreSQL server of one's own if need be, and with something in between.
    ///
    /// # Panics
    /// When it is not ready in time; with its log.
    pub async fn start_wired(
        shape: Shape,
        flags: &[&str],
        server: Option<&str>,
        wiring: &dyn Wiring,
    ) -> Self {
        for attempt in 1.. {
            match Self::try_start(shape, flags, server, wiring).await {
                Ok(mesh) => return mesh,
                // Somebody else took a port between our look and the program's.
                Err(log) if attempt < 3 && log.contains("in use") => {}
                Err(log) => panic!("the mesh {} did not become ready:\n{log}", shape.name()),
            }
        }
        unreachable!("the loop returns or panics")
    }

    async fn try_start(
        shape: Shape,
        flags: &[&str],
        server: Option<&str>,
        wiring: &dyn Wiring,
    ) -> Result<Self, String> {
        let dir = TempDir::with_prefix("mesh-").expect("a temporary folder can be made");
        let server = || server.map_or_else(server_url, str::to_owned);
        let databases = match shape {
            Shape::SingleSqlite | Shape::ApartSqlite => Databases::Sqlite(dir.path().join("data")),
            Shape::SinglePostgres | Shape::SinglePgBouncer => Databases::create(&server(), 1).await,
            Shape::Cluster => Databases::create(&server(), 4).await,
        };
        let pooler =
            (shape == Shape::SinglePgBouncer).then(|| PgBouncer::before(&server(), "transaction", &[]));
        let programs = wiring.programs();
        let mut mesh = Self { shape, nodes: Vec::new(), databases, pooler, programs, dir };
        match shape {
            Shape::SingleSqlite | Shape::SinglePostgres | Shape::SinglePgBouncer => {
                mesh.start_single(flags, wiring)
            }
            Shape::Cluster => mesh.start_programs(2, flags, wiring),
            Shape::ApartSqlite => mesh.start_programs(1, flags, wiring),
        }
        for node in &mesh.nodes {
            if let Err(why) = node.ready(READY).await {
                let log = format!("{why}\n{}", mesh.logs(60));
                mesh.databases.remove().await;
                return Err(log);
            }
        }
        Ok(mesh)
    }

    fn start_single(&mut self, flags: &[&str], wiring: &dyn Wiring) {
        let [rest, edge, queue, booking, wallet] = std::array::from_fn(|_| free_address());
        let mut args = vec!["up".to_owned()];
        let listens = [
            ("--rest-addr", rest),
            ("--grpc-addr", edge),
            ("--queue-addr", queue),
            ("--booking-addr", booking),
            ("--wallet-addr", wallet),
        ];
        for (flag, address) in listens {
            args.extend([flag.to_owned(), address.to_string()]);
        }
        match &self.databases {
            Databases::Sqlite(data) => args.extend(["--data-dir".to_owned(), data.display().to_string()]),
            Databases::Postgres(urls) => {
                let url = self.pooler.as_ref().map_or_else(|| urls[0].clone(), |pooler| pooler.to(&urls[0]));
                args.extend(["--database-url".to_owned(), wiring.database(Role::Launcher, &url)]);
            }
        }
        if self.pooler.is_some() {
            args.extend(["--database-pooler", "transaction"].map(str::to_owned));
        }
        let grpc =
            vec![(Role::Edge, edge), (Role::Queue, queue), (Role::Booking, booking), (Role::Wallet, wallet)];
        args.extend(wiring.flags(Role::Launcher));
        self.spawn(Role::Launcher, "boxoffice", args, flags, rest, grpc);
    }

    /// The URL of each program's database: queue, booking, wallet, edge.
    fn urls(&self) -> Vec<String> {
        let file = |dir: &Path, name: &str| format!("sqlite:{}", dir.join(format!("{name}.db")).display());
        match &self.databases {
            Databases::Postgres(urls) => urls.clone(),
            Databases::Sqlite(dir) => {
                ["queue", "booking", "wallet", "edge"].iter().map(|name| file(dir, name)).collect()
            }
        }
    }

    fn start_programs(&mut self, replicas: usize, flags: &[&str], wiring: &dyn Wiring) {
        let urls = self.urls();
        let mut lists = Vec::new();
        for (role, url) in Role::BEHIND_THE_EDGE.into_iter().zip(&urls) {
            let mut addresses = Vec::new();
            for replica in 1..=replicas {
                let (grpc, http) = (free_address(), free_address());
                let url = wiring.database(role, url);
                let args = [
                    ("--addr", grpc.to_string()),
                    ("--http-addr", http.to_string()),
                    ("--database-url", url),
                ];
                let name = format!("{}-{replica}", role.program());
                let args = [pairs(args), wiring.flags(role)].concat();
                self.spawn(role, &name, args, flags, http, vec![(role, grpc)]);
                addresses.push(format!("{}://{}", wiring.scheme(), wiring.service(role, grpc)));
            }
            lists.push(addresses.join(","));
        }
        for replica in 1..=replicas {
            let (grpc, rest) = (free_address(), free_address());
            let args = [
                ("--rest-addr", rest.to_string()),
                ("--grpc-addr", grpc.to_string()),
                ("--queue-url", lists[0].clone()),
                ("--booking-url", lists[1].clone()),
                ("--wallet-url", lists[2].clone()),
                ("--database-url", wiring.database(Role::Edge, &urls[3])),
            ];
            self.spawn(
                Role::Edge,
                &format!("edge-{replica}"),
                [pairs(args), wiring.flags(Role::Edge)].concat(),
                flags,
                rest,
                vec![(Role::Edge, grpc)],
            );
        }
    }

    /// Starts one more edge beside those of a mesh of programs on SQLite files, with a journal of its own.
    ///
    /// # Panics
    /// When it does not become ready, or the mesh is of another shape.
    pub async fn another_edge(&mut self) {
        let Databases::Sqlite(data) = &self.databases else { panic!("a second edge would share a database") };
        let name = format!("edge-{}", self.of(Role::Edge).len() + 1);
        let journal = format!("sqlite:{}", data.join(format!("{name}.db")).display());
        let [queue, booking, wallet] = Role::BEHIND_THE_EDGE.map(|service| self.grpc(service).join(","));
        let (grpc, rest) = (free_address(), free_address());
        let args = [
            ("--rest-addr", rest.to_string()),
            ("--grpc-addr", grpc.to_string()),
            ("--queue-url", queue),
            ("--booking-url", booking),
            ("--wallet-url", wallet),
            ("--database-url", journal),
        ];
        self.spawn(Role::Edge, &name, pairs(args), &[], rest, vec![(Role::Edge, grpc)]);
        self.ready().await;
    }

    fn spawn(
        &mut self,
        role: Role,
        name: &str,
        mut args: Vec<String>,
        flags: &[&str],
        http: SocketAddr,
        grpc: Vec<(Role, SocketAddr)>,
    ) {
        args.extend(["--log-format".to_owned(), "json".to_owned()]);
        for pair in flags.chunks(2).filter(|pair| role.takes(pair[0])) {
            args.extend(pair.iter().map(|&part| part.to_owned()));
        }
        let program = Program {
            name: name.to_owned(),
            path: binary_of(&self.programs, role.program()),
            args,
            dir: self.dir.path().to_owned(),
        };
        self.nodes.push(Node { role, process: Process::start(program), http, grpc });
    }

    /// The REST addresses: one an edge.
    #[must_use]
    pub fn rest(&self) -> Vec<String> {
        let edges = self.nodes.iter().filter(|node| matches!(node.role, Role::Edge | Role::Launcher));
        edges.map(|node| format!("http://{}", node.http)).collect()
    }

    /// The gRPC addresses of a service: one a replica.
    #[must_use]
    pub fn grpc(&self, service: Role) -> Vec<String> {
        let all = self.nodes.iter().flat_map(|node| &node.grpc);
        all.filter(|(role, _)| *role == service).map(|(_, address)| format!("http://{address}")).collect()
    }

    /// The processes of a role.
    #[must_use]
    pub fn of(&self, role: Role) -> Vec<&Node> {
        self.nodes.iter().filter(|node| node.role == role).collect()
    }

    /// The last lines of every process's log.
    #[must_use]
    pub fn logs(&self, lines: usize) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            let log = node.process.log();
            let all: Vec<&str> = log.lines().collect();
            let tail = &all[all.len().saturating_sub(lines)..];
            text.push_str(&format!(
                "--- {} ({} lines) ---\n{}\n",
                node.process.name(),
                all.len(),
                tail.join("\n")
            ));
        }
        text
    }

    /// Lines that no run should have: errors and panics. That answers are late is no mistake of a program's,
    /// but of a machine that has too much to do.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let is_late =
            |line: &str| line.contains("\"target\":\"edge::app::burning\"") && line.contains(" are late: ");
        let is_bad = |line: &&str| {
            line.contains("\"level\":\"ERROR\"") && !is_late(line) || line.contains("panicked at")
        };
        let of = |node: &Node| {
            node.process
                .log()
                .lines()
                .filter(is_bad)
                .map(|line| format!("{}: {line}", node.process.name()))
                .collect::<Vec<_>>()
        };
        self.nodes.iter().flat_map(of).collect()
    }

    /// Stops every process with SIGTERM (edges first, as traffic would be taken away from them first).
    ///
    /// # Errors
    /// When one does not exit with 0 in time.
    pub async fn stop(&self) -> Result<(), String> {
        let mut wrong = Vec::new();
        for node in self.nodes.iter().rev() {
            wrong.extend(node.process.terminate().await.err());
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("{}\n{}", wrong.join("\n"), self.logs(30))) }
    }

    /// Starts every process again and waits until all are ready.
    ///
    /// # Panics
    /// When one does not become ready.
    pub async fn restart(&self) {
        for node in &self.nodes {
            node.process.restart();
        }
        self.ready().await;
    }

    /// Starts again what has ended, and waits until all are ready.
    ///
    /// # Panics
    /// When one does not become ready.
    pub async fn restart_ended(&self) {
        for node in self.nodes.iter().filter(|node| node.process.ended().is_some()) {
            node.process.restart();
        }
        self.ready().await;
    }

    /// Waits until every process is ready.
    ///
    /// # Panics
    /// When one does not become ready in time.
    pub async fn ready(&self) {
        for node in &self.nodes {
            if let Err(why) = node.ready(READY).await {
                panic!("{why}\n{}", self.logs(40));
            }
        }
    }

    /// Stops the mesh and removes its databases, which are not audited: those of programs of an earlier build
    /// lack what the audit reads.
    ///
    /// # Errors
    /// When a process does not exit with 0 in time.
    pub async fn discard(self) -> Result<(), String> {
        let stopped = self.stop().await;
        self.databases.remove().await;
        stopped
    }

    /// Stops the mesh, audits its databases, and removes them.
    ///
    /// # Errors
    /// What was wrong.
    pub async fn finish(self) -> Result<(), String> {
        let stopped = self.stop().await;
        let findings = audit::findings(&self.databases).await;
        self.databases.remove().await;
        if std::env::var_os("TEST_KEEP").is_some() {
            let Self { dir, nodes, .. } = self;
            drop(nodes);
            let kept = dir.keep();
            return stopped.map_err(|why| format!("{why}\nkept: {}", kept.display()));
        }
        stopped?;
        if findings.is_empty() {
            Ok(())
        } else {
            Err(format!("the audit found:\n  {}", findings.join("\n  ")))
        }
    }
}

impl Node {
    /// Waits until `/readyz` says so; answers how long that took.
    ///
    /// # Errors
    /// When the process ends, or is not ready in time: usually it is within this.
    pub async fn ready(&self, usual: Duration) -> Result<Duration, String> {
        let patience = Patience::new(usual);
        let url = format!("http://{}/readyz", self.http);
        let client =
            reqwest::Client::builder().timeout(Duration::from_secs(2)).build().expect("a client without TLS");
        loop {
            if let Some(status) = self.process.ended() {
                return Err(format!("{} ended with {status}", self.process.name()));
            }
            let seen = match client.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(patience.spent()),
                Ok(answer) => answer.status().to_string(),
                Err(error) => error.to_string(),
            };
            if patience.is_over() {
                return Err(format!("{} was not ready {patience}: {seen}", self.process.name()));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn pairs<const N: usize>(args: [(&str, String); N]) -> Vec<String> {
    args.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
}
