//! The rows of holds, and of the reservations that confirmed holds become.

use std::collections::{BTreeSet, HashMap};

use chassis::{
    args,
    db::{self, Dialect, Error, Row, Session, Sql, Value},
    prune::{self, Forgetting, Portion},
};
use uuid::Uuid;

use super::corrupt;
use crate::domain::{Hold, Holder, HolderKey, State, cooldown, hold::MAX_EXTENSION};

/// How many seats of a show each of these users has in live holds at this time.
/// The counts are exact until the transaction ends (I-LIMIT): transactions that give a hold to the same user
/// and show wait for each other at the user's `holder` row.
///
/// # Errors
/// The database failed.
pub async fn lock_holders(
    session: &mut Session,
    holders: BTreeSet<HolderKey>,
    now: i64,
) -> Result<HashMap<HolderKey, Holder>, Error> {
    if holders.is_empty() {
        return Ok(HashMap::new());
    }
    let mut found: HashMap<HolderKey, Holder> =
        holders.iter().map(|holder| (holder.clone(), Holder::default())).collect();
    let holders = holder_table(session, holders.into_iter());
    if session.dialect() == Dialect::Postgres {
        let lock = "INSERT INTO holder (user_id, show_id, version)
                    SELECT name, show, 1 FROM UNNEST($1::text[], $2::bigint[]) AS a (name, show) ORDER BY name, show
                    ON CONFLICT (user_id, show_id) DO UPDATE SET version = holder.version + 1";
        session.execute(lock, holders.clone()).await?;
    }
    let count = Sql {
        postgres: "SELECT name, show, CAST(h.total AS BIGINT) AS total
                   FROM UNNEST((SELECT $2::text[]), (SELECT $3::bigint[])) AS a (name, show)
                   CROSS JOIN LATERAL (SELECT SUM(seat_total) AS total FROM hold
                       WHERE user_id = a.name AND show_id = a.show AND status = 'HELD' AND expires_at > $1) AS h
                   WHERE h.total IS NOT NULL",
        sqlite: "SELECT user_id AS name, show_id AS show, SUM(seat_total) AS total FROM json_each($2) AS a CROSS JOIN hold
                 WHERE user_id = a.value ->> 0 AND show_id = a.value ->> 1 AND status = 'HELD' AND expires_at > $1
                 GROUP BY user_id, show_id",
    };
    let mut args = args![now];
    args.extend(holders);
    for row in session.all(count, args).await? {
        found.entry((row.get("name")?, row.get("show")?)).or_default().held = row.get("total")?;
    }
    Ok(found)
}

fn holder_table(session: &Session, holders: impl Iterator<Item = HolderKey>) -> Vec<Value> {
    db::table(session.dialect(), holders.map(|(user, show)| args![user, show]).collect())
}

/// Adds how many seats of a show each of these users has: those that are sold to the user, and those in holds
/// that are not closed. A hold that has expired counts until it is closed, because a payment may be
/// confirming it at this moment, on a replica with a slower clock or in a transaction that is about to
/// commit. So the count is exact whatever the clocks say (I-LIMIT-SHOW).
///
/// # Errors
/// The database failed.
pub async fn count_kept(
    session: &mut Session,
    holders: &mut HashMap<HolderKey, Holder>,
    limited: BTreeSet<HolderKey>,
) -> Result<(), Error> {
    if limited.is_empty() {
        return Ok(());
    }
    let sql = Sql {
        postgres: "SELECT name, show, CAST(h.total AS BIGINT) AS total
                   FROM UNNEST((SELECT $1::text[]), (SELECT $2::bigint[])) AS a (name, show)
                   CROSS JOIN LATERAL (SELECT SUM(seat_total) AS total FROM hold
                       WHERE user_id = a.name AND show_id = a.show AND status IN ('HELD', 'CONFIRMED')) AS h
                   WHERE h.total IS NOT NULL",
        sqlite: "SELECT user_id AS name, show_id AS show, SUM(seat_total) AS total FROM json_each($1) AS a CROSS JOIN hold
                 WHERE user_id = a.value ->> 0 AND show_id = a.value ->> 1 AND status IN ('HELD', 'CONFIRMED')
                 GROUP BY user_id, show_id",
    };
    let limited = holder_table(session, limited.into_iter());
    for row in session.all(sql, limited).await? {
        holders.entry((row.get("name")?, row.get("show")?)).or_default().kept = row.get("total")?;
    }
    Ok(())
}

