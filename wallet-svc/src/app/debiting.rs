//! The plain payments of a moment in one transaction: orders that nobody has seen before, and that their
//! wallets cover.
//!
//! Whatever else an order may be (repeated, not covered, barred, with a request id) is none of the batch's:
//! it leaves nothing here, and is answered by a transaction of its own ([`super::paying`]).

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use chassis::{
    clock::Clock,
    db::{Db, Error},
};
use uuid::Uuid;

use super::paying::Paid;
use crate::{
    domain::{Entry, Order, Payment, Wallet},
    store::{payments, wallets},
};

/// A payment with its entry in the ledger.
#[derive(Clone, Debug)]
pub(super) struct Debited {
    pub(super) paid: Paid,
    pub(super) entry: Entry,
}

/// Debits those that are plain; `None` for the others. Of several payments of one wallet the one that came
/// first goes first.
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
    // Only the first of equal ids finds it.
    Ok(orders.iter().map(|order| done.remove(&order.payment_id)).collect())
}
