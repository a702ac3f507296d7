//! What access costs: the same requests at an open house and at a secured one by turns, and polls of four
//! programs that know each other by certificates, by turns with plaintext.

use std::{cell::RefCell, time::Duration};

use access::{Issuer, Role, Roles};
use chassis::clock::Clock;
use serde_json::json;
use tempfile::TempDir;
use tests::{
    keys::Keys,
    mesh::{Direct, Shape, Wiring},
};
use uuid::Uuid;

use super::{EVERYBODY_ENTERS, NOBODY_ENTERS, Stage, polls::polling};
use crate::{
    Size,
    crowd::{self, Person},
    http,
    load::{Operation, Tally, Until, closed},
    meter::{Meter, Part, Used},
    report::{self, Rounds, millis},
    sale::{PRICE, Sale},
};

const ROUNDS: usize = 5;
const IN_FLIGHT: usize = 64;
/// Joins, and then holds and checkouts, of one turn.
const JOINS: usize = 20_000;
const BUYERS: usize = 4_000;
const SEATS_A_SHOW: usize = 1_000;
/// People who wait where certificates are compared.
const WAITING: usize = 110_000;
/// How long the bearer tokens are valid: longer than any measurement.
const VALID: Duration = Duration::from_secs(6 * 3_600);
/// Where callers are asked who they are there are limits, which would be measured instead.
const UNLIMITED: [&str; 8] =
    ["--limit-joins", "off", "--limit-holds", "off", "--limit-requests", "off", "--limit-refused", "off"];

/// A mesh that is compared with another one.
struct House {
    name: &'static str,
    stage: Stage,
    /// Whoever asks shows a bearer token of this issuer.
    issuer: Option<Issuer>,
    people: Vec<Person>,
    /// The bearer tokens of the users by their numbers; none in an open house.
    bearers: Vec<String>,
}

impl House {
    async fn open(name: &'static str, shape: Shape, flags: &[&str], wiring: &dyn Wiring) -> Self {
        let stage = Stage::start_wired(shape, flags, wiring).await;
        Self { name, stage, issuer: None, people: Vec::new(), bearers: Vec::new() }
    }

