//! Shows that are called off: of one that is CANCELLED no sale is left, and each refund that was begun for it
//! is done.

use std::collections::BTreeSet;

use futures::TryStreamExt;

use crate::{
    Error,
    checkouts::Age,
    law::Breaches,
    report::{Law, Look},
    snapshot::{Snapshot, Sql},
};

/// A row if shows can be called off.
const CAN_BE: Sql = Sql {
    postgres: "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('show') AND attname = 'cancelled_at'",
    sqlite: "SELECT 1 FROM pragma_table_info('show') WHERE name = 'cancelled_at'",
};
/// A row if the journal knows of shows that are called off.
const IS_KEPT: Sql = Sql {
    postgres: "SELECT 1 WHERE to_regclass('call_off') IS NOT NULL",
    sqlite: "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'call_off'",
};

const SOLD: Breaches = Breaches {
    law: Law::CalledOff,
    sql: Sql::both(
        "SELECT CAST(s.show_id AS TEXT), {id:r.reservation_id}, {id:r.payment_id}, r.user_id FROM show s \
         JOIN reservation r ON r.show_id = s.show_id WHERE s.cancelled_at IS NOT NULL",
    ),
    ids: &["show", "reservation", "payment"],
    what: "show {0} is CANCELLED, and a sale to {3} stands",
};

const CANCELLED: &str = "SELECT show_id FROM show WHERE cancelled_at IS NOT NULL";

/// Each show that is called off: when that was asked for, when it was done, what was counted then, and what
/// there is.
const CALLED_OFF: &str = "SELECT c.show_id, c.asked_at, c.done_at, c.sales, c.refunded, \
                          (SELECT COUNT(*) FROM checkout k WHERE k.called_off_show = c.show_id), \
                          (SELECT COUNT(k.refunded_at) FROM checkout k WHERE k.called_off_show = c.show_id) \
                          FROM call_off c ORDER BY c.show_id";

/// Judges what booking has written by itself.
pub(crate) async fn judge_shows(look: &mut Look, booking: &mut Snapshot) -> Result<(), Error> {
    if booking.has(CAN_BE).await? { SOLD.judge(look, booking).await } else { Ok(()) }
}

/// Judges the journal, and against it booking, whose snapshot is newer: what is done in the journal was done
/// in booking before.
pub(crate) async fn judge(
    look: &mut Look,
    edge: &mut Snapshot,
    booking: Option<&mut Snapshot>,
    age: &Age,
) -> Result<(), Error> {
    if !edge.has(IS_KEPT).await? {
        return Ok(());
    }
    let mut cancelled: Option<BTreeSet<i64>> = None;
    if let Some(booking) = booking
        && booking.has(CAN_BE).await?
    {
        let mut found = BTreeSet::new();
        let mut rows = booking.rows(CANCELLED);
        while let Some(row) = rows.try_next().await? {
            found.insert(row.get(0)?);
        }
        cancelled = Some(found);
    }
    let mut rows = edge.rows(CALLED_OFF);
    while let Some(row) = rows.try_next().await? {
        let (show, asked_at, done_at): (i64, i64, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let ids = || vec![("show", show.to_string())];
        if done_at.is_none() {
            if let Some(age) = age.of(asked_at) {
                let what = format!("show {show} is being called off since {} s", age / 1_000_000);
                look.differs(Law::CalledOff, what, ids());
            }
            continue;
        }
        let [sales, refunded, begun, done]: [i64; 4] = [row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?];
        if !(sales == refunded && sales == begun && sales == done) {
            let what = format!(
                "show {show} is called off with {refunded} of {sales} sales refunded; there are {begun}, and {done} are"
            );
            look.differs(Law::CalledOff, what, ids());
        }
        if cancelled.as_ref().is_some_and(|cancelled| !cancelled.contains(&show)) {
            let what = format!("show {show} is called off, and booking does not say that it is CANCELLED");
            look.differs(Law::CalledOff, what, ids());
        }
    }
    Ok(())
}
