//! A hall of 100,000 seats in 500 sections: how soon it is made, and its plan is read, and, when each seat is
//! sold by itself, how soon its books are told. On PostgreSQL and on embedded SQLite.

use std::time::{Duration, Instant};

use tests::{mesh::Shape, world::int};
use tokio::time::sleep;

use super::{EVERYBODY_ENTERS, Stage, refunds::sell_out};
use crate::{
    Size,
    meter::{Meter, Part},
    report::{self, Goal, Rounds, millis, number},
    sale::{PRICE, Sale},
};

const SECTIONS: usize = 500;
const SEATS_EACH: usize = 200;
const ROUNDS: usize = 5;
/// Longer than books that were told are told again.
const FORGOTTEN: Duration = Duration::from_millis(300);

async fn on(shape: Shape, size: Size) {
    println!("  {}:", shape.name());
    let stage = Stage::start(shape, EVERYBODY_ENTERS).await;
    let seats = size.of(SECTIONS) * SEATS_EACH;
    let (mut made, mut read) = (Rounds::default(), Rounds::default());
    let mut sale = None;
    for _ in 0..ROUNDS {
        let (new, took) = Sale::in_sections(&stage.world, size.of(SECTIONS), SEATS_EACH).await;
        made.push(took.as_secs_f64());
        let began = Instant::now();
        let plan = stage.world.rest.get(&format!("/v1/shows/{}/plan", new.shows[0])).expect(200).await;
        read.push(millis(began.elapsed()));
        let sections = plan["sections"].as_array().map_or(0, Vec::len);
        assert_eq!(sections, size.of(SECTIONS), "the plan has all of them");
        sale = Some(new);
    }
    report::figure("seconds to make the hall", &made, 3, Goal::AtMost(2.0));
    report::fact("its plan, read for the first time, ms", &read.told(1));
    let sale = sale.expect("there were rounds");
    sell_out(&stage, &sale, 0, seats).await;
    let (path, mut books) = (format!("/v1/shows/{}/sales", sale.shows[0]), Rounds::default());
    let meter = Meter::start([Part::mesh(stage.mesh()), Part::postgres()]);
    for _ in 0..ROUNDS {
        sleep(FORGOTTEN).await;
        let began = Instant::now();
        let told = stage.world.rest.get(&path).expect(200).await;
        books.push(began.elapsed().as_secs_f64());
        assert_eq!((int(&told["sold"]), int(&told["net"])), (seats as i64, seats as i64 * PRICE), "{told}");
    }
    let used = meter.stop();
    report::figure("seconds to tell its books, sold out seat by seat", &books, 3, Goal::AtMost(1.0));
    report::fact("CPU ms each time", &number(used.micros_each(ROUNDS as u64) / 1e3, 0));
    stage.finish().await;
}

pub(crate) async fn measure(size: Size) {
    on(Shape::SinglePostgres, size).await;
    on(Shape::SingleSqlite, size).await;
}
