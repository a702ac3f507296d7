//! The seats' rows: taking, keeping, selling, freeing and reading them.
//!
//! A seat that nobody asked for yet has no row: a missing row means that it is free. The first request
//! inserts the row, and the row then stays. So a show of any size is created by one row. Release 0.1 wrote
//! all rows of a show when it was created, which works as well; but it takes seats without rows for gone.
//!
//! On PostgreSQL rows are locked in (show, number) order, so that crossing transactions wait for each other
//! instead of deadlocking; in READ COMMITTED the statement after that reads each row as the previous
//! transaction left it. Rows are reached by upserts and lateral joins, because PostgreSQL then finds each by
//! its primary key even while it has no statistics of the table. SQLite has one writer and needs no locks.

use std::collections::{BTreeSet, HashMap};

use chassis::{
    args,
    db::{self, Dialect, Error, Session, Sql, Value},
};
use uuid::Uuid;

use super::{corrupt, small};
use crate::domain::{SeatKey, SeatRow};

/// The rows of seats which all have one, locked until the transaction ends.
///
/// # Errors
/// The database failed.
pub async fn lock(
    session: &mut Session,
    seats: &BTreeSet<SeatKey>,
) -> Result<HashMap<SeatKey, SeatRow>, Error> {
    let sql = Sql {
        postgres: "SELECT s.* FROM UNNEST((SELECT $1::bigint[]), (SELECT $2::bigint[])) AS a (show, number)
                   CROSS JOIN LATERAL (SELECT show_id, seat_number, hold_id, held_until, sold FROM seat
                       WHERE show_id = a.show AND seat_number = a.number FOR UPDATE) AS s",
        sqlite: READ_SQLITE,
    };
    read(session, sql, seats).await
}

/// The rows of seats, locked until the transaction ends. A missing row is inserted as that of a free seat,
/// so that it can be locked. It is one statement and one pass in order: two transactions that insert the
/// same row wait for each other as if they updated it, so crossing requests do not deadlock here either.
///
/// # Errors
/// The database failed.
pub async fn lock_or_insert(
    session: &mut Session,
    seats: &BTreeSet<SeatKey>,
) -> Result<HashMap<SeatKey, SeatRow>, Error> {
    if session.dialect() == Dialect::Postgres {
        // The condition that is never true writes nothing, but its row is locked.
        let sql = "INSERT INTO seat (show_id, seat_number)
                   SELECT show, number FROM UNNEST($1::bigint[], $2::bigint[]) AS a (show, number) ORDER BY show, number
                   ON CONFLICT (show_id, seat_number) DO UPDATE SET hold_id = seat.hold_id WHERE FALSE";
        session.execute(sql, keys(session.dialect(), seats)).await?;
    }
    let sql = Sql {
        postgres: "SELECT s.* FROM UNNEST((SELECT $1::bigint[]), (SELECT $2::bigint[])) AS a (show, number)
                   CROSS JOIN LATERAL (SELECT show_id, seat_number, hold_id, held_until, sold FROM seat
                       WHERE show_id = a.show AND seat_number = a.number AND hold_id IS NOT NULL LIMIT 1) AS s",
        sqlite: READ_SQLITE,
    };
    read(session, sql, seats).await
}

const READ_SQLITE: &str =
    "SELECT show_id, seat_number, hold_id, held_until, sold FROM json_each($1) AS a CROSS JOIN seat
     WHERE show_id = a.value ->> 0 AND seat_number = a.value ->> 1 AND hold_id IS NOT NULL";

fn keys(dialect: Dialect, seats: &BTreeSet<SeatKey>) -> Vec<Value> {
    db::table(dialect, seats.iter().map(|(show, number)| args![*show, *number]).collect())
}

async fn read(
    session: &mut Session,
    sql: Sql,
    seats: &BTreeSet<SeatKey>,
) -> Result<HashMap<SeatKey, SeatRow>, Error> {
    let mut found = HashMap::new();
    if seats.is_empty() {
        return Ok(found);
    }
    for row in session.all(sql, keys(session.dialect(), seats)).await? {
        let Some(hold_id) = row.get("hold_id")? else { continue };
        let held_until = row.get("held_until")?;
        let seat = SeatRow { hold_id, held_until, sold: row.get("sold")? };
        found.insert((row.get("show_id")?, small(row.get("seat_number")?)?), seat);
    }
    Ok(found)
}

