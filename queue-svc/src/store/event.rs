//! Openings of queues that wait to be taken. Each is written in the transaction that opens the queue.

use chassis::{
    args,
    db::{Db, Error, Row, Session, Sql},
};

use super::strange;
use crate::domain::{Opened, Opening, WaitingEvent};

/// Writes down that this transaction opens a queue, of which it writes this version.
///
/// # Errors
/// The database failed.
pub async fn record(
    session: &mut Session,
    queue_id: &str,
    version: i64,
    opened: &Opened,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO queue_event (queue_id, version, opening, opens_at, registered, opened_at) \
                       VALUES ($1, $2, $3, $4, $5, $6)";
    let Opened { at, opening, opens_at, registered } = *opened;
    session.execute(SQL, args![queue_id, version, opening.code(), opens_at, registered, at]).await.map(drop)
}

/// The oldest events that wait.
///
/// # Errors
/// The database failed.
pub async fn oldest(session: &mut Session, limit: i64) -> Result<Vec<WaitingEvent>, Error> {
    const SQL: &str = "SELECT * FROM queue_event ORDER BY number LIMIT $1";
    session.all(SQL, args![limit]).await?.iter().map(read).collect()
}

/// Removes events that are taken. They are named one by one: a transaction may commit later than one with a
/// higher number.
///
/// # Errors
/// The database failed.
pub async fn remove(db: &Db, numbers: Vec<i64>) -> Result<(), Error> {
    const SQL: Sql = Sql {
        postgres: "DELETE FROM queue_event WHERE number = ANY($1)",
        sqlite: "DELETE FROM queue_event WHERE number IN (SELECT value FROM json_each($1))",
    };
    db.write(SQL, args![numbers]).await.map(drop)
}

chassis::forget! {
    /// Removes events that nobody has taken.
    pub fn forget("queue_event", "number", "opened_at", "TRUE")
}

fn read(row: &Row) -> Result<WaitingEvent, Error> {
    let opening = row.get("opening")?;
    Ok(WaitingEvent {
        number: row.get("number")?,
        queue_id: row.get("queue_id")?,
        version: row.get("version")?,
        opened: Opened {
            at: row.get("opened_at")?,
            opening: Opening::from_code(opening).ok_or_else(|| strange("opening", opening))?,
            opens_at: row.get("opens_at")?,
            registered: row.get("registered")?,
        },
    })
}
