//! The table `alert` of the program that sends alerts: a row a kind.

use super::{fold, layer::Alert};
use crate::{
    args,
    db::{self, Db, Error, Sql},
};

/// The alerts of a kind that have not been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folded {
    /// The kind, by the words of its messages.
    pub(super) kind: String,
    /// The latest one.
    pub(super) text: String,
    /// How many there are.
    pub(super) times: i64,
    /// When the first of them was written down.
    pub(super) since: i64,
    /// How often it was tried to send them, this time included.
    pub(super) attempts: i64,
}

/// Alerts in a database.
pub(super) struct Store {
    db: Db,
}

macro_rules! claim {
    ($lock:literal) => {
        concat!(
            "UPDATE alert SET due_at = $2, attempts = attempts + 1 WHERE kind = (SELECT kind FROM alert \
             WHERE times > 0 AND due_at <= $1 ORDER BY due_at LIMIT 1",
            $lock,
            ") RETURNING kind, latest, times, since, attempts"
        )
    };
}

impl Store {
    pub(super) const fn new(db: Db) -> Self {
        Self { db }
    }

    /// Adds alerts to those of their kinds.
    pub(super) async fn add(&self, alerts: &[Alert], now: i64) -> Result<(), Error> {
        const ADD: Sql = Sql {
            postgres: "INSERT INTO alert (kind, latest, times, since, due_at, attempts) \
                       SELECT n.*, 0 FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) AS n \
                       ON CONFLICT (kind) DO UPDATE SET latest = excluded.latest, times = alert.times + excluded.times, \
                       since = CASE WHEN alert.times = 0 THEN excluded.since ELSE alert.since END",
            sqlite: "INSERT INTO alert (kind, latest, times, since, due_at, attempts) SELECT value ->> 0, value ->> 1, value ->> 2, \
                     value ->> 3, value ->> 4, 0 FROM json_each($1) WHERE true \
                     ON CONFLICT (kind) DO UPDATE SET latest = excluded.latest, times = alert.times + excluded.times, \
                     since = CASE WHEN alert.times = 0 THEN excluded.since ELSE alert.since END",
        };
        if alerts.is_empty() {
            return Ok(());
        }
        // Every replica writes kinds in one order, so that none waits for another that waits for it.
        let mut folded = fold(alerts.to_vec());
        folded.sort_unstable_by(|one, other| one.kind.cmp(&other.kind));
        let rows = folded.iter().map(|alert| args![&alert.kind, &alert.text, alert.times, now, now]);
        let rows = db::table(self.db.dialect(), rows.collect());
        self.db.write(ADD, rows).await.map(drop)
    }

    /// Takes a kind that is due; until `claimed_until` no other replica does.
    pub(super) async fn claim(&self, now: i64, claimed_until: i64) -> Result<Option<Folded>, Error> {
        const WAITING: &str = "SELECT 1 AS one FROM alert WHERE times > 0 AND due_at <= $1 LIMIT 1";
        const CLAIM: Sql = Sql { postgres: claim!(" FOR UPDATE SKIP LOCKED"), sqlite: claim!("") };
        if self.db.read().await?.optional(WAITING, args![now]).await?.is_none() {
            return Ok(None);
        }
        let mut session = self.db.begin().await?;
        let row = session.optional(CLAIM, args![now, claimed_until]).await?;
        session.commit().await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Folded {
            kind: row.get("kind")?,
            text: row.get("latest")?,
            times: row.get("times")?,
            since: row.get("since")?,
            attempts: row.get("attempts")?,
        }))
    }

    /// Takes off what was sent. What has come since waits until it is due.
    pub(super) async fn sent(&self, folded: &Folded, due_at: i64) -> Result<(), Error> {
        const SQL: &str = "UPDATE alert SET times = CASE WHEN times < $2 THEN 0 ELSE times - $2 END, \
                           since = $4, due_at = $3, attempts = 0 WHERE kind = $1";
        let args = args![&folded.kind, folded.times, due_at, due_at - super::FOLD];
        self.db.write(SQL, args).await.map(drop)
    }

    /// Leaves what could not be sent for later.
    pub(super) async fn postpone(&self, folded: &Folded, due_at: i64) -> Result<(), Error> {
        const SQL: &str = "UPDATE alert SET due_at = $2 WHERE kind = $1";
        self.db.write(SQL, args![&folded.kind, due_at]).await.map(drop)
    }
}
