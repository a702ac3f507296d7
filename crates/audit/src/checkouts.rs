//! The journal by itself: no checkout is left, and none is begun beside another.

use std::time::Duration;

use futures::TryStreamExt;

use crate::{
    Error,
    law::Breaches,
    report::{Law, Look},
    snapshot::{Snapshot, Sql},
};

const ONE_LIVE: &str = "SELECT {id:reservation_id}, MIN({id:checkout_id}), MAX({id:checkout_id}), CAST(COUNT(*) AS TEXT) FROM checkout \
                        WHERE status IN ('PENDING', 'COMPLETED') GROUP BY reservation_id HAVING COUNT(*) > 1";

/// Whatever is not one of the endings is on its way to one.
const UNSETTLED: &str = "SELECT {id:checkout_id}, user_id, {id:reservation_id}, status, amount, created_at, attempts FROM checkout \
                         WHERE status NOT IN ('COMPLETED', 'FAILED', 'COMPENSATED') ORDER BY created_at, checkout_id";

pub(crate) async fn judge(look: &mut Look, snapshot: &mut Snapshot, now: i64, bound: Duration) -> Result<(), Error> {
    let one_live = Breaches {
        law: Law::OneLiveCheckout,
        sql: Sql::from(ONE_LIVE),
        ids: &["reservation", "checkout", "checkout"],
        what: "{3} checkouts of one reservation are pending or completed",
    };
    one_live.judge(look, snapshot).await?;
    let bound = i64::try_from(bound.as_micros()).unwrap_or(i64::MAX);
    let mut rows = snapshot.rows(UNSETTLED);
    while let Some(row) = rows.try_next().await? {
        let (created, attempts): (i64, i64) = (row.get(5)?, row.get(6)?);
        let age = now.saturating_sub(created);
        if age < bound {
            continue;
        }
        let (status, amount, user): (String, i64, String) = (row.get(3)?, row.get(4)?, row.get(1)?);
        let seconds = age / 1_000_000;
        let what = format!("a checkout of {user} over {amount} is {status} since {seconds} s, attempts {attempts}");
        look.differs(Law::Settled, what, vec![("checkout", row.get(0)?), ("user", user), ("reservation", row.get(2)?)]);
    }
    Ok(())
}
