//! Checkouts: everybody is in, has the money and holds a seat; then they pay, 64 at a time. On PostgreSQL and
//! on embedded SQLite.

use tests::mesh::Shape;
use uuid::Uuid;

use super::{EVERYBODY_ENTERS, Stage};
use crate::{
    Size,
    crowd::{self, Person},
    http,
    load::{Operation, Tally, Until, closed},
    meter::{Meter, Part, Used},
    report::{self, Goal, Rounds, millis},
    sale::{PRICE, Sale},
};

const IN_FLIGHT: usize = 64;
const ROUNDS: usize = 3;
const SEATS_A_SHOW: usize = 1_000;

/// People who are about to pay.
struct Payers {
    people: Vec<Person>,
    reservations: Vec<Uuid>,
}

async fn prepare(stage: &Stage, count: usize) -> Payers {
    let people = crowd::join(&stage.queue(0), 0, count).await;
    let users: Vec<_> = people.iter().map(|person| person.number).collect();
    let charged = crowd::charge(stage.rest, &users, PRICE).await;
    report::run("wallets charged before", &charged, None);
    let sale = Sale::open(&stage.world, None, count, SEATS_A_SHOW).await;
    let holders: Vec<_> = people.iter().enumerate().map(|(n, person)| (*person, sale.seat(n))).collect();
    let (reservations, held) = crowd::hold(stage.rest, &holders).await;
    report::run("seats held before", &held, None);
    Payers { people, reservations }
}

async fn pay(stage: &Stage, payers: &Payers, from: usize, count: usize) -> (Tally, Used) {
    let build = |n: usize, out: &mut Vec<u8>| {
        crowd::pay_request(out, &payers.people[from + n], payers.reservations[from + n]);
        true
    };
    let operation = Operation::new("checkouts", build, |_, status, body| http::expect(201, status, body));
    let meter = Meter::start([Part::mesh(stage.mesh()), Part::postgres(), Part::generator()]);
    let tally = closed(stage.rest, IN_FLIGHT, Until::Count(count), &operation).await;
    (tally, meter.stop())
}

async fn on(shape: Shape, each: usize, goal: f64) {
    println!("  {}: {IN_FLIGHT} in flight, {ROUNDS} rounds of {each}", shape.name());
    let stage = Stage::start(shape, EVERYBODY_ENTERS).await;
    let payers = prepare(&stage, each * ROUNDS).await;
    let (mut rates, mut slowest, mut cpu) = (Rounds::default(), Rounds::default(), Rounds::default());
    for round in 0..ROUNDS {
        let (tally, used) = pay(&stage, &payers, round * each, each).await;
        report::run(&format!("checkouts, round {}", round + 1), &tally, Some(&used));
        rates.push(tally.rate());
        slowest.push(millis(tally.latency.quantile(0.99)));
        cpu.push(used.micros_each(tally.latency.count()));
    }
    report::figure("checkouts a second", &rates, 0, Goal::AtLeast(goal));
    report::figure("p99 ms", &slowest, 1, Goal::AtMost(150.0));
    report::fact("CPU µs a checkout, generator and database included", &cpu.told(0));
    stage.finish().await;
}

pub(crate) async fn measure(size: Size) {
    on(Shape::SinglePostgres, size.of(8_000), 1_000.0).await;
    on(Shape::SingleSqlite, size.of(4_000), 500.0).await;
}
