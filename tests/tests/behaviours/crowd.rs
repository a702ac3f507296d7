//! Twenty thousand people who watch their place at once, over two edges: what each of them hears, and what it
//! costs.
//!
//! The clients are raw and tiny, in processes of their own (this program again, see [`hold_streams`]):
//! neither they nor an edge needs more than some ten thousand open files. `cargo test -p tests --test
//! behaviours -- crowd` takes the figures.

use std::{
    io::{BufRead, Write},
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use boxoffice_proto::{Fault, queue::IssueTokenRequest};
use chassis::lifecycle::SERVER_DRAIN;
use futures::{StreamExt, future::join_all, stream};
use serde_json::json;
use tests::{
    client::Rest,
    eventually::{eventually, holds},
    mesh::{Mesh, Node, Role, Shape},
    patience::is_prompt,
    solos,
    suite::Solo,
    world::{World, unique},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::Semaphore,
    time::sleep,
};

use crate::{live::leave, streams::Events};

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::ApartSqlite]; twenty_thousand_streams_are_served_at_once];

/// Streams an edge.
const EACH: usize = 10_000;
/// Clients that connect at a time.
const CONNECTING: usize = 100;

/// What the streams of one client process have seen, as it reports it.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Streams that had their first event.
    open: u64,
    /// Events.
    events: u64,
    /// Comments.
    beats: u64,
    /// Streams that ended as they should, with a time to come back.
    ended: u64,
    /// Streams that ended in any other way.
    broken: u64,
    /// For how long the most silent of all heard nothing, in milliseconds.
    silence: u64,
}

struct Counts {
    all: [AtomicU64; 5],
    /// When each stream heard something last, in milliseconds after the start.
    heard: Vec<AtomicU64>,
    began: Instant,
}

impl Counts {
    fn new(streams: usize) -> Self {
        Self {
            all: Default::default(),
            heard: (0..streams).map(|_| AtomicU64::new(0)).collect(),
            began: Instant::now(),
        }
    }

    fn count(&self, at: usize) {
        self.all[at].fetch_add(1, Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    fn hear(&self, stream: usize, at: usize) {
        self.heard[stream].store(self.now(), Relaxed);
        self.count(at);
    }

    fn report(&self) -> String {
        let [open, events, beats, ended, broken] = std::array::from_fn(|at| self.all[at].load(Relaxed));
        let heard = self.heard.iter().map(|at| at.load(Relaxed)).min().unwrap_or_default();
        format!("{open} {events} {beats} {ended} {broken} {}", self.now().saturating_sub(heard))
    }
}

/// A client process: opens a stream for each token of a file at an address, and reports on its output what
/// they hear, until its input ends.
pub(crate) fn hold_streams(address: &str, file: &str) -> ExitCode {
    let tokens: Vec<String> = std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (counts, gate) = (Arc::new(Counts::new(tokens.len())), Arc::new(Semaphore::new(CONNECTING)));
        for (stream, token) in tokens.into_iter().enumerate() {
            let (counts, gate, address) = (Arc::clone(&counts), Arc::clone(&gate), address.to_owned());
            tokio::spawn(async move {
                let ended = hold(&address, &token, stream, &counts, &gate).await;
                counts.count(if ended.is_some_and(|goodbye| goodbye) { 3 } else { 4 });
            });
        }
        #[expect(clippy::disallowed_methods, reason = "this waits for whoever started the program")]
        let over = tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().count());
        while !over.is_finished() {
            sleep(Duration::from_millis(100)).await;
            let mut out = std::io::stdout().lock();
            if writeln!(out, "{}", counts.report()).and_then(|()| out.flush()).is_err() {
                break;
            }
        }
    });
    ExitCode::SUCCESS
}

/// One stream to its end: did it say goodbye? `None` when it was cut.
async fn hold(address: &str, token: &str, at: usize, counts: &Counts, gate: &Semaphore) -> Option<bool> {
    let turn = gate.acquire().await.ok()?;
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET /v1/tokens/{token}/events HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut reader = BufReader::with_capacity(1_024, stream);
    let (mut line, mut turn, mut goodbye) = (Vec::new(), Some(turn), false);
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_ascii_end() {
            b"event: token" => {
                if turn.take().is_some() {
                    counts.count(0);
                }
                counts.hear(at, 1);
            }
            b":" => counts.hear(at, 2),
            b": come back" => goodbye = true,
            // The last chunk.
            b"0" => return Some(goodbye),
            _ => {}
        }
    }
}

/// A client process, and what it reported last.
struct Holder {
    child: Child,
    seen: Arc<[AtomicU64; 6]>,
}

impl Holder {
    fn start(address: &str, tokens: &[String], dir: &std::path::Path) -> Self {
        let file: PathBuf = dir.join(unique("tokens"));
        std::fs::write(&file, tokens.join("\n")).unwrap();
        // As many open files as the machine allows.
        let script = "ulimit -n $(ulimit -H -n) && exec \"$@\"";
        let mut child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--hold-streams", address, &file.display().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, seen) = (child.stdout.take().unwrap(), Arc::<[AtomicU64; 6]>::default());
        let told = Arc::clone(&seen);
        std::thread::spawn(move || {
            for line in std::io::BufReader::new(out).lines().map_while(Result::ok) {
                for (number, at) in line.split(' ').zip(told.iter()) {
                    at.store(number.parse().unwrap(), Relaxed);
                }
            }
        });
        Self { child, seen }
    }

