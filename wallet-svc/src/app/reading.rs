//! Reading wallets, ledgers and payments.

use chassis::page;
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
}

/// A page, and where the next one starts (if there is one).
type Page<T, C> = (Vec<T>, Option<C>);

impl Ledger {
    /// A user's wallet.
    pub(crate) async fn wallet(&self, user_id: &str) -> Result<Wallet, Error> {
        let mut session = self.db.read().await?;
        wallets::find(&mut session, user_id).await?.ok_or_else(|| no_wallet(user_id).into())
    }

    /// A wallet's movements, newest first.
    pub(crate) async fn entries(&self, user_id: &str, from: EntryCursor, size: i64) -> Result<Page<Entry, EntryCursor>, Error> {
        let mut session = self.db.read().await?;
        let items = entries::page(&mut session, user_id, from.sequence, size + 1).await?;
        // A wallet is opened by its first entry, so only an empty page leaves the question open.
        if items.is_empty() && wallets::find(&mut session, user_id).await?.is_none() {
            return Err(no_wallet(user_id).into());
        }
        Ok(page::cut(items, size, |last| EntryCursor { sequence: last.sequence }))
    }

    /// A payment.
    pub(crate) async fn payment(&self, payment_id: Uuid) -> Result<Payment, Error> {
        let mut session = self.db.read().await?;
        let payment = payments::find(&mut session, payment_id).await?;
        payment.ok_or_else(|| Refusal::PaymentNotFound { payment_id }.into())
    }

    /// A user's payments, newest first.
    pub(crate) async fn payments(
        &self,
        user_id: &str,
        from: PaymentCursor,
        size: i64,
    ) -> Result<Page<Payment, PaymentCursor>, Error> {
        let mut session = self.db.read().await?;
        let items = payments::page(&mut session, user_id, (from.created_at, from.payment_id), size + 1).await?;
        Ok(page::cut(items, size, |last| PaymentCursor { created_at: last.created_at, payment_id: last.payment_id }))
    }
}

fn no_wallet(user_id: &str) -> Refusal {
    Refusal::WalletNotFound { user_id: user_id.to_owned() }
}
