//! The use cases: what happens in which transaction.
//!
//! Plain payments go many to a transaction ([`debiting`]); all else has one each. It opens, locks what it
//! will change (payment, then wallet), lets the domain decide on what is locked, writes, and commits. What
//! was refused before anything was written is dropped, which undoes it. Measures are taken after the commit.

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

/// The ledger and what can be done with it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    db: Db,
    clock: Clock,
    debits: Group<Order, Option<Debited>>,
}

impl Ledger {
    /// A ledger in a database that has its tables.
    pub(crate) fn new(db: Db, clock: Clock) -> Self {
        let ticking = clock.clone();
        let debits = Group::of_writes(db.clone(), "debit_wallets", move |db, orders| {
            debiting::debit(db, ticking.clone(), orders)
        });
        Self { db, clock, debits }
    }

    /// The database beneath, for tests that look at it directly.
    #[cfg(test)]
    pub(crate) const fn db(&self) -> &Db {
        &self.db
    }
}

/// Writes a movement of a locked wallet.
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

/// Counts what was committed; never how much it was.
fn count_movement(entry: &Entry) {
    metrics::counter!("wallet_movements_total", "kind" => entry.kind.as_str()).increment(1);
}
