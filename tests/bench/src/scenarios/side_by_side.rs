//! Two meshes that are asked the same by turns: what differs between them is what it costs.

use std::{cell::RefCell, time::Duration};

use access::{Issuer, Role, Roles};
use chassis::clock::Clock;
use tests::{
    databases::Databases,
    mesh::{Shape, Wiring},
};
use uuid::Uuid;

use super::{Stage, polls::polling};
use crate::{
    Size,
    crowd::{self, Person},
    http,
    load::{Operation, Tally, Until, closed},
    meter::{Meter, Part, Used},
    report::{self, Rounds, millis},
    sale::{PRICE, Sale},
};

pub(super) const ROUNDS: usize = 5;
const IN_FLIGHT: usize = 64;
/// Holds and checkouts of one turn.
const BUYERS: usize = 4_000;
const SEATS_A_SHOW: usize = 1_000;
/// How long the bearer tokens are valid: longer than any measurement.
const VALID: Duration = Duration::from_secs(6 * 3_600);

/// A mesh that is compared with another one.
pub(super) struct House {
    name: &'static str,
    pub(super) stage: Stage,
    /// Whoever asks shows a bearer token of this issuer.
    issuer: Option<Issuer>,
    pub(super) people: Vec<Person>,
    /// The bearer tokens of the users by their numbers; none in an open house.
    bearers: Vec<String>,
    /// Whether its databases are audited in the end.
    is_audited: bool,
}

impl House {
    pub(super) async fn open(name: &'static str, shape: Shape, flags: &[&str], wiring: &dyn Wiring) -> Self {
        let stage = Stage::start_wired(shape, flags, wiring).await;
        Self { name, stage, issuer: None, people: Vec::new(), bearers: Vec::new(), is_audited: true }
    }

    /// The same, where callers are asked who they are, by this issuer's bearer tokens.
    pub(super) fn secured_by(self, issuer: Issuer, bearers: Vec<String>) -> Self {
        Self { issuer: Some(issuer), bearers, ..self }
    }

    /// The same, of another build, whose databases the audit of this one cannot read.
    pub(super) fn of_another_build(self) -> Self {
        Self { is_audited: false, ..self }
    }

    /// What creates concerts and shows here.
    pub(super) fn operator(&self) -> Option<String> {
        let roles: Roles = [Role::Operator].into_iter().collect();
        self.issuer.as_ref().map(|issuer| bearer(issuer, "operator", roles))
    }

    /// Adds to a request of this user who is asking.
    fn sign(&self, out: &mut Vec<u8>, user: usize) {
        if let Some(bearer) = self.bearers.get(user) {
            http::add_header(out, format_args!("authorization: {bearer}"));
        }
    }

    fn has_postgres(&self) -> bool {
        matches!(self.stage.mesh().databases, Databases::Postgres(_))
    }

    /// One turn of one operation.
    async fn turn(&self, until: Until, operation: &Operation<'_>) -> (Tally, Used) {
        let parts = [Part::mesh(self.stage.mesh()), Part::generator()];
        let meter = Meter::start(parts.into_iter().chain(self.has_postgres().then(Part::postgres)));
        let tally = closed(self.stage.rest, IN_FLIGHT, until, operation).await;
        let used = meter.stop();
        report::run(&format!("{}, {}", operation.name, self.name), &tally, Some(&used));
        (tally, used)
    }

