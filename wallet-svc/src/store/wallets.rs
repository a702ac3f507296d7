//! The wallet rows: balances, and the locks under which they change.

use chassis::{
    args,
    db::{Dialect, Error, Row, Session, Sql},
};

use crate::domain::{Entry, Wallet};

/// Locks a user's wallet until the transaction ends, opening it when it is not there. The update changes nothing: it is what makes
/// one statement open, lock and read, whoever comes first.
const LOCK_OR_OPEN: &str = "\
    INSERT INTO wallet (user_id, balance, entries) VALUES ($1, 0, 0) \
    ON CONFLICT (user_id) DO UPDATE SET entries = wallet.entries \
    RETURNING balance, entries";

/// Locks a user's wallet until the transaction ends. SQLite has but one writer, who needs no row locks.
const LOCK: Sql = Sql {
    postgres: "SELECT balance, entries FROM wallet WHERE user_id = $1 FOR UPDATE",
    sqlite: "SELECT balance, entries FROM wallet WHERE user_id = $1",
};

const FIND: &str = LOCK.sqlite;

/// An entry and the wallet it leaves behind, in one round trip.
const POST_POSTGRES: &str = "\
    WITH moved AS (UPDATE wallet SET balance = $6, entries = $2 WHERE user_id = $1) \
    INSERT INTO entry (user_id, sequence, entry_id, kind, amount, balance_after, payment_id, created_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

const POST_ENTRY: &str = "\
    INSERT INTO entry (user_id, sequence, entry_id, kind, amount, balance_after, payment_id, created_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

const POST_WALLET: &str = "UPDATE wallet SET balance = $2, entries = $3 WHERE user_id = $1";

fn read(row: &Row) -> Result<Wallet, Error> {
    Ok(Wallet { balance: row.get("balance")?, entries: row.get("entries")? })
}

/// The user's wallet, locked; an empty one is opened first when there is none.
pub(crate) async fn lock_or_open(session: &mut Session, user_id: &str) -> Result<Wallet, Error> {
    read(&session.one(LOCK_OR_OPEN, args![user_id]).await?)
}

/// The user's wallet, locked, if there is one.
pub(crate) async fn lock(session: &mut Session, user_id: &str) -> Result<Option<Wallet>, Error> {
    session.optional(LOCK, args![user_id]).await?.as_ref().map(read).transpose()
}

/// The user's wallet as it is committed.
pub(crate) async fn find(session: &mut Session, user_id: &str) -> Result<Option<Wallet>, Error> {
    session.optional(FIND, args![user_id]).await?.as_ref().map(read).transpose()
}

/// Writes an entry and what it leaves in its wallet, which must be locked by this transaction.
pub(crate) async fn post(session: &mut Session, entry: &Entry) -> Result<(), Error> {
    let statement = match session.dialect() {
        Dialect::Postgres => POST_POSTGRES,
        Dialect::Sqlite => {
            session.execute(POST_WALLET, args![&entry.user_id, entry.balance_after, entry.sequence]).await?;
            POST_ENTRY
        }
    };
    let line = args![
        &entry.user_id,
        entry.sequence,
        entry.entry_id,
        entry.kind.as_str(),
        entry.amount,
        entry.balance_after,
        entry.payment_id,
        entry.created_at
    ];
    session.execute(statement, line).await.map(drop)
}
