//! Refunds in the journal: a completed checkout is marked once as one whose sale is undone, and ends as
//! COMPENSATED once, with its event. In between runners take it up as they take up a pending one.

use boxoffice_proto::Reason;
use chassis::{
    args,
    db::{Error, Session},
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    journal::{Journal, refunding},
    rows::{entry, entry_columns, tell},
};
use crate::domain::checkout::{Checkout, RecordedCheckout, Refund};

/// The word that is kept as the reason of a checkout whose sale was undone. Programs of before, which do not
/// know of refunds, know it as well.
pub(crate) const UNDONE: &str = Reason::ReservationCancelled.as_str();

impl Journal {
    /// Marks a completed checkout as one whose sale is undone (I-REFUND-ONCE), leased to its runner. `None`:
    /// it is not COMPLETED, or was marked before.
    pub(crate) async fn ask_refund(
        &self,
        checkout_id: Uuid,
        refund: &Refund,
        runner: Uuid,
        lease_until: i64,
    ) -> Result<Option<RecordedCheckout>, Error> {
        const SQL: &str = concat!(
            "UPDATE checkout SET refund_asked_at = $2, refund_reason = $3, runner = $4, lease_until = $5 \
             WHERE checkout_id = $1 AND status = 'COMPLETED' AND refund_asked_at IS NULL RETURNING ",
            entry_columns!()
        );
        let ask = async || {
            let args = args![checkout_id, refund.asked_at, refund.reason.as_str(), runner, lease_until];
            let mut session = self.db.begin().await?;
            let marked = session.optional(SQL, args).await?;
            session.commit().await?;
            marked.as_ref().map(entry).transpose()
        };
        self.db.transact("ask_refund", ask).await
    }

    /// Ends the refund of a checkout, once, with its events, and adds the rounds in which an outcome stayed
    /// unknown to the attempts. Answers the journal's row, and whether it was this call that ended it.
    pub(crate) async fn settle_refund(
        &self,
        checkout: &Checkout,
        rounds: i64,
        events: &[Value],
    ) -> Result<(Option<RecordedCheckout>, bool), Error> {
        let events = Value::from_iter(events.iter().cloned()).to_string();
        let settle = async || {
            let mut session = self.db.begin().await?;
            let settled = end(&mut session, checkout, rounds, &events).await?;
            session.commit().await?;
            Ok::<_, Error>(settled)
        };
        match self.db.transact("settle_refund", settle).await? {
            Some(entry) => Ok((Some(entry), true)),
            None => Ok((self.get(checkout.checkout_id).await?, false)),
        }
    }
}

async fn end(
    session: &mut Session,
    checkout: &Checkout,
    rounds: i64,
    events: &str,
) -> Result<Option<RecordedCheckout>, Error> {
    const END: &str = concat!(
        "UPDATE checkout SET status = 'COMPENSATED', reason = $2, refunded_at = $3, attempts = attempts + $4, story = $5, \
         parked_at = NULL WHERE checkout_id = $1 AND status = 'COMPLETED' AND ",
        refunding!(),
        " RETURNING ",
        entry_columns!()
    );
    const QUEUE: &str = "INSERT INTO outbox (checkout_id, events, due_at, attempts) VALUES ($1, $2, $3, 0)";
    let (id, at) = (checkout.checkout_id, checkout.refund.as_ref().and_then(|refund| refund.done_at));
    let ended = session.optional(END, args![id, UNDONE, at, rounds, tell(&checkout.story)?]).await?;
    if ended.is_some() {
        session.execute(QUEUE, args![id, events, at]).await?;
    }
    ended.as_ref().map(entry).transpose()
}
