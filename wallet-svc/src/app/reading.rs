//! Reading wallets, entries and payments.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Ledger;
use crate::{
    domain::{Entry, Payment, Refusal, Wallet},
    error::Error,
    store::{entries, payments, wallets},
};

/// The place in a list of entries after which a page starts. The list is newest first.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct EntryCursor {
    /// The page has entries with a lower sequence.
    sequence: i64,
}

impl EntryCursor {
    /// The place before the newest entry.
    pub(crate) const START: Self = Self { sequence: i64::MAX };

    /// The place of this entry.
    pub(crate) const fn of(entry: &Entry) -> Self {
        Self { sequence: entry.sequence }
    }
}

/// The place in a list of payments after which a page starts: by time, then id. The list is newest first.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct PaymentCursor {
    created_at: i64,
    payment_id: Uuid,
}

impl PaymentCursor {
    /// The place before the newest payment.
    pub(crate) const START: Self = Self { created_at: i64::MAX, payment_id: Uuid::max() };

    /// The place of this payment.
    pub(crate) const fn of(payment: &Payment) -> Self {
        Self { created_at: payment.created_at, payment_id: payment.payment_id }
    }
}

impl Ledger {
    /// Reads a user's wallet; `WalletNotFound` when there is none.
    pub(crate) async fn wallet(&self, user_id: &str) -> Result<Wallet, Error> {
        let mut session = self.db.read().await?;
        wallets::find(&mut session, user_id).await?.ok_or_else(|| no_wallet(user_id).into())
    }

    /// At most `limit` entries of a wallet after a place, newest first; `WalletNotFound` when there is no
    /// wallet.
    pub(crate) async fn entries(
        &self,
        user_id: &str,
        from: EntryCursor,
        limit: i64,
    ) -> Result<Vec<Entry>, Error> {
        let mut session = self.db.read().await?;
        let items = entries::page(&mut session, user_id, from.sequence, limit).await?;
        // A wallet is opened together with its first entry, so only an empty page leaves open whether there
        // is one.
        if items.is_empty() && wallets::find(&mut session, user_id).await?.is_none() {
            return Err(no_wallet(user_id).into());
        }
        Ok(items)
    }

    /// Reads a payment; `PaymentNotFound` when no payment has this id.
    pub(crate) async fn payment(&self, payment_id: Uuid) -> Result<Payment, Error> {
        let mut session = self.db.read().await?;
        let payment = payments::find(&mut session, payment_id).await?;
        payment.ok_or_else(|| Refusal::PaymentNotFound { payment_id }.into())
    }

    /// At most `limit` payments of a user after a place, newest first; none for an unknown user.
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
