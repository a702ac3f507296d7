//! The use cases: what happens in which transaction.
//!
//! Plain payments are committed in batches ([`debiting`]); every other request has a transaction of its own.
//! It locks the rows that it will change (payment, then wallet), lets the domain decide on them, writes and
//! commits. A request that is refused before anything is written drops its transaction, which rolls it back.
//! Metrics are counted after the commit.

mod debiting;
mod moving;
mod paying;
mod reading;

use std::iter;

use chassis::{
    clock::Clock,
    db::{Db, Group, Session},
};
use uuid::Uuid;

pub(crate) use moving::Move;
pub(crate) use paying::Cancel;
pub(crate) use reading::{EntryCursor, PaymentCursor};

use debiting::Debited;

use crate::{
    domain::{Entry, Movement, Order},
    error::Error,
    store::wallets,
};

/// The use cases on the ledger. It is cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    db: Db,
    clock: Clock,
    debits: Group<Order, Option<Debited>>,
}

impl Ledger {
    /// The use cases on a migrated database. Must be called within a Tokio runtime, because batches run as
    /// tasks.
    pub(crate) fn new(db: Db, clock: Clock) -> Self {
        let ticking = clock.clone();
        let debits = Group::of_writes(db.clone(), "debit_wallets", move |db, orders| {
            debiting::debit(db, ticking.clone(), orders)
        });
        Self { db, clock, debits }
    }

    /// The database, for tests that read it directly.
    #[cfg(test)]
    pub(crate) const fn db(&self) -> &Db {
        &self.db
    }
}

/// Writes a movement of a wallet that this transaction has locked, and answers its entry.
async fn post(
    session: &mut Session,
    movement: Movement,
    user_id: &str,
    payment_id: Option<Uuid>,
    now: i64,
) -> Result<Entry, Error> {
    let entry = movement.entry(Uuid::new_v4(), user_id, payment_id, now);
    wallets::post(session, iter::once(&entry)).await?;
    Ok(entry)
}

/// Counts a committed entry in the metrics. Amounts never appear in a metric.
fn count_movement(entry: &Entry) {
    metrics::counter!("wallet_movements_total", "kind" => entry.kind.as_str()).increment(1);
}
