//! The journal's group commits: finding, beginning and settling many checkouts in one transaction.
//!
//! Every replica writes rows in the order of their keys (reservations before request ids), so that batches
//! may wait for each other but never deadlock. Each statement reaches its rows by their keys, one after the
//! other, whatever the planner assumed of a table that was empty when it made its plan: that is what `LATERAL
//! … LIMIT 1` and `CROSS JOIN` are for, and why rows are updated by inserting them again. `(SELECT $1)` hides
//! the length of a list from the planner, so that one plan serves all. `settled_at IS NULL` means PENDING and
//! suits no index but the primary key's.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::Arc,
};

use boxoffice_proto::Fault;
use chassis::{
    args,
    db::{self, Column, Db, Dialect, Error, Session, Sql},
    idempotency::Key,
};
use serde_json::Value;
use uuid::Uuid;

use super::rows::{entry, entry_columns, tell, write};
use crate::domain::checkout::{Checkout, RecordedCheckout};

/// How a checkout ended, to be written once.
#[derive(Clone, Debug)]
pub(crate) struct Settlement {
    /// The checkout as it is from now on.
    pub(crate) checkout: Checkout,
    /// The refusal that a replay is told; `None` when it was completed.
    pub(crate) refusal: Option<Fault>,
    /// Rounds in which an outcome stayed unknown; they are added to the attempts.
    pub(crate) rounds: i64,
    /// The CloudEvents for the outbox, in order.
    pub(crate) events: Vec<Value>,
}

/// A request to pay, by all that the journal may know it by.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) key: Option<Key>,
    pub(super) user_id: String,
    pub(super) reservation_id: Uuid,
}

impl Look {
    /// The checkout that its request id stands for. Under the bare id (see [`chassis::idempotency`]) there
    /// may be another user's; only one of this user and reservation counts.
    fn named(&self, named: &HashMap<String, RecordedCheckout>) -> Option<RecordedCheckout> {
        let key = self.key.as_ref()?;
        let ours = |entry: &&RecordedCheckout| {
            entry.checkout.user_id == self.user_id && entry.checkout.reservation_id == self.reservation_id
        };
        let by_bare = || key.bare().and_then(|bare| named.get(bare)).filter(ours);
        named.get(key.name()).or_else(by_bare).cloned()
    }
}

/// The checkouts that may answer a request to pay.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownCheckouts {
    /// The checkout that its request id stands for.
    pub(crate) named: Option<RecordedCheckout>,
    /// The pending checkout of its reservation, whichever user pays.
    pub(crate) pending: Option<RecordedCheckout>,
}

/// A checkout that is to begin, and the lease of its runner.
#[derive(Clone, Debug)]
pub(super) struct Begin {
    pub(super) entry: RecordedCheckout,
    pub(super) key: Option<Key>,
    pub(super) runner: Uuid,
    pub(super) lease_until: i64,
}

const NAMED: Sql = Sql {
    postgres: concat!(
        "SELECT asked, ",
        entry_columns!(),
        " FROM UNNEST((SELECT $1::text[])) AS a (asked) \
         CROSS JOIN LATERAL (SELECT checkout_id AS id FROM checkout_request WHERE request_id = a.asked LIMIT 1) AS r \
         CROSS JOIN LATERAL (SELECT * FROM checkout WHERE checkout_id = r.id LIMIT 1) AS c"
    ),
    sqlite: concat!(
        "SELECT asked, ",
        entry_columns!(),
        " FROM (SELECT value AS asked FROM json_each($1)) AS a \
         CROSS JOIN (SELECT request_id, checkout_id AS id FROM checkout_request) AS r \
         CROSS JOIN checkout AS c WHERE r.request_id = a.asked AND c.checkout_id = r.id"
    ),
};

/// It uses the unique index of live checkouts.
const PENDING: Sql = Sql {
    postgres: concat!(
        "SELECT ",
        entry_columns!(),
        " FROM UNNEST((SELECT $1::uuid[])) AS a (id) CROSS JOIN LATERAL (SELECT * FROM checkout \
         WHERE reservation_id = a.id AND status IN ('PENDING', 'COMPLETED') LIMIT 1) AS c WHERE c.settled_at IS NULL"
    ),
    sqlite: concat!(
        "SELECT ",
        entry_columns!(),
        " FROM (SELECT unhex(value) AS id FROM json_each($1)) AS a CROSS JOIN checkout AS c \
         WHERE c.reservation_id = a.id AND c.status IN ('PENDING', 'COMPLETED') AND c.settled_at IS NULL"
    ),
};

