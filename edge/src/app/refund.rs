//! Undoing a sale: the seats are taken back and the money is given back, by the runner that settles
//! checkouts.
//!
//! What begins a refund is one write to the checkout's row, which succeeds once (I-REFUND-ONCE). Whoever asks
//! again, at the same time or later, waits for that same refund.

use boxoffice_proto::{Fault, Reason, checkout::RefundCheckoutRequest};
use chassis::context::{Context, TraceParent};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    acting::before,
    caller::Caller,
    runner::{LEASE, Runner},
    till::{Till, patience, tell},
};
use crate::{
    domain::{
        checkout::{Checkout, RecordedCheckout, Refund},
        saga::Saga,
    },
    error::Error,
};

impl Till {
    /// Refunds a checkout. It is COMPENSATED then, or still COMPLETED when the refund is not done after the
    /// bounded wait; then it goes on by itself.
    ///
    /// # Errors
    /// PAYMENT_NOT_FOUND; REFUND_NOT_POSSIBLE when it is not COMPLETED.
    pub(crate) async fn refund(
        &self,
        caller: &Caller,
        checkout_id: Uuid,
        reason: String,
    ) -> Result<Checkout, Fault> {
        let until = patience();
        caller
            .allow(RefundCheckoutRequest { checkout_id: checkout_id.to_string(), reason: String::new() })?;
        let was = before(tell, self.payment(caller, checkout_id).await, Reason::PaymentNotFound)?;
        let (till, is_known) = (self.clone(), was.is_some());
        let refund = async move {
            match till.ask_refund(checkout_id, reason, until).await? {
                Some(entry) => Ok(entry.checkout),
                // A payment that was made in the wallet without a checkout has no sale to undo.
                None if is_known => Err(not_possible(checkout_id)),
                None => Err(Fault::new(Reason::PaymentNotFound, Reason::PaymentNotFound.title())
                    .with("payment_id", checkout_id)),
            }
        };
        self.acting.act::<RefundCheckoutRequest, _>(caller, &checkout_id.to_string(), was, tell, refund).await
    }

    /// Begins the refund, or joins the one that was begun before, and waits for it. `None`: there is no such
    /// checkout.
    async fn ask_refund(
        &self,
        checkout_id: Uuid,
        reason: String,
        until: Instant,
    ) -> Result<Option<RecordedCheckout>, Fault> {
        let asked_at = self.clock.now();
        let refund = Refund { asked_at, reason, done_at: None };
        let journal = self.runner.journal();
        let asked = journal.ask_refund(checkout_id, &refund, self.runner.id(), asked_at + LEASE).await;
        let entry = match asked.map_err(Error::from)? {
            Some(entry) => {
                let runner = self.runner.clone();
                let trace = Context::current().map_or_else(TraceParent::random, |context| context.trace);
                let begun = entry.clone();
                self.runner.spawn(async move { runner.undo(begun, asked_at, trace).await });
                entry
            }
            None => match journal.get(checkout_id).await.map_err(Error::from)? {
                Some(entry) if entry.checkout.refund.is_some() => entry,
                Some(_) => return Err(not_possible(checkout_id)),
                None => return Ok(None),
            },
        };
        Ok(Some(self.outcome(entry, until, Checkout::is_being_refunded).await?))
    }
}

impl Runner {
    /// Undoes a sale to the end, or until this process stops. Only whoever has begun its refund may: somebody
    /// who merely asks for it would be in the way of a runner that takes it over.
    pub(super) async fn undo(&self, begun: RecordedCheckout, asked_at: i64, trace: TraceParent) {
        // The payment may still be about to leave.
        let turn = self.next_turn(begun.checkout.checkout_id).await;
        self.run(turn, begun, Saga::undo(), asked_at, trace).await;
    }
}

fn not_possible(checkout_id: Uuid) -> Fault {
    let detail = "Only a payment that is COMPLETED can be refunded.";
    Fault::new(Reason::RefundNotPossible, detail).with("payment_id", checkout_id)
}
