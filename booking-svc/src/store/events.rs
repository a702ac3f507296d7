//! Events of reservations that wait to be taken, and who takes them.
//!
//! A row says which hold and what; the rest of what is told stands in the hold's row, which keeps it. Rows
//! are taken by their numbers and not up to a number: on PostgreSQL a transaction may commit later than one
//! with a higher number. What is about one hold has rising numbers all the same, since whoever writes the
//! second has locked the hold after the first was committed.

use chassis::{
    args,
    db::{self, Db, Error, Row, Session, Sql},
};

use super::corrupt;
use crate::domain::{HoldEvent, Release, WaitingEvent};

/// Writes down what this transaction has done to holds, in this order.
///
/// # Errors
/// The database failed.
pub async fn record(session: &mut Session, events: &[HoldEvent], now: i64) -> Result<(), Error> {
    const SQL: Sql = Sql {
        postgres: "INSERT INTO reservation_event (reservation_id, released, happened_at)
                   SELECT id, released, $1 FROM UNNEST($2::uuid[], $3::text[]) WITH ORDINALITY AS a (id, released, nth)
                   ORDER BY nth",
        sqlite: "INSERT INTO reservation_event (reservation_id, released, happened_at)
                 SELECT unhex(value ->> 0), value ->> 1, $1 FROM json_each($2) WHERE TRUE ORDER BY key",
    };
    if events.is_empty() {
        return Ok(());
    }
    let row = |event: &HoldEvent| args![event.reservation_id, event.released.map(Release::word)];
    let mut args = args![now];
    args.extend(db::table(session.dialect(), events.iter().map(row).collect()));
    session.execute(SQL, args).await.map(drop)
}

/// The oldest events that wait, with what is told of their holds.
///
/// # Errors
/// The database failed.
pub async fn oldest(session: &mut Session, limit: i64) -> Result<Vec<WaitingEvent>, Error> {
    // On PostgreSQL each hold is looked up by its key, whatever the planner assumes about a young table.
    const SQL: Sql = Sql {
        postgres: "SELECT e.number, e.happened_at, e.released, h.*
                   FROM (SELECT * FROM reservation_event ORDER BY number LIMIT $1) AS e CROSS JOIN LATERAL
                       (SELECT reservation_id, user_id, concert_id, show_id, seats, amount, promised_until FROM hold
                        WHERE reservation_id = e.reservation_id LIMIT 1) AS h
                   ORDER BY e.number",
        sqlite: "SELECT e.number, e.happened_at, e.released, h.reservation_id, h.user_id, h.concert_id, h.show_id, h.seats,
                     h.amount, h.promised_until
                 FROM (SELECT * FROM reservation_event ORDER BY number LIMIT $1) AS e CROSS JOIN hold AS h
                 WHERE h.reservation_id = e.reservation_id ORDER BY e.number",
    };
    session.all(SQL, args![limit]).await?.iter().map(read).collect()
}

/// Removes events that are taken.
///
/// # Errors
/// The database failed.
pub async fn remove(db: &Db, numbers: Vec<i64>) -> Result<(), Error> {
    const SQL: Sql = Sql {
        postgres: "DELETE FROM reservation_event WHERE number = ANY($1)",
        sqlite: "DELETE FROM reservation_event WHERE number IN (SELECT value FROM json_each($1))",
    };
    db.write(SQL, args![numbers]).await.map(drop)
}

chassis::forget! {
    /// Removes events that nobody has taken.
    pub fn forget("reservation_event", "number", "happened_at", "TRUE")
}

/// How it stands with whoever takes events.
#[derive(Clone, Copy, Debug)]
pub struct EventTaker {
    /// When it took some last, or a little later.
    pub took_at: i64,
    /// How many events wait, or a few more.
    pub waiting: i64,
}

/// Who takes events; `None` when nobody ever did.
///
/// # Errors
/// The database failed.
pub async fn taker(session: &mut Session) -> Result<Option<EventTaker>, Error> {
    const SQL: &str = "SELECT took_at, COALESCE((SELECT MAX(number) FROM reservation_event)
                           - (SELECT MIN(number) FROM reservation_event) + 1, 0) AS waiting
                       FROM event_taker WHERE one = 1";
    let row = session.optional(SQL, args![]).await?;
    row.map(|row| Ok(EventTaker { took_at: row.get("took_at")?, waiting: row.get("waiting")? })).transpose()
}

/// Writes down that events are taken at this time.
///
/// # Errors
/// The database failed.
pub async fn renew(db: &Db, now: i64) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO event_taker (one, took_at) VALUES (1, $1)
                       ON CONFLICT (one) DO UPDATE SET took_at = excluded.took_at WHERE event_taker.took_at < excluded.took_at";
    db.write(SQL, args![now]).await.map(drop)
}

fn read(row: &Row) -> Result<WaitingEvent, Error> {
    let released = row.get::<Option<String>>("released")?;
    let reason = |word: String| Release::from_word(&word).ok_or_else(|| corrupt(word));
    Ok(WaitingEvent {
        number: row.get("number")?,
        happened_at: row.get("happened_at")?,
        event: HoldEvent {
            reservation_id: row.get("reservation_id")?,
            released: released.map(reason).transpose()?,
        },
        user_id: row.get("user_id")?,
        concert_id: row.get("concert_id")?,
        show_id: row.get("show_id")?,
        seats: serde_json::from_str(&row.get::<String>("seats")?).map_err(corrupt)?,
        amount: row.get("amount")?,
        promised_until: row.get("promised_until")?,
    })
}
