//! Payments and their cancellations, each with its entry in one transaction.
//!
//! A transaction first writes or locks the row of the payment id. So of a payment and its cancellation that
//! race, one waits until the other is committed: the payment is refunded, or it is refused because it was
//! cancelled before it arrived.

use std::iter;

use chassis::{
    db::{self, Session},
    idempotency::{Key, recall, record},
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Ledger, count_movement,
    debiting::{Debited, Paid},
    post,
};
use crate::{
    domain::{Cancellation, Entry, Order, Payment, PaymentStatus, Refusal, Wallet},
    error::Error,
    store::{payments, wallets},
};

/// A request to cancel a payment.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cancel {
    /// The payment's id; the payment need not have arrived yet.
    pub(crate) payment_id: Uuid,
    /// Why it is cancelled, as a stable word; it may be empty.
    pub(crate) reason: String,
}

/// The answer to a cancellation.
#[derive(Clone, Debug)]
pub(crate) struct Cancelled {
    /// The payment after the cancellation.
    pub(crate) payment: Payment,
    /// The wallet's balance after it, in the currency's minor unit; 0 on a tombstone.
    pub(crate) balance: i64,
    /// Whether money was given back, now or by an earlier cancellation.
    pub(crate) refunded: bool,
}

/// What one transaction did: its answer, and what the metrics count once it is committed.
struct Done<T> {
    answer: T,
    /// The status that a payment got.
    settled: Option<PaymentStatus>,
    /// The entry that was written.
    entry: Option<Entry>,
}

impl<T> Done<T> {
    const fn nothing(answer: T) -> Self {
        Self { answer, settled: None, entry: None }
    }

    fn counted(self) -> T {
        if let Some(status) = self.settled {
            metrics::counter!("wallet_payments_total", "status" => status.as_str()).increment(1);
        }
        if let Some(entry) = &self.entry {
            count_movement(entry);
        }
        self.answer
    }
}

impl Ledger {
    /// Debits a wallet for a reservation, once for a payment id. A payment that the balance does not cover is
    /// refused, and that it FAILED is committed.
    #[tracing::instrument(skip_all, fields(payment_id = %order.payment_id), err(level = "debug"))]
    pub(crate) async fn pay(&self, order: &Order, request_id: Option<String>) -> Result<Paid, Error> {
        let key = request_id.map(|id| Key::new(id, "CreatePayment", &order.user_id, order));
        if key.is_none()
            && let Some(Debited { paid, entry }) = self.debits.ask(order.clone()).await?
        {
            return Ok(
                Done { answer: paid, settled: Some(PaymentStatus::Completed), entry: Some(entry) }.counted()
            );
        }
        let done = self.db.transact("create_payment", || self.try_pay(order, key.as_ref())).await?;
        Ok(done.counted()?)
    }

    async fn try_pay(&self, order: &Order, key: Option<&Key>) -> Result<Done<Result<Paid, Refusal>>, Error> {
        let now = self.clock.now();
        let mut session = self.db.begin().await?;
        // The row of the payment id leads to the first answer. The request id is recorded only so that it
        // cannot be used for another request.
        let known: Option<()> = recall(&mut session, key).await?;
        let payment = Payment::completed(order, now);
        let claimed = payments::claim(&mut session, iter::once(&payment)).await?;
        let done = if claimed.contains(&order.payment_id) {
            debit(&mut session, order, now).await?
        } else {
            answer_again(&mut session, order).await?
        };
        if known.is_none() {
            record(&mut session, key, &(), now).await?;
        }
        session.commit().await?;
        Ok(done)
    }

    /// Cancels a payment and refunds it; one that has not arrived yet is refused when it arrives.
    #[tracing::instrument(skip_all, fields(payment_id = %command.payment_id), err(level = "debug"))]
    pub(crate) async fn cancel(
        &self,
        command: &Cancel,
        request_id: Option<String>,
    ) -> Result<Cancelled, Error> {
        let key = request_id.map(|id| Key::new(id, "CancelPayment", "", command));
        let done = self.db.transact("cancel_payment", || self.try_cancel(command, key.as_ref())).await?;
        Ok(done.counted())
    }

    async fn try_cancel(&self, command: &Cancel, key: Option<&Key>) -> Result<Done<Cancelled>, Error> {
        let now = self.clock.now();
        let mut session = self.db.begin().await?;
        let known: Option<()> = recall(&mut session, key).await?;
        let done = match payments::lock(&mut session, command.payment_id).await? {
            Some(payment) => take_back(&mut session, payment, &command.reason, now).await?,
            None => bar(&mut session, command, now).await?,
        };
        if known.is_none() {
            record(&mut session, key, &(), now).await?;
        }
        session.commit().await?;
        Ok(done)
    }
}

