//! The rows of holds, and of the reservations that confirmed holds become.

use std::collections::{BTreeSet, HashMap};

use chassis::{
    args,
    db::{self, Dialect, Error, Row, Session, Sql},
};
use uuid::Uuid;

use super::corrupt;
use crate::domain::{Hold, State};

/// Writes a new hold whose seats this transaction has just taken, and answers how many seats of that show the
/// user then holds, this hold's included. The count is exact under concurrency (I-LIMIT): transactions of the
/// same user and show wait for each other at the user's `holder` row.
///
/// # Errors
/// The database failed.
pub async fn place(session: &mut Session, hold: &Hold) -> Result<i64, Error> {
    let total = i64::try_from(hold.seats.len()).map_err(corrupt)?;
    let seats = serde_json::to_string(&hold.seats).map_err(corrupt)?;
    let args = args![
        hold.reservation_id,
        &hold.user_id,
        hold.concert_id,
        hold.show_id,
        &hold.queue_id,
        seats,
        total,
        hold.amount,
        hold.held_at,
        hold.promised_until,
        hold.expires_at
    ];
    match session.dialect() {
        Dialect::Sqlite => {
            let sql =
                "INSERT INTO hold (reservation_id, user_id, concert_id, show_id, queue_id, seats, seat_total, amount, status,
                           held_at, promised_until, expires_at)
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'HELD', $9, $10, $11)";
            session.execute(sql, args).await?;
            held_seats(session, hold).await
        }
        Dialect::Postgres => {
            // All parts of the statement read the snapshot of its beginning. When the version of the `holder`
            // row that it wrote follows the version in the snapshot, no other hold of this user was committed
            // in between, so the snapshot's count is right and one round trip is enough. Otherwise the
            // statement waited for another transaction, and the count is taken again now that it has the
            // lock.
            let sql = "WITH placed AS (
                           INSERT INTO hold (reservation_id, user_id, concert_id, show_id, queue_id, seats, seat_total, amount, status,
                               held_at, promised_until, expires_at)
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'HELD', $9, $10, $11)),
                       locked AS (
                           INSERT INTO holder (user_id, show_id, version) VALUES ($2, $4, 1)
                           ON CONFLICT (user_id, show_id) DO UPDATE SET version = holder.version + 1 RETURNING version)
                       SELECT (SELECT version FROM locked) AS version,
                           (SELECT COALESCE(MAX(version), 0) FROM holder WHERE user_id = $2 AND show_id = $4) AS seen,
                           (SELECT CAST(COALESCE(SUM(seat_total), 0) AS BIGINT) FROM hold
                            WHERE user_id = $2 AND show_id = $4 AND status = 'HELD' AND expires_at > $9) AS held";
            let row = session.one(sql, args).await?;
            if row.get::<i64>("version")? == row.get::<i64>("seen")? + 1 {
                return Ok(row.get::<i64>("held")? + total);
            }
            held_seats(session, hold).await
        }
    }
}

async fn held_seats(session: &mut Session, hold: &Hold) -> Result<i64, Error> {
    let sql = "SELECT CAST(COALESCE(SUM(seat_total), 0) AS BIGINT) AS held FROM hold
               WHERE user_id = $1 AND show_id = $2 AND status = 'HELD' AND expires_at > $3";
    session.one(sql, args![&hold.user_id, hold.show_id, hold.held_at]).await?.get("held")
}

macro_rules! select_hold {
    ($rest:literal) => {
        select_hold!(from "hold ", $rest)
    };
    (from $from:literal, $rest:literal) => {
        concat!(
            "SELECT reservation_id, user_id, concert_id, show_id, queue_id, seats, amount, status, held_at, promised_until, ",
            "expires_at, closed_at, payment_id FROM ",
            $from,
            $rest
        )
    };
}

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
    let sql = "SELECT 1 AS one FROM hold WHERE status = 'HELD' AND expires_at <= $1 LIMIT 1";
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
            "WHERE status = 'HELD' AND expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED"
        ),
        sqlite: select_hold!("WHERE status = 'HELD' AND expires_at <= $1 ORDER BY expires_at LIMIT $2"),
    };
    session.all(sql, args![now, limit]).await?.iter().map(read_hold).collect()
}

/// Lets a live hold expire later.
///
/// # Errors
/// The database failed.
pub async fn extend(session: &mut Session, id: Uuid, until: i64) -> Result<(), Error> {
    let sql =
        "UPDATE hold SET expires_at = $2 WHERE reservation_id = $1 AND status = 'HELD' AND expires_at < $2";
    session.execute(sql, args![id, until]).await.map(drop)
}

/// How a hold that is not paid for ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// It expired by the clock.
    Expired,
    /// Its user cancelled it.
    Cancelled,
}

/// Closes holds that are still HELD as expired or cancelled. The caller frees their seats with
/// [`super::seats::free`].
///
/// # Errors
/// The database failed.
pub async fn close(session: &mut Session, ids: Vec<Uuid>, end: End, now: i64) -> Result<(), Error> {
    let sql = Sql {
        postgres: "UPDATE hold SET status = $2, closed_at = $3 WHERE reservation_id = ANY($1) AND status = 'HELD'",
        sqlite: "UPDATE hold SET status = $2, closed_at = $3
                 WHERE reservation_id IN (SELECT unhex(value) FROM json_each($1)) AND status = 'HELD'",
    };
    let status = match end {
        End::Expired => "EXPIRED",
        End::Cancelled => "CANCELLED",
    };
    session.execute(sql, args![ids, status, now]).await.map(drop)
}

