//! Shows that are called off, a row a show, and the refunds that this begins in the checkouts' journal.

use chassis::{
    args,
    db::{Error, Row, Session, Sql},
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    events::queue_of_show,
    journal::{Journal, refunding},
    rows::{entry, entry_columns},
};
use crate::domain::{
    call_off::{CallOff, Tally},
    checkout::{RecordedCheckout, Refund},
};

macro_rules! columns {
    () => {
        "show_id, closed_at, sales, refunded, parked, done_at"
    };
}

/// The refunds that calling a show off has begun or met.
const COUNT: &str = "SELECT COUNT(*) AS sales, COUNT(refunded_at) AS refunded, COUNT(parked_at) AS parked \
                     FROM checkout WHERE called_off_show = $1";

impl Journal {
    /// Writes that a show is to be called off; one that was written before stays as it is.
    pub(crate) async fn call_off(&self, show_id: i64, now: i64) -> Result<(), Error> {
        const SQL: &str =
            "INSERT INTO call_off (show_id, asked_at) VALUES ($1, $2) ON CONFLICT (show_id) DO NOTHING";
        let write = async || self.db.write(SQL, args![show_id, now]).await;
        self.db.transact("call_off", write).await.map(drop)
    }

    /// What is known of those among these shows that are called off.
    pub(crate) async fn called_off(&self, shows: Vec<i64>) -> Result<Vec<CallOff>, Error> {
        const SQL: Sql = Sql {
            postgres: concat!("SELECT ", columns!(), " FROM call_off WHERE show_id = ANY($1)"),
            sqlite: concat!(
                "SELECT ",
                columns!(),
                " FROM call_off WHERE show_id IN (SELECT value FROM json_each($1))"
            ),
        };
        self.db.read().await?.all(SQL, args![shows]).await?.iter().map(read).collect()
    }

    /// Takes over shows whose lease has lapsed.
    pub(crate) async fn take_over_call_offs(
        &self,
        runner: Uuid,
        now: i64,
        lease_until: i64,
        limit: i64,
    ) -> Result<Vec<CallOff>, Error> {
        const LAPSED: &str =
            "SELECT 1 AS one FROM call_off WHERE done_at IS NULL AND lease_until < $1 LIMIT 1";
        const TAKE: Sql = Sql {
            postgres: concat!(
                "UPDATE call_off SET runner = $1, lease_until = $3 WHERE show_id = ANY(ARRAY(SELECT show_id FROM call_off \
                 WHERE done_at IS NULL AND lease_until < $2 ORDER BY lease_until LIMIT $4 FOR UPDATE SKIP LOCKED)) RETURNING ",
                columns!()
            ),
            sqlite: concat!(
                "UPDATE call_off SET runner = $1, lease_until = $3 WHERE show_id IN (SELECT show_id FROM call_off \
                 WHERE done_at IS NULL AND lease_until < $2 ORDER BY lease_until LIMIT $4) RETURNING ",
                columns!()
            ),
        };
        if self.db.read().await?.optional(LAPSED, args![now]).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut session = self.db.begin().await?;
        let taken = session.all(TAKE, args![runner, now, lease_until, limit]).await?;
        session.commit().await?;
        taken.iter().map(read).collect()
    }

    /// Renews the lease of a show. `false`: another runner has it.
    pub(crate) async fn renew_call_off(
        &self,
        show_id: i64,
        runner: Uuid,
        lease_until: i64,
    ) -> Result<bool, Error> {
        const SQL: &str = "UPDATE call_off SET lease_until = $3 WHERE show_id = $1 AND runner = $2";
        Ok(self.db.write(SQL, args![show_id, runner, lease_until]).await? > 0)
    }

    /// Writes that booking sells nothing more of a show, of which so many sales are left, once, with the
    /// event that tells it.
    pub(crate) async fn close_show(
        &self,
        show_id: i64,
        sales: i64,
        event: &Value,
        now: i64,
    ) -> Result<(), Error> {
        const SQL: &str = "UPDATE call_off SET closed_at = CASE WHEN asked_at > $3 THEN asked_at ELSE $3 END, sales = $2 \
                           WHERE show_id = $1 AND closed_at IS NULL";
        let close = async || {
            let mut session = self.db.begin().await?;
            if session.execute(SQL, args![show_id, sales, now]).await? > 0 {
                queue_of_show(&mut session, show_id, event, now).await?;
            }
            session.commit().await
        };
        self.db.transact("close_show", close).await
    }

