//! Polls over REST against a bare axum handler: five targets by turns, several rounds, one run.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use tests::mesh::Shape;

use super::Stage;
use crate::{
    Size,
    bare::Bare,
    crowd::{self, Person},
    http,
    load::{Operation, Tally, Until, closed},
    meter::{Meter, Part, Used},
    report::{self, Goal, Rounds, millis},
};

/// Connections: as the figures of others are taken, and as many as a crowd has at the least.
const FEW: usize = 64;
const MANY: usize = 256;
const ROUNDS: usize = 5;
/// Nobody enters, and nobody's word is news: each line rests while the others have their turns, and would
/// write down in bursts, in the turns of others, what in life is some hundred rows a second.
const FLAGS: &[&str] = &["--max-active", "0", "--max-waiting", "10000000", "--waiting-grace", "7d"];
const WARM_UP: Duration = Duration::from_millis(500);

/// A line of a certain length, in a mesh of its own.
struct Line {
    name: String,
    stage: Stage,
    people: Vec<Person>,
    seen: Seen,
    /// With many connections, where that is measured.
    crowded: Option<Seen>,
}

/// What the rounds showed of a target.
#[derive(Default)]
struct Seen {
    rate: Rounds,
    ratio: Rounds,
    cpu: Rounds,
    p99: Rounds,
    all: Tally,
}

impl Seen {
    fn add(&mut self, tally: &Tally, used: &Used) {
        self.rate.push(tally.rate());
        self.cpu.push(used.micros_each(tally.latency.count()));
        self.p99.push(millis(tally.latency.quantile(0.99)));
        self.all.add(tally);
    }
}

async fn line(count: usize, shape: Shape, is_crowded: bool) -> Line {
    let stage = Stage::start(shape, FLAGS).await;
    let people = crowd::join(&stage.queue(0), 0, count).await;
    let programs = if shape == Shape::ApartSqlite { ", four programs" } else { "" };
    let name = format!("{} waiting{programs}", report::number(count as f64, 0));
    println!("  {name}: joined over gRPC, on SQLite");
    Line { name, stage, people, seen: Seen::default(), crowded: is_crowded.then(Seen::default) }
}

/// Asks for the places of people taken at random.
pub(super) fn polling(people: &[Person]) -> Operation<'_> {
    let random = std::cell::RefCell::new(SmallRng::seed_from_u64(1));
    let build = move |_, out: &mut Vec<u8>| {
        let at = random.borrow_mut().random_range(0..people.len());
        http::get(out, format_args!("/v1/tokens/{}", people[at].token), None);
        true
    };
    Operation::new("polls", build, |_, status, body| http::expect(200, status, body))
}

/// One turn of one target.
async fn turn(
    name: &str,
    to: std::net::SocketAddr,
    part: Part,
    operation: &Operation<'_>,
    turn: Turn,
) -> (Tally, Used) {
    let Turn { connections, lasting } = turn;
    closed(to, connections, Until::Elapsed(WARM_UP), operation).await.flawless();
    let meter = Meter::start([part, Part::generator()]);
    let tally = closed(to, connections, Until::Elapsed(lasting), operation).await;
    let used = meter.stop();
    report::run(&format!("{name}, {connections}"), &tally, Some(&used));
    (tally, used)
}

#[derive(Clone, Copy)]
struct Turn {
    connections: usize,
    lasting: Duration,
}

/// The bare handler as `wrk` sees it, if it is there: how much of the machine our generator takes is to be
/// compared.
async fn wrk(to: std::net::SocketAddr, lasting: Duration) {
    let args =
        ["-t1".to_owned(), format!("-c{FEW}"), format!("-d{}s", lasting.as_secs()), format!("http://{to}/")];
    let Ok(output) = tokio::process::Command::new("wrk").args(args).output().await else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    if let Some(rate) = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")) {
        println!("  bare axum, asked by wrk     {:>8}/s", rate.trim());
    }
}