/// Adds when holds of these users ended unpaid, as far back as [`cooldown::MEMORY`]. One that expired ended
/// by the clock, whether or not it is closed. It is found by when it was held, which was at most
/// [`LONGEST`] earlier.
///
/// # Errors
/// The database failed.
pub async fn read_ends(
    session: &mut Session,
    holders: &mut HashMap<HolderKey, Holder>,
    now: i64,
) -> Result<(), Error> {
    if holders.is_empty() {
        return Ok(());
    }
    let since = now.saturating_sub(cooldown::MEMORY);
    let sql = Sql {
        postgres: "SELECT name, show, h.ended FROM UNNEST((SELECT $4::text[]), (SELECT $5::bigint[])) AS a (name, show)
                   CROSS JOIN LATERAL (SELECT LEAST(expires_at, closed_at) AS ended FROM hold
                       WHERE user_id = a.name AND show_id = a.show AND held_at > $1 AND status <> 'CONFIRMED'
                           AND refunded_payment_id IS NULL) AS h
                   WHERE h.ended > $2 AND h.ended <= $3",
        sqlite: "SELECT user_id AS name, show_id AS show, MIN(expires_at, COALESCE(closed_at, expires_at)) AS ended
                 FROM json_each($4) AS a CROSS JOIN hold
                 WHERE user_id = a.value ->> 0 AND show_id = a.value ->> 1 AND held_at > $1 AND status <> 'CONFIRMED'
                     AND refunded_payment_id IS NULL AND MIN(expires_at, COALESCE(closed_at, expires_at)) > $2
                     AND MIN(expires_at, COALESCE(closed_at, expires_at)) <= $3",
    };
    let mut args = args![since.saturating_sub(LONGEST), since, now];
    args.extend(holder_table(session, holders.keys().cloned()));
    for row in session.all(sql, args).await? {
        holders.entry((row.get("name")?, row.get("show")?)).or_default().ended.push(row.get("ended")?);
    }
    Ok(())
}

/// The longest that a hold can live, in microseconds: the longest `--hold-ttl` and the longest extension.
const LONGEST: i64 = 3_600 * 1_000_000 + MAX_EXTENSION;

macro_rules! select_hold {
    ($rest:literal) => {
        select_hold!(from "hold ", $rest)
    };
    (from $from:literal, $rest:literal) => {
        concat!(
            "SELECT reservation_id, user_id, concert_id, show_id, queue_id, seats, places, amount, status, held_at, promised_until, ",
            "expires_at, closed_at, payment_id, refunded_payment_id, sold_at FROM ",
            $from,
            $rest
        )
    };
}

pub(super) use select_hold;

/// Reads holds by their ids. `(SELECT $1)` hides the length of the list from PostgreSQL's planner, so that
/// one prepared plan serves lists of any length.
///
/// # Errors
/// The database failed.
pub async fn holds(session: &mut Session, ids: BTreeSet<Uuid>) -> Result<HashMap<Uuid, Hold>, Error> {
    let sql = Sql {
        postgres: select_hold!(from "UNNEST((SELECT $1::uuid[])) AS a (id)",
            " CROSS JOIN LATERAL (SELECT * FROM hold WHERE reservation_id = a.id LIMIT 1) AS h"),
        sqlite: ALL_SQLITE,
    };
    all(session, sql, ids).await
}

/// Reads holds and locks their rows until the transaction ends, in the order of their ids.
///
/// # Errors
/// The database failed.
pub async fn lock(session: &mut Session, ids: BTreeSet<Uuid>) -> Result<HashMap<Uuid, Hold>, Error> {
    let sql = Sql {
        postgres: select_hold!(from "UNNEST((SELECT $1::uuid[])) AS a (id)",
            " CROSS JOIN LATERAL (SELECT * FROM hold WHERE reservation_id = a.id FOR UPDATE) AS h"),
        sqlite: ALL_SQLITE,
    };
    all(session, sql, ids).await
}

const ALL_SQLITE: &str =
    select_hold!(from "json_each($1) AS a", " CROSS JOIN hold AS h WHERE h.reservation_id = unhex(a.value)");

async fn all(session: &mut Session, sql: Sql, ids: BTreeSet<Uuid>) -> Result<HashMap<Uuid, Hold>, Error> {
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let rows = session.all(sql, args![ids]).await?;
    rows.iter().map(|row| read_hold(row).map(|hold| (hold.reservation_id, hold))).collect()
}

/// At most `limit` holds of a user before the given time and id, newest first.
///
/// # Errors
/// The database failed.
pub async fn of_user(
    session: &mut Session,
    user_id: &str,
    before: (i64, Uuid),
    limit: i64,
) -> Result<Vec<Hold>, Error> {
    let sql = select_hold!(
        "WHERE user_id = $1 AND (held_at, reservation_id) < ($2, $3) ORDER BY held_at DESC, reservation_id DESC LIMIT $4"
    );
    session.all(sql, args![user_id, before.0, before.1, limit]).await?.iter().map(read_hold).collect()
}

