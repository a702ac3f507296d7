//! The outbox: events that wait to be told, in order within a checkout, at least once.

use chassis::{
    args,
    db::{Error, Sql},
};

use super::Journal;

/// An event that a relay has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// Its place.
    pub(crate) sequence: i64,
    /// Its CloudEvents type.
    pub(crate) kind: String,
    /// The whole CloudEvent.
    pub(crate) body: String,
    /// How often it was claimed, this time included.
    pub(crate) attempts: i64,
}

impl Journal {
    /// Claims events that are due until `claimed_until`: of each checkout only the first one that is not told yet, so that order
    /// holds although several relays share the work.
    pub(crate) async fn claim_events(&self, now: i64, claimed_until: i64, limit: i64) -> Result<Vec<Outgoing>, Error> {
        const WAITING: &str = "SELECT 1 AS one FROM outbox WHERE published_at IS NULL AND due_at <= $1 LIMIT 1";
        const SQL: Sql = Sql {
            postgres: "WITH due AS MATERIALIZED (SELECT o.sequence AS id FROM outbox o WHERE o.published_at IS NULL \
                       AND o.due_at <= $1 AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.checkout_id = o.checkout_id \
                       AND e.published_at IS NULL AND e.sequence < o.sequence) ORDER BY o.sequence LIMIT $3 \
                       FOR UPDATE OF o SKIP LOCKED) \
                       UPDATE outbox SET due_at = $2, attempts = attempts + 1 WHERE sequence IN (SELECT id FROM due) \
                       RETURNING sequence, kind, body, attempts",
            sqlite: "UPDATE outbox SET due_at = $2, attempts = attempts + 1 WHERE sequence IN (SELECT o.sequence FROM outbox o \
                     WHERE o.published_at IS NULL AND o.due_at <= $1 AND NOT EXISTS (SELECT 1 FROM outbox e \
                     WHERE e.checkout_id = o.checkout_id AND e.published_at IS NULL AND e.sequence < o.sequence) \
                     ORDER BY o.sequence LIMIT $3) RETURNING sequence, kind, body, attempts",
        };
        if self.db.read().await?.optional(WAITING, args![now]).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut session = self.db.begin().await?;
        let rows = session.all(SQL, args![now, claimed_until, limit]).await?;
        session.commit().await?;
        let claimed = rows.iter().map(|row| {
            Ok(Outgoing {
                sequence: row.get("sequence")?,
                kind: row.get("kind")?,
                body: row.get("body")?,
                attempts: row.get("attempts")?,
            })
        });
        let mut claimed = claimed.collect::<Result<Vec<_>, Error>>()?;
        claimed.sort_unstable_by_key(|event| event.sequence);
        Ok(claimed)
    }

    /// Notes that these were told.
    pub(crate) async fn mark_published(&self, sequences: Vec<i64>, now: i64) -> Result<(), Error> {
        const SQL: Sql = Sql {
            postgres: "UPDATE outbox SET published_at = $1 WHERE published_at IS NULL AND sequence = ANY($2)",
            sqlite: "UPDATE outbox SET published_at = $1 WHERE published_at IS NULL \
                     AND sequence IN (SELECT value FROM json_each($2))",
        };
        let mut session = self.db.begin().await?;
        session.execute(SQL, args![now, sequences]).await?;
        session.commit().await
    }

    /// Puts one off whose receiver did not take it.
    pub(crate) async fn postpone(&self, sequence: i64, due_at: i64) -> Result<(), Error> {
        let mut session = self.db.begin().await?;
        let postponed = session
            .execute("UPDATE outbox SET due_at = $2 WHERE sequence = $1 AND published_at IS NULL", args![sequence, due_at]);
        postponed.await?;
        session.commit().await
    }

    /// Deletes what was told before `before`.
    pub(crate) async fn prune_events(&self, before: i64) -> Result<u64, Error> {
        let mut session = self.db.begin().await?;
        let pruned = session.execute("DELETE FROM outbox WHERE published_at < $1", args![before]).await?;
        session.commit().await?;
        Ok(pruned)
    }
}
