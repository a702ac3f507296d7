//! Pruning: rows that are kept for a limited time are removed, oldest first and in small batches.
//!
//! Every replica prunes. On PostgreSQL a replica skips rows that another one has locked, and nobody waits for
//! it; on SQLite, which has one writer, others wait for a batch, so it takes a few milliseconds. After a
//! batch comes a pause many times as long as it took, because removing rows is never urgent and requests are.

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    args,
    clock::{Clock, micros},
    db::{Db, Error, Session, Sql},
};

/// How often rows are looked for whose time is over.
const EVERY: Duration = Duration::from_secs(60);
/// How long a batch should take. After one that took longer the next one is half as large; after one that
/// took less than half of this, twice as large.
const LONG: Duration = Duration::from_millis(2);
/// The fewest and the most rows of a batch.
const ROWS: (i64, i64) = (10, 500);
/// Rows of the first batch.
const FIRST: i64 = 50;
/// The pause after a batch, as a multiple of its time: pruning works for a hundredth of the time. Where
/// others wait for a batch that is one of a hundred, and so the p99 hardly moves.
const RESTS: u32 = 99;
/// The shortest pause after a batch.
const REST: Duration = Duration::from_millis(20);

/// The rows of one batch: those with an instant from `from` until before `before` (microseconds since the
/// epoch), `limit` at most, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Where the last batch ended. What that removed may still stand in the index, and is not walked again.
    pub from: i64,
    /// Rows from then on are kept.
    pub before: i64,
    /// How many rows at most.
    pub limit: i64,
}

/// Removes a portion of rows in a transaction that the caller commits, and answers their instants.
pub type Forget = for<'a> fn(&'a mut Session, Portion) -> Forgetting<'a>;
/// The future of a [`Forget`].
pub type Forgetting<'a> = BoxFuture<'a, Result<Vec<i64>, Error>>;

/// A kind of rows that is kept for a limited time.
#[derive(Clone, Copy, Debug)]
pub struct Old {
    table: &'static str,
    kept: Duration,
    forget: Forget,
}

impl Old {
    /// Rows of a table, how long they are kept, and how they are removed. The name labels the metrics.
    #[must_use]
    pub const fn new(table: &'static str, kept: Duration, forget: Forget) -> Self {
        Self { table, kept, forget }
    }
}

/// Makes the [`Forget`] of a table, by the column of its key, the column of the instant, and a condition that
/// keeps the rows that must stay. Where there is an index of its own for it, the condition is the index's.
#[macro_export]
macro_rules! forget {
    ($(#[$doc:meta])* $visible:vis fn $name:ident($table:literal, $key:literal, $at:literal, $may_go:literal)) => {
        $(#[$doc])*
        $visible fn $name(
            session: &mut $crate::db::Session,
            portion: $crate::prune::Portion,
        ) -> $crate::prune::Forgetting<'_> {
            macro_rules! delete {
                ($before:literal, $after:literal) => {
                    concat!(
                        "DELETE FROM ", $table, " WHERE ", $key, $before, "(SELECT ", $key, " FROM ", $table,
                        " WHERE ", $may_go, " AND ", $at, " >= $1 AND ", $at, " < $2 ORDER BY ", $at, " LIMIT $3",
                        $after, " RETURNING ", $at, " AS at"
                    )
                };
            }
            const SQL: $crate::db::Sql = $crate::db::Sql {
                postgres: delete!(" = ANY(ARRAY", " FOR UPDATE SKIP LOCKED))"),
                sqlite: delete!(" IN ", ")"),
            };
            $crate::prune::by(session, SQL, portion)
        }
    };
}

/// Removes rows by one statement, which returns the instant of each row as `at`; `$1`, `$2` and `$3` are the
/// fields of the portion.
pub fn by(session: &mut Session, sql: Sql, portion: Portion) -> Forgetting<'_> {
    let Portion { from, before, limit } = portion;
    Box::pin(async move {
        session.all(sql, args![from, before, limit]).await?.iter().map(|row| row.get("at")).collect()
    })
}