pub(crate) async fn measure(size: Size) {
    let bare = Bare::start();
    let (one, apart) = (Shape::SingleSqlite, Shape::ApartSqlite);
    let mut lines = Vec::new();
    for (count, shape, is_crowded) in
        [(1_000, one, false), (110_000, one, true), (110_000, apart, true), (1_000_000, one, false)]
    {
        lines.push(line(size.of(count), shape, is_crowded).await);
    }
    let ask_bare = || {
        let build = |_, out: &mut Vec<u8>| {
            http::get(out, format_args!("/"), None);
            true
        };
        Operation::new("bare", build, |_, status, body| http::expect(200, status, body))
    };
    let lasting = Duration::from_secs(size.seconds(4));
    let (mut seen, mut crowded) = (Seen::default(), Seen::default());
    for round in 1..=ROUNDS {
        println!("  round {round} of {ROUNDS}, {FEW} and {MANY} connections");
        wrk(bare.address, lasting).await;
        for connections in [FEW, MANY] {
            let is_crowded = connections == MANY;
            let how = Turn { connections, lasting };
            let (tally, used) =
                turn("bare axum", bare.address, Part::process("bare", bare.pid()), &ask_bare(), how).await;
            if is_crowded { &mut crowded } else { &mut seen }.add(&tally, &used);
            for line in &mut lines {
                let Some(into) = (if is_crowded { line.crowded.as_mut() } else { Some(&mut line.seen) })
                else {
                    continue;
                };
                let part = Part::mesh(line.stage.mesh());
                let (polled, used) =
                    turn(&line.name, line.stage.rest, part, &polling(&line.people), how).await;
                into.add(&polled, &used);
                into.ratio.push(polled.rate() / tally.rate());
            }
        }
    }
    tell(&seen, &crowded, &lines);
    for line in lines {
        line.stage.finish().await;
    }
}

fn tell(bare: &Seen, crowded: &Seen, lines: &[Line]) {
    println!("  median of {ROUNDS} rounds (lowest to highest)");
    for (connections, bare) in [(FEW, bare), (MANY, crowded)] {
        report::fact(&format!("bare axum, {connections} connections, a second"), &bare.rate.told(0));
        report::fact(&format!("bare axum, {connections} connections, CPU µs each"), &bare.cpu.told(1));
    }
    for (Line { name, .. }, seen) in lines.iter().filter_map(|line| Some((line, line.crowded.as_ref()?))) {
        let name = format!("{name}, {MANY} connections");
        report::fact(&format!("{name}: polls a second"), &seen.rate.told(0));
        report::figure(&format!("{name}: of the bare handler"), &seen.ratio, 3, Goal::AtLeast(0.65));
        report::fact(&format!("{name}: CPU µs a poll"), &seen.cpu.told(1));
        report::fact(&format!("{name}: p99 ms"), &seen.p99.told(2));
        report::fact(&format!("{name}: errors"), &seen.all.errors.to_string());
    }
    for Line { name, seen, .. } in lines {
        let name = format!("{name}, {FEW} connections");
        report::fact(&format!("{name}: polls a second"), &seen.rate.told(0));
        report::figure(&format!("{name}: of the bare handler"), &seen.ratio, 3, Goal::AtLeast(0.65));
        report::figure(&format!("{name}: CPU µs a poll"), &seen.cpu, 1, Goal::AtMost(24.0));
        report::figure(&format!("{name}: p99 ms"), &seen.p99, 2, Goal::AtMost(5.0));
        report::fact(&format!("{name}: errors"), &seen.all.errors.to_string());
    }
    if let [few, .., many] = lines {
        let spread: Rounds = [many.seen.cpu.median() / few.seen.cpu.median()].into_iter().collect();
        report::figure("CPU a poll, the longest line against the shortest", &spread, 3, Goal::AtMost(1.2));
    }
}
