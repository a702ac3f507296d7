//! Holding seats: over REST by admitted people, by turns with what the same PostgreSQL can do at all with two
//! statements in a transaction (an insert and an update, by `pgbench`); then a seat that everybody wants.

use std::{cell::Cell, process::Stdio, time::Duration};

use sqlx::{Connection as _, PgConnection};
use tests::{databases::server_url, mesh::Shape};
use tokio::process::Command;

use super::{EVERYBODY_ENTERS, Stage};
use crate::{
    Size,
    crowd::{self, Person},
    http,
    load::{Operation, Until, closed},
    meter::{Meter, Part},
    report::{self, Goal, Rounds, millis},
    sale::Sale,
};

const USERS: usize = 2_000;
const SEATS: usize = 100_000;
const SEATS_A_SHOW: usize = 1_000;
const IN_FLIGHT: usize = 64;
const ROUNDS: usize = 3;
/// Seats that everybody wants, one after the other.
const WANTED: usize = 100;

/// What pgbench does: as many statements as a hold must have, and nothing around them.
const LIMIT_TABLES: &str = "CREATE TABLE limit_seat (seat BIGINT PRIMARY KEY, holder UUID) WITH (fillfactor = 70); \
    INSERT INTO limit_seat SELECT generate_series(1, 100000), NULL; \
    CREATE TABLE limit_hold (hold UUID PRIMARY KEY, seat BIGINT NOT NULL, held_at BIGINT NOT NULL); \
    VACUUM ANALYZE limit_seat";
const LIMIT_SCRIPT: &str = "\\set seat random(1, 100000)\n\
    BEGIN;\n\
    INSERT INTO limit_hold (hold, seat, held_at) VALUES (gen_random_uuid(), :seat, 0);\n\
    UPDATE limit_seat SET holder = gen_random_uuid() WHERE seat = :seat;\n\
    COMMIT;\n";

async fn prepare_limit() -> tempfile::NamedTempFile {
    let mut db = PgConnection::connect(&server_url()).await.expect("the throwaway PostgreSQL answers");
    for statement in LIMIT_TABLES.split("; ") {
        sqlx::raw_sql(statement).execute(&mut db).await.expect("tables of one's own");
    }
    let script = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(script.path(), LIMIT_SCRIPT).expect("a temporary file");
    script
}

/// Transactions a second with 32 clients.
async fn limit(script: &tempfile::NamedTempFile, seconds: u64) -> f64 {
    let output = Command::new("pgbench")
        .args(["--no-vacuum", "--client=32", "--jobs=2", "--protocol=prepared"])
        .arg(format!("--time={seconds}"))
        .arg("--file")
        .arg(script.path())
        .arg(server_url())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("pgbench is there (it comes with PostgreSQL)");
    let text = String::from_utf8_lossy(&output.stdout);
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.unwrap_or_else(|| panic!("pgbench failed: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

pub(crate) async fn measure(size: Size) {
    let script = prepare_limit().await;
    let stage = Stage::start(Shape::SinglePostgres, EVERYBODY_ENTERS).await;
    let people = crowd::join(&stage.queue(0), 0, size.of(USERS)).await;
    let sale = Sale::open(&stage.world, None, SEATS, SEATS_A_SHOW).await;
    let next = Cell::new(0);
    let (mut limits, mut rates, mut ratios, mut cpu) = <(Rounds, Rounds, Rounds, Rounds)>::default();
    for round in 1..=ROUNDS {
        let most = limit(&script, size.seconds(5)).await;
        println!(
            "  round {round}: pgbench, insert and update in a transaction, 32 clients: {}/s",
            report::number(most, 0)
        );
        let build = |_: usize, out: &mut Vec<u8>| {
            let n = next.replace(next.get() + 1);
            crowd::hold_request(out, &people[n % people.len()], sale.seat(n));
            true
        };
        let operation = Operation::new("holds", build, |_, status, body| http::expect(201, status, body));
        let meter = Meter::start([Part::mesh(stage.mesh()), Part::postgres(), Part::generator()]);
        let until = Until::Elapsed(Duration::from_secs(size.seconds(5)));
        let tally = closed(stage.rest, IN_FLIGHT, until, &operation).await;
        let used = meter.stop();
        report::run("holds", &tally, Some(&used));
        limits.push(most);
        rates.push(tally.rate());
        ratios.push(tally.rate() / most);
        cpu.push(used.micros_each(tally.latency.count()));
    }
    report::fact("the database's limit, two statements a transaction", &limits.told(0));
    report::fact("holds a second", &rates.told(0));
    report::figure("holds, of the limit of the same round", &ratios, 3, Goal::AtLeast(0.4));
    report::fact("CPU µs a hold, generator and PostgreSQL included", &cpu.told(0));
    wanted(&stage, &people, size.of(WANTED)).await;
    stage.finish().await;
}

/// Everybody wants the same seat: one gets it, the others are told so.
async fn wanted(stage: &Stage, people: &[Person], seats: usize) {
    let sale = Sale::open(&stage.world, None, seats, seats).await;
    let won = Cell::new(0);
    let build = |n: usize, out: &mut Vec<u8>| {
        crowd::hold_request(out, &people[n % people.len()], sale.seat(n / IN_FLIGHT));
        true
    };
    let take = |_: usize, status, body: &[u8]| match status {
        201 => {
            won.set(won.get() + 1);
            Ok(())
        }
        _ => http::expect(409, status, body),
    };
    let tally = closed(
        stage.rest,
        IN_FLIGHT,
        Until::Count(seats * IN_FLIGHT),
        &Operation::new("wanted", build, take),
    )
    .await;
    report::run(&format!("a seat that {IN_FLIGHT} want"), &tally, None);
    assert_eq!(won.get(), seats, "each seat is won once");
    let p99: Rounds = [millis(tally.latency.quantile(0.99))].into_iter().collect();
    report::figure("a seat that everybody wants: answered, p99 ms", &p99, 1, Goal::AtMost(50.0));
    report::fact("errors", &tally.errors.to_string());
}
