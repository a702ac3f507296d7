//! The reference's whole planned load at once, open loop, on one PostgreSQL: what it budgeted 25 servers for.
//!
//! 110,000 wait and 6,000 are in. A hundred places a second are really freed, in the order of admission: of
//! five people four leave and one pays, so a hundred a second are really admitted. Payments are whole: that
//! person held a seat five seconds earlier, and has the money. Tickets are numbered without a gap, so
//! `servingTicket` tells who is in; nobody has to be asked for it.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use tests::mesh::{Mesh, Shape};
use uuid::Uuid;

use super::Stage;
use crate::{
    Size,
    crowd::{self, Person},
    histogram::Histogram,
    http,
    load::{Open, Operation, STRETCH, Tally, open},
    meter::{Meter, Part},
    report::{self, Goal, Rounds, millis},
    sale::{PRICE, Sale, date},
};

const WAITING: usize = 110_000;
const ACTIVE: usize = 6_000;
const SECONDS: u64 = 60;
/// Of so many freed places one is a payer's.
const PAYS: usize = 5;
/// Holds begin so many seconds before their payments.
const LEAD: usize = 5;
/// Seats a show, as in the reference.
const SEATS: usize = 50;

/// Requests a second, by kind.
struct Plan {
    polls: usize,
    joins: usize,
    freed: usize,
    active_polls: usize,
    seat_reads: usize,
    reservation_reads: usize,
}

impl Plan {
    const WHOLE: Self = Self {
        polls: 11_000,
        joins: 167,
        freed: 100,
        active_polls: 600,
        seat_reads: 50,
        reservation_reads: 30,
    };
    const TRIAL: Self =
        Self { polls: 300, joins: 10, freed: 10, active_polls: 20, seat_reads: 10, reservation_reads: 10 };

    const fn payments(&self) -> usize {
        self.freed / PAYS
    }
}

/// Who stands where.
struct Line {
    /// By ticket, from 1.
    tokens: RefCell<Vec<Option<Person>>>,
    /// The highest ticket admitted.
    serving: Cell<usize>,
    /// How many of the first have left or paid, or are about to.
    freed: Cell<usize>,
    reservations: RefCell<Vec<Option<Uuid>>>,
    random: RefCell<SmallRng>,
    sale: Sale,
}

impl Line {
    /// Somebody at random among the tickets after `above` up to `to`.
    fn anybody(&self, above: usize, to: usize) -> Option<Person> {
        let tokens = self.tokens.borrow();
        let to = to.min(tokens.len());
        (above < to).then(|| tokens[self.random.borrow_mut().random_range(above..to)])?
    }

    fn waiting(&self) -> Option<Person> {
        self.anybody(self.serving.get(), usize::MAX)
    }

    /// Somebody who is in and stays for the next seconds.
    fn active(&self, plan: &Plan) -> Option<Person> {
        self.anybody(self.freed.get() + plan.freed * (LEAD + 1), self.serving.get())
    }

    /// The n-th payer: every fifth of those who are in.
    fn payer(&self, n: usize) -> Option<Person> {
        let at = n * PAYS;
        (at < self.serving.get()).then(|| self.tokens.borrow()[at])?
    }

    /// The n-th who leaves: the four between two payers.
    fn leaver(&self, n: usize) -> Option<Person> {
        let at = n / (PAYS - 1) * PAYS + n % (PAYS - 1) + 1;
        self.freed.set(self.freed.get().max(at));
        (at < self.serving.get()).then(|| self.tokens.borrow()[at])?
    }

    fn hold(&self, n: usize, out: &mut Vec<u8>) -> bool {
        let Some(payer) = self.payer(n) else { return false };
        crowd::hold_request(out, &payer, self.sale.seat(n));
        true
    }

    fn held(&self, n: usize, status: u16, body: &[u8]) -> Result<(), String> {
        http::expect(201, status, body)?;
        let mut reservations = self.reservations.borrow_mut();
        if reservations.len() <= n {
            reservations.resize(n + 1, None);
        }
        reservations[n] = Some(http::id_field(body, "reservationId").ok_or("a hold without an id")?);
        Ok(())
    }

    fn reservation(&self, n: usize) -> Option<Uuid> {
        self.reservations.borrow().get(n).copied().flatten()
    }

    fn any_reservation(&self) -> Option<Uuid> {
        let count = self.reservations.borrow().len();
        (count > 0).then(|| self.reservation(self.random.borrow_mut().random_range(0..count)))?
    }