const BEGIN: Sql = Sql {
    postgres: "INSERT INTO checkout (checkout_id, user_id, reservation_id, token, amount, status, runner, lease_until, attempts, \
               created_at, trace) SELECT id, user_id, reservation_id, token, amount, 'PENDING', runner, lease_until, 1, created_at, trace \
               FROM UNNEST($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::bigint[], $6::uuid[], $7::bigint[], $8::bigint[], $9::text[]) \
               AS n (id, user_id, reservation_id, token, amount, runner, lease_until, created_at, trace) \
               ON CONFLICT DO NOTHING RETURNING checkout_id",
    sqlite: "INSERT INTO checkout (checkout_id, user_id, reservation_id, token, amount, status, runner, lease_until, attempts, \
             created_at, trace) SELECT unhex(value ->> 0), value ->> 1, unhex(value ->> 2), unhex(value ->> 3), value ->> 4, 'PENDING', \
             unhex(value ->> 5), value ->> 6, 1, value ->> 7, value ->> 8 FROM json_each($1) WHERE true \
             ON CONFLICT DO NOTHING RETURNING checkout_id",
};

const NAME: Sql = Sql {
    postgres: "INSERT INTO checkout_request (request_id, checkout_id) SELECT * FROM UNNEST($1::text[], $2::uuid[]) \
               ON CONFLICT DO NOTHING RETURNING request_id",
    sqlite: "INSERT INTO checkout_request (request_id, checkout_id) SELECT value ->> 0, unhex(value ->> 1) FROM json_each($1) \
             WHERE true ON CONFLICT DO NOTHING RETURNING request_id",
};

const UNBEGIN: Sql = Sql {
    postgres: "DELETE FROM checkout WHERE checkout_id = ANY($1)",
    sqlite: "DELETE FROM checkout WHERE checkout_id IN (SELECT unhex(value) FROM json_each($1))",
};

/// The end of the statement, the same in both dialects.
macro_rules! settle_conflict {
    () => {
        concat!(
            " ON CONFLICT (checkout_id) DO UPDATE SET status = excluded.status, reason = excluded.reason, \
             refusal = excluded.refusal, settled_at = excluded.settled_at, attempts = checkout.attempts + excluded.attempts, \
             story = excluded.story, parked_at = NULL WHERE checkout.settled_at IS NULL RETURNING ",
            entry_columns!()
        )
    };
}

/// Settles checkouts and, on PostgreSQL, writes their events in the same statement.
const SETTLE: Sql = Sql {
    postgres: concat!(
        "WITH settled AS (INSERT INTO checkout (checkout_id, user_id, reservation_id, token, amount, status, reason, refusal, runner, \
         lease_until, attempts, created_at, settled_at, story) SELECT c.checkout_id, c.user_id, c.reservation_id, c.token, c.amount, \
         s.status, s.reason, s.refusal, c.runner, c.lease_until, s.rounds, c.created_at, s.settled_at, s.story \
         FROM UNNEST((SELECT $1::uuid[]), (SELECT $2::text[]), (SELECT $3::text[]), (SELECT $4::text[]), (SELECT $5::bigint[]), \
         (SELECT $6::bigint[]), (SELECT $7::text[])) AS s (id, status, reason, refusal, settled_at, rounds, story) \
         CROSS JOIN LATERAL (SELECT * FROM checkout WHERE checkout_id = s.id AND settled_at IS NULL LIMIT 1) AS c",
        settle_conflict!(),
        "), queued AS (INSERT INTO outbox (checkout_id, events, due_at, attempts) SELECT s.checkout_id, e.events, s.settled_at, 0 \
         FROM settled AS s JOIN UNNEST((SELECT $1::uuid[]), (SELECT $8::text[])) AS e (id, events) ON e.id = s.checkout_id) \
         SELECT * FROM settled"
    ),
    sqlite: concat!(
        "INSERT INTO checkout (checkout_id, user_id, reservation_id, token, amount, status, reason, refusal, runner, lease_until, \
         attempts, created_at, settled_at, story) SELECT c.checkout_id, c.user_id, c.reservation_id, c.token, c.amount, \
         s.value ->> 1, s.value ->> 2, s.value ->> 3, c.runner, c.lease_until, s.value ->> 5, c.created_at, s.value ->> 4, \
         s.value ->> 6 FROM json_each($1) AS s CROSS JOIN checkout AS c \
         WHERE c.checkout_id = unhex(s.value ->> 0) AND c.settled_at IS NULL",
        settle_conflict!()
    ),
};

const QUEUE_SQLITE: &str = "INSERT INTO outbox (checkout_id, events, due_at, attempts) \
    SELECT unhex(value ->> 0), value ->> 7, value ->> 4, 0 FROM json_each($1) WHERE unhex(value ->> 0) IN \
    (SELECT unhex(value) FROM json_each($2))";

