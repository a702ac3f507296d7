//! Polls at a rate that the machine does not feel, by turns alone and beside attackers: silent connections at
//! every port, and calls without end whose message never comes.

use std::{net::SocketAddr, thread::JoinHandle, time::Duration};

use tests::{
    frames::{PREFACE, SETTINGS, half_a_call},
    mesh::{Mesh, Role, Shape},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{NOBODY_ENTERS, Stage, polls::polling};
use crate::{
    Size,
    crowd::{self, Person},
    load::{Open, Tally, open},
    meter::resident,
    report::{self, Goal, Rounds, millis},
};

const ROUNDS: usize = 5;
/// Polls a second, and the connections that they come over.
const RATE: f64 = 2_000.0;
const CONNECTIONS: usize = 64;
/// Silent connections at each port; whoever is let go comes again.
const SILENT: usize = 500;
/// Calls on one connection.
const CALLS: u32 = 9_000;
/// How long attackers wait before they come again, and how long the attack has to become whole.
const AGAIN: Duration = Duration::from_millis(100);
const WHOLE: Duration = Duration::from_secs(1);

/// Attackers, until it ends. They have a thread of their own, so that their work delays no poll in the
/// generator.
struct Attack {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Attack {
    async fn on(mesh: &Mesh) -> Self {
        let grpc = mesh.nodes.iter().flat_map(|node| node.grpc.iter().map(|(_, address)| *address));
        let doors: Vec<_> = grpc.chain(mesh.nodes.iter().map(|node| node.http)).collect();
        let queue = mesh.grpc(Role::Queue)[0].trim_start_matches("http://").parse().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = crate::runtime(tokio::runtime::Builder::new_current_thread());
            runtime.block_on(async {
                for door in doors {
                    (0..SILENT).for_each(|_| drop(tokio::spawn(silent(door))));
                }
                tokio::spawn(half_calls(queue));
                let _over = stopped.await;
            });
        });
        sleep(WHOLE).await;
        Self { stop, thread }
    }

    fn end(self) {
        drop(self.stop);
        self.thread.join().expect("attackers do not panic");
    }
}

async fn silent(door: SocketAddr) {
    loop {
        if let Ok(mut link) = TcpStream::connect(door).await {
            let _let_go = link.read_to_end(&mut Vec::new()).await;
        }
        sleep(AGAIN).await;
    }
}

async fn half_calls(door: SocketAddr) {
    let calls = (0..CALLS).map(|n| half_a_call(2 * n + 1, "/boxoffice.queue.v1.QueueService/BatchGetTokens"));
    let all: Vec<u8> = [PREFACE, SETTINGS].concat().into_iter().chain(calls.flatten()).collect();
    loop {
        if let Ok(link) = TcpStream::connect(door).await {
            let (mut read, mut write) = link.into_split();
            let mut answers = Vec::new();
            let both = async { tokio::join!(write.write_all(&all), read.read_to_end(&mut answers)) };
            let _over = timeout(Duration::from_secs(10), both).await;
        }
        sleep(AGAIN).await;
    }
}

async fn turn(what: &str, stage: &Stage, people: &[Person], lasting: Duration) -> Tally {
    let loads = [Open { operation: polling(people), per_second: RATE, connections: CONNECTIONS }];
    let tally = open(stage.rest, lasting, &loads, |_| ()).await.remove(0);
    report::run(what, &tally, None);
    tally
}

pub(crate) async fn measure(size: Size) {
    let stage = Stage::start(Shape::SingleSqlite, NOBODY_ENTERS).await;
    let people = crowd::join(&stage.queue(0), 0, size.of(110_000)).await;
    let lasting = Duration::from_secs(size.seconds(10));
    let (mut alone, mut beside, mut ratio, mut errors) =
        (Rounds::default(), Rounds::default(), Rounds::default(), 0);
    let memory = || stage.mesh().nodes.iter().map(|node| resident(node.process.pid())).sum::<u64>() >> 20;
    let (mut unharmed, mut attacked) = (0, 0);
    for round in 1..=ROUNDS {
        println!("  round {round} of {ROUNDS}");
        let before = turn("alone", &stage, &people, lasting).await;
        unharmed = unharmed.max(memory());
        let attack = Attack::on(stage.mesh()).await;
        let during = turn("beside attackers", &stage, &people, lasting).await;
        attacked = attacked.max(memory());
        attack.end();
        let [p99, p99_beside] = [&before, &during].map(|tally| millis(tally.latency.quantile(0.99)));
        alone.push(p99);
        beside.push(p99_beside);
        ratio.push(p99_beside / p99);
        errors += before.errors + during.errors;
    }
    report::fact("alone: p99 ms", &alone.told(2));
    report::fact("beside attackers: p99 ms", &beside.told(2));
    report::figure("p99 beside attackers, of that alone", &ratio, 2, Goal::AtMost(3.0));
    report::fact("errors", &errors.to_string());
    report::fact("resident memory, at most MiB", &unharmed.to_string());
    report::fact("resident memory beside attackers, at most MiB", &attacked.to_string());
    stage.finish().await;
}
