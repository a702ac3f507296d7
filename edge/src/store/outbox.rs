//! The outbox: the events of settled checkouts, a row a checkout, and those of shows. Each event is sent at
//! least once, and those of one row in order.

use chassis::{
    args,
    db::{Error, Row, Session, Sql},
};
use serde_json::Value;
use uuid::Uuid;

use super::journal::Journal;

/// Events of a row, claimed by a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// The number of the row.
    pub(crate) sequence: i64,
    /// The CloudEvents, in order.
    pub(crate) events: Vec<Value>,
    /// How many of them were sent.
    pub(crate) told: usize,
    /// How often the row was claimed, this time included.
    pub(crate) attempts: i64,
}

/// Nearly always there is nothing, and a read is cheaper than a transaction.
const WAITING: &str = "SELECT 1 AS one FROM outbox WHERE published_at IS NULL AND due_at <= $1 LIMIT 1";

/// Changes the oldest rows that wait, as many as the parameter says, and answers them.
macro_rules! waiting {
    ($set:literal, $limit:literal) => {
        Sql {
            postgres: concat!(
                "UPDATE outbox SET ",
                $set,
                ", attempts = attempts + 1 WHERE sequence = ANY(ARRAY(SELECT o.sequence FROM outbox o \
                 WHERE o.published_at IS NULL AND o.due_at <= $1 ORDER BY o.sequence LIMIT ",
                $limit,
                " FOR UPDATE SKIP LOCKED)) \
                 RETURNING sequence, events, told, attempts"
            ),
            sqlite: concat!(
                "UPDATE outbox SET ",
                $set,
                ", attempts = attempts + 1 WHERE sequence IN (SELECT o.sequence FROM outbox o \
                 WHERE o.published_at IS NULL AND o.due_at <= $1 ORDER BY o.sequence LIMIT ",
                $limit,
                ") \
                 RETURNING sequence, events, told, attempts"
            ),
        }
    };
}

impl Journal {
    /// Claims rows that are due, oldest first. Until `claimed_until` no other relay sends them.
    pub(crate) async fn claim_events(
        &self,
        now: i64,
        claimed_until: i64,
        limit: i64,
    ) -> Result<Vec<Outgoing>, Error> {
        const SQL: Sql = waiting!("due_at = $2", "$3");
        if self.db.read().await?.optional(WAITING, args![now]).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut session = self.db.begin().await?;
        let rows = session.all(SQL, args![now, claimed_until, limit]).await?;
        session.commit().await?;
        outgoing(&rows)
    }

    /// Passes events that are due to `tell`, which cannot fail, and marks them as sent, in one transaction.
    /// Answers how many rows they were. When the commit fails they are passed again.
    pub(crate) async fn tell_events(
        &self,
        now: i64,
        limit: i64,
        tell: impl Fn(&Value),
    ) -> Result<usize, Error> {
        const SQL: Sql = waiting!("published_at = $1", "$2");
        if self.db.read().await?.optional(WAITING, args![now]).await?.is_none() {
            return Ok(0);
        }
        let mut session = self.db.begin().await?;
        let rows = outgoing(&session.all(SQL, args![now, limit]).await?)?;
        rows.iter().flat_map(|row| row.events.iter().skip(row.told)).for_each(tell);
        session.commit().await?;
        Ok(rows.len())
    }

    /// Marks rows whose events were all sent.
    pub(crate) async fn mark_published(&self, sequences: Vec<i64>, now: i64) -> Result<(), Error> {
        const SQL: Sql = Sql {
            postgres: "UPDATE outbox SET published_at = $1 WHERE published_at IS NULL AND sequence = ANY($2)",
            sqlite: "UPDATE outbox SET published_at = $1 WHERE published_at IS NULL \
                     AND sequence IN (SELECT value FROM json_each($2))",
        };
        self.db.write(SQL, args![now, sequences]).await.map(drop)
    }

    /// Postpones a row of which the first `told` events were sent and the next one was not accepted.
    pub(crate) async fn postpone(&self, sequence: i64, told: usize, due_at: i64) -> Result<(), Error> {
        let told = i64::try_from(told).unwrap_or(i64::MAX);
        const SQL: &str =
            "UPDATE outbox SET due_at = $2, told = $3 WHERE sequence = $1 AND published_at IS NULL";
        self.db.write(SQL, args![sequence, due_at, told]).await.map(drop)
    }
}

/// Queues an event of a show. The row says by an id whom it is about, and that of a show is its number.
pub(super) async fn queue_of_show(
    session: &mut Session,
    show_id: i64,
    event: &Value,
    now: i64,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO outbox (checkout_id, events, due_at, attempts) VALUES ($1, $2, $3, 0)";
    let about = Uuid::from_u128(u128::from(show_id.unsigned_abs()));
    let events = Value::from_iter([event.clone()]).to_string();
    session.execute(SQL, args![about, events, now]).await.map(drop)
}

chassis::forget! {
    /// Deletes rows that were sent, oldest first.
    pub(crate) fn forget_told("outbox", "sequence", "published_at", "published_at IS NOT NULL")
}

fn outgoing(rows: &[Row]) -> Result<Vec<Outgoing>, Error> {
    let one = |row: &Row| {
        let events = serde_json::from_str(&row.get::<String>("events")?)?;
        let told = usize::try_from(row.get::<i64>("told")?).unwrap_or(0);
        Ok(Outgoing { sequence: row.get("sequence")?, events, told, attempts: row.get("attempts")? })
    };
    let mut rows = rows.iter().map(one).collect::<Result<Vec<_>, Error>>()?;
    rows.sort_unstable_by_key(|row| row.sequence);
    Ok(rows)
}