/// The debit of a payment whose row this transaction has just written as completed.
async fn debit(session: &mut Session, order: &Order, now: i64) -> Result<Done<Result<Paid, Refusal>>, Error> {
    let payment = Payment::completed(order, now);
    if order.amount == 0 {
        let balance = wallets::find(session, &order.user_id).await?.unwrap_or_default().balance;
        return Ok(Done {
            answer: Ok(Paid { payment, balance }),
            settled: Some(PaymentStatus::Completed),
            entry: None,
        });
    }
    // A user without a wallet has a balance of 0, so the payment fails like any other that is not covered.
    let wallet = lock(session, &order.user_id).await?;
    match wallet.pay(order.amount, order.payment_id) {
        Ok(movement) => {
            let entry = post(session, movement, &order.user_id, Some(order.payment_id), now).await?;
            let paid = Paid { payment, balance: entry.balance_after };
            Ok(Done { answer: Ok(paid), settled: Some(PaymentStatus::Completed), entry: Some(entry) })
        }
        Err(refusal @ Refusal::InsufficientFunds { .. }) => {
            payments::settle(session, &Payment::failed(order, now)).await?;
            Ok(Done { answer: Err(refusal), settled: Some(PaymentStatus::Failed), entry: None })
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// The answer to an order whose payment id is taken.
async fn answer_again(session: &mut Session, order: &Order) -> Result<Done<Result<Paid, Refusal>>, Error> {
    let payment = found(payments::find(session, order.payment_id).await?)?;
    match payment.again(order) {
        Ok(()) => {
            let balance = payments::balance_after(session, order.payment_id).await?;
            Ok(Done::nothing(Ok(Paid { payment, balance })))
        }
        // The first answer again, so it is one that a request id may stand for.
        Err(refusal @ Refusal::InsufficientFunds { .. }) => Ok(Done::nothing(Err(refusal))),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Cancels a payment that this transaction has locked.
async fn take_back(
    session: &mut Session,
    payment: Payment,
    reason: &str,
    now: i64,
) -> Result<Done<Cancelled>, Error> {
    let Cancellation::TakenBack { payment, user_id, refund } = payment.cancel(reason, now) else {
        let balance = payments::balance_after(session, payment.payment_id).await?;
        let refunded = payment.is_refunded();
        return Ok(Done::nothing(Cancelled { payment, balance, refunded }));
    };
    payments::settle(session, &payment).await?;
    let settled = Some(PaymentStatus::Cancelled);
    if refund == 0 {
        let balance = wallets::find(session, &user_id).await?.unwrap_or_default().balance;
        return Ok(Done { answer: Cancelled { payment, balance, refunded: false }, settled, entry: None });
    }
    // The wallet exists, because the debit's entry refers to it.
    let wallet = lock(session, &user_id).await?;
    let entry = post(session, wallet.refund(refund)?, &user_id, Some(payment.payment_id), now).await?;
    let cancelled = Cancelled { balance: entry.balance_after, refunded: payment.is_refunded(), payment };
    Ok(Done { answer: cancelled, settled, entry: Some(entry) })
}

/// Writes a tombstone. When the payment was committed in between, cancels it instead.
async fn bar(session: &mut Session, command: &Cancel, now: i64) -> Result<Done<Cancelled>, Error> {
    let tombstone = Payment::tombstone(command.payment_id, &command.reason, now);
    if payments::claim(session, iter::once(&tombstone)).await?.contains(&command.payment_id) {
        let answer = Cancelled { payment: tombstone, balance: 0, refunded: false };
        return Ok(Done { answer, settled: Some(PaymentStatus::Cancelled), entry: None });
    }
    let payment = found(payments::lock(session, command.payment_id).await?)?;
    take_back(session, payment, &command.reason, now).await
}

/// The user's wallet, locked until the transaction ends; an empty one for a user who has none.
async fn lock(session: &mut Session, user_id: &str) -> Result<Wallet, Error> {
    Ok(wallets::lock(session, iter::once(user_id)).await?.remove(user_id).unwrap_or_default())
}

/// The payment that a statement of this transaction has just found. Payments are never removed, so it is
/// there; should it be missing nevertheless, the transaction is retried.
fn found(payment: Option<Payment>) -> Result<Payment, Error> {
    payment.ok_or_else(|| db::Error::lost_race("the payment").into())
}
