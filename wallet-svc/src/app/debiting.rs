//! The batch of payments: the plain orders that wait at one moment are committed as one transaction. An order
//! is plain when its payment id is new and its wallet covers it.
//!
//! Any other order (repeated, not covered, cancelled before, with a request id) leaves nothing here and is
//! answered by a transaction of its own ([`super::paying`]).

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use chassis::{
    clock::Clock,
    db::{Db, Error},
};
use uuid::Uuid;

use crate::{
    domain::{Entry, Order, Payment, Wallet},
    store::{payments, wallets},
};

/// The answer to an order that was granted.
#[derive(Clone, Debug)]
pub(crate) struct Paid {
    /// The payment as it was recorded.
    pub(crate) payment: Payment,
    /// The wallet's balance after it, in the currency's minor unit.
    pub(crate) balance: i64,
}

/// A payment that was debited.
#[derive(Clone, Debug)]
pub(super) struct Debited {
    /// The payment and the balance after it.
    pub(super) paid: Paid,
    /// Its entry in the ledger.
    pub(super) entry: Entry,
}

/// Debits the plain orders and answers `None` for the others. Several orders on one wallet are debited in the
/// order in which they came.
pub(super) async fn debit(db: Db, clock: Clock, orders: Arc<[Order]>) -> Result<Vec<Option<Debited>>, Error> {
    let now = clock.now();
    let mut session = db.begin().await?;
    let mut ids = HashSet::new();
    let firsts: Vec<&Order> =
        orders.iter().filter(|order| order.amount > 0 && ids.insert(order.payment_id)).collect();
    let by_id: BTreeMap<Uuid, Payment> =
        firsts.iter().map(|order| (order.payment_id, Payment::completed(order, now))).collect();
    let claimed = payments::claim(&mut session, by_id.values()).await?;

    let ours: Vec<&Order> = firsts.into_iter().filter(|order| claimed.contains(&order.payment_id)).collect();
    let mut wallets = wallets::lock(&mut session, ours.iter().map(|order| order.user_id.as_str())).await?;
    let mut done = HashMap::new();
    let mut not_covered = Vec::new();
    for order in ours {
        let wallet = wallets.get(&order.user_id).copied().unwrap_or_default();
        let Ok(movement) = wallet.pay(order.amount, order.payment_id) else {
            not_covered.push(order.payment_id);
            continue;
        };
        let entry = movement.entry(Uuid::new_v4(), &order.user_id, Some(order.payment_id), now);
        let after = Wallet { balance: entry.balance_after, entries: entry.sequence };
        wallets.insert(order.user_id.clone(), after);
        let paid = Paid { payment: Payment::completed(order, now), balance: entry.balance_after };
        done.insert(order.payment_id, Debited { paid, entry });
    }
    wallets::post(&mut session, done.values().map(|debited| &debited.entry)).await?;
    payments::unclaim(&mut session, not_covered).await?;
    session.commit().await?;
    // Of orders with the same payment id only the first finds it here; the others are answered alone.
    Ok(orders.iter().map(|order| done.remove(&order.payment_id)).collect())
}