    fn joined(&self, number: usize, status: u16, body: &[u8]) -> Result<(), String> {
        http::expect(201, status, body)?;
        let token = http::id_field(body, "token").ok_or("a join without a token")?;
        let ticket = http::number_field(body, "ticket").ok_or("a join without a ticket")?;
        let mut tokens = self.tokens.borrow_mut();
        let at = ticket as usize - 1;
        if tokens.len() <= at {
            tokens.resize(at + 1, None);
        }
        tokens[at] = Some(Person { number, token, ticket });
        Ok(())
    }
}

/// Writes a request, if there is something to ask for.
fn some<T>(of: Option<T>, write: impl FnOnce(T)) -> bool {
    of.map(write).is_some()
}

fn ok(_: usize, status: u16, body: &[u8]) -> Result<(), String> {
    http::expect(200, status, body)
}

/// What people ask: places, seats, reservations.
fn reading<'a>(line: &'a Line, plan: &'a Plan) -> Vec<Open<'a>> {
    let token =
        |out: &mut Vec<u8>, person: Person| http::get(out, format_args!("/v1/tokens/{}", person.token), None);
    let polls = Operation::new("polls", move |_, out| some(line.waiting(), |person| token(out, person)), ok);
    let active = Operation::new(
        "active polls",
        move |_, out| some(line.active(plan), |person| token(out, person)),
        ok,
    );
    let seats = move |n: usize, out: &mut Vec<u8>| {
        let path =
            format!("/v1/concerts/{}/seats?date={}", line.sale.concert, date(n % line.sale.shows.len()));
        some(line.active(plan), |person| http::get(out, format_args!("{path}"), Some(person.token)))
    };
    let reservations = move |_: usize, out: &mut Vec<u8>| {
        some(line.any_reservation(), |id| http::get(out, format_args!("/v1/reservations/{id}"), None))
    };
    let serving = move |_: usize, status, body: &[u8]| {
        http::expect(200, status, body)?;
        line.serving
            .set(http::number_field(body, "servingTicket").ok_or("a queue without servingTicket")? as usize);
        Ok(())
    };
    let queue = |_: usize, out: &mut Vec<u8>| {
        some(Some(()), |()| http::get(out, format_args!("/v1/queues/default"), None))
    };
    vec![
        at(plan.polls, 110, polls),
        at(plan.active_polls, 16, active),
        at(plan.seat_reads, 8, Operation::new("seat reads", seats, ok)),
        at(plan.reservation_reads, 8, Operation::new("reservation reads", reservations, ok)),
        at(10, 1, Operation::new("queue reads (servingTicket)", queue, serving)),
    ]
}