/// Whether a hold has expired at this time and is not closed yet.
///
/// # Errors
/// The database failed.
pub async fn any_lapsed(session: &mut Session, now: i64) -> Result<bool, Error> {
    let sql =
        "SELECT 1 AS one FROM hold WHERE closed_at IS NULL AND expires_at <= $1 ORDER BY expires_at LIMIT 1";
    Ok(session.optional(sql, args![now]).await?.is_some())
}

/// At most `limit` holds that have expired at this time and are not closed yet, oldest first, locked until
/// the transaction ends. Holds that another transaction has locked are left out.
///
/// # Errors
/// The database failed.
pub async fn lock_lapsed(session: &mut Session, now: i64, limit: i64) -> Result<Vec<Hold>, Error> {
    let sql = Sql {
        postgres: select_hold!(
            "WHERE closed_at IS NULL AND expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED"
        ),
        sqlite: select_hold!("WHERE closed_at IS NULL AND expires_at <= $1 ORDER BY expires_at LIMIT $2"),
    };
    session.all(sql, args![now, limit]).await?.iter().map(read_hold).collect()
}

chassis::forget! {
    /// Removes holds that ended unpaid, in the order in which they were closed. No seat's row refers to one:
    /// closing a hold frees its seats. What was sold stays, also when it was refunded.
    pub fn forget("hold", "reservation_id", "closed_at",
        "status IN ('EXPIRED', 'CANCELLED') AND refunded_payment_id IS NULL")
}

/// Removes the rows by which transactions about a show waited for each other, in the order in which the shows
/// began. Somebody who holds seats of it again gets a new one. SQLite, which has one writer, has no such
/// rows.
pub fn forget_holders(session: &mut Session, portion: Portion) -> Forgetting<'_> {
    const SQL: &str = "DELETE FROM holder USING (SELECT holder.user_id, holder.show_id, starts_at
                           FROM show JOIN holder ON holder.show_id = show.show_id
                           WHERE starts_at >= $1 AND starts_at < $2 ORDER BY starts_at LIMIT $3
                           FOR UPDATE OF holder SKIP LOCKED) AS gone
                       WHERE holder.user_id = gone.user_id AND holder.show_id = gone.show_id
                       RETURNING gone.starts_at AS at";
    if session.dialect() == Dialect::Sqlite {
        return Box::pin(async { Ok(Vec::new()) });
    }
    prune::by(session, Sql { postgres: SQL, sqlite: SQL }, portion)
}

/// Writes holds that are new, or that this transaction has locked and changed, and the reservations of
/// those that are confirmed. A hold that is closed does not change any more. They are written by an upsert,
/// because PostgreSQL then finds each by its primary key even while it has no statistics of the table.
///
/// # Errors
/// A `Unique` [`Error`] when a payment has confirmed another reservation (I-PAID-ONCE), a contended one when
/// a hold was not as it was read, or the database failed.
pub async fn write(session: &mut Session, holds: &[Hold], now: i64) -> Result<(), Error> {
    if holds.is_empty() {
        return Ok(());
    }
    let rows = holds.iter().map(|hold| row(hold, now)).collect::<Result<_, _>>()?;
    let args = db::table(session.dialect(), rows);
    let written = match session.dialect() {
        Dialect::Postgres => session.one(WRITE_POSTGRES, args).await?.get("written")?,
        Dialect::Sqlite => {
            let written = session.execute(WRITE_SQLITE, args).await?;
            let is_confirmed = |hold: &&Hold| matches!(hold.state, State::Confirmed { .. });
            let confirmed: Vec<Uuid> =
                holds.iter().filter(is_confirmed).map(|hold| hold.reservation_id).collect();
            if !confirmed.is_empty() {
                session.execute(CONFIRM_SQLITE, args![confirmed]).await?;
            }
            i64::try_from(written).map_err(corrupt)?
        }
    };
    if usize::try_from(written) == Ok(holds.len()) { Ok(()) } else { Err(Error::lost_race("a hold")) }
}

