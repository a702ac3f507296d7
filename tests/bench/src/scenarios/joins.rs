//! A million people join over REST, each commit durable on PostgreSQL, all of the mesh in one process.

use tests::mesh::Shape;

use super::{NOBODY_ENTERS, Stage};
use crate::{
    Size,
    crowd::name,
    http,
    load::{Operation, Tally, Until, closed},
    meter::{Meter, Part},
    report::{self, Goal, Rounds},
};

/// People who are joining at the same moment.
const CONNECTIONS: usize = 256;
const PEOPLE: usize = 1_000_000;
/// The million is told by tenths: the median of ten, and whether a longer line makes joining slower.
const PARTS: usize = 10;

pub(crate) async fn measure(size: Size) {
    let stage = Stage::start(Shape::SinglePostgres, NOBODY_ENTERS).await;
    let each = size.of(PEOPLE) / PARTS;
    let (mut all, mut rates, mut cpu) = (Tally::default(), Rounds::default(), Rounds::default());
    for part in 0..PARTS {
        let build = move |n: usize, out: &mut Vec<u8>| {
            let body = format_args!(r#"{{"userId":"{}"}}"#, name(part * each + n));
            http::post(out, format_args!("/v1/queues/default/tokens"), None, body);
            true
        };
        let operation = Operation::new("joins", build, |_, status, body| http::expect(201, status, body));
        let meter = Meter::start([Part::mesh(stage.mesh()), Part::postgres(), Part::generator()]);
        let tally = closed(stage.rest, CONNECTIONS, Until::Count(each), &operation).await;
        let used = meter.stop();
        report::run(&format!("joins {} of {PARTS}", part + 1), &tally, Some(&used));
        rates.push(tally.rate());
        cpu.push(used.micros_each(tally.latency.count()));
        all.add(&tally);
    }
    report::run("all", &all, None);
    report::figure("joins a second, durable", &rates, 0, Goal::AtLeast(10_000.0));
    report::fact("CPU µs a join, generator and PostgreSQL included", &cpu.told(1));
    let whole: Rounds = [all.lasted.as_secs_f64()].into_iter().collect();
    report::figure(
        &format!("seconds for {} people", report::number(all.latency.count() as f64, 0)),
        &whole,
        1,
        Goal::AtMost(120.0),
    );
    report::fact("errors", &all.errors.to_string());
    stage.finish().await;
}
