//! Money is conserved: what was charged, less what was used and paid, plus what was refunded, is what the
//! wallets hold. It is checked entry by entry, so that a difference can be located.

use futures::TryStreamExt;
use unicode_normalization::is_nfc;
use uuid::Uuid;

use crate::{
    Error,
    law::Breaches,
    report::{Checked, Law, Look},
    snapshot::{Row, Snapshot, Sql},
};

/// Every wallet with its entries in order.
const LEDGER: &str = "SELECT w.user_id, w.balance, w.entries, e.sequence, e.entry_id, e.kind, e.amount, e.balance_after \
                      FROM wallet w LEFT JOIN entry e ON e.user_id = w.user_id ORDER BY w.user_id, e.sequence";

const LAWS: [Breaches; 4] = [
    Breaches {
        law: Law::LedgerSum,
        sql: Sql::both(
            "SELECT e.user_id, CAST(e.sequence AS TEXT), {id:e.entry_id} FROM entry e \
             WHERE NOT EXISTS (SELECT 1 FROM wallet w WHERE w.user_id = e.user_id)",
        ),
        ids: &["user", "sequence", "entry"],
        what: "entry {1} of {0} belongs to no wallet",
    },
    Breaches {
        law: Law::PayOnce,
        sql: Sql::both(
            "SELECT {id:e.payment_id}, e.user_id, {id:e.entry_id}, CAST(e.amount AS TEXT), e.kind FROM entry e \
             LEFT JOIN payment p ON p.payment_id = e.payment_id WHERE e.payment_id IS NOT NULL AND p.payment_id IS NULL",
        ),
        ids: &["payment", "user", "entry"],
        what: "{1} had a {4} of {3} for a payment that is not there",
    },
    Breaches {
        law: Law::PayOnce,
        sql: Sql::both(
            "SELECT {id:payment_id}, kind, CAST(COUNT(*) AS TEXT) FROM entry WHERE payment_id IS NOT NULL \
             GROUP BY payment_id, kind HAVING COUNT(*) > 1",
        ),
        ids: &["payment", "kind"],
        what: "a payment has {2} entries of kind {1}",
    },
    Breaches {
        law: Law::PayOnce,
        sql: Sql::both(
            "SELECT {id:p.payment_id}, COALESCE(p.user_id, ''), p.status, CAST(p.amount AS TEXT), \
             CAST(COALESCE(d.amount, 0) AS TEXT), CAST(COALESCE(r.amount, 0) AS TEXT), COALESCE(d.user_id, r.user_id, 'nobody') \
             FROM payment p LEFT JOIN entry d ON d.payment_id = p.payment_id AND d.kind = 'PAYMENT' \
             LEFT JOIN entry r ON r.payment_id = p.payment_id AND r.kind = 'REFUND' \
             WHERE d.user_id <> p.user_id OR r.user_id <> p.user_id \
             OR COALESCE(d.amount, 0) <> CASE WHEN p.status IN ('COMPLETED', 'CANCELLED') THEN -p.amount ELSE 0 END \
             OR COALESCE(r.amount, 0) <> CASE WHEN p.status = 'CANCELLED' THEN p.amount ELSE 0 END",
        ),
        ids: &["payment", "user"],
        what: "a payment of {3} is {2}, its entries are a debit of {4} and a refund of {5}, of {6}",
    },
];

/// The progress through the entries of one wallet.
#[derive(Debug)]
struct WalletWalk {
    user: String,
    balance: i64,
    entries: i64,
    last: i64,
    running: i64,
}

pub(crate) async fn judge(look: &mut Look, snapshot: &mut Snapshot) -> Result<(), Error> {
    walk(look, snapshot).await?;
    for law in &LAWS {
        law.judge(look, snapshot).await?;
    }
    let payments: i64 = snapshot.one("SELECT COUNT(*) FROM payment").await?.get(0)?;
    look.checked().payments = payments.unsigned_abs();
    Ok(())
}

async fn walk(look: &mut Look, snapshot: &mut Snapshot) -> Result<(), Error> {
    let mut rows = snapshot.rows(LEDGER);
    let mut wallet: Option<WalletWalk> = None;
    while let Some(row) = rows.try_next().await? {
        let user: String = row.get(0)?;
        if wallet.as_ref().is_none_or(|wallet| wallet.user != user) {
            wallet.take().into_iter().for_each(|wallet| wallet.close(look));
            let (balance, entries) = (row.get(1)?, row.get(2)?);
            let checked = look.checked();
            checked.wallets += 1;
            checked.balances += i128::from(balance);
            wallet = Some(WalletWalk { user, balance, entries, last: 0, running: 0 });
        }
        if let (Some(wallet), Some(sequence)) = (&mut wallet, row.get::<Option<i64>>(3)?) {
            wallet.entry(look, sequence, &row)?;
        }
    }
    wallet.into_iter().for_each(|wallet| wallet.close(look));
    Ok(())
}

impl WalletWalk {
    fn entry(&mut self, look: &mut Look, sequence: i64, row: &Row) -> Result<(), Error> {
        let (id, kind, amount, after): (Uuid, String, i64, i64) =
            (row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?);
        count(look.checked(), &kind, amount);
        let entries = look.checked().entries;
        look.read("entries", entries);
        let user = &self.user;
        let before = after.saturating_sub(amount);
        if sequence != self.last + 1 {
            let what = format!(
                "the entries of {user} go from {} (balance {}) to {sequence} (from {before} to {after}): what is between them is missing",
                self.last, self.running
            );
            look.differs(
                Law::LedgerNoGap,
                what,
                vec![("user", user.clone()), ("sequence", (self.last + 1).to_string())],
            );
        } else if before != self.running {
            let what = format!(
                "entry {sequence} of {user} is a {kind} of {amount} and tells a balance of {after}; the one before it left {}",
                self.running
            );
            let ids =
                vec![("user", user.clone()), ("sequence", sequence.to_string()), ("entry", id.to_string())];
            look.differs(Law::LedgerSum, what, ids);
        }
        (self.last, self.running) = (sequence, after);
        Ok(())
    }

    /// Compares the wallet with its last entry. Each entry was found to follow from the one before it, so
    /// their sum is the balance that the last one names.
    fn close(self, look: &mut Look) {
        let Self { user, balance, entries, last, running, .. } = &self;
        let ids = || vec![("user", user.clone())];
        if entries != last {
            let what = format!(
                "the wallet of {user} counts {entries} entries, the last that is there is number {last}"
            );
            look.differs(
                Law::LedgerNoGap,
                format!("{what}; its balance is {balance}, that entry leaves {running}"),
                ids(),
            );
        } else if balance != running {
            let what = format!(
                "the wallet of {user} has a balance of {balance}, its entries (the last is number {last}) add up to {running}"
            );
            look.differs(Law::LedgerSum, what, ids());
        } else if *balance < 0 {
            look.differs(Law::LedgerSum, format!("the wallet of {user} has a balance of {balance}"), ids());
        }
        if !is_nfc(user) {
            look.note(format!(
                "the wallet of {user} ({}) holds {balance} and is out of reach: it was opened by a version that did not bring names into \
                 Unicode's form C, in which everybody is looked for now",
                user.escape_unicode()
            ));
        }
    }
}

fn count(checked: &mut Checked, kind: &str, amount: i64) {
    checked.entries += 1;
    let amount = i128::from(amount);
    match kind {
        "CHARGE" => checked.charged += amount,
        "USE" => checked.used -= amount,
        "PAYMENT" => checked.paid -= amount,
        _ => checked.refunded += amount,
    }
}
