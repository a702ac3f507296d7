//! Moves of shows that wait to be taken. Each is written in the transaction that moves the show.

use chassis::{
    args,
    db::{Db, Error, Row, Session, Sql},
};

use super::catalog::time_zone;
use crate::domain::{ShowMove, WaitingMove};

/// Writes down that this transaction, which has locked the show, moves it.
///
/// # Errors
/// The database failed.
pub async fn record(session: &mut Session, moved: &ShowMove) -> Result<(), Error> {
    const SQL: &str =
        "INSERT INTO show_event (event_id, show_id, title, starts_at, previous_starts_at, time_zone, happened_at)
                       VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let ShowMove { event_id, show_id, ref title, starts_at, previous_starts_at, time_zone, happened_at } =
        *moved;
    let args = args![event_id, show_id, title, starts_at, previous_starts_at, time_zone.name(), happened_at];
    session.execute(SQL, args).await.map(drop)
}

/// The oldest moves that wait.
///
/// # Errors
/// The database failed.
pub async fn oldest(session: &mut Session, limit: i64) -> Result<Vec<WaitingMove>, Error> {
    // A program of before does not write the zone: then it is the one that the concert has by now.
    const SQL: &str =
        "SELECT e.number, e.event_id, e.show_id, e.title, e.starts_at, e.previous_starts_at, e.happened_at,
                           s.concert_id, COALESCE(e.time_zone, c.time_zone) AS time_zone
                       FROM show_event AS e JOIN show AS s ON s.show_id = e.show_id
                       JOIN concert AS c ON c.concert_id = s.concert_id ORDER BY e.number LIMIT $1";
    session.all(SQL, args![limit]).await?.iter().map(read).collect()
}

/// Removes moves that are taken. They are named one by one: a transaction may commit later than one with a
/// higher number.
///
/// # Errors
/// The database failed.
pub async fn remove(db: &Db, numbers: Vec<i64>) -> Result<(), Error> {
    const SQL: Sql = Sql {
        postgres: "DELETE FROM show_event WHERE number = ANY($1)",
        sqlite: "DELETE FROM show_event WHERE number IN (SELECT value FROM json_each($1))",
    };
    db.write(SQL, args![numbers]).await.map(drop)
}

chassis::forget! {
    /// Removes moves that nobody has taken.
    pub fn forget("show_event", "number", "happened_at", "TRUE")
}

fn read(row: &Row) -> Result<WaitingMove, Error> {
    Ok(WaitingMove {
        number: row.get("number")?,
        concert_id: row.get("concert_id")?,
        moved: ShowMove {
            event_id: row.get("event_id")?,
            show_id: row.get("show_id")?,
            title: row.get("title")?,
            starts_at: row.get("starts_at")?,
            previous_starts_at: row.get("previous_starts_at")?,
            time_zone: time_zone(row)?,
            happened_at: row.get("happened_at")?,
        },
    })
}
