//! The tokens' rows. A batch writes all its tokens with one statement; a replica reads what changed since a
//! version, the live tokens page by page, or single tokens by id.

use std::sync::LazyLock;

use chassis::{
    args,
    db::{self, Error, Row, Session, Sql},
};
use uuid::Uuid;

use super::{queue, strange};
use crate::domain::{QueueRow, TokenRow, TokenStatus};

/// How many tickets one page of a load covers.
pub const PAGE: i64 = 10_000;

/// Writes the rows of a batch in the order given: a token that ends comes before the next token of the same
/// user, of whom only one may be live. A user who left and registers again for a draw has the same token,
/// whose row begins anew. PostgreSQL gets the rows as one array for each column, SQLite as one JSON text.
const WRITE: Sql = Sql {
    postgres: "INSERT INTO token (token, queue_id, user_id, status, priority, ticket, entered_at, active_until, valid_until, \
               admitted_at, heard_at, requeues, version) \
               SELECT t.token, $1, t.user_id, t.status, t.priority, t.ticket, t.entered_at, t.active_until, t.valid_until, \
               t.admitted_at, t.heard_at, t.requeues, $2 \
               FROM UNNEST($3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], \
               $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[]) WITH ORDINALITY AS t (token, user_id, status, priority, \
               ticket, entered_at, active_until, valid_until, admitted_at, heard_at, requeues, nth) ORDER BY t.nth \
               ON CONFLICT (token) DO UPDATE SET status = excluded.status, priority = excluded.priority, ticket = excluded.ticket, \
               entered_at = excluded.entered_at, \
               active_until = excluded.active_until, valid_until = excluded.valid_until, admitted_at = excluded.admitted_at, \
               heard_at = excluded.heard_at, requeues = excluded.requeues, version = excluded.version",
    sqlite: "INSERT INTO token (token, queue_id, user_id, status, priority, ticket, entered_at, active_until, valid_until, \
             admitted_at, heard_at, requeues, version) \
             SELECT unhex(t.value ->> 0), $1, t.value ->> 1, t.value ->> 2, t.value ->> 3, t.value ->> 4, t.value ->> 5, \
             t.value ->> 6, t.value ->> 7, t.value ->> 8, t.value ->> 9, t.value ->> 10, $2 FROM json_each($3) AS t WHERE true ORDER BY t.key \
             ON CONFLICT (token) DO UPDATE SET status = excluded.status, priority = excluded.priority, ticket = excluded.ticket, \
             entered_at = excluded.entered_at, \
             active_until = excluded.active_until, valid_until = excluded.valid_until, admitted_at = excluded.admitted_at, \
             heard_at = excluded.heard_at, requeues = excluded.requeues, version = excluded.version",
};

/// Reads a queue's row and its changed tokens with one statement, which sees one snapshot. So a follower
/// needs no lock and never sees half a commit. In a token's row the queue's columns are empty and the other
/// way round; both have `version`.
static TAIL: LazyLock<String> = LazyLock::new(|| {
    let own =
        ["token", "user_id", "status", "priority", "ticket", "entered_at", "active_until", "valid_until"];
    let own = [&own[..], &["admitted_at", "heard_at", "requeues"]].concat();
    let queues: Vec<_> = queue::columns().filter(|(name, _)| *name != "version").collect();
    let empty: Vec<_> = queues.iter().map(|(name, of)| format!("CAST(NULL AS {of}) AS {name}")).collect();
    let names: Vec<_> = queues.iter().map(|(name, _)| *name).collect();
    format!(
        "SELECT {}, version, {}, CAST(NULL AS BIGINT) AS created_at FROM token WHERE queue_id = $1 AND version > $2 \
         UNION ALL SELECT {}, version, {}, created_at FROM queue WHERE queue_id = $1",
        own.join(", "),
        empty.join(", "),
        vec!["NULL"; own.len()].join(", "),
        names.join(", "),
    )
});

/// Reads live tokens along the index by ticket. With a plain `status` in the condition a planner without
/// statistics would sort all live tokens for each page.
const LIVE: &str = "SELECT * FROM token WHERE queue_id = $1 AND ticket > $2 AND ticket <= $3 AND status + 0 IN (1, 2) ORDER BY ticket";