chassis::forget! {
    /// Removes holds that ended unpaid, in the order in which they were closed. No seat's row refers to one:
    /// closing a hold frees its seats.
    pub fn forget("hold", "reservation_id", "closed_at", "status IN ('EXPIRED', 'CANCELLED')")
}

/// Closes locked holds as confirmed and writes their reservations. Answers false when one of them was not
/// HELD, or when a payment has confirmed another reservation (I-PAID-ONCE); then the caller must roll back.
/// The holds are updated by an upsert, because PostgreSQL then finds each by its primary key even while it
/// has no statistics of the table.
///
/// # Errors
/// The database failed.
pub async fn confirm(
    session: &mut Session,
    confirmed: impl Iterator<Item = (Uuid, Uuid)>,
    now: i64,
) -> Result<bool, Error> {
    let mut rows: Vec<_> = confirmed.collect();
    if rows.is_empty() {
        return Ok(true);
    }
    rows.sort_unstable();
    let count = rows.len();
    let rows = rows.into_iter().map(|(id, payment_id)| args![id, payment_id]).collect();
    let mut args = args![now];
    args.extend(db::table(session.dialect(), rows));
    if session.dialect() == Dialect::Sqlite {
        let update = "UPDATE hold SET status = 'CONFIRMED', closed_at = $1, payment_id = c.payment_id
                      FROM (SELECT unhex(value ->> 0) AS id, unhex(value ->> 1) AS payment_id FROM json_each($2)) AS c
                      WHERE hold.reservation_id = c.id AND hold.closed_at IS NULL";
        session.execute(update, args.clone()).await?;
    }
    let insert = Sql {
        postgres: "WITH closed AS (
                       INSERT INTO hold (reservation_id, user_id, concert_id, show_id, queue_id, seats, seat_total, amount, status,
                           held_at, promised_until, expires_at, closed_at, payment_id)
                       SELECT h.reservation_id, h.user_id, h.concert_id, h.show_id, h.queue_id, h.seats, h.seat_total, h.amount,
                           'CONFIRMED', h.held_at, h.promised_until, h.expires_at, $1, c.payment
                       FROM UNNEST((SELECT $2::uuid[]), (SELECT $3::uuid[])) AS c (id, payment)
                       CROSS JOIN LATERAL (SELECT * FROM hold WHERE reservation_id = c.id AND closed_at IS NULL LIMIT 1) AS h
                       ON CONFLICT (reservation_id) DO UPDATE SET status = excluded.status, closed_at = excluded.closed_at,
                           payment_id = excluded.payment_id WHERE hold.closed_at IS NULL
                       RETURNING reservation_id, payment_id, user_id, concert_id, show_id, seats, amount)
                   INSERT INTO reservation (reservation_id, payment_id, user_id, concert_id, show_id, seats, amount, confirmed_at)
                   SELECT reservation_id, payment_id, user_id, concert_id, show_id, seats, amount, $1 FROM closed",
        sqlite: "INSERT INTO reservation (reservation_id, payment_id, user_id, concert_id, show_id, seats, amount, confirmed_at)
                 SELECT h.reservation_id, h.payment_id, h.user_id, h.concert_id, h.show_id, h.seats, h.amount, $1
                 FROM json_each($2) AS c CROSS JOIN hold AS h
                 WHERE h.reservation_id = unhex(c.value ->> 0) AND h.payment_id = unhex(c.value ->> 1)",
    };
    match session.execute(insert, args).await {
        Ok(written) => Ok(usize::try_from(written) == Ok(count)),
        Err(error) if error.is_unique() => Ok(false),
        Err(error) => Err(error),
    }
}

fn read_hold(row: &Row) -> Result<Hold, Error> {
    let closed =
        || row.get::<Option<i64>>("closed_at")?.ok_or_else(|| corrupt("a closed hold without its time"));
    let payment = || {
        row.get::<Option<Uuid>>("payment_id")?.ok_or_else(|| corrupt("a confirmed hold without its payment"))
    };
    let state = match row.get::<String>("status")?.as_str() {
        "HELD" => State::Held,
        "CONFIRMED" => State::Confirmed { payment_id: payment()?, at: closed()? },
        "EXPIRED" => State::Expired,
        "CANCELLED" => State::Cancelled,
        other => return Err(corrupt(other)),
    };
    Ok(Hold {
        reservation_id: row.get("reservation_id")?,
        user_id: row.get("user_id")?,
        concert_id: row.get("concert_id")?,
        show_id: row.get("show_id")?,
        queue_id: row.get("queue_id")?,
        seats: serde_json::from_str(&row.get::<String>("seats")?).map_err(corrupt)?,
        amount: row.get("amount")?,
        held_at: row.get("held_at")?,
        promised_until: row.get("promised_until")?,
        expires_at: row.get("expires_at")?,
        state,
    })
}
