//! The seat map of a large hall while its seats are being held: how often it is read, by turns with a bare
//! axum handler that answers as many bytes; and what thousands of people cost who follow it live.

use std::{cell::Cell, rc::Rc, time::Duration};

use tests::mesh::Shape;
use tokio::{join, task::LocalSet};

use super::{
    EVERYBODY_ENTERS, Stage,
    streams::{Heard, open_files, open_until},
};
use crate::{
    Size,
    bare::Bare,
    crowd::{self, Person},
    http,
    load::{Open, Operation, Tally, Until, closed, open},
    meter::{Meter, Part},
    report::{self, Goal, Rounds, millis, number},
    sale::Sale,
};

const SEATS: usize = 12_000;
const HOLDERS: usize = 2_000;
const HOLDS_A_SECOND: usize = 500;
const CONNECTIONS: usize = 64;
const ROUNDS: usize = 3;
const FOLLOWERS: usize = 10_000;

/// Holds seats of a sale, each once, at their rate.
async fn holding(
    stage: &Stage,
    sale: &Sale,
    people: &[Person],
    next: &Cell<usize>,
    lasting: Duration,
) -> Tally {
    let build = |_: usize, out: &mut Vec<u8>| {
        let n = next.replace(next.get() + 1);
        crowd::hold_request(out, &people[n % people.len()], sale.seat(n));
        true
    };
    let operation = Operation::new("holds", build, |_, status, body| http::expect(201, status, body));
    let loads = [Open { operation, per_second: HOLDS_A_SECOND as f64, connections: 16 }];
    open(stage.rest, lasting, &loads, |_| ()).await.remove(0)
}

fn reading<'a>(path: &'a str) -> Operation<'a> {
    let build = move |_: usize, out: &mut Vec<u8>| {
        http::get(out, format_args!("{path}"), None);
        true
    };
    Operation::new("reads", build, |_, status, body| http::expect(200, status, body))
}

pub(crate) async fn measure(size: Size) {
    LocalSet::new().run_until(availability(size)).await;
}

async fn availability(size: Size) {
    let bare = Bare::start();
    let flags = [EVERYBODY_ENTERS, &["--browse", "open"]].concat();
    let stage = Stage::start(Shape::SinglePostgres, &flags).await;
    let people = crowd::join(&stage.queue(0), 0, size.of(HOLDERS)).await;
    let sale = Sale::open(&stage.world, None, SEATS, SEATS).await;
    let (next, path) = (Cell::new(0), format!("/v1/shows/{}/availability", sale.shows[0]));
    let (mut rates, mut ratios, mut cpu, mut held) = <(Rounds, Rounds, Rounds, Rounds)>::default();
    let lasting = Duration::from_secs(size.seconds(4));
    for round in 1..=ROUNDS {
        println!("  round {round} of {ROUNDS}");
        let meter = Meter::start([Part::process("bare", bare.pid()), Part::generator()]);
        let most =
            closed(bare.address, CONNECTIONS, Until::Elapsed(lasting), &reading("/map")).await.flawless();
        report::run("bare axum with as many bytes", &most, Some(&meter.stop()));
        let meter = Meter::start([Part::mesh(stage.mesh()), Part::postgres(), Part::generator()]);
        let read = reading(&path);
        let reads = closed(stage.rest, CONNECTIONS, Until::Elapsed(lasting), &read);
        let (reads, holds) = join!(reads, holding(&stage, &sale, &people, &next, lasting));
        let used = meter.stop();
        report::run("the map, while seats are held", &reads, Some(&used));
        rates.push(reads.rate());
        ratios.push(reads.rate() / most.rate());
        cpu.push(used.micros_each(reads.latency.count()));
        held.push(millis(holds.flawless().latency.quantile(0.99)));
    }
    report::fact("reads of the map a second", &rates.told(0));
    report::figure("reads, of the bare handler with as many bytes", &ratios, 3, Goal::AtLeast(0.6));
    report::fact("CPU µs a read, the holds beside it included", &cpu.told(1));
    report::fact("p99 of a hold meanwhile, ms", &held.told(1));
    following(&stage, &people, size).await;
    stage.finish().await;
}

/// Thousands follow a hall in which seats are held.
async fn following(stage: &Stage, people: &[Person], size: Size) {
    let sale = Sale::open(&stage.world, None, SEATS, SEATS).await;
    let (count, heard) = (size.of(FOLLOWERS).min(open_files()), Rc::new(Heard::default()));
    let path = |_: usize| format!("/v1/shows/{}/availability/events", sale.shows[0]);
    open_until(stage.rest, path, count, &heard).await;
    let (events, lasting) = (heard.events.get(), Duration::from_secs(size.seconds(15)));
    let meter = Meter::start([Part::mesh(stage.mesh()), Part::postgres(), Part::generator()]);
    let holds = holding(stage, &sale, people, &Cell::new(0), lasting).await.flawless();
    let used = meter.stop();
    report::run(&format!("{} follow the map", number(count as f64, 0)), &holds, Some(&used));
    let told = heard.events.get() - events;
    report::fact("events a second, all streams", &number(told as f64 / lasting.as_secs_f64(), 0));
    report::fact("cores busy", &used.cores());
    assert_eq!(heard.ended.get(), 0, "no stream ends");
}