/// Finds the checkouts that may answer each of these requests.
pub(super) async fn look(db: Db, looks: Arc<[Look]>) -> Result<Vec<KnownCheckouts>, Error> {
    let mut session = db.read().await?;
    let asked: Vec<String> =
        looks.iter().filter_map(|look| look.key.as_ref()).flat_map(Key::names).map(str::to_owned).collect();
    let mut named = HashMap::new();
    if !asked.is_empty() {
        for row in session.all(NAMED, args![asked]).await? {
            named.insert(row.get::<String>("asked")?, entry(&row)?);
        }
    }
    let reservations: Vec<Uuid> = looks.iter().map(|look| look.reservation_id).collect();
    let mut pending = HashMap::new();
    for row in session.all(PENDING, args![reservations]).await? {
        let found = entry(&row)?;
        pending.insert(found.checkout.reservation_id, found);
    }
    let known = |look: &Look| KnownCheckouts {
        named: look.named(&named),
        pending: pending.get(&look.reservation_id).cloned(),
    };
    Ok(looks.iter().map(known).collect())
}

/// Begins the checkouts whose reservation has no live one and whose request id is not taken. Answers of each
/// whether it was begun.
pub(super) async fn begin(db: Db, new: Arc<[Begin]>) -> Result<Vec<bool>, Error> {
    let mut session = db.begin().await?;
    let mut by_reservation: Vec<&Begin> = new.iter().collect();
    by_reservation.sort_by_key(|begin| begin.entry.checkout.reservation_id);
    let row = |begin: &&Begin| {
        let checkout = &begin.entry.checkout;
        args![
            checkout.checkout_id,
            &checkout.user_id,
            checkout.reservation_id,
            begin.entry.token,
            checkout.amount,
            begin.runner,
            begin.lease_until,
            checkout.created_at,
            begin.entry.trace.clone()
        ]
    };
    let mut begun: HashSet<Uuid> =
        written(&mut session, BEGIN, "checkout_id", by_reservation.iter().map(row).collect()).await?;

    let keys = new.iter().filter_map(|begin| Some((begin.key.as_ref()?, begin.entry.checkout.checkout_id)));
    let keys: Vec<(&Key, Uuid)> = keys.filter(|(_, id)| begun.contains(id)).collect();
    let named = name(&mut session, &keys).await?;
    let not_named: Vec<Uuid> =
        keys.iter().filter(|(key, _)| !named.contains(key.name())).map(|(_, id)| *id).collect();
    if !not_named.is_empty() {
        begun.retain(|id| !not_named.contains(id));
        session.execute(UNBEGIN, args![not_named]).await?;
    }
    session.commit().await?;
    Ok(new.iter().map(|begin| begun.contains(&begin.entry.checkout.checkout_id)).collect())
}

/// Settles the checkouts that are PENDING, with their events. Answers of each its row, or none when it was
/// settled before.
pub(super) async fn settle(
    db: Db,
    settlements: Arc<[Settlement]>,
) -> Result<Vec<Option<RecordedCheckout>>, Error> {
    let mut session = db.begin().await?;
    let mut by_id: Vec<&Settlement> = settlements.iter().collect();
    by_id.sort_by_key(|settlement| settlement.checkout.checkout_id);
    let mut rows = Vec::with_capacity(by_id.len());
    for Settlement { checkout, refusal, rounds, events } in by_id {
        rows.push(args![
            checkout.checkout_id,
            checkout.status.as_str(),
            checkout.reason.clone(),
            refusal.as_ref().map(write).transpose()?,
            checkout.settled_at,
            *rounds,
            tell(&checkout.story)?,
            Value::from_iter(events.iter().cloned()).to_string()
        ]);
    }
    let args = db::table(session.dialect(), rows);
    let settled = session.all(SETTLE, args.clone()).await?;
    let settled = settled.iter().map(|row| entry(row).map(|entry| (entry.checkout.checkout_id, entry)));
    let mut settled = settled.collect::<Result<HashMap<_, _>, Error>>()?;
    if session.dialect() == Dialect::Sqlite {
        let ids: Vec<Uuid> = settled.keys().copied().collect();
        session.execute(QUEUE_SQLITE, [args, args![ids]].concat()).await?;
    }
    session.commit().await?;
    Ok(settlements.iter().map(|settlement| settled.remove(&settlement.checkout.checkout_id)).collect())
}

/// Lets request ids stand for checkouts, under each name of their keys. Names that are taken stay as they
/// are. Answers the names that were written.
pub(super) async fn name(session: &mut Session, keys: &[(&Key, Uuid)]) -> Result<HashSet<String>, Error> {
    let mut names: Vec<(&str, Uuid)> =
        keys.iter().flat_map(|(key, id)| key.names().map(|name| (name, *id))).collect();
    names.sort_unstable();
    written(session, NAME, "request_id", names.into_iter().map(|(name, id)| args![name, id]).collect()).await
}

/// Writes rows. Answers the keys of those that were written.
async fn written<T: Column + Eq + Hash>(
    session: &mut Session,
    sql: Sql,
    key: &str,
    rows: Vec<Vec<db::Value>>,
) -> Result<HashSet<T>, Error> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let args = db::table(session.dialect(), rows);
    session.all(sql, args).await?.iter().map(|row| row.get(key)).collect()
}