/// What people do: join, leave, hold, pay. `first` is the number of the first who is not in line yet.
fn writing<'a>(line: &'a Line, plan: &'a Plan, first: usize) -> Vec<Open<'a>> {
    let join = move |n: usize, out: &mut Vec<u8>| {
        let body = format_args!(r#"{{"userId":"{}"}}"#, crowd::name(first + n));
        some(Some(()), |()| http::post(out, format_args!("/v1/queues/default/tokens"), None, body))
    };
    let joined = move |n: usize, status, body: &[u8]| line.joined(first + n, status, body);
    let leave = move |n: usize, out: &mut Vec<u8>| {
        some(line.leaver(n), |person| http::delete(out, format_args!("/v1/tokens/{}", person.token)))
    };
    let lead = plan.payments() * LEAD;
    let hold = move |n: usize, out: &mut Vec<u8>| line.hold(n + lead, out);
    let held = move |n: usize, status, body: &[u8]| line.held(n + lead, status, body);
    let pay = move |n: usize, out: &mut Vec<u8>| {
        some(line.payer(n).zip(line.reservation(n)), |(payer, id)| crowd::pay_request(out, &payer, id))
    };
    let expect = |wanted| move |_: usize, status, body: &[u8]| http::expect(wanted, status, body);
    vec![
        at(plan.joins, 16, Operation::new("joins", join, joined)),
        at(plan.freed - plan.payments(), 16, Operation::new("leaves", leave, expect(204))),
        at(plan.payments(), 8, Operation::new("holds", hold, held)),
        at(plan.payments(), 8, Operation::new("payments", pay, expect(201))),
    ]
}

const fn at(per_second: usize, connections: usize, operation: Operation<'_>) -> Open<'_> {
    Open { operation, per_second: per_second as f64, connections }
}

/// Fills the line, opens the sale, gives the payers money, and makes the holds of the first seconds.
async fn prepare(stage: &Stage, plan: &Plan, people: usize, seconds: u64) -> Line {
    let tokens = crowd::join(&stage.queue(0), 0, people).await;
    assert!(tokens.iter().zip(1..).all(|(person, ticket)| person.ticket == ticket), "tickets have no gap");
    let payers = plan.payments() * (seconds as usize + LEAD) + SEATS;
    let sale = Sale::open(&stage.world, None, payers.max(SEATS * 2), SEATS).await;
    let users: Vec<_> = tokens.iter().step_by(PAYS).take(payers).map(|person| person.number).collect();
    crowd::charge(stage.rest, &users, PRICE).await;
    let line = Line {
        tokens: RefCell::new(tokens.into_iter().map(Some).collect()),
        serving: Cell::new(0),
        freed: Cell::new(0),
        reservations: RefCell::default(),
        random: RefCell::new(SmallRng::seed_from_u64(7)),
        sale,
    };
    line.serving.set(serving(stage).await);
    let first = plan.payments() * LEAD;
    let holders: Vec<_> =
        (0..first).map(|n| (line.payer(n).expect("the first are in"), line.sale.seat(n))).collect();
    let (held, _) = crowd::hold(stage.rest, &holders).await;
    line.reservations.replace(held.into_iter().map(Some).collect());
    line
}

async fn serving(stage: &Stage) -> usize {
    let queue = stage.world.rest.get("/v1/queues/default").expect(200).await;
    tests::world::int(&queue["servingTicket"]) as usize
}

pub(crate) async fn measure(size: Size) {
    let (active, waiting, seconds) =
        (if size.trial { 600 } else { ACTIVE }, size.of(WAITING), size.seconds(SECONDS));
    let plan = if size.trial { Plan::TRIAL } else { Plan::WHOLE };
    let most = active.to_string();
    let flags = [
        "--max-active",
        most.as_str(),
        "--max-waiting",
        "10000000",
        "--admit-per-minute",
        "10000000",
        "--active-ttl",
        "6h",
    ];
    let stage = Stage::start(Shape::SinglePostgres, &[&flags[..], &["--hold-ttl", "1h"]].concat()).await;
    let people = active + waiting;
    let line = prepare(&stage, &plan, people, seconds).await;
    println!("  {waiting} wait, {active} are in; {seconds} s at the planned rates, everything in one run");
    let admitted_before = line.serving.get();
    let parts = || [Part::mesh(stage.mesh()), Part::postgres(), Part::generator()];
    let meter = Meter::start(parts());
    let stretch = RefCell::new(Meter::start(parts()));
    let watch = |latency: &Histogram| {
        let used = stretch.replace(Meter::start(parts())).stop();
        let ms = |share| millis(latency.quantile(share));
        println!(
            "  {} s: all kinds p50 {:.1}, p99 {:.1}, longest {:.1} ms; cores: {}",
            STRETCH.as_secs(),
            ms(0.5),
            ms(0.99),
            millis(latency.max()),
            used.cores()
        );
    };
    let mut loads = reading(&line, &plan);
    loads.extend(writing(&line, &plan, people));
    let tallies = open(stage.rest, Duration::from_secs(seconds), &loads, watch).await;
    let used = meter.stop();
    let admitted = serving(&stage).await - admitted_before;
    for (load, tally) in loads.iter().zip(&tallies) {
        report::run(&format!("{} at {}", load.operation.name, load.per_second), tally, None);
    }
    tell(&tallies, admitted as f64 / seconds as f64, plan.freed as f64);
    report::fact("cores busy", &used.cores());
    drop(loads);
    warn_of_complaints(stage.mesh());
    stage.finish().await;
}

fn tell(tallies: &[Tally], admitted: f64, planned: f64) {
    let errors: Rounds = [tallies.iter().map(|tally| tally.errors).sum::<u64>() as f64].into_iter().collect();
    report::figure("errors", &errors, 0, Goal::AtMost(0.0));
    let all = tallies.iter().map(|tally| millis(tally.latency.quantile(0.99))).fold(0.0, f64::max);
    report::figure("p99 ms of the slowest kind", &[all].into_iter().collect(), 2, Goal::AtMost(50.0));
    // The last ones freed may be under way when the time is over.
    report::figure(
        "admissions a second",
        &[admitted].into_iter().collect(),
        1,
        Goal::AtLeast(planned * 0.98),
    );
}

/// Errors in the logs are told beside the figures.
fn warn_of_complaints(mesh: &Mesh) {
    let complaints = mesh.complaints();
    if let Some(first) = complaints.first() {
        println!("  {} lines of the log complain, such as: {first}", complaints.len());
    }
}
