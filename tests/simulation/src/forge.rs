//! Mistakes that are made on purpose in what services have written, and which the audit must find. Those of a
//! draw are whole: everything in it fits together, but for the one thing.

use std::path::Path;

use audit::draw::{Hash, root, sha256};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::run::Sabotage;

/// A balance that is no sum of its movements.
const RICHER: &str =
    "UPDATE wallet SET balance = balance + 1 WHERE user_id = (SELECT MIN(user_id) FROM wallet)";

/// Changes what was written, if that is how this mistake is made.
///
/// # Errors
/// The database failed.
pub async fn forge(folder: &Path, sabotage: Sabotage) -> Result<(), sqlx::Error> {
    let file = if sabotage == Sabotage::Ledger { "wallet.db" } else { "queue.db" };
    let mut link = SqliteConnectOptions::new().filename(folder.join(file)).connect().await?;
    let swap = |first: u8, second: u8| {
        let at = |number: u8| format!("hex(substr(tokens, {}, 16))", 16 * (number - 1) + 1);
        format!("UPDATE draw SET tokens = unhex({} || {} || hex(substr(tokens, 33)))", at(first), at(second))
    };
    let sql = match sabotage {
        Sabotage::Price
        | Sabotage::Line
        | Sabotage::Stale
        | Sabotage::Unlogged
        | Sabotage::Double
        | Sabotage::Unfreed
        | Sabotage::Forgotten
        | Sabotage::Grudging
        | Sabotage::Kept
        | Sabotage::Bolted
        | Sabotage::Unwritten
        | Sabotage::Repriced
        | Sabotage::Unlimited
        | Sabotage::Vanished
        | Sabotage::Repeated
        | Sabotage::Early
        | Sabotage::Backwards
        | Sabotage::Mute => None,
        Sabotage::Ledger => Some(RICHER.to_owned()),
        Sabotage::Lots => Some(swap(2, 1)),
        Sabotage::Twice => Some(swap(1, 1)),
        Sabotage::Ignored | Sabotage::Reread | Sabotage::Again => {
            draw_again(&mut link, sabotage).await?;
            None
        }
    };
    if let Some(sql) = sql {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut link).await?;
    }
    link.close().await
}

/// Holds the draw once more, with the mistake. A draw without a used beacon is left as it is.
async fn draw_again(link: &mut SqliteConnection, sabotage: Sabotage) -> Result<(), sqlx::Error> {
    const DRAW: &str = "SELECT draw_secret, beacon_signature, tokens FROM queue JOIN draw USING (queue_id) \
                        WHERE length(beacon_signature) > 0 AND length(tokens) > 16";
    let Some(row) = sqlx::query(DRAW).fetch_optional(&mut *link).await? else { return Ok(()) };
    let (mut secret, signature, tokens): (Vec<u8>, Vec<u8>, Vec<u8>) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let mut tokens = tokens.as_chunks::<16>().0.to_vec();
    let mut beacon = sha256(&[&signature]).to_vec();
    if sabotage == Sabotage::Ignored {
        beacon.clear();
    } else if sabotage == Sabotage::Reread {
        tokens.pop();
    } else {
        secret = sha256(&[&secret]).to_vec();
    }
    let top: Hash = root(tokens.iter().map(|token| sha256(&[token])).collect());
    let seed = sha256(&[&secret, &top, &beacon]);
    tokens.sort_by_key(|token| sha256(&[&seed, token]));
    let count = i64::try_from(tokens.len()).unwrap_or(i64::MAX);
    sqlx::query("UPDATE draw SET root = $1, seed = $2, tokens = $3")
        .bind(&top[..])
        .bind(&seed[..])
        .bind(tokens.concat())
        .execute(&mut *link)
        .await?;
    sqlx::query("UPDATE queue SET draw_secret = $1, drawn = $2 WHERE beacon_signature IS NOT NULL")
        .bind(secret)
        .bind(count)
        .execute(link)
        .await?;
    Ok(())
}
