//! Open SSE streams at one edge: memory each, and what they cost while the line stands and while it moves.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tests::mesh::{Role, Shape};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    task::LocalSet,
    time::{sleep, timeout},
};

use super::Stage;
use crate::{
    Size,
    crowd::{self, Person},
    http::{self, Connection},
    load::{Open, Operation, open},
    meter::{self, Meter, Part},
    report::{self, Goal, Rounds, number},
};

/// The aim, and the number that has to be reached.
const MOST: usize = 100_000;
const SURE: usize = 20_000;
/// The next so many are let in; who is in leaves while the line moves.
const ACTIVE: &str = "100";
const LEAVE_A_SECOND: usize = 100;
/// Streams being opened at the same moment.
const OPENING: usize = 32;
/// One address of the client has some 28,000 ports.
const STREAMS_AN_ADDRESS: usize = 20_000;
const SETTLE: Duration = Duration::from_secs(3);
/// A stream tells the state at once; so long is waited for that.
const FIRST_EVENT: Duration = Duration::from_secs(20);

/// What the streams have told.
#[derive(Default)]
pub(super) struct Heard {
    open: Cell<usize>,
    pub(super) events: Cell<u64>,
    pub(super) ended: Cell<usize>,
    buffer: RefCell<Vec<u8>>,
}

impl Heard {
    /// Reads what has come on a stream; false when it has ended.
    async fn read(&self, stream: &TcpStream) -> bool {
        if stream.readable().await.is_err() {
            return false;
        }
        let mut buffer = self.buffer.borrow_mut();
        buffer.resize(16 * 1_024, 0);
        match stream.try_read(&mut buffer) {
            Ok(0) => false,
            Ok(read) => {
                let events = buffer[..read]
                    .windows(7)
                    .filter(|window| window == b"\nevent:" || window == b"event: ")
                    .count();
                self.events.set(self.events.get() + u64::from(events > 0));
                true
            }
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

/// Opens one stream and waits for what it tells first.
async fn opened(to: SocketAddr, n: usize, path: &str, heard: &Heard) -> TcpStream {
    let host = u8::try_from(n / STREAMS_AN_ADDRESS + 2).expect("few addresses");
    let mut connection = Connection::bound(to, ([127, 0, 0, host], 0).into());
    let stream = connection.open().await.expect("the edge takes connections");
    let mut request = Vec::new();
    http::get(&mut request, format_args!("{path}"), None);
    stream.write_all(&request).await.expect("the edge listens");
    let stream = connection.into_stream().expect("it is open");
    let before = heard.events.get();
    let first = async { while heard.read(&stream).await && heard.events.get() == before {} };
    timeout(FIRST_EVENT, first).await.expect("a stream tells the state at once");
    stream
}

/// Opens streams until there are so many, the n-th of them at its path.
pub(super) async fn open_until(
    to: SocketAddr,
    path: impl Fn(usize) -> String,
    count: usize,
    heard: &Rc<Heard>,
) -> Duration {
    let began = Instant::now();
    let next = Cell::new(heard.open.get());
    let opener = || async {
        while next.get() < count {
            let n = next.replace(next.get() + 1);
            let stream = opened(to, n, &path(n), heard).await;
            heard.open.set(heard.open.get() + 1);
            let heard = Rc::clone(heard);
            tokio::task::spawn_local(async move {
                while heard.read(&stream).await {}
                heard.ended.set(heard.ended.get() + 1);
            });
        }
    };
    let openers: FuturesUnordered<_> = (0..OPENING).map(|_| opener()).collect();
    openers.for_each(|()| async {}).await;
    began.elapsed()
}

/// Files that this process may have open, less what it needs for itself.
pub(super) fn open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default();
    line.split_ascii_whitespace()
        .next()
        .and_then(|limit| limit.parse::<usize>().ok())
        .unwrap_or(1_024)
        .saturating_sub(1_000)
}

pub(crate) async fn measure(size: Size) {
    LocalSet::new().run_until(streams(size)).await;
}

async fn streams(size: Size) {
    let most = size.of(MOST).min(open_files());
    let flags = [
        "--max-active",
        ACTIVE,
        "--max-waiting",
        "10000000",
        "--admit-per-minute",
        "10000000",
        "--active-ttl",
        "6h",
    ];
    let stage = Stage::start(Shape::Cluster, &flags).await;
    let people = crowd::join(&stage.queue(0), 0, most).await;
    let edge = stage.mesh().of(Role::Edge).first().expect("a mesh has an edge").process.pid();
    let heard = Rc::new(Heard::default());
    let before = meter::resident(edge);
    for count in [size.of(SURE).min(most), most] {
        let opened_before = heard.open.get();
        let path = |n: usize| format!("/v1/tokens/{}/events", people[n].token);
        let took = open_until(stage.rest, path, count, &heard).await;
        sleep(SETTLE).await;
        let each = meter::resident(edge).saturating_sub(before) as f64 / count as f64;
        println!(
            "  {} streams open, {:.0} opened a second",
            number(count as f64, 0),
            (count - opened_before) as f64 / took.as_secs_f64()
        );
        let kib: Rounds = [each / 1_024.0].into_iter().collect();
        report::figure("KiB of resident memory a stream at the edge", &kib, 1, Goal::AtMost(14.0));
        standing(&stage, edge, &heard, size.seconds(15)).await;
    }
    moving(&stage, edge, &people, &heard, size.seconds(30)).await;
    stage.finish().await;
}

fn parts(stage: &Stage, edge: u32) -> Vec<Part> {
    let queues = stage.mesh().of(Role::Queue);
    let mut parts = vec![Part::process("edge", edge)];
    parts.extend(queues.iter().map(|node| Part::process(node.process.name(), node.process.pid())));
    parts.extend([Part::postgres(), Part::generator()]);
    parts
}

async fn standing(stage: &Stage, edge: u32, heard: &Heard, seconds: u64) {
    let (ended, meter) = (heard.ended.get(), Meter::start(parts(stage, edge)));
    sleep(Duration::from_secs(seconds)).await;
    report::fact("the line stands: cores busy", &meter.stop().cores());
    assert_eq!(heard.ended.get(), ended, "a stream ends only with its token");
}

/// A hundred a second leave; everybody else comes nearer, and is told.
async fn moving(stage: &Stage, edge: u32, people: &[Person], heard: &Heard, seconds: u64) {
    let (events, ended) = (heard.events.get(), heard.ended.get());
    let leaving = LEAVE_A_SECOND.min(people.len() / 40);
    let build = |n: usize, out: &mut Vec<u8>| {
        http::delete(out, format_args!("/v1/tokens/{}", people[n].token));
        true
    };
    let operation = Operation::new("leaves", build, |_, status, body| http::expect(204, status, body));
    let loads = [Open { operation, per_second: leaving as f64, connections: 4 }];
    let meter = Meter::start(parts(stage, edge));
    let tally = open(stage.rest, Duration::from_secs(seconds), &loads, |_| ()).await.remove(0).flawless();
    let used = meter.stop();
    report::run(&format!("the line moves: {leaving} leave a second"), &tally, None);
    let told = heard.events.get() - events;
    report::fact("events a second, all streams", &number(told as f64 / seconds as f64, 0));
    report::fact("cores busy", &used.cores());
    sleep(SETTLE).await;
    let (left, ended) = (tally.latency.count(), heard.ended.get() - ended);
    report::fact("left, and streams that ended", &format!("{left}, {ended}"));
    assert!(ended as u64 <= left, "a stream ends only with its token");
}
