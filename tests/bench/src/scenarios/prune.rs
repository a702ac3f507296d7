//! Ten million answers whose time is over are removed while people join: what that costs those who join.

use std::time::Duration;

use tests::{databases::Records, mesh::Shape};
use tokio::time::sleep;

use super::{NOBODY_ENTERS, Stage};
use crate::{
    Size,
    crowd::name,
    http,
    load::{Open, Operation, open},
    report::{self, Goal, Rounds},
};

/// Joins a second, in the open loop: a fraction of what goes, so that a pause shows and a full line does not
/// hide it.
const RATE: f64 = 1_000.0;
const CONNECTIONS: usize = 64;
const ROUNDS: usize = 5;
const OLD_ROWS: usize = 10_000_000;
const CHUNK: usize = 50_000;
/// How long at most until pruning has begun: it looks once a minute.
const BEGINS_WITHIN: usize = 120;

pub(crate) async fn measure(size: Size) {
    for shape in [Shape::SinglePostgres, Shape::SingleSqlite] {
        let stage = Stage::start(shape, NOBODY_ENTERS).await;
        let mut records = stage.mesh().databases.with_table("token").await;
        let (mut next, mut before, mut beside) = (0, Rounds::default(), Rounds::default());
        for _ in 0..ROUNDS {
            before.push(round(&stage, size, &mut next).await);
        }
        fill(&mut records, size.of(OLD_ROWS)).await;
        let full = left(&mut records).await;
        for _ in 0..BEGINS_WITHIN {
            if left(&mut records).await < full {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        let first = left(&mut records).await;
        for _ in 0..ROUNDS {
            beside.push(round(&stage, size, &mut next).await);
        }
        let last = left(&mut records).await;
        drop(records);
        let on = shape.name();
        report::fact(
            &format!("old rows on {on}: at first, at the beginning and the end of the rounds"),
            &format!("{full}, {first}, {last}"),
        );
        report::fact(&format!("p99 of a join on {on}, ms, nothing to remove"), &before.told(1));
        report::figure(
            &format!("p99 of a join on {on}, ms, beside pruning"),
            &beside,
            1,
            Goal::AtMost(before.median() * 1.2),
        );
        stage.finish().await;
    }
}

/// The p99 of joins at the rate, in milliseconds. `next` is the number of the first who has not joined yet.
async fn round(stage: &Stage, size: Size, next: &mut usize) -> f64 {
    let from = *next;
    let build = move |n: usize, out: &mut Vec<u8>| {
        let body = format_args!(r#"{{"userId":"{}"}}"#, name(from + n));
        http::post(out, format_args!("/v1/queues/default/tokens"), None, body);
        true
    };
    let operation = Operation::new("joins", build, |_, status, body| http::expect(201, status, body));
    let lasting = Duration::from_secs(size.seconds(20));
    let loads = [Open { operation, per_second: RATE, connections: CONNECTIONS }];
    let tallies = open(stage.rest, lasting, &loads, |_| ()).await;
    // More than were asked for: nobody joins twice.
    *next += 2 * (RATE * lasting.as_secs_f64()) as usize;
    report::run("joins", &tallies[0], None);
    report::millis(tallies[0].latency.quantile(0.99))
}

/// Answers of eight days ago, one a microsecond, in short transactions: the mesh is at work.
async fn fill(records: &mut Records, rows: usize) {
    let now = match records {
        Records::Postgres(_) => "SELECT CAST(CAST(EXTRACT(EPOCH FROM now()) AS BIGINT) AS TEXT)",
        Records::Sqlite(_) => "SELECT CAST(unixepoch() AS TEXT)",
    };
    let now: i64 = records.rows(now).await[0][0].parse().unwrap();
    let eight_days_ago = (now - 8 * 24 * 3_600) * 1_000_000;
    for from in (0..rows).step_by(CHUNK) {
        let to = rows.min(from + CHUNK);
        let series = match records {
            Records::Postgres(_) => format!("generate_series({}::bigint, {to}) AS s (n)", from + 1),
            Records::Sqlite(_) => {
                format!(
                    "(WITH RECURSIVE s (n) AS (SELECT {} UNION ALL SELECT n + 1 FROM s WHERE n < {to}) SELECT n FROM s)",
                    from + 1
                )
            }
        };
        // Ids in no order, as those of clients are.
        let sql = format!(
            "INSERT INTO request (request_id, fingerprint, answer, created_at) SELECT 'old ' || ((n * 7919) % 1000000007), \
             '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef', \
             '{{\"Token\":{{\"token\":\"3fa85f64-5717-4562-b3fc-2c963f66afa6\",\"created\":true}}}}', {eight_days_ago} + n FROM {series}"
        );
        records.rows(&sql).await;
    }
}

/// How many of them are there: the oldest go first, and they are a microsecond apart. By the ends of the
/// index that pruning uses.
async fn left(records: &mut Records) -> u64 {
    let end = |order: &str| {
        format!(
            "(SELECT created_at FROM request WHERE substr(request_id, 1, 6) <> 'brief/' ORDER BY created_at {order} LIMIT 1)"
        )
    };
    let sql = format!("SELECT CAST(COALESCE({} - {} + 1, 0) AS TEXT)", end("DESC"), end("ASC"));
    records.rows(&sql).await[0][0].parse().unwrap()
}
