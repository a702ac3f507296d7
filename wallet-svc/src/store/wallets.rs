//! The wallets' rows: their balances, and the locks under which these change.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chassis::{
    args,
    db::{self, Dialect, Error, Row, Session, Sql},
};

use crate::domain::{Entry, Wallet};

/// Locks a user's wallet until the transaction ends and opens it when there is none. Of transactions that
/// open the same wallet one inserts and the others wait for it (I-WALLET-ONCE). The update changes nothing;
/// it makes one statement open, lock and read in both cases.
const LOCK_OR_OPEN: &str = "\
    INSERT INTO wallet (user_id, balance, entries) VALUES ($1, 0, 0) \
    ON CONFLICT (user_id) DO UPDATE SET entries = wallet.entries \
    RETURNING balance, entries";

/// Locks wallets until the transaction ends, in the order given. `(SELECT $1)` hides the length of the list
/// from PostgreSQL's planner, so that one prepared plan serves lists of any length. SQLite has one writer and
/// needs no row locks.
const LOCK: Sql = Sql {
    postgres: "SELECT user_id, balance, entries FROM UNNEST((SELECT $1::text[])) AS a (id) \
        CROSS JOIN LATERAL (SELECT * FROM wallet WHERE user_id = a.id FOR UPDATE) AS w",
    sqlite: "SELECT user_id, balance, entries FROM json_each($1) AS a CROSS JOIN wallet AS w WHERE w.user_id = a.value",
};

const FIND: &str = "SELECT balance, entries FROM wallet WHERE user_id = $1";

/// Writes entries and the balances after them in one round trip. The wallets exist already; the upsert
/// updates them, because PostgreSQL then finds each by its primary key even while it has no statistics of the
/// table.
const POST_POSTGRES: &str = "\
    WITH moved AS (INSERT INTO wallet (user_id, balance, entries) SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[]) \
        ON CONFLICT (user_id) DO UPDATE SET balance = excluded.balance, entries = excluded.entries) \
    INSERT INTO entry (user_id, sequence, entry_id, kind, amount, balance_after, payment_id, created_at) \
    SELECT * FROM UNNEST($4::text[], $5::bigint[], $6::uuid[], $7::text[], $8::bigint[], $9::bigint[], $10::uuid[], $11::bigint[])";

const POST_WALLETS_SQLITE: &str = "\
    INSERT INTO wallet (user_id, balance, entries) SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1) WHERE true \
    ON CONFLICT (user_id) DO UPDATE SET balance = excluded.balance, entries = excluded.entries";

const POST_ENTRIES_SQLITE: &str = "\
    INSERT INTO entry (user_id, sequence, entry_id, kind, amount, balance_after, payment_id, created_at) \
    SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4, value ->> 5, unhex(value ->> 6), value ->> 7 \
    FROM json_each($1)";

fn read(row: &Row) -> Result<Wallet, Error> {
    Ok(Wallet { balance: row.get("balance")?, entries: row.get("entries")? })
}

/// The user's wallet, locked until the transaction ends; an empty one is opened when there is none.
pub(crate) async fn lock_or_open(session: &mut Session, user_id: &str) -> Result<Wallet, Error> {
    read(&session.one(LOCK_OR_OPEN, args![user_id]).await?)
}

/// The wallets of these users, locked until the transaction ends. A user without a wallet is left out.
pub(crate) async fn lock(
    session: &mut Session,
    users: impl Iterator<Item = &str>,
) -> Result<HashMap<String, Wallet>, Error> {
    let users: BTreeSet<&str> = users.collect();
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    let users: Vec<String> = users.into_iter().map(str::to_owned).collect();
    let rows = session.all(LOCK, args![users]).await?;
    rows.iter().map(|row| Ok((row.get("user_id")?, read(row)?))).collect()
}

/// The user's wallet as it is committed, if there is one.
pub(crate) async fn find(session: &mut Session, user_id: &str) -> Result<Option<Wallet>, Error> {
    session.optional(FIND, args![user_id]).await?.as_ref().map(read).transpose()
}

/// Writes entries and the balances after them (I-LEDGER-SUM). This transaction must have locked the wallets,
/// so that the sequence of each follows the one before (I-LEDGER-NO-GAP).
pub(crate) async fn post(session: &mut Session, entries: impl Iterator<Item = &Entry>) -> Result<(), Error> {
    let mut lines = Vec::new();
    let mut newest: BTreeMap<&str, &Entry> = BTreeMap::new();
    for entry in entries {
        lines.push(line(entry));
        let last = newest.entry(&entry.user_id).or_insert(entry);
        if entry.sequence > last.sequence {
            *last = entry;
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    let wallets = newest
        .into_values()
        .map(|entry| args![&entry.user_id, entry.balance_after, entry.sequence])
        .collect();
    let dialect = session.dialect();
    let (mut wallets, lines) = (db::table(dialect, wallets), db::table(dialect, lines));
    match dialect {
        Dialect::Postgres => {
            wallets.extend(lines);
            session.execute(POST_POSTGRES, wallets).await.map(drop)
        }
        Dialect::Sqlite => {
            session.execute(POST_WALLETS_SQLITE, wallets).await?;
            session.execute(POST_ENTRIES_SQLITE, lines).await.map(drop)
        }
    }
}

fn line(entry: &Entry) -> Vec<db::Value> {
    args![
        &entry.user_id,
        entry.sequence,
        entry.entry_id,
        entry.kind.as_str(),
        entry.amount,
        entry.balance_after,
        entry.payment_id,
        entry.created_at
    ]
}
