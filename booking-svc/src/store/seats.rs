//! The seats' rows: taking, keeping, selling, freeing and reading them.
//!
//! A seat that was never held has no row, and a missing row means that the seat is free. The first hold
//! inserts the row, and the row then stays. So a show of any size is created by one row. Release 0.1 wrote
//! all rows of a show when it was created, which works as well; but it takes seats without rows for gone.
//!
//! On PostgreSQL each write locks its rows in (show, number) order, so that crossing requests wait for each
//! other instead of deadlocking. In READ COMMITTED the statement then judges each row as the previous
//! transaction left it. Conditions stand twice, where the rows are locked and where they are written, so that
//! both halves find the rows by key. SQLite has one writer and needs no order.

use std::collections::BTreeSet;

use chassis::{
    args,
    db::{self, Dialect, Error, Session, Sql},
};
use uuid::Uuid;

use super::{corrupt, small};
use crate::domain::{Hold, Selection};

/// Takes the free ones of these seats for a hold and answers how many it took. A row has one holder, and only
/// a free row changes it (I-SEAT-ONCE). The caller must roll back unless all were taken (I-ALL-OR-NONE). When
/// the statement sees that a seat is not free it takes none, so that no other request waits for rows that
/// would be rolled back.
///
/// A missing row is inserted. Two transactions that insert the same row wait for each other as if they
/// updated it, so the order by number prevents a deadlock of crossing requests here too.
///
/// # Errors
/// The database failed.
pub async fn take(
    session: &mut Session,
    show_id: i64,
    seats: &Selection,
    hold: Uuid,
    until: i64,
    now: i64,
) -> Result<i64, Error> {
    let sql = Sql {
        postgres: "INSERT INTO seat (show_id, seat_number, hold_id, held_until)
                   SELECT $3, number, $1, $2 FROM UNNEST($4::bigint[]) AS number
                   WHERE NOT EXISTS (SELECT 1 FROM seat
                       WHERE show_id = $3 AND seat_number = ANY($4) AND (sold OR held_until > $5))
                   ORDER BY number
                   ON CONFLICT (show_id, seat_number) DO UPDATE SET hold_id = excluded.hold_id, held_until = excluded.held_until
                   WHERE NOT seat.sold AND (seat.hold_id IS NULL OR seat.held_until <= $5)",
        sqlite: "INSERT INTO seat (show_id, seat_number, hold_id, held_until)
                 SELECT $3, value, $1, $2 FROM json_each($4) WHERE TRUE
                 ON CONFLICT (show_id, seat_number) DO UPDATE SET hold_id = excluded.hold_id, held_until = excluded.held_until
                 WHERE NOT seat.sold AND (seat.hold_id IS NULL OR seat.held_until <= $5)",
    };
    let taken = session.execute(sql, args![hold, until, show_id, wide(seats.numbers()), now]).await?;
    i64::try_from(taken).map_err(corrupt)
}

/// The numbers of those seats that another hold or reservation than this hold has.
///
/// # Errors
/// The database failed.
pub async fn of_others(
    session: &mut Session,
    show_id: i64,
    seats: &Selection,
    hold: Uuid,
    now: i64,
) -> Result<BTreeSet<i32>, Error> {
    let sql = Sql {
        postgres: "SELECT seat_number FROM seat WHERE show_id = $1 AND seat_number = ANY($2)
                   AND (sold OR held_until > $4) AND hold_id <> $3",
        sqlite: "SELECT seat_number FROM seat WHERE show_id = $1 AND seat_number IN (SELECT value FROM json_each($2))
                 AND (sold OR held_until > $4) AND hold_id <> $3",
    };
    let rows = session.all(sql, args![show_id, wide(seats.numbers()), hold, now]).await?;
    rows.iter().map(|row| small(row.get("seat_number")?)).collect()
}

/// Lets a hold's seats expire later. Answers false when the hold no longer has all of its seats; then the
/// caller must roll back.
///
/// # Errors
/// The database failed.
pub async fn keep(session: &mut Session, hold: &Hold, until: i64) -> Result<bool, Error> {
    let sql = Sql {
        postgres: "UPDATE seat SET held_until = $4
                   FROM (SELECT seat_number FROM seat WHERE show_id = $1 AND seat_number = ANY($2) AND hold_id = $3 AND NOT sold
                         ORDER BY seat_number FOR UPDATE) AS mine
                   WHERE seat.show_id = $1 AND seat.seat_number = ANY($2) AND seat.seat_number = mine.seat_number
                   AND seat.hold_id = $3 AND NOT seat.sold",
        sqlite: "UPDATE seat SET held_until = $4
                 WHERE show_id = $1 AND seat_number IN (SELECT value FROM json_each($2)) AND hold_id = $3 AND NOT sold",
    };
    let kept = session
        .execute(sql, args![hold.show_id, wide(hold.seats.iter().copied()), hold.reservation_id, until])
        .await?;
    Ok(usize::try_from(kept) == Ok(hold.seats.len()))
}

