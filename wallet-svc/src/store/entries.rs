//! Reads the ledger's entries. They are written by [`super::wallets::post`] and never change
//! (I-LEDGER-APPEND-ONLY).

use chassis::{
    args,
    db::{Error, Row, Session},
};

use super::unknown_word;
use crate::domain::{Entry, Kind};

/// Reads a page backwards along the primary key, without a sort.
const PAGE: &str = "\
    SELECT user_id, sequence, entry_id, kind, amount, balance_after, payment_id, created_at FROM entry \
    WHERE user_id = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3";

fn read(row: &Row) -> Result<Entry, Error> {
    let word: String = row.get("kind")?;
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == word)
        .ok_or_else(|| unknown_word("entry.kind", &word))?;
    Ok(Entry {
        entry_id: row.get("entry_id")?,
        user_id: row.get("user_id")?,
        sequence: row.get("sequence")?,
        kind,
        amount: row.get("amount")?,
        balance_after: row.get("balance_after")?,
        payment_id: row.get("payment_id")?,
        created_at: row.get("created_at")?,
    })
}

/// At most `limit` entries of a user's wallet before `sequence`, newest first.
pub(crate) async fn page(
    session: &mut Session,
    user_id: &str,
    sequence: i64,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    session.all(PAGE, args![user_id, sequence, limit]).await?.iter().map(read).collect()
}