/// Prunes once a minute until the shutdown. What fails is tried again in the next round.
pub async fn until(db: Db, clock: Clock, all: Vec<Old>, shutdown: CancellationToken) {
    let pruning = async {
        loop {
            sleep(EVERY).await;
            round(&db, &clock, &all).await;
        }
    };
    shutdown.run_until_cancelled(pruning).await;
}

/// Removes all rows whose time is over, one batch of each kind by turns.
pub async fn round(db: &Db, clock: &Clock, all: &[Old]) {
    let mut left: Vec<Walk> =
        all.iter().map(|old| Walk { old: *old, from: i64::MIN, limit: FIRST, rows: 0 }).collect();
    while !left.is_empty() {
        let mut going_on = Vec::with_capacity(left.len());
        for mut walk in left {
            let (is_over, rest) = walk.step(db, clock).await;
            if is_over {
                walk.close();
            } else {
                going_on.push(walk);
            }
            sleep(rest).await;
        }
        left = going_on;
    }
}

/// The progress of a round through one kind of rows.
struct Walk {
    old: Old,
    from: i64,
    limit: i64,
    rows: u64,
}

impl Walk {
    /// Removes a batch. Answers whether it was the last one, and how long to pause.
    async fn step(&mut self, db: &Db, clock: &Clock) -> (bool, Duration) {
        let began = Instant::now();
        let result = self.batch(db, clock).await;
        let took = began.elapsed();
        let is_over = match result {
            Ok(removed) => {
                let full = usize::try_from(self.limit).is_ok_and(|limit| removed.len() >= limit);
                let rows = u64::try_from(removed.len()).unwrap_or(u64::MAX);
                metrics::counter!("pruned_rows_total", "table" => self.old.table).increment(rows);
                self.rows += rows;
                self.from = removed.into_iter().max().unwrap_or(self.from);
                !full
            }
            Err(error) => {
                metrics::counter!("prune_failures_total", "table" => self.old.table).increment(1);
                // An outage of the database is logged by its monitor.
                if error.is_passing() {
                    tracing::debug!(table = self.old.table, %error, "old rows could not be removed; the next round tries again");
                } else {
                    tracing::error!(alert = true, table = self.old.table, %error, "old rows could not be removed; the next round tries again");
                }
                true
            }
        };
        if took > LONG {
            self.limit = (self.limit / 2).max(ROWS.0);
        } else if took < LONG / 2 {
            self.limit = (self.limit * 2).min(ROWS.1);
        }
        (is_over, REST.max(took * RESTS))
    }

    async fn batch(&self, db: &Db, clock: &Clock) -> Result<Vec<i64>, Error> {
        let before = clock.now().saturating_sub(micros(self.old.kept));
        let portion = Portion { from: self.from, before, limit: self.limit };
        let mut session = db.begin().await?;
        let removed = (self.old.forget)(&mut session, portion).await?;
        if removed.is_empty() {
            session.rollback().await;
        } else {
            session.commit().await?;
        }
        Ok(removed)
    }

    fn close(self) {
        if self.rows > 0 {
            tracing::info!(table = self.old.table, rows = self.rows, "old rows were removed");
        }
    }
}

/// Reads a retention time from a command line.
///
/// # Errors
/// It is no duration, or not 1 hour to 3,650 days.
pub fn retention(text: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_secs(3_600);
    const MOST: Duration = Duration::from_secs(3_650 * 24 * 3_600);
    let span =
        humantime::parse_duration(text).map_err(|error| format!("{error}; write such as 12h, 7d or 30d"))?;
    if (LEAST..=MOST).contains(&span) { Ok(span) } else { Err("must be 1h to 3650d".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_kept_for_an_hour_at_least() {
        assert_eq!(retention("7d"), Ok(Duration::from_secs(7 * 24 * 3_600)));
        for bad in ["", "7", "59m", "0s", "3651d", "-1d"] {
            assert!(retention(bad).is_err(), "{bad}");
        }
    }
}
