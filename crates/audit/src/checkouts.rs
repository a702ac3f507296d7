//! The journal by itself: no checkout stays unsettled, and none is begun beside another one of its
//! reservation.

use futures::TryStreamExt;

use crate::{
    Error, Options,
    law::Breaches,
    outcomes::KNOWS_REFUNDS,
    report::{Law, Look},
    snapshot::{Snapshot, Sql},
};

const ONE_LIVE: &str = "SELECT {id:reservation_id}, MIN({id:checkout_id}), MAX({id:checkout_id}), CAST(COUNT(*) AS TEXT) FROM checkout \
                        WHERE status IN ('PENDING', 'COMPLETED') GROUP BY reservation_id HAVING COUNT(*) > 1";

/// Every status that is not final.
const UNSETTLED: &str = "SELECT {id:checkout_id}, user_id, {id:reservation_id}, status, amount, created_at, attempts FROM checkout \
                         WHERE status NOT IN ('COMPLETED', 'FAILED', 'COMPENSATED') ORDER BY created_at, checkout_id";

/// Every refund that is not done.
const UNDONE: &str = "SELECT {id:checkout_id}, user_id, {id:reservation_id}, 'REFUNDING', amount, refund_asked_at, attempts FROM checkout \
                      WHERE refund_asked_at IS NOT NULL AND refunded_at IS NULL ORDER BY refund_asked_at, checkout_id";

/// How old an unsettled checkout may be, in microseconds, and as of when its age counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age {
    now: i64,
    copied_at: Option<i64>,
    bound: i64,
}

impl Age {
    pub(crate) fn new(options: &Options, now: i64) -> Self {
        let bound = i64::try_from(options.unsettled_after.as_micros()).unwrap_or(i64::MAX);
        Self { now, copied_at: options.copied_at, bound }
    }

    /// The age of a checkout that was begun at this instant, if it is too high. In a copy nobody works on a
    /// checkout, so it is as old as it was when the copy was made. A checkout that was begun later is not the
    /// copy's: a mesh has been started on it.
    pub(crate) fn of(&self, created: i64) -> Option<i64> {
        let at = self.copied_at.filter(|at| created <= *at).unwrap_or(self.now);
        let age = at.saturating_sub(created);
        (age >= self.bound).then_some(age)
    }
}

pub(crate) async fn judge(look: &mut Look, snapshot: &mut Snapshot, age: &Age) -> Result<(), Error> {
    let one_live = Breaches {
        law: Law::OneLiveCheckout,
        sql: Sql::from(ONE_LIVE),
        ids: &["reservation", "checkout", "checkout"],
        what: "{3} checkouts of one reservation are pending or completed",
    };
    one_live.judge(look, snapshot).await?;
    overdue(look, snapshot, UNSETTLED, age).await?;
    if snapshot.has(KNOWS_REFUNDS).await? {
        overdue(look, snapshot, UNDONE, age).await?;
    }
    Ok(())
}

async fn overdue(
    look: &mut Look,
    snapshot: &mut Snapshot,
    unsettled: &'static str,
    age: &Age,
) -> Result<(), Error> {
    let mut rows = snapshot.rows(unsettled);
    while let Some(row) = rows.try_next().await? {
        let (created, attempts): (i64, i64) = (row.get(5)?, row.get(6)?);
        let Some(age) = age.of(created) else { continue };
        let (status, amount, user): (String, i64, String) = (row.get(3)?, row.get(4)?, row.get(1)?);
        let seconds = age / 1_000_000;
        let what =
            format!("a checkout of {user} over {amount} is {status} since {seconds} s, attempts {attempts}");
        look.differs(
            Law::Settled,
            what,
            vec![("checkout", row.get(0)?), ("user", user), ("reservation", row.get(2)?)],
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_copy_a_checkout_is_as_old_as_it_was_when_the_copy_was_taken() {
        let age = |copied_at, created| {
            let bound = std::time::Duration::from_micros(300);
            Age::new(&Options { copied_at, unsettled_after: bound, ..Options::running() }, 10_000).of(created)
        };
        assert_eq!((age(None, 9_701), age(None, 9_700)), (None, Some(300)));
        assert_eq!((age(Some(2_000), 1_999), age(Some(2_000), 1_700)), (None, Some(300)));
        assert_eq!(age(Some(2_000), 2_001), Some(7_999), "a mesh has run on the copy");
    }
}
