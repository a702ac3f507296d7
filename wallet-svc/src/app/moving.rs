//! Charging and using a wallet, without a payment.

use std::iter;

use chassis::idempotency::{Key, recall, record};
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

/// Which way the money goes, seen from the wallet.
#[derive(Clone, Copy, Debug)]
enum Direction {
    In,
    Out,
}

impl Ledger {
    /// Puts money into a wallet and opens it when there is none, once for a request id.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub(crate) async fn charge(&self, command: &Move, request_id: Option<String>) -> Result<Entry, Error> {
        let key = request_id.map(|id| Key::new(id, "ChargeWallet", &command.user_id, command));
        let charge = || self.try_move(Direction::In, command, key.as_ref());
        self.db.transact("charge_wallet", charge).await.map(counted)
    }

    /// Spends money from a wallet, once for a request id.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub(crate) async fn spend(&self, command: &Move, request_id: Option<String>) -> Result<Entry, Error> {
        let key = request_id.map(|id| Key::new(id, "UseWallet", &command.user_id, command));
        let spend = || self.try_move(Direction::Out, command, key.as_ref());
        self.db.transact("use_wallet", spend).await.map(counted)
    }

    /// Answers the entry, and whether it is new.
    async fn try_move(
        &self,
        direction: Direction,
        command: &Move,
        key: Option<&Key>,
    ) -> Result<(Entry, bool), Error> {
        let now = self.clock.now();
        let mut session = self.db.begin().await?;
        if let Some(entry) = recall(&mut session, key).await? {
            return Ok((entry, false));
        }
        let user_id = &command.user_id;
        let moved = match direction {
            Direction::In => wallets::lock_or_open(&mut session, user_id).await?.charge(command.amount),
            Direction::Out => {
                let wallet = wallets::lock(&mut session, iter::once(user_id.as_str())).await?.remove(user_id);
                let wallet = wallet.ok_or_else(|| Refusal::WalletNotFound { user_id: user_id.clone() })?;
                wallet.spend(command.amount)
            }
        };
        let movement = match moved {
            Ok(movement) => movement,
            // Unless an equal request moved the money while this one waited for the wallet's row: then that
            // request's recorded answer is the answer to this one too.
            Err(refusal) => match recall(&mut session, key).await? {
                Some(entry) => return Ok((entry, false)),
                None => return Err(refusal.into()),
            },
        };
        let entry = post(&mut session, movement, user_id, None, now).await?;
        record(&mut session, key, &entry, now).await?;
        session.commit().await?;
        Ok((entry, true))
    }
}

fn counted((entry, is_new): (Entry, bool)) -> Entry {
    if is_new {
        count_movement(&entry);
    }
    entry
}