/// Writes seats that this transaction has locked: taken for a hold, kept longer, or sold. A row has one
/// holder, and only a free row changes it (I-SEAT-ONCE).
///
/// # Errors
/// A contended [`Error`] when a row was not as it was read, or the database failed.
pub async fn write(session: &mut Session, seats: &[(SeatKey, SeatRow)], now: i64) -> Result<(), Error> {
    if seats.is_empty() {
        return Ok(());
    }
    let sql = Sql {
        postgres: "INSERT INTO seat (show_id, seat_number, hold_id, held_until, sold)
                   SELECT show, number, hold, until, sold = 1
                   FROM UNNEST($2::bigint[], $3::bigint[], $4::uuid[], $5::bigint[], $6::bigint[]) AS a (show, number, hold, until, sold)
                   ORDER BY show, number
                   ON CONFLICT (show_id, seat_number) DO UPDATE
                       SET hold_id = excluded.hold_id, held_until = excluded.held_until, sold = excluded.sold
                   WHERE NOT seat.sold AND (seat.hold_id = excluded.hold_id
                       OR NOT excluded.sold AND (seat.hold_id IS NULL OR seat.held_until <= $1))",
        sqlite: "INSERT INTO seat (show_id, seat_number, hold_id, held_until, sold)
                 SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4 FROM json_each($2) WHERE TRUE
                 ON CONFLICT (show_id, seat_number) DO UPDATE
                     SET hold_id = excluded.hold_id, held_until = excluded.held_until, sold = excluded.sold
                 WHERE NOT seat.sold AND (seat.hold_id = excluded.hold_id
                     OR NOT excluded.sold AND (seat.hold_id IS NULL OR seat.held_until <= $1))",
    };
    let row = |((show, number), row): &(SeatKey, SeatRow)| {
        args![*show, *number, row.hold_id, row.held_until, i64::from(row.sold)]
    };
    let mut args = args![now];
    args.extend(db::table(session.dialect(), seats.iter().map(row).collect()));
    let written = session.execute(sql, args).await?;
    if usize::try_from(written) == Ok(seats.len()) { Ok(()) } else { Err(Error::lost_race("a seat")) }
}

/// Frees seats that exactly these holds have and that are not sold (I-SOLD-STAYS), whether or not the holds
/// have expired, and answers which those are. Rows are locked in one order, so that a sweep and a request
/// that cross do not deadlock.
///
/// # Errors
/// The database failed.
pub async fn free(session: &mut Session, seats: &[(SeatKey, Uuid)]) -> Result<Vec<SeatKey>, Error> {
    if seats.is_empty() {
        return Ok(Vec::new());
    }
    let sql = Sql {
        postgres: "UPDATE seat SET hold_id = NULL, held_until = NULL
                   FROM (SELECT seat.show_id, seat.seat_number, seat.hold_id FROM seat
                         JOIN UNNEST($1::bigint[], $2::bigint[], $3::uuid[]) AS gone (show_id, seat_number, hold_id)
                         ON seat.show_id = gone.show_id AND seat.seat_number = gone.seat_number AND seat.hold_id = gone.hold_id
                         WHERE NOT seat.sold
                         ORDER BY seat.show_id, seat.seat_number FOR UPDATE OF seat) AS mine
                   WHERE seat.show_id = mine.show_id AND seat.seat_number = mine.seat_number
                   AND seat.hold_id = mine.hold_id AND NOT seat.sold RETURNING seat.show_id, seat.seat_number",
        sqlite: "UPDATE seat SET hold_id = NULL, held_until = NULL
                 FROM (SELECT value ->> 0 AS show, value ->> 1 AS number, unhex(value ->> 2) AS hold FROM json_each($1)) AS gone
                 WHERE seat.show_id = gone.show AND seat.seat_number = gone.number AND seat.hold_id = gone.hold AND NOT seat.sold
                 RETURNING show_id, seat_number",
    };
    let rows = seats.iter().map(|((show, number), hold)| args![*show, *number, *hold]).collect();
    let freed = session.all(sql, db::table(session.dialect(), rows)).await?;
    freed.iter().map(|row| Ok((row.get("show_id")?, small(row.get("seat_number")?)?))).collect()
}

/// Reads which seats of a show are held or sold at this time. The numbers come as one text, so that the
/// answer has one row however many seats there are.
///
/// # Errors
/// The database failed.
pub async fn unfree(session: &mut Session, show_id: i64, now: i64) -> Result<Vec<i32>, Error> {
    let sql = Sql {
        postgres: "SELECT string_agg(seat_number::text, ',') AS numbers FROM seat
                   WHERE show_id = $1 AND (sold OR held_until > $2)",
        sqlite: "SELECT group_concat(seat_number, ',') AS numbers FROM seat
                 WHERE show_id = $1 AND (sold OR held_until > $2)",
    };
    let row = session.one(sql, args![show_id, now]).await?;
    let numbers = row.get::<Option<String>>("numbers")?.unwrap_or_default();
    numbers
        .split(',')
        .filter(|number| !number.is_empty())
        .map(|number| number.parse().map_err(corrupt))
        .collect()
}
