//! The sales of one show, each with what the ledger says of its money: the list that a seller settles with.
//!
//! The sales are booking's, of one instant; the ledger is read after them. So a payment in flight is either
//! not in the list or has its debit. A refund frees the seats before the money is back: a sale that is taken
//! back at that very moment may lack its refund, and is told as one that does not agree.

use std::collections::HashMap;

use futures::TryStreamExt;

use crate::{Error, Sources, snapshot::Snapshot};

/// A sale, as booking has it, and what the ledger has of its payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// The payment, which is also the id of the checkout.
    pub payment_id: String,
    /// The reservation that it confirmed.
    pub reservation_id: String,
    /// The id of the user whose payment it was.
    pub user_id: String,
    /// The numbers of its seats, rising.
    pub seats: Vec<i64>,
    /// What was to be paid, in minor units.
    pub amount: i64,
    /// When it was sold, in microseconds since 1970.
    pub sold_at: i64,
    /// When it was taken back; `None`: it stands.
    pub refunded_at: Option<i64>,
    /// What the ledger took from the buyer.
    pub debited: i64,
    /// What the ledger gave back.
    pub refunded: i64,
}

impl Sale {
    /// What is left of it for the seller.
    #[must_use]
    pub const fn net(&self) -> i64 {
        self.debited - self.refunded
    }

    /// Whether the ledger agrees: all of it taken, and given back exactly if the sale was taken back.
    #[must_use]
    pub const fn agrees(&self) -> bool {
        let back = if self.refunded_at.is_some() { self.amount } else { 0 };
        self.debited == self.amount && self.refunded == back
    }
}

/// The sales of a show, the first one first; `None`: there is no such show.
///
/// # Errors
/// A database cannot be opened or read, or none is given.
pub async fn sales(sources: &Sources, show_id: i64) -> Result<Option<Vec<Sale>>, Error> {
    const SHOW: &str = "SELECT show_id FROM show WHERE show_id = {number}";
    const SALES: &str = "SELECT {id:payment_id}, {id:reservation_id}, user_id, seats, amount, confirmed_at, CAST(NULL AS BIGINT) \
         FROM reservation WHERE show_id = {number} \
         UNION ALL SELECT {id:refunded_payment_id}, {id:reservation_id}, user_id, seats, amount, sold_at, closed_at \
         FROM hold WHERE show_id = {number} AND refunded_payment_id IS NOT NULL";
    const LEDGER: &str = "SELECT {id:payment_id}, amount FROM entry WHERE payment_id IS NOT NULL";
    let missing = |service| Error::NotGiven { service };
    let mut booking = Snapshot::of(sources.booking.as_ref(), "booking", &["show", "hold", "reservation"])
        .await?
        .ok_or(missing("booking"))?;
    let mut wallet =
        Snapshot::of(sources.wallet.as_ref(), "wallet", &["entry"]).await?.ok_or(missing("wallet"))?;
    let is_there = booking.rows_with(SHOW, show_id).try_next().await?.is_some();
    let mut sales = Vec::new();
    let mut rows = booking.rows_with(SALES, show_id);
    while let Some(row) = rows.try_next().await? {
        let seats: String = row.get(3)?;
        sales.push(Sale {
            payment_id: row.get(0)?,
            reservation_id: row.get(1)?,
            user_id: row.get(2)?,
            seats: serde_json::from_str(&seats)
                .map_err(|error| Error::Unreadable(sqlx::Error::Decode(error.into())))?,
            amount: row.get(4)?,
            sold_at: row.get(5)?,
            refunded_at: row.get(6)?,
            debited: 0,
            refunded: 0,
        });
    }
    drop(rows);
    sales.sort_by(|a, b| (a.sold_at, &a.payment_id).cmp(&(b.sold_at, &b.payment_id)));
    let of: HashMap<String, usize> =
        sales.iter().enumerate().map(|(nth, sale)| (sale.payment_id.clone(), nth)).collect();
    let mut entries = wallet.rows(LEDGER);
    while let Some(row) = entries.try_next().await? {
        let (payment, amount): (String, i64) = (row.get(0)?, row.get(1)?);
        if let Some(sale) = of.get(&payment).and_then(|nth| sales.get_mut(*nth)) {
            if amount < 0 {
                sale.debited -= amount;
            } else {
                sale.refunded += amount;
            }
        }
    }
    drop(entries);
    booking.close().await?;
    wallet.close().await?;
    Ok(is_there.then_some(sales))
}
