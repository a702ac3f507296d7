//! Forgetting: rows that are kept for a while and no longer, removed oldest first and a few at a time.
//!
//! Every replica prunes. On PostgreSQL each takes what the others have not in hand, and nobody waits for it;
//! on SQLite, which has one writer, a batch is a transaction that others wait for, so it is kept to a few
//! milliseconds. After a batch comes a pause many times as long as it took: what there is to forget is never
//! in a hurry, whoever buys a ticket is.

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    args,
    clock::Clock,
    db::{Db, Error, Session, Sql},
};

/// How often it is looked for rows whose time is over.
const EVERY: Duration = Duration::from_secs(60);
/// How long a batch should take. One that takes longer makes the next one smaller,
const LONG: Duration = Duration::from_millis(5);
/// one that takes less than a half of that, larger, within these bounds.
const ROWS: (i64, i64) = (10, 500);
/// Rows of the first batch.
const FIRST: i64 = 50;
/// The pause after a batch, in how long it took: pruning is at work for a twentieth of the time,
const RESTS: u32 = 19;
/// and never without a pause.
const REST: Duration = Duration::from_millis(20);

/// What one batch is about: rows of instants from `from` until before `before`, `limit` at most, oldest
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Where the last batch ended: what it removed may still stand in the index, and need not be walked
    /// again.
    pub from: i64,
    /// Rows from then on are kept.
    pub before: i64,
    /// How many rows at most.
    pub limit: i64,
}

/// Removes a portion of rows in a transaction that the caller commits; answers their instants.
pub type Forget = for<'a> fn(&'a mut Session, Portion) -> Forgetting<'a>;
/// What that comes to.
pub type Forgetting<'a> = BoxFuture<'a, Result<Vec<i64>, Error>>;

/// Rows that are kept for a while.
#[derive(Clone, Copy, Debug)]
pub struct Old {
    table: &'static str,
    kept: Duration,
    forget: Forget,
}

impl Old {
    /// Rows of a table (its name is told to the metric), how long they are kept, and how they are removed.
    #[must_use]
    pub const fn new(table: &'static str, kept: Duration, forget: Forget) -> Self {
        Self { table, kept, forget }
    }
}

/// Removes rows by one statement: `$1`, `$2` and `$3` are the portion's, and it returns each row's instant as
/// `at`.
pub fn by(session: &mut Session, sql: Sql, portion: Portion) -> Forgetting<'_> {
    let Portion { from, before, limit } = portion;
    Box::pin(async move {
        session.all(sql, args![from, before, limit]).await?.iter().map(|row| row.get("at")).collect()
    })
}

/// Prunes once a minute until the shutdown. What fails is the next round's to repeat.
pub async fn until(db: Db, clock: Clock, all: Vec<Old>, shutdown: CancellationToken) {
    let pruning = async {
        loop {
            sleep(EVERY).await;
            round(&db, &clock, &all).await;
        }
    };
    shutdown.run_until_cancelled(pruning).await;
}

/// Removes all whose time is over, a batch of each table by turns.
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

/// One table on the way through its old rows.
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
                // A database that is away is told of by its monitor.
                if error.is_unavailable() || error.is_contended() {
                    tracing::debug!(table = self.old.table, %error, "old rows could not be removed; the next round tries again");
                } else {
                    tracing::warn!(table = self.old.table, %error, "old rows could not be removed; the next round tries again");
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
        let kept = i64::try_from(self.old.kept.as_micros()).unwrap_or(i64::MAX);
        let portion =
            Portion { from: self.from, before: clock.now().saturating_sub(kept), limit: self.limit };
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

/// Reads how long something is to be kept from a command line.
///
/// # Errors
/// It is no span of time, or out of bounds.
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