    /// Those from `first` on join a line; answers their places.
    pub(super) async fn enter(&self, line: &str, first: usize, count: usize) -> (Vec<Uuid>, (Tally, Used)) {
        let tokens = RefCell::new(vec![Uuid::nil(); count]);
        let build = |n: usize, out: &mut Vec<u8>| {
            let body = format_args!(r#"{{"userId":"{}"}}"#, crowd::name(first + n));
            http::post(out, format_args!("/v1/queues/{line}/tokens"), None, body);
            self.sign(out, first + n);
            true
        };
        let take = |n: usize, status, body: &[u8]| {
            http::expect(201, status, body)?;
            tokens.borrow_mut()[n] = http::id_field(body, "token").ok_or("a join without a token")?;
            Ok(())
        };
        let seen = self.turn(Until::Count(count), &Operation::new("joins", build, take)).await;
        (tokens.into_inner(), seen)
    }

    /// This many more users join the line `default`.
    pub(super) async fn join(&mut self, count: usize) -> (Tally, Used) {
        let first = self.people.len();
        let (tokens, seen) = self.enter("default", first, count).await;
        let joined = tokens.into_iter().zip(first..);
        self.people.extend(joined.map(|(token, number)| Person { number, token, ticket: 0 }));
        seen
    }

    /// Those from `first` on top up their wallets.
    async fn charge(&self, first: usize, count: usize) {
        let build = |n: usize, out: &mut Vec<u8>| {
            let user = crowd::name(first + n);
            let body = format_args!(r#"{{"amount":{PRICE}}}"#);
            http::post(out, format_args!("/v1/wallets/{user}/charges"), None, body);
            self.sign(out, first + n);
            true
        };
        let operation = Operation::new("charges", build, |_, status, body| http::expect(201, status, body));
        let (tally, _) = self.turn(Until::Count(count), &operation).await;
        tally.flawless();
    }

    /// Those from `first` on hold a seat each; answers the reservations.
    async fn hold(&self, sale: &Sale, first: usize, count: usize) -> (Vec<Uuid>, (Tally, Used)) {
        let held = RefCell::new(vec![Uuid::nil(); count]);
        let build = |n: usize, out: &mut Vec<u8>| {
            crowd::hold_request(out, &self.people[first + n], sale.seat(first + n));
            self.sign(out, first + n);
            true
        };
        let take = |n: usize, status, body: &[u8]| {
            http::expect(201, status, body)?;
            held.borrow_mut()[n] = http::id_field(body, "reservationId").ok_or("a hold without an id")?;
            Ok(())
        };
        let seen = self.turn(Until::Count(count), &Operation::new("holds", build, take)).await;
        (held.into_inner(), seen)
    }

    /// Those from `first` on pay for their reservations.
    async fn pay(&self, reservations: &[Uuid], first: usize) -> (Tally, Used) {
        let build = |n: usize, out: &mut Vec<u8>| {
            crowd::pay_request(out, &self.people[first + n], reservations[n]);
            self.sign(out, first + n);
            true
        };
        let operation = Operation::new("checkouts", build, |_, status, body| http::expect(201, status, body));
        self.turn(Until::Count(reservations.len()), &operation).await
    }

    /// Asks for places. Who knows a queue token may ask, so no bearer token is sent.
    pub(super) async fn poll(&self, lasting: Duration) -> (Tally, Used) {
        self.turn(Until::Elapsed(lasting), &polling(&self.people)).await
    }

    /// The same in a trace that is not sampled.
    pub(super) async fn poll_unsampled(&self, lasting: Duration) -> (Tally, Used) {
        const NOT_SAMPLED: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        let polls = polling(&self.people).with_header(NOT_SAMPLED);
        self.turn(Until::Elapsed(lasting), &polls).await
    }
}

/// What the rounds showed of one operation in two houses.
#[derive(Default)]
pub(super) struct Compared {
    seen: [Seen; 2],
    /// The second house's figures, of those of the first.
    rate: Rounds,
    cpu: Rounds,
}

#[derive(Default)]
struct Seen {
    rate: Rounds,
    cpu: Rounds,
    p99: Rounds,
    errors: u64,
}

impl Compared {
    pub(super) fn add(&mut self, round: [(Tally, Used); 2]) {
        let each = |(tally, used): &(Tally, Used)| used.micros_each(tally.latency.count());
        for (seen, turn) in self.seen.iter_mut().zip(&round) {
            seen.rate.push(turn.0.rate());
            seen.cpu.push(each(turn));
            seen.p99.push(millis(turn.0.latency.quantile(0.99)));
            seen.errors += turn.0.errors;
        }
        let [first, second] = &round;
        self.rate.push(second.0.rate() / first.0.rate());
        self.cpu.push(each(second) / each(first));
    }

    pub(super) fn tell(&self, what: &str, houses: &[House; 2]) {
        for (house, seen) in houses.iter().zip(&self.seen) {
            let name = format!("{what}, {}", house.name);
            report::fact(&format!("{name}: a second"), &seen.rate.told(0));
            report::fact(&format!("{name}: CPU µs each, generator included"), &seen.cpu.told(1));
            report::fact(&format!("{name}: p99 ms"), &seen.p99.told(2));
            report::fact(&format!("{name}: errors"), &seen.errors.to_string());
        }
        let [first, second] = houses.each_ref().map(|house| house.name);
        report::fact(&format!("{what}: rate {second}, of {first}"), &self.rate.told(3));
        report::fact(&format!("{what}: CPU {second}, of {first}"), &self.cpu.told(3));
    }
}

pub(super) fn begin(round: usize, houses: &[House; 2]) {
    let [first, second] = houses.each_ref().map(|house| house.name);
    println!("  round {round} of {ROUNDS}, {first} and {second}");
}

pub(super) async fn finish(houses: [House; 2]) {
    for House { stage, is_audited, .. } in houses {
        if is_audited { stage.finish().await } else { stage.discard().await }
    }
}

/// How many buy in the hall, all rounds together.
pub(super) const fn buyers(size: Size) -> usize {
    size.of(BUYERS) * ROUNDS
}

/// Joins of so many, who are let in, and their holds and checkouts.
pub(super) async fn in_the_hall(size: Size, mut houses: [House; 2]) {
    let each = size.of(BUYERS);
    let mut sales = Vec::new();
    for house in &mut houses {
        sales.push(Sale::open(&house.stage.world, house.operator(), each * ROUNDS, SEATS_A_SHOW).await);
    }
    let (mut joins, mut holds, mut checkouts) = <(Compared, Compared, Compared)>::default();
    for round in 1..=ROUNDS {
        begin(round, &houses);
        let first = (round - 1) * each;
        let [one, other] = &mut houses;
        joins.add([one.join(each).await, other.join(each).await]);
        for house in &houses {
            house.charge(first, each).await;
        }
        let [one, other] = &houses;
        let (held, in_one) = one.hold(&sales[0], first, each).await;
        let (held_in_other, in_other) = other.hold(&sales[1], first, each).await;
        holds.add([in_one, in_other]);
        checkouts.add([one.pay(&held, first).await, other.pay(&held_in_other, first).await]);
    }
    joins.tell("joins of those who are let in", &houses);
    holds.tell("holds", &houses);
    checkouts.tell("checkouts", &houses);
    finish(houses).await;
}

/// A bearer token of a user of this house.
pub(super) fn bearer(issuer: &Issuer, user: &str, roles: Roles) -> String {
    let token = issuer.issue("boxoffice", user, roles, VALID, Clock::system().now());
    format!("Bearer {}", token.expect("a name that can be a user's"))
}
