//! 100,000 people, 100,000 seats: join, be let in, look at the seats, hold one, charge the wallet, pay. On
//! PostgreSQL, from the first request to the last ticket; then the audit.

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tests::mesh::Shape;
use tokio::time::sleep;

use super::Stage;
use crate::{
    Size,
    crowd::{self, Person},
    histogram::Histogram,
    http::{self, Connection},
    load::{Operation, Until, closed},
    meter::{Meter, Part},
    report::{self, Goal, millis},
    sale::{PRICE, Sale},
};

const PEOPLE: usize = 100_000;
const SEATS_A_SHOW: usize = 50;
/// How many are in at once: more than are buying at the same moment, so that nobody who buys has to wait.
const FLAGS: &[&str] = &[
    "--max-active",
    "1000",
    "--max-waiting",
    "10000000",
    "--admit-per-minute",
    "10000000",
    "--active-ttl",
    "1h",
    "--hold-ttl",
    "1h",
];
const JOINING: usize = 256;
const BUYING: usize = 64;
/// Nobody who is next waits longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

/// What happens between the end of waiting and the ticket in hand.
const STEPS: [&str; 5] = ["until ACTIVE", "seat map", "hold", "charge", "pay"];

/// One who buys: a connection and what it has seen.
struct Buyer<'a> {
    connection: Connection,
    request: Vec<u8>,
    seen: &'a RefCell<Vec<Histogram>>,
}

impl Buyer<'_> {
    /// Asks once and expects this status; the answer's body is in `read`'s hands.
    async fn ask<T>(&mut self, step: usize, wanted: u16, read: impl FnOnce(&[u8]) -> T) -> T {
        let began = Instant::now();
        let answer = self.connection.ask(&self.request).await.expect("the mesh answers");
        if let Err(other) = http::expect(wanted, answer.status, answer.body) {
            panic!("{}: {other}", STEPS[step]);
        }
        self.seen.borrow_mut()[step].record(began.elapsed());
        self.request.clear();
        read(answer.body)
    }

    /// From the line to the ticket.
    async fn buy(&mut self, person: &Person, sale: &Sale, n: usize) {
        let began = Instant::now();
        loop {
            http::get(&mut self.request, format_args!("/v1/tokens/{}", person.token), None);
            if self.ask(0, 200, |body| http::text_field(body, "status") == Some("ACTIVE")).await {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "somebody is not let in");
            sleep(Duration::from_millis(5)).await;
        }
        let seat = sale.seat(n);
        http::get(&mut self.request, format_args!("/v1/shows/{}/seats", seat.show), Some(person.token));
        self.ask(1, 200, |_| ()).await;
        crowd::hold_request(&mut self.request, person, seat);
        let reservation =
            self.ask(2, 201, |body| http::id_field(body, "reservationId")).await.expect("a hold has an id");
        let user = crowd::name(person.number);
        http::post(
            &mut self.request,
            format_args!("/v1/wallets/{user}/charges"),
            None,
            format_args!(r#"{{"amount":{PRICE}}}"#),
        );
        self.ask(3, 201, |_| ()).await;
        crowd::pay_request(&mut self.request, person, reservation);
        self.ask(4, 201, |_| ()).await;
    }
}

/// Everybody joins; in the order of their tickets.
async fn join(stage: &Stage, count: usize) -> Vec<Person> {
    let people = RefCell::new(Vec::with_capacity(count));
    let build = |n: usize, out: &mut Vec<u8>| {
        let body = format_args!(r#"{{"userId":"{}"}}"#, crowd::name(n));
        http::post(out, format_args!("/v1/queues/default/tokens"), None, body);
        true
    };
    let take = |number: usize, status, body: &[u8]| {
        http::expect(201, status, body)?;
        let token = http::id_field(body, "token").ok_or("a join without a token")?;
        let ticket = http::number_field(body, "ticket").ok_or("a join without a ticket")?;
        people.borrow_mut().push(Person { number, token, ticket });
        Ok(())
    };
    let tally = closed(stage.rest, JOINING, Until::Count(count), &Operation::new("joins", build, take))
        .await
        .flawless();
    report::run("joins", &tally, None);
    let mut people = people.into_inner();
    people.sort_unstable_by_key(|person: &Person| person.ticket);
    people
}

pub(crate) async fn measure(size: Size) {
    let stage = Stage::start(Shape::SinglePostgres, FLAGS).await;
    let count = size.of(PEOPLE);
    let sale = Sale::open(&stage.world, None, count, SEATS_A_SHOW).await;
    let meter = Meter::start([Part::mesh(stage.mesh()), Part::postgres(), Part::generator()]);
    let began = Instant::now();
    let people = join(&stage, count).await;
    let next = Cell::new(0);
    let seen = RefCell::new(vec![Histogram::default(); STEPS.len()]);
    let buyer = || async {
        let mut buyer = Buyer { connection: Connection::new(stage.rest), request: Vec::new(), seen: &seen };
        while next.get() < count {
            let n = next.replace(next.get() + 1);
            buyer.buy(&people[n], &sale, n).await;
        }
    };
    let buyers: FuturesUnordered<_> = (0..BUYING).map(|_| buyer()).collect();
    buyers.for_each(|()| async {}).await;
    let (took, used) = (began.elapsed(), meter.stop());
    for (step, histogram) in STEPS.iter().zip(seen.borrow().iter()) {
        let ms = |share| millis(histogram.quantile(share));
        let told = format!("{:.1}, {:.1}, {:.1}", ms(0.5), ms(0.99), millis(histogram.max()));
        report::fact(&format!("{step}: p50, p99, longest ms"), &told);
    }
    let sold = seen.borrow()[STEPS.len() - 1].count();
    report::fact("seats sold", &sold.to_string());
    report::fact("sold a second, joining included", &report::number(sold as f64 / took.as_secs_f64(), 0));
    report::fact(
        "CPU µs a seat, generator and PostgreSQL included",
        &report::number(used.micros_each(sold), 0),
    );
    report::fact("cores busy", &used.cores());
    report::figure(
        "seconds for the whole funnel",
        &[took.as_secs_f64()].into_iter().collect(),
        1,
        Goal::AtMost(180.0),
    );
    stage.finish().await;
}