/// Sells the seats of holds to them. Answers false when a hold no longer has all of its seats; then the
/// caller must roll back. The rows of all holds are locked in one order, by show and number. They are updated
/// by an upsert, because PostgreSQL then finds each by its primary key even while it has no statistics of the
/// table.
///
/// # Errors
/// The database failed.
pub async fn sell(session: &mut Session, holds: impl Iterator<Item = &Hold>) -> Result<bool, Error> {
    let mut seats = Vec::new();
    for hold in holds {
        seats.extend(hold.seats.iter().map(|seat| (hold.show_id, i64::from(*seat), hold.reservation_id)));
    }
    if seats.is_empty() {
        return Ok(true);
    }
    seats.sort_unstable();
    let sql = Sql {
        postgres: "INSERT INTO seat (show_id, seat_number, hold_id, held_until, sold)
                   SELECT c.show_id, c.seat_number, c.hold_id, c.held_until, TRUE
                   FROM UNNEST((SELECT $1::bigint[]), (SELECT $2::bigint[]), (SELECT $3::uuid[])) AS s (show, number, hold)
                   CROSS JOIN LATERAL (SELECT * FROM seat WHERE show_id = s.show AND seat_number = s.number
                       AND hold_id = s.hold AND NOT sold LIMIT 1) AS c
                   ON CONFLICT (show_id, seat_number) DO UPDATE SET sold = TRUE
                   WHERE seat.hold_id = excluded.hold_id AND NOT seat.sold",
        sqlite: "UPDATE seat SET sold = TRUE
                 FROM (SELECT value ->> 0 AS show, value ->> 1 AS number, unhex(value ->> 2) AS hold FROM json_each($1)) AS s
                 WHERE seat.show_id = s.show AND seat.seat_number = s.number AND seat.hold_id = s.hold AND NOT seat.sold",
    };
    let rows = seats.iter().map(|(show, number, hold)| args![*show, *number, *hold]).collect();
    let sold = session.execute(sql, db::table(session.dialect(), rows)).await?;
    Ok(usize::try_from(sold) == Ok(seats.len()))
}

/// Frees the seats that exactly these holds have and that are not sold (I-SOLD-STAYS), whether or not the
/// holds have expired.
///
/// # Errors
/// The database failed.
pub async fn free(session: &mut Session, holds: &[Hold]) -> Result<(), Error> {
    match session.dialect() {
        Dialect::Postgres => free_at_once(session, holds).await,
        Dialect::Sqlite => {
            let sql = "UPDATE seat SET hold_id = NULL, held_until = NULL
                       WHERE show_id = $1 AND seat_number IN (SELECT value FROM json_each($2)) AND hold_id = $3 AND NOT sold";
            for hold in holds {
                session
                    .execute(sql, args![hold.show_id, wide(hold.seats.iter().copied()), hold.reservation_id])
                    .await?;
            }
            Ok(())
        }
    }
}

/// Frees the seats of all holds in one statement and one lock order, so that a sweep and a request that cross
/// do not deadlock.
async fn free_at_once(session: &mut Session, holds: &[Hold]) -> Result<(), Error> {
    let each = || holds.iter().flat_map(|hold| hold.seats.iter().map(move |seat| (hold, *seat)));
    let shows: Vec<i64> = each().map(|(hold, _)| hold.show_id).collect();
    let ids: Vec<Uuid> = each().map(|(hold, _)| hold.reservation_id).collect();
    let sql = "UPDATE seat SET hold_id = NULL, held_until = NULL
               FROM (SELECT seat.show_id, seat.seat_number, seat.hold_id FROM seat
                     JOIN UNNEST($1::bigint[], $2::bigint[], $3::uuid[]) AS gone (show_id, seat_number, hold_id)
                     ON seat.show_id = gone.show_id AND seat.seat_number = gone.seat_number AND seat.hold_id = gone.hold_id
                     WHERE NOT seat.sold
                     ORDER BY seat.show_id, seat.seat_number FOR UPDATE OF seat) AS mine
               WHERE seat.show_id = mine.show_id AND seat.seat_number = mine.seat_number
               AND seat.hold_id = mine.hold_id AND NOT seat.sold";
    session.execute(sql, args![shows, wide(each().map(|(_, seat)| seat)), ids]).await.map(drop)
}

/// The numbers of a show's seats that are not free.
#[derive(Debug, Default)]
pub struct Unfree {
    /// The seats of live holds.
    pub held: Vec<i32>,
    /// The seats that are sold.
    pub sold: Vec<i32>,
}

/// Reads which seats of a show are held or sold at this time. The numbers come as one text for each of the
/// two, so that the answer has at most two rows however many seats there are.
///
/// # Errors
/// The database failed.
pub async fn unfree(session: &mut Session, show_id: i64, now: i64) -> Result<Unfree, Error> {
    let sql = Sql {
        postgres: "SELECT sold, string_agg(seat_number::text, ',') AS numbers FROM seat
                   WHERE show_id = $1 AND (sold OR held_until > $2) GROUP BY sold",
        sqlite: "SELECT sold, group_concat(seat_number, ',') AS numbers FROM seat
                 WHERE show_id = $1 AND (sold OR held_until > $2) GROUP BY sold",
    };
    let mut unfree = Unfree::default();
    for row in session.all(sql, args![show_id, now]).await? {
        let numbers: String = row.get("numbers")?;
        let numbers =
            numbers.split(',').map(|number| number.parse().map_err(corrupt)).collect::<Result<_, _>>()?;
        if row.get("sold")? {
            unfree.sold = numbers;
        } else {
            unfree.held = numbers;
        }
    }
    Ok(unfree)
}

fn wide(seats: impl Iterator<Item = i32>) -> Vec<i64> {
    seats.map(i64::from).collect()
}
