//! The payments' rows. The row of a payment id is written once (I-PAY-ONCE), and its lock orders all
//! transactions under that id.

use std::collections::HashSet;

use chassis::{
    args,
    db::{self, Error, Row, Session, Sql},
};
use uuid::Uuid;

use super::unknown_word;
use crate::domain::{Payment, PaymentStatus, Purpose};

/// Waits for a transaction that is writing one of these ids, and then does not write it.
const CLAIM: Sql = Sql {
    postgres: "INSERT INTO payment (payment_id, user_id, reservation_id, amount, status, reason, created_at, settled_at) \
        SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[]) \
        ON CONFLICT (payment_id) DO NOTHING RETURNING payment_id",
    sqlite: "INSERT INTO payment (payment_id, user_id, reservation_id, amount, status, reason, created_at, settled_at) \
        SELECT unhex(value ->> 0), value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7 \
        FROM json_each($1) WHERE true ON CONFLICT (payment_id) DO NOTHING RETURNING payment_id",
};

const UNCLAIM: Sql = Sql {
    postgres: "DELETE FROM payment WHERE payment_id = ANY($1)",
    sqlite: "DELETE FROM payment WHERE payment_id IN (SELECT unhex(value) FROM json_each($1))",
};

const SETTLE: &str = "UPDATE payment SET status = $2, reason = $3, settled_at = $4 WHERE payment_id = $1";

const LOCK: Sql = Sql {
    postgres: "SELECT payment_id, user_id, reservation_id, amount, status, reason, created_at, settled_at \
        FROM payment WHERE payment_id = $1 FOR UPDATE",
    sqlite: "SELECT payment_id, user_id, reservation_id, amount, status, reason, created_at, settled_at \
        FROM payment WHERE payment_id = $1",
};

const FIND: &str = LOCK.sqlite;

/// The balance after the payment's last entry; without one, the wallet's present balance; without a wallet,
/// 0.
const BALANCE: &str = "\
    SELECT COALESCE( \
        (SELECT balance_after FROM entry WHERE payment_id = $1 ORDER BY sequence DESC LIMIT 1), \
        (SELECT w.balance FROM payment p JOIN wallet w ON w.user_id = p.user_id WHERE p.payment_id = $1), \
        0) AS balance";

const PAGE: &str = "\
    SELECT payment_id, user_id, reservation_id, amount, status, reason, created_at, settled_at FROM payment \
    WHERE user_id = $1 AND (created_at, payment_id) < ($2, $3) \
    ORDER BY created_at DESC, payment_id DESC LIMIT $4";

fn read(row: &Row) -> Result<Payment, Error> {
    let word: String = row.get("status")?;
    let status = PaymentStatus::ALL.into_iter().find(|status| status.as_str() == word);
    let (user_id, reservation_id) = (row.get("user_id")?, row.get("reservation_id")?);
    let purpose = match (user_id, reservation_id) {
        (Some(user_id), Some(reservation_id)) => Some(Purpose { user_id, reservation_id }),
        _ => None,
    };
    Ok(Payment {
        payment_id: row.get("payment_id")?,
        purpose,
        amount: row.get("amount")?,
        status: status.ok_or_else(|| unknown_word("payment.status", &word))?,
        reason: row.get("reason")?,
        created_at: row.get("created_at")?,
        settled_at: row.get("settled_at")?,
    })
}

fn row(payment: &Payment) -> Vec<db::Value> {
    args![
        payment.payment_id,
        payment.purpose.as_ref().map(|purpose| purpose.user_id.as_str()),
        payment.purpose.as_ref().map(|purpose| purpose.reservation_id),
        payment.amount,
        payment.status.as_str(),
        &payment.reason,
        payment.created_at,
        payment.settled_at
    ]
}

/// Writes those payments whose ids are not taken, and answers the ids that it wrote. Callers give the
/// payments in the order of their ids, so that crossing transactions wait for each other instead of
/// deadlocking.
pub(crate) async fn claim(
    session: &mut Session,
    payments: impl Iterator<Item = &Payment>,
) -> Result<HashSet<Uuid>, Error> {
    let rows: Vec<_> = payments.map(row).collect();
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let args = db::table(session.dialect(), rows);
    session.all(CLAIM, args).await?.iter().map(|row| row.get("payment_id")).collect()
}

/// Removes payments that this same transaction has claimed.
pub(crate) async fn unclaim(session: &mut Session, payments: Vec<Uuid>) -> Result<(), Error> {
    if payments.is_empty() {
        return Ok(());
    }
    session.execute(UNCLAIM, args![payments]).await.map(drop)
}

/// Writes the status of a payment whose row this transaction has locked.
pub(crate) async fn settle(session: &mut Session, payment: &Payment) -> Result<(), Error> {
    let row = args![payment.payment_id, payment.status.as_str(), &payment.reason, payment.settled_at];
    session.execute(SETTLE, row).await.map(drop)
}

/// Reads a payment and locks its row until the transaction ends.
pub(crate) async fn lock(session: &mut Session, payment_id: Uuid) -> Result<Option<Payment>, Error> {
    session.optional(LOCK, args![payment_id]).await?.as_ref().map(read).transpose()
}

/// Reads a payment as it is committed.
pub(crate) async fn find(session: &mut Session, payment_id: Uuid) -> Result<Option<Payment>, Error> {
    session.optional(FIND, args![payment_id]).await?.as_ref().map(read).transpose()
}

/// The balance of the wallet after a payment's last entry.
pub(crate) async fn balance_after(session: &mut Session, payment_id: Uuid) -> Result<i64, Error> {
    session.one(BALANCE, args![payment_id]).await?.get("balance")
}

/// At most `limit` payments of a user before the given time and id, newest first.
pub(crate) async fn page(
    session: &mut Session,
    user_id: &str,
    before: (i64, Uuid),
    limit: i64,
) -> Result<Vec<Payment>, Error> {
    session.all(PAGE, args![user_id, before.0, before.1, limit]).await?.iter().map(read).collect()
}