const BY_ID: Sql = Sql {
    postgres: "SELECT * FROM token WHERE token = ANY($1)",
    sqlite: "SELECT * FROM token WHERE token IN (SELECT unhex(value) FROM json_each($1))",
};

/// Writes the tokens that a batch changed.
///
/// # Errors
/// The database failed; `Unique` means that memory and the database disagree.
pub async fn write(
    session: &mut Session,
    queue_id: &str,
    version: i64,
    rows: &[TokenRow],
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let row = |row: &TokenRow| {
        args![
            row.token,
            &*row.user,
            row.status.code(),
            i64::from(row.priority),
            row.ticket,
            row.entered_at,
            row.active_until,
            row.valid_until,
            row.admitted_at,
            row.heard_at,
            i64::from(row.requeues)
        ]
    };
    let mut args = args![queue_id, version];
    args.extend(db::table(session.dialect(), rows.iter().map(row).collect()));
    session.execute(WRITE, args).await.map(drop)
}

chassis::forget! {
    /// Removes old tokens that have ended, by their `valid_until`.
    pub fn forget("token", "token", "valid_until", "status > 2")
}

/// The queue and every token that changed after a version, from one snapshot; `None` when there is no such
/// queue.
///
/// # Errors
/// The database failed.
pub async fn tail(
    session: &mut Session,
    queue_id: &str,
    since: i64,
) -> Result<Option<(QueueRow, Vec<TokenRow>)>, Error> {
    let rows = session.all(TAIL.as_str(), args![queue_id, since]).await?;
    let (mut head, mut tokens) = (None, Vec::with_capacity(rows.len()));
    for row in &rows {
        match row.get::<Option<Uuid>>("token")? {
            Some(_) => tokens.push(read(row)?),
            None => head = Some(queue::head(row)?),
        }
    }
    Ok(head.map(|head| (head, tokens)))
}

/// The lowest ticket of a live token, if there is one.
///
/// # Errors
/// The database failed.
pub async fn first_live(session: &mut Session, queue_id: &str) -> Result<Option<i64>, Error> {
    let statement = "SELECT MIN(ticket) AS first FROM token WHERE queue_id = $1 AND status IN (1, 2)";
    session.optional(statement, args![queue_id]).await?.map_or(Ok(None), |row| row.get("first"))
}

/// The live tokens among the [`PAGE`] tickets above the given one, in ticket order.
///
/// # Errors
/// The database failed.
pub async fn live_page(session: &mut Session, queue_id: &str, above: i64) -> Result<Vec<TokenRow>, Error> {
    let rows = session.all(LIVE, args![queue_id, above, above + PAGE]).await?;
    rows.iter().map(read).collect()
}

/// The tokens with these ids, each with the id of its queue, whatever their status.
///
/// # Errors
/// The database failed.
pub async fn by_id(session: &mut Session, tokens: Vec<Uuid>) -> Result<Vec<(String, TokenRow)>, Error> {
    let rows = session.all(BY_ID, args![tokens]).await?;
    rows.iter().map(|row| Ok((row.get("queue_id")?, read(row)?))).collect()
}

fn read(row: &Row) -> Result<TokenRow, Error> {
    let number = |name: &str| row.get::<i64>(name);
    let status = number("status")?;
    let priority = number("priority")?;
    let requeues = number("requeues")?;
    Ok(TokenRow {
        token: row.get("token")?,
        user: row.get::<String>("user_id")?.into(),
        status: TokenStatus::from_code(status).ok_or_else(|| strange("status", status))?,
        priority: u8::try_from(priority)
            .ok()
            .filter(|lane| *lane < 10)
            .ok_or_else(|| strange("priority", priority))?,
        ticket: number("ticket")?,
        entered_at: number("entered_at")?,
        active_until: row.get("active_until")?,
        valid_until: number("valid_until")?,
        admitted_at: row.get("admitted_at")?,
        heard_at: number("heard_at")?,
        requeues: u32::try_from(requeues).map_err(|_| strange("requeues", requeues))?,
        version: number("version")?,
    })
}
