//! The table `alert` of a program: a row a kind, with what a chat is still to be told of and what an operator
//! is shown.

use super::{fold, layer::Alert};
use crate::{
    args,
    clock::SECOND,
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

/// The alerts of one kind, as an operator is shown them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenAlert {
    /// The program that has logged the latest one.
    pub program: String,
    /// The kind, by the words of its messages.
    pub kind: String,
    /// The latest one.
    pub text: String,
    /// How many there were since the first one.
    pub times: i64,
    /// When the first one was written down, in microseconds.
    pub since: i64,
    /// When the latest one was.
    pub latest_at: i64,
    /// Whether no chat is told of this kind.
    pub is_silenced: bool,
}

/// What a program does with the alerts that it writes down.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    /// The name by which its alerts are told.
    pub(super) program: &'static str,
    /// Whether there is a chat to tell.
    pub(super) is_told: bool,
    /// Kinds that no chat is told of.
    pub(super) silenced: Vec<String>,
}

/// Alerts in a database.
pub(super) struct Store {
    db: Db,
    manner: Manner,
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

/// After an hour without one of its kind an alert is counted from 1.
macro_rules! add {
    ($rows:literal) => {
        concat!(
            "INSERT INTO alert (kind, latest, times, since, due_at, attempts, program, seen, seen_since, \
             seen_at, silenced) SELECT kind, latest, times, now, now, 0, program, seen, now, now, silenced \
             FROM (",
            $rows,
            ") AS rows WHERE true ON CONFLICT (kind) DO UPDATE SET latest = excluded.latest, \
             times = alert.times + excluded.times, \
             since = CASE WHEN alert.times = 0 THEN excluded.since ELSE alert.since END, \
             program = excluded.program, silenced = excluded.silenced, seen_at = excluded.seen_at, \
             seen = excluded.seen + CASE WHEN alert.seen_at < excluded.seen_at - 3600000000 THEN 0 \
             ELSE alert.seen END, \
             seen_since = CASE WHEN alert.seen_at < excluded.seen_at - 3600000000 THEN excluded.seen_since \
             ELSE alert.seen_since END"
        )
    };
}

/// The alerts that a database has of the last 24 hours, the latest first, 100 kinds at most.
///
/// # Errors
/// The database failed.
pub async fn seen(db: &Db, now: i64) -> Result<Vec<SeenAlert>, Error> {
    const SEEN: &str = "SELECT program, kind, latest, seen, seen_since, seen_at, silenced FROM alert \
                        WHERE seen_at >= $1 ORDER BY seen_at DESC, kind LIMIT 100";
    let rows = db.read().await?.all(SEEN, args![now - 24 * 3_600 * SECOND]).await?;
    let read = |row: db::Row| {
        Ok(SeenAlert {
            program: row.get("program")?,
            kind: row.get("kind")?,
            text: row.get("latest")?,
            times: row.get("seen")?,
            since: row.get("seen_since")?,
            latest_at: row.get("seen_at")?,
            is_silenced: row.get::<i64>("silenced")? != 0,
        })
    };
    rows.into_iter().map(read).collect()
}

impl Store {
    pub(super) const fn new(db: Db, manner: Manner) -> Self {
        Self { db, manner }
    }

    /// Adds alerts to those of their kinds.
    pub(super) async fn add(&self, alerts: &[Alert], now: i64) -> Result<(), Error> {
        const ADD: Sql = Sql {
            postgres: add!(
                "SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], \
                 $6::bigint[], $7::bigint[]) AS n (kind, latest, times, now, program, seen, silenced)"
            ),
            sqlite: add!(
                "SELECT value ->> 0 AS kind, value ->> 1 AS latest, value ->> 2 AS times, value ->> 3 AS now, \
                 value ->> 4 AS program, value ->> 5 AS seen, value ->> 6 AS silenced FROM json_each($1)"
            ),
        };
        if alerts.is_empty() {
            return Ok(());
        }
        // Every replica writes kinds in one order, so that none waits for another that waits for it.
        let mut folded = fold(alerts.to_vec());
        folded.sort_unstable_by(|one, other| one.kind.cmp(&other.kind));
        let Manner { program, is_told, silenced } = &self.manner;
        let rows = folded.iter().map(|Alert { kind, text, times }| {
            let is_silenced = silenced.contains(kind);
            let unsent = if *is_told && !is_silenced { *times } else { 0 };
            args![kind, text, unsent, now, *program, *times, i64::from(is_silenced)]
        });
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