    /// Marks those of these checkouts as undone by calling this show off that are sold, and asks for the
    /// refund of each for which nobody has asked (I-REFUND-ONCE). Answers these, leased to their runner,
    /// and how many of the ids are no checkout's.
    pub(crate) async fn undo_sales(
        &self,
        show_id: i64,
        ids: Vec<Uuid>,
        refund: &Refund,
        runner: Uuid,
        lease_until: i64,
    ) -> Result<(Vec<RecordedCheckout>, usize), Error> {
        const MARK: Sql = Sql {
            postgres: "UPDATE checkout SET called_off_show = $2 \
                       WHERE checkout_id = ANY($1) AND status = 'COMPLETED' AND called_off_show IS NULL",
            sqlite: "UPDATE checkout SET called_off_show = $2 WHERE checkout_id IN (SELECT unhex(value) FROM json_each($1)) \
                     AND status = 'COMPLETED' AND called_off_show IS NULL",
        };
        const ASK: Sql = Sql {
            postgres: concat!(
                "UPDATE checkout SET refund_asked_at = $2, refund_reason = $3, runner = $4, lease_until = $5 \
                 WHERE checkout_id = ANY($1) AND status = 'COMPLETED' AND refund_asked_at IS NULL RETURNING ",
                entry_columns!()
            ),
            sqlite: concat!(
                "UPDATE checkout SET refund_asked_at = $2, refund_reason = $3, runner = $4, lease_until = $5 \
                 WHERE checkout_id IN (SELECT unhex(value) FROM json_each($1)) \
                 AND status = 'COMPLETED' AND refund_asked_at IS NULL RETURNING ",
                entry_columns!()
            ),
        };
        const KNOWN: Sql = Sql {
            postgres: "SELECT COUNT(*) AS known FROM checkout WHERE checkout_id = ANY($1)",
            sqlite: "SELECT COUNT(*) AS known FROM checkout WHERE checkout_id IN (SELECT unhex(value) FROM json_each($1))",
        };
        let undo = async || {
            let mut session = self.db.begin().await?;
            session.execute(MARK, args![ids.clone(), show_id]).await?;
            let args = args![ids.clone(), refund.asked_at, refund.reason.as_str(), runner, lease_until];
            let asked = session.all(ASK, args).await?;
            let known: i64 = session.one(KNOWN, args![ids.clone()]).await?.get("known")?;
            session.commit().await?;
            let asked = asked.iter().map(entry).collect::<Result<_, _>>()?;
            Ok::<_, Error>((asked, ids.len().saturating_sub(usize::try_from(known).unwrap_or(0))))
        };
        self.db.transact("undo_sales", undo).await
    }

    /// Counts how far the refunds of a show are that were begun, and writes it, with so many sales more
    /// that no checkout knows. Answers the count.
    pub(crate) async fn tally(&self, show_id: i64, strays: i64) -> Result<Tally, Error> {
        const NOTE: &str = "UPDATE call_off SET sales = CASE WHEN sales > $2 THEN sales ELSE $2 END, refunded = $3, parked = $4 \
                            WHERE show_id = $1 AND done_at IS NULL";
        let begun = counted(&mut self.db.read().await?, show_id).await?;
        let args = args![show_id, begun.sales + strays, begun.refunded, begun.parked + strays];
        self.db.write(NOTE, args).await?;
        Ok(begun)
    }

    /// Writes that all of it is done, once. A refund that is still under way leaves it as it is: `false`.
    pub(crate) async fn finish_call_off(&self, show_id: i64, now: i64) -> Result<bool, Error> {
        const UNDER_WAY: &str = concat!(
            "SELECT 1 AS one FROM checkout WHERE called_off_show = $1 AND ",
            refunding!(),
            " LIMIT 1"
        );
        const SQL: &str = "UPDATE call_off SET done_at = CASE WHEN closed_at > $2 THEN closed_at ELSE $2 END, sales = $3, refunded = $3, \
                           parked = 0 WHERE show_id = $1 AND done_at IS NULL AND closed_at IS NOT NULL";
        let finish = async || {
            let mut session = self.db.begin().await?;
            let is_through = session.optional(UNDER_WAY, args![show_id]).await?.is_none();
            if is_through {
                let begun = counted(&mut session, show_id).await?;
                session.execute(SQL, args![show_id, now, begun.sales]).await?;
            }
            session.commit().await?;
            Ok(is_through)
        };
        self.db.transact("finish_call_off", finish).await
    }
}

async fn counted(session: &mut Session, show_id: i64) -> Result<Tally, Error> {
    let row = session.one(COUNT, args![show_id]).await?;
    Ok(Tally { sales: row.get("sales")?, refunded: row.get("refunded")?, parked: row.get("parked")? })
}

fn read(row: &Row) -> Result<CallOff, Error> {
    Ok(CallOff {
        show_id: row.get("show_id")?,
        tally: Tally { sales: row.get("sales")?, refunded: row.get("refunded")?, parked: row.get("parked")? },
        is_closed: row.get::<Option<i64>>("closed_at")?.is_some(),
        is_done: row.get::<Option<i64>>("done_at")?.is_some(),
    })
}

#[cfg(test)]
#[path = "call_offs_tests.rs"]
mod tests;
