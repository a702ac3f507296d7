//! Reading wallets, ledgers and payments.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Ledger;
use crate::{
    domain::{Entry, Payment, Refusal, Wallet},
    error::Error,
    store::{entries, payments, wallets},
};

/// Where a page of entries starts: after (that is, below) this one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct EntryCursor {
    sequence: i64,
}

impl EntryCursor {
    /// Where the newest entry is.
    pub(crate) const START: Self = Self { sequence: i64::MAX };

    /// Where this entry is.
    pub(crate) const fn of(entry: &Entry) -> Self {
        Self { sequence: entry.sequence }
    }
}

/// Where a page of payments starts: after (that is, before) this one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct PaymentCursor {
    created_at: i64,
    payment_id: Uuid,
}

impl PaymentCursor {
    /// Where the newest payment is.
    pub(crate) const START: Self = Self { created_at: i64::MAX, payment_id: Uuid::max() };

    /// Where this payment is.
    pub(crate) const fn of(payment: &Payment) -> Self {
        Self { created_at: payment.created_at, payment_id: payment.payment_id }
    }
}

impl Ledger {
    /// A user's wallet.
    pub(crate) async fn wallet(&self, user_id: &str) -> Result<Wallet, Error> {
        let mut session = self.db.read().await?;
        wallets::find(&mut session, user_id).await?.ok_or_else(|| no_wallet(user_id).into())
    }

    /// A wallet's movements after a place, newest first.
    pub(crate) async fn entries(
        &self,
        user_id: &str,
        from: EntryCursor,
        limit: i64,
    ) -> Result<Vec<Entry>, Error> {
        let mut session = self.db.read().await?;
        let items = entries::page(&mut session, user_id, from.sequence, limit).await?;
        // A wallet is opened by its first entry, so only an empty page leaves the question open.
        if items.is_empty() && wallets::find(&mut session, user_id).await?.is_none() {
            return Err(no_wallet(user_id).into());
        }
        Ok(items)
    }

    /// A payment.
    pub(crate) async fn payment(&self, payment_id: Uuid) -> Result<Payment, Error> {
        let mut session = self.db.read().await?;
        let payment = payments::find(&mut session, payment_id).await?;
        payment.ok_or_else(|| Refusal::PaymentNotFound { payment_id }.into())
    }

    /// A user's payments after a place, newest first.
    pub(crate) async fn payments(
        &self,
        user_id: &str,
        from: PaymentCursor,
        limit: i64,
    ) -> Result<Vec<Payment>, Error> {
        let mut session = self.db.read().await?;
        Ok(payments::page(&mut session, user_id, (from.created_at, from.payment_id), limit).await?)
    }
}

fn no_wallet(user_id: &str) -> Refusal {
    Refusal::WalletNotFound { user_id: user_id.to_owned() }
}
