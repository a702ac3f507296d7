//! The queue's row.

use chassis::{
    args,
    db::{Error, Row, Session, Sql, Value},
};

use super::strange;
use crate::domain::{OnExpiry, QueuePolicy, QueueRow};

const LOCK: Sql = Sql {
    postgres: "SELECT * FROM queue WHERE queue_id = $1 FOR UPDATE",
    sqlite: "SELECT * FROM queue WHERE queue_id = $1",
};

/// Locks a queue until the transaction ends (SQLite has one writer anyway), and reads it. From here on nobody
/// else's commit can come before ours.
///
/// # Errors
/// The database's.
pub async fn lock(session: &mut Session, queue_id: &str) -> Result<Option<QueueRow>, Error> {
    session.optional(LOCK, args![queue_id]).await?.as_ref().map(head).transpose()
}

/// Reads a queue.
///
/// # Errors
/// The database's.
pub async fn read(session: &mut Session, queue_id: &str) -> Result<Option<QueueRow>, Error> {
    session
        .optional("SELECT * FROM queue WHERE queue_id = $1", args![queue_id])
        .await?
        .as_ref()
        .map(head)
        .transpose()
}

/// Every queue's name and version: what a replica asks all the time, to see what moved.
///
/// # Errors
/// The database's.
pub async fn versions(session: &mut Session) -> Result<Vec<(String, i64)>, Error> {
    let rows = session.all("SELECT queue_id, version FROM queue", args![]).await?;
    rows.iter().map(|row| Ok((row.get("queue_id")?, row.get("version")?))).collect()
}

/// Makes a queue; false when it is there already.
///
/// # Errors
/// The database's.
pub async fn insert(session: &mut Session, queue_id: &str, head: &QueueRow) -> Result<bool, Error> {
    let statement = "INSERT INTO queue (queue_id, max_active, max_waiting, active_ttl, waiting_ttl, admit_per_minute, on_expiry, \
                     paused, waiting_grace, show_up_within, version, last_ticket, serving_ticket, decided_at, admissions, created_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT DO NOTHING";
    let mut args = columns(queue_id, head)?;
    args.push(head.created_at.into());
    Ok(session.execute(statement, args).await? == 1)
}

/// Writes a queue under its lock.
///
/// # Errors
/// The database's.
pub async fn write(session: &mut Session, queue_id: &str, head: &QueueRow) -> Result<(), Error> {
    let statement = "UPDATE queue SET max_active = $2, max_waiting = $3, active_ttl = $4, waiting_ttl = $5, admit_per_minute = $6, \
                     on_expiry = $7, paused = $8, waiting_grace = $9, show_up_within = $10, version = $11, last_ticket = $12, \
                     serving_ticket = $13, decided_at = $14, admissions = $15 WHERE queue_id = $1 AND version = $11 - 1";
    match session.execute(statement, columns(queue_id, head)?).await? {
        1 => Ok(()),
        _ => Err(Error::lost_race("the queue's row")),
    }
}

fn columns(queue_id: &str, head: &QueueRow) -> Result<Vec<Value>, Error> {
    let policy = &head.policy;
    let admissions =
        serde_json::to_string(&head.admissions).map_err(|error| Error::Other(Box::new(error)))?;
    Ok(args![
        queue_id,
        policy.max_active,
        policy.max_waiting,
        policy.active_ttl,
        policy.waiting_ttl,
        policy.admit_per_minute,
        policy.on_expiry.code(),
        policy.paused,
        policy.waiting_grace,
        policy.show_up_within,
        head.version,
        head.last_ticket,
        head.serving_ticket,
        head.decided_at,
        admissions
    ])
}

/// Reads the queue's columns of a row.
pub(super) fn head(row: &Row) -> Result<QueueRow, Error> {
    let on_expiry = row.get("on_expiry")?;
    let admissions: String = row.get("admissions")?;
    Ok(QueueRow {
        policy: QueuePolicy {
            max_active: row.get("max_active")?,
            max_waiting: row.get("max_waiting")?,
            active_ttl: row.get("active_ttl")?,
            waiting_ttl: row.get("waiting_ttl")?,
            admit_per_minute: row.get("admit_per_minute")?,
            on_expiry: OnExpiry::from_code(on_expiry).ok_or_else(|| strange("on_expiry", on_expiry))?,
            paused: row.get("paused")?,
            waiting_grace: row.get("waiting_grace")?,
            show_up_within: row.get("show_up_within")?,
        },
        version: row.get("version")?,
        last_ticket: row.get("last_ticket")?,
        serving_ticket: row.get("serving_ticket")?,
        decided_at: row.get("decided_at")?,
        admissions: serde_json::from_str(&admissions).map_err(|error| Error::Other(Box::new(error)))?,
        created_at: row.get("created_at")?,
    })
}