    /// A house in which this many users have bearer tokens.
    async fn secured(flags: &[&str], users: usize) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let issuer = Issuer::open(folder.path()).expect("a folder of one's own");
        let keys = folder.path().join("jwks.json");
        std::fs::write(&keys, issuer.jwks()).expect("a folder of one's own");
        let keys = keys.display().to_string();
        let flags = [&["--auth-issuer", "local", "--auth-jwks", &keys] as &[_], &UNLIMITED, flags].concat();
        let house = Self::open("secured", Shape::SingleSqlite, &flags, &Direct).await;
        let bearers = (0..users).map(|user| bearer(&issuer, &crowd::name(user), Roles::default())).collect();
        Self { issuer: Some(issuer), bearers, ..house }
    }

    /// An open house, and a secured one.
    async fn both(flags: &[&str], users: usize) -> [Self; 2] {
        let open = Self::open("open", Shape::SingleSqlite, flags, &Direct).await;
        [open, Self::secured(flags, users).await]
    }

    /// What creates concerts and shows here.
    fn operator(&self) -> Option<String> {
        let roles: Roles = [Role::Operator].into_iter().collect();
        self.issuer.as_ref().map(|issuer| bearer(issuer, "operator", roles))
    }

    /// Adds to a request of this user who is asking.
    fn sign(&self, out: &mut Vec<u8>, user: usize) {
        if let Some(bearer) = self.bearers.get(user) {
            http::add_header(out, format_args!("authorization: {bearer}"));
        }
    }

    /// One turn of one operation.
    async fn turn(&self, until: Until, operation: &Operation<'_>) -> (Tally, Used) {
        let meter = Meter::start([Part::mesh(self.stage.mesh()), Part::generator()]);
        let tally = closed(self.stage.rest, IN_FLIGHT, until, operation).await;
        let used = meter.stop();
        report::run(&format!("{}, {}", operation.name, self.name), &tally, Some(&used));
        (tally, used)
    }

    /// Those from `first` on join a line; answers their places.
    async fn enter(&self, line: &str, first: usize, count: usize) -> (Vec<Uuid>, (Tally, Used)) {
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
    async fn join(&mut self, count: usize) -> (Tally, Used) {
        let first = self.people.len();
        let (tokens, seen) = self.enter("default", first, count).await;
        let joined = tokens.into_iter().zip(first..);
        self.people.extend(joined.map(|(token, number)| Person { number, token, ticket: 0 }));
        seen
    }

    /// The last who joined also join the line `other`, with the bearer tokens that they have shown before.
    async fn join_other(&self, count: usize) -> (Tally, Used) {
        self.enter("other", self.people.len() - count, count).await.1
    }

    /// Makes the line `other`, which lets nobody in either.
    async fn make_other(&self) {
        let put =
            self.stage.world.rest.put("/v1/queues/other", json!({"maxActive": 0, "maxWaiting": 10_000_000}));
        let put = match self.operator() {
            Some(operator) => put.header("authorization", &operator),
            None => put,
        };
        let _made = put.expect(201).await;
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
    async fn poll(&self, lasting: Duration) -> (Tally, Used) {
        self.turn(Until::Elapsed(lasting), &polling(&self.people)).await
    }
}

fn bearer(issuer: &Issuer, user: &str, roles: Roles) -> String {
    let token = issuer.issue("boxoffice", user, roles, VALID, Clock::system().now());
    format!("Bearer {}", token.expect("a name that can be a user's"))
}

/// What the rounds showed of one operation in two houses.
#[derive(Default)]
struct Compared {
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
    fn add(&mut self, round: [(Tally, Used); 2]) {
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

    fn tell(&self, what: &str, houses: &[House; 2]) {
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

fn begin(round: usize, houses: &[House; 2]) {
    let [first, second] = houses.each_ref().map(|house| house.name);
    println!("  round {round} of {ROUNDS}, {first} and {second}");
}

async fn finish(houses: [House; 2]) {
    for house in houses {
        house.stage.finish().await;
    }
}

/// Joins with bearer tokens that were never seen before, joins with those that were, and polls of those who
/// joined.
async fn in_line(size: Size) {
    let (each, lasting) = (size.of(JOINS), Duration::from_secs(size.seconds(4)));
    let mut houses = House::both(NOBODY_ENTERS, each * ROUNDS).await;
    for house in &houses {
        house.make_other().await;
    }
    let (mut joins, mut known, mut polls) = <(Compared, Compared, Compared)>::default();
    for round in 1..=ROUNDS {
        begin(round, &houses);
        let [open, secured] = &mut houses;
        joins.add([open.join(each).await, secured.join(each).await]);
        known.add([open.join_other(each).await, secured.join_other(each).await]);
        polls.add([open.poll(lasting).await, secured.poll(lasting).await]);
    }
    joins.tell("joins", &houses);
    known.tell("joins by bearer tokens seen before", &houses);
    polls.tell("polls", &houses);
    finish(houses).await;
}

/// Holds and checkouts of those who are in, whose bearer tokens were seen before.
async fn in_the_hall(size: Size) {
    let each = size.of(BUYERS);
    let mut houses = House::both(EVERYBODY_ENTERS, each * ROUNDS).await;
    let mut sales = Vec::new();
    for house in &mut houses {
        sales.push(Sale::open(&house.stage.world, house.operator(), each * ROUNDS, SEATS_A_SHOW).await);
    }
    let (mut holds, mut checkouts) = <(Compared, Compared)>::default();
    for round in 1..=ROUNDS {
        begin(round, &houses);
        let first = (round - 1) * each;
        for house in &mut houses {
            house.join(each).await.0.flawless();
            house.charge(first, each).await;
        }
        let [open, secured] = &houses;
        let (held, in_open) = open.hold(&sales[0], first, each).await;
        let (held_secured, in_secured) = secured.hold(&sales[1], first, each).await;
        holds.add([in_open, in_secured]);
        checkouts.add([open.pay(&held, first).await, secured.pay(&held_secured, first).await]);
    }
    holds.tell("holds", &houses);
    checkouts.tell("checkouts", &houses);
    finish(houses).await;
}

/// Polls of four programs, which call each other in plaintext and by mutual TLS.
async fn between_programs(size: Size) {
    let keys = Keys::new();
    let lasting = Duration::from_secs(size.seconds(4));
    let mut houses = [
        House::open("plaintext", Shape::ApartSqlite, NOBODY_ENTERS, &Direct).await,
        House::open("mutual TLS", Shape::ApartSqlite, NOBODY_ENTERS, &keys).await,
    ];
    for house in &mut houses {
        house.join(size.of(WAITING)).await.0.flawless();
    }
    let mut polls = Compared::default();
    for round in 1..=ROUNDS {
        begin(round, &houses);
        polls.add([houses[0].poll(lasting).await, houses[1].poll(lasting).await]);
    }
    polls.tell("polls, four programs", &houses);
    finish(houses).await;
}

pub(crate) async fn measure(size: Size) {
    in_line(size).await;
    in_the_hall(size).await;
    between_programs(size).await;
}
