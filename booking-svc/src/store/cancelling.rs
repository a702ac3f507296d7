//! Calling shows off: the marks in their rows, the holds that end with them, and the sales that are left.
//!
//! Whoever sells or holds seats looks for the mark after it has locked what it is about. Whoever calls a show
//! off commits the mark first, and then locks the holds to end them. So a hold is sold before it is ended,
//! and that sale is found; or it is ended, or met with the mark, and never sold (I-CALLED-OFF).

use std::collections::BTreeSet;

use chassis::{
    args,
    db::{Error, Session, Sql},
};

use super::holds::{read_hold, select_hold};
use crate::domain::Hold;

/// Marks a show that this transaction has locked as called off.
///
/// # Errors
/// The database failed.
pub async fn call_off(session: &mut Session, show_id: i64, now: i64) -> Result<(), Error> {
    let sql = "UPDATE show SET called_off_at = $2 WHERE show_id = $1 AND called_off_at IS NULL";
    session.execute(sql, args![show_id, now]).await.map(drop)
}

/// Marks a show that this transaction has locked, and that was called off, as one whose sales are refunded.
///
/// # Errors
/// The database failed.
pub async fn finish(session: &mut Session, show_id: i64, now: i64) -> Result<(), Error> {
    // By another clock it may have been called off later than now.
    let sql = "UPDATE show SET cancelled_at = CASE WHEN called_off_at > $2 THEN called_off_at ELSE $2 END
               WHERE show_id = $1 AND called_off_at IS NOT NULL AND cancelled_at IS NULL";
    session.execute(sql, args![show_id, now]).await.map(drop)
}

/// Which of these shows are called off, as is committed now.
///
/// # Errors
/// The database failed.
pub async fn called_off(session: &mut Session, shows: BTreeSet<i64>) -> Result<BTreeSet<i64>, Error> {
    if shows.is_empty() {
        return Ok(BTreeSet::new());
    }
    let sql = Sql {
        postgres:
            "SELECT s.show_id FROM UNNEST((SELECT $1::bigint[])) AS a (id) CROSS JOIN LATERAL
                   (SELECT show_id FROM show WHERE show_id = a.id AND called_off_at IS NOT NULL LIMIT 1) AS s",
        sqlite: "SELECT show_id FROM json_each($1) AS a CROSS JOIN show
                 WHERE show_id = a.value AND called_off_at IS NOT NULL",
    };
    let shows: Vec<i64> = shows.into_iter().collect();
    session.all(sql, args![shows]).await?.iter().map(|row| row.get("show_id")).collect()
}

/// At most `limit` holds of a show that are not closed, whether or not they have expired, locked until the
/// transaction ends, in the order of their ids. Whoever has locked one is waited for: it may be selling it.
///
/// # Errors
/// The database failed.
pub async fn lock_open(session: &mut Session, show_id: i64, limit: i64) -> Result<Vec<Hold>, Error> {
    let sql = Sql {
        postgres: select_hold!(
            "WHERE status = 'HELD' AND show_id = $1 ORDER BY reservation_id LIMIT $2 FOR UPDATE"
        ),
        sqlite: select_hold!("WHERE status = 'HELD' AND show_id = $1 ORDER BY reservation_id LIMIT $2"),
    };
    session.all(sql, args![show_id, limit]).await?.iter().map(read_hold).collect()
}

/// Whether a hold of a show is not closed.
///
/// # Errors
/// The database failed.
pub async fn any_open(session: &mut Session, show_id: i64) -> Result<bool, Error> {
    let sql = "SELECT 1 AS one FROM hold WHERE status = 'HELD' AND show_id = $1 LIMIT 1";
    Ok(session.optional(sql, args![show_id]).await?.is_some())
}

/// How many sales of a show are not taken back.
///
/// # Errors
/// The database failed.
pub async fn sales_left(session: &mut Session, show_id: i64) -> Result<i64, Error> {
    let sql = "SELECT COUNT(*) AS sales FROM reservation WHERE show_id = $1";
    session.one(sql, args![show_id]).await?.get("sales")
}
