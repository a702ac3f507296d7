//! Charging and using a wallet, without a payment.

use std::iter;

use chassis::{
    db::Session,
    idempotency::{Key, recall, record},
};
use serde::Serialize;

use super::{Ledger, count_movement, post};
use crate::{
    domain::{Entry, Refusal},
    error::Error,
    store::wallets,
};

/// A request to charge or use a wallet.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Move {
    /// The user whose wallet it is.
    pub(crate) user_id: String,
    /// The amount in the currency's minor unit, positive in both directions.
    pub(crate) amount: i64,
}

impl Ledger {
    /// Puts money into a wallet and opens it when there is none, once for a request id.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub(crate) async fn charge(&self, command: &Move, request_id: Option<String>) -> Result<Entry, Error> {
        let key = request_id.map(|id| Key::new(id, "ChargeWallet", &command.user_id, command));
        let (entry, is_new) =
            self.db.transact("charge_wallet", || self.try_charge(command, key.as_ref())).await?;
        if is_new {
            count_movement(&entry);
        }
        Ok(entry)
    }

    async fn try_charge(&self, command: &Move, key: Option<&Key>) -> Result<(Entry, bool), Error> {
        let now = self.clock.now();
        let mut session = self.db.begin().await?;
        if let Some(entry) = recall(&mut session, key).await? {
            return Ok((entry, false));
        }
        let wallet = wallets::lock_or_open(&mut session, &command.user_id).await?;
        let movement = match wallet.charge(command.amount) {
            Ok(movement) => movement,
            Err(refusal) => return first_answer(&mut session, key, refusal).await,
        };
        let entry = post(&mut session, movement, &command.user_id, None, now).await?;
        record(&mut session, key, &entry, now).await?;
        session.commit().await?;
        Ok((entry, true))
    }

    /// Spends money from a wallet, once for a request id.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub(crate) async fn spend(&self, command: &Move, request_id: Option<String>) -> Result<Entry, Error> {
        let key = request_id.map(|id| Key::new(id, "UseWallet", &command.user_id, command));
        let (entry, is_new) =
            self.db.transact("use_wallet", || self.try_spend(command, key.as_ref())).await?;
        if is_new {
            count_movement(&entry);
        }
        Ok(entry)
    }

    async fn try_spend(&self, command: &Move, key: Option<&Key>) -> Result<(Entry, bool), Error> {
        let now = self.clock.now();
        let mut session = self.db.begin().await?;
        if let Some(entry) = recall(&mut session, key).await? {
            return Ok((entry, false));
        }
        let user_id = &command.user_id;
        let wallet = wallets::lock(&mut session, iter::once(user_id.as_str())).await?.remove(user_id);
        let wallet = wallet.ok_or_else(|| Refusal::WalletNotFound { user_id: user_id.clone() })?;
        let movement = match wallet.spend(command.amount) {
            Ok(movement) => movement,
            Err(refusal) => return first_answer(&mut session, key, refusal).await,
        };
        let entry = post(&mut session, movement, user_id, None, now).await?;
        record(&mut session, key, &entry, now).await?;
        session.commit().await?;
        Ok((entry, true))
    }
}

/// The refusal, unless an equal request moved the money while this one waited for the wallet's row. Then that
/// request's recorded answer is the answer to this one too.
async fn first_answer(
    session: &mut Session,
    key: Option<&Key>,
    refusal: Refusal,
) -> Result<(Entry, bool), Error> {
    match recall(session, key).await? {
        Some(entry) => Ok((entry, false)),
        None => Err(refusal.into()),
    }
}
