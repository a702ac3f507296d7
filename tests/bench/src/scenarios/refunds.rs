//! A show that is called off: how soon each of its sales is refunded, and what one costs, of a small house
//! and of one with ten times as many. On PostgreSQL and on embedded SQLite.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{mesh::Shape, world::int};
use tokio::time::sleep;

use super::{EVERYBODY_ENTERS, Stage};
use crate::{
    Size, crowd, http,
    load::{Operation, Until, closed},
    meter::{Meter, Part, Used},
    report::{self, Goal, Rounds, number},
    sale::{PRICE, Sale},
};

const SMALL: usize = 1_000;
const LARGE: usize = 10_000;
const PAYING: usize = 64;
/// How often it is asked how far the refunds are.
const LOOK: Duration = Duration::from_millis(100);
/// The edge writes down that a show is called off a moment after booking-svc has, and is audited then.
const SETTLE: Duration = Duration::from_secs(3);
/// Refunds that take longer do not get on.
const LONGEST: Duration = Duration::from_secs(900);

/// Sells each seat of a sale to another one, of the users from `first` on.
pub(super) async fn sell_out(stage: &Stage, sale: &Sale, first: usize, seats: usize) {
    let people = crowd::join(&stage.queue(0), first, seats).await;
    let users: Vec<_> = people.iter().map(|person| person.number).collect();
    crowd::charge(stage.rest, &users, PRICE).await;
    let holders: Vec<_> = people.iter().enumerate().map(|(n, person)| (*person, sale.seat(n))).collect();
    let (reservations, _) = crowd::hold(stage.rest, &holders).await;
    let build = |n: usize, out: &mut Vec<u8>| {
        crowd::pay_request(out, &people[n], reservations[n]);
        true
    };
    let operation = Operation::new("checkouts", build, |_, status, body| http::expect(201, status, body));
    closed(stage.rest, PAYING, Until::Count(seats), &operation).await.flawless();
}

/// Calls a show off, and waits until each of its sales is refunded. How far it is must be told all the way.
async fn called_off(stage: &Stage, show: i64, sales: usize) -> (Duration, Used) {
    let path = format!("/v1/shows/{show}");
    let meter = Meter::start([Part::mesh(stage.mesh()), Part::postgres(), Part::generator()]);
    let (began, mut done, mut steps) = (Instant::now(), 0, 0);
    stage.world.rest.post(&format!("{path}/cancel"), json!({})).expect(202).await;
    loop {
        let told = stage.world.rest.get(&path).expect(200).await;
        let now = int(&told["refunds"]["done"]);
        assert!(now >= done && int(&told["refunds"]["total"]) == sales as i64, "{told}");
        steps += usize::from(now > done);
        done = now;
        if told["status"] == "CANCELLED" {
            break;
        }
        assert!(began.elapsed() < LONGEST, "{told}");
        sleep(LOOK).await;
    }
    let took = began.elapsed();
    report::fact(&format!("{} sales: steps that were told", number(sales as f64, 0)), &steps.to_string());
    (took, meter.stop())
}

async fn on(shape: Shape, size: Size) {
    println!("  {}:", shape.name());
    let stage = Stage::start(shape, EVERYBODY_ENTERS).await;
    let (mut each, mut seconds, mut first) = (Vec::new(), 0.0, 0);
    for sales in [SMALL, LARGE].map(|sales| size.of(sales)) {
        let sale = Sale::open(&stage.world, None, sales, sales).await;
        sell_out(&stage, &sale, first, sales).await;
        first += sales;
        let (took, used) = called_off(&stage, sale.shows[0], sales).await;
        seconds = took.as_secs_f64();
        each.push(used.micros_each(sales as u64));
        let of = number(sales as f64, 0);
        report::fact(&format!("{of} sales: refunds a second"), &number(sales as f64 / seconds, 0));
        report::fact(
            &format!("{of} sales: CPU µs a refund, database included"),
            &number(each[each.len() - 1], 0),
        );
        report::fact(&format!("{of} sales: cores busy"), &used.cores());
    }
    let seconds: Rounds = [seconds].into_iter().collect();
    report::figure("seconds until all of the large house is refunded", &seconds, 1, Goal::AtMost(60.0));
    let ratio: Rounds = [each[1] / each[0]].into_iter().collect();
    report::figure("CPU a refund, large house against small", &ratio, 2, Goal::AtMost(1.2));
    sleep(SETTLE).await;
    stage.finish().await;
}

pub(crate) async fn measure(size: Size) {
    on(Shape::SinglePostgres, size).await;
    on(Shape::SingleSqlite, size).await;
}