    fn seen(&self) -> Seen {
        let [open, events, beats, ended, broken, silence] =
            std::array::from_fn(|at| self.seen[at].load(Relaxed));
        Seen { open, events, beats, ended, broken, silence }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Joins so many users to a line, in bulk; their tokens.
async fn join(world: &World, queue: &str, users: usize) -> Vec<String> {
    let joins = (0..users).map(|_| {
        let (mut client, user) = (world.grpc.queue(), unique("user"));
        let ask = IssueTokenRequest {
            queue_id: queue.to_owned(),
            user_id: user,
            request_id: unique("key"),
            priority: None,
        };
        async move {
            loop {
                match client.issue_token(ask.clone()).await {
                    Ok(answer) => return answer.into_inner().token.unwrap().token,
                    // A crowd is told when to come back.
                    Err(status) => {
                        let after = Fault::from(&status).retry_after;
                        sleep(after.unwrap_or_else(|| panic!("{status}"))).await;
                    }
                }
            }
        }
    });
    stream::iter(joins).buffered(500).collect().await
}

/// Resident memory, bytes.
fn resident(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1_024
}

/// Processor time used so far, in hundredths of a second (the kernel's unit here is the usual one).
fn ticks(node: &Node) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", node.process.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

async fn until(holders: &[Holder], usual: Duration, so: impl Fn(Seen) -> bool) {
    eventually(usual, || async {
        let all: Vec<Seen> = holders.iter().map(Holder::seen).collect();
        holds(all, |all| all.iter().all(|seen| so(*seen)))
    })
    .await;
}

#[expect(clippy::print_stdout, reason = "the figures are the point")]
async fn twenty_thousand_streams_are_served_at_once(shape: Shape) {
    let mut mesh = Mesh::start(shape, &[]).await;
    mesh.another_edge().await;
    let world = World::new(Arc::new(mesh));
    let queue = world.queue(json!({"maxActive": 1, "maxWaiting": 100_000})).await;
    let begun = Instant::now();
    let mut front = Vec::new();
    for _ in 0..12 {
        front.extend(join(&world, &queue, 1).await);
    }
    let crowd = join(&world, &queue, 2 * EACH).await;
    println!("    {} joined in {:.1} s", crowd.len(), begun.elapsed().as_secs_f64());

    // Each edge gets half; the second is told of by its memory.
    let edges = world.mesh.of(Role::Edge);
    let (begun, empty) = (Instant::now(), resident(edges[1]));
    let dir = tempfile::tempdir().unwrap();
    let holders: Vec<Holder> = edges
        .iter()
        .zip(crowd.chunks(EACH))
        .map(|(edge, tokens)| Holder::start(&edge.http.to_string(), tokens, dir.path()))
        .collect();
    until(&holders, Duration::from_secs(60), |seen| seen.open == EACH as u64 && seen.broken == 0).await;
    let full = resident(edges[1]);
    let per_stream = full.saturating_sub(empty) / EACH as u64;
    println!(
        "    {} streams open after {:.1} s; {per_stream} bytes a stream",
        2 * EACH,
        begun.elapsed().as_secs_f64()
    );
    assert!(per_stream < 48 * 1_024, "{per_stream} bytes a stream, {empty} before and {full} after");

    // At rest: what it takes to follow them all.
    let used: Vec<u64> = edges.iter().map(|edge| ticks(edge)).collect();
    let span = Duration::from_secs(5);
    sleep(span).await;
    let used = edges.iter().zip(used).map(|(edge, before)| (ticks(edge) - before) / span.as_secs());
    println!("    following them takes {:?} % of a processor an edge", used.collect::<Vec<_>>());

    // Somebody at the front leaves: the first ten hear it at once, and everyone else in time.
    let mut near = Vec::new();
    for (at, token) in front[1..11].iter().enumerate() {
        let edge = Rest::new(vec![format!("http://{}", edges[at % 2].http)]);
        let mut events = Events::open(&edge, token, None).await;
        assert_eq!(events.next().await.unwrap().token["position"], at + 1);
        near.push(events);
    }
    let left = Instant::now();
    leave(&world, &front[0]).await;
    let heard = join_all(near.iter_mut().enumerate().map(|(at, events)| async move {
        let event = events.next().await.unwrap();
        (event.token["position"] == at, left.elapsed())
    }))
    .await;
    let slowest = heard.iter().map(|(_, took)| *took).max().unwrap();
    println!("    the first ten heard of it within {slowest:?}");
    assert!(heard.iter().all(|(right, _)| *right) && is_prompt(slowest, Duration::from_secs(3)), "{heard:?}");
    // Silence lasts 18 s at most by design.
    sleep(Duration::from_secs(19).saturating_sub(left.elapsed())).await;
    until(&holders, Duration::from_secs(11), |seen| seen.events + seen.beats >= 2 * EACH as u64).await;
    let seen: Vec<Seen> = holders.iter().map(Holder::seen).collect();
    println!("    {:?} later: {seen:?}", left.elapsed());
    let served = |seen: &Seen| {
        is_prompt(Duration::from_millis(seen.silence), Duration::from_secs(30)) && seen.broken == 0
    };
    assert!(seen.iter().all(served), "{seen:?}");

    // The edges end: everyone is told to come back, as far as the time goes that an edge has for it.
    let begun = Instant::now();
    let mut drained = Vec::new();
    for edge in &edges {
        let begun = Instant::now();
        edge.process.terminate().await.unwrap();
        drained.push(begun.elapsed());
    }
    until(&holders, Duration::from_secs(10), |seen| seen.ended + seen.broken == EACH as u64).await;
    for (holder, drained) in holders.iter().zip(drained) {
        let seen = holder.seen();
        assert!(seen.broken == 0 || drained >= SERVER_DRAIN, "{seen:?} after {drained:?}");
    }
    println!("    all were told to come back within {:?}", begun.elapsed());
    drop((near, holders, edges));
    world.finish().await;
}