const WRITE_POSTGRES: &str = "WITH written AS (
         INSERT INTO hold (reservation_id, user_id, concert_id, show_id, queue_id, seats, seat_total, amount, status,
             held_at, promised_until, expires_at, closed_at, payment_id, places)
         SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
             $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::uuid[], $15::text[])
         ON CONFLICT (reservation_id) DO UPDATE SET status = excluded.status, expires_at = excluded.expires_at,
             closed_at = excluded.closed_at, payment_id = excluded.payment_id WHERE hold.closed_at IS NULL
         RETURNING *),
     confirmed AS (
         INSERT INTO reservation (reservation_id, payment_id, user_id, concert_id, show_id, seats, amount, confirmed_at)
         SELECT reservation_id, payment_id, user_id, concert_id, show_id, seats, amount, closed_at FROM written
         WHERE status = 'CONFIRMED')
     SELECT COUNT(*) AS written FROM written";

const WRITE_SQLITE: &str = "INSERT INTO hold (reservation_id, user_id, concert_id, show_id, queue_id, seats, seat_total, amount, status,
         held_at, promised_until, expires_at, closed_at, payment_id, places)
     SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8,
         value ->> 9, value ->> 10, value ->> 11, value ->> 12, unhex(value ->> 13), value ->> 14
     FROM json_each($1) WHERE TRUE
     ON CONFLICT (reservation_id) DO UPDATE SET status = excluded.status, expires_at = excluded.expires_at,
         closed_at = excluded.closed_at, payment_id = excluded.payment_id WHERE hold.closed_at IS NULL";

const CONFIRM_SQLITE: &str =
    "INSERT INTO reservation (reservation_id, payment_id, user_id, concert_id, show_id, seats, amount, confirmed_at)
     SELECT h.reservation_id, h.payment_id, h.user_id, h.concert_id, h.show_id, h.seats, h.amount, h.closed_at
     FROM json_each($1) AS a CROSS JOIN hold AS h WHERE h.reservation_id = unhex(a.value)";

/// The values of a hold's row. One that is closed unpaid was closed at this time.
fn row(hold: &Hold, now: i64) -> Result<Vec<Value>, Error> {
    let (status, closed_at, payment_id) = match hold.state {
        State::Held => ("HELD", None, None),
        State::Confirmed { payment_id, at } => ("CONFIRMED", Some(at), Some(payment_id)),
        State::Expired => ("EXPIRED", Some(now), None),
        State::Cancelled => ("CANCELLED", Some(now), None),
        State::Refunded { .. } => return Err(corrupt("a refund is written by the store of refunds")),
    };
    let places = || serde_json::to_string(&hold.places).map_err(corrupt);
    let places = (!hold.places.is_empty()).then(places).transpose()?;
    Ok(args![
        hold.reservation_id,
        &hold.user_id,
        hold.concert_id,
        hold.show_id,
        &hold.queue_id,
        serde_json::to_string(&hold.seats).map_err(corrupt)?,
        i64::try_from(hold.seats.len()).map_err(corrupt)?,
        hold.amount,
        status,
        hold.held_at,
        hold.promised_until,
        hold.expires_at,
        closed_at,
        payment_id,
        places
    ])
}

pub(super) fn read_hold(row: &Row) -> Result<Hold, Error> {
    let closed =
        || row.get::<Option<i64>>("closed_at")?.ok_or_else(|| corrupt("a closed hold without its time"));
    let payment = || {
        row.get::<Option<Uuid>>("payment_id")?.ok_or_else(|| corrupt("a confirmed hold without its payment"))
    };
    let state = match row.get::<String>("status")?.as_str() {
        "HELD" => State::Held,
        "CONFIRMED" => State::Confirmed { payment_id: payment()?, at: closed()? },
        "EXPIRED" => State::Expired,
        "CANCELLED" => match row.get::<Option<Uuid>>("refunded_payment_id")? {
            Some(payment_id) => {
                let sold_at = row.get::<Option<i64>>("sold_at")?;
                let sold_at = sold_at.ok_or_else(|| corrupt("a refunded hold without its sale"))?;
                State::Refunded { payment_id, sold_at, at: closed()? }
            }
            None => State::Cancelled,
        },
        other => return Err(corrupt(other)),
    };
    Ok(Hold {
        reservation_id: row.get("reservation_id")?,
        user_id: row.get("user_id")?,
        concert_id: row.get("concert_id")?,
        show_id: row.get("show_id")?,
        queue_id: row.get("queue_id")?,
        seats: serde_json::from_str(&row.get::<String>("seats")?).map_err(corrupt)?,
        places: match row.get::<Option<String>>("places")? {
            Some(places) => serde_json::from_str(&places).map_err(corrupt)?,
            None => Vec::new(),
        },
        amount: row.get("amount")?,
        held_at: row.get("held_at")?,
        promised_until: row.get("promised_until")?,
        expires_at: row.get("expires_at")?,
        state,
    })
}
