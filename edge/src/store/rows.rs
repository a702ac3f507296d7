//! Rows to domain values and back.

use std::collections::HashMap;

use boxoffice_proto::{Fault, Reason};
use chassis::db::{Error, Row};
use serde::{Deserialize, Serialize};

use crate::domain::{
    checkout::{Checkout, RecordedCheckout, Refund, Status},
    story::Story,
};

/// The columns of [`entry`].
macro_rules! entry_columns {
    () => {
        "checkout_id, user_id, reservation_id, token, amount, status, reason, refusal, attempts, created_at, settled_at, \
         parked_at, story, refund_asked_at, refund_reason, refunded_at, trace"
    };
}
pub(super) use entry_columns;

/// A row as a checkout.
pub(super) fn entry(row: &Row) -> Result<RecordedCheckout, Error> {
    let status: String = row.get("status")?;
    let checkout = Checkout {
        checkout_id: row.get("checkout_id")?,
        user_id: row.get("user_id")?,
        reservation_id: row.get("reservation_id")?,
        amount: row.get("amount")?,
        status: Status::of(&status)
            .ok_or_else(|| Error::Other(format!("a checkout of status {status}").into()))?,
        reason: row.get("reason")?,
        created_at: row.get("created_at")?,
        settled_at: row.get("settled_at")?,
        attempts: row.get("attempts")?,
        parked_at: row.get("parked_at")?,
        story: match row.get::<Option<String>>("story")? {
            Some(kept) => serde_json::from_str(&kept)?,
            None => Story::default(),
        },
        refund: match row.get::<Option<i64>>("refund_asked_at")? {
            Some(asked_at) => Some(Refund {
                asked_at,
                reason: row.get::<Option<String>>("refund_reason")?.unwrap_or_default(),
                done_at: row.get("refunded_at")?,
            }),
            None => None,
        },
    };
    let refusal = match (row.get::<Option<String>>("refusal")?, checkout.reason.as_deref()) {
        (Some(kept), _) => Some(read(&kept)?),
        // It was not refused: it was paid for, and refunded.
        (None, Some(_)) if checkout.refund.is_some() => None,
        // Of a row that an operator settled by hand the reason is all there is.
        (None, Some(word)) => {
            let reason = reason(word);
            Some(Fault::new(reason, reason.title()))
        }
        (None, None) => None,
    };
    Ok(RecordedCheckout { checkout, token: row.get("token")?, refusal, trace: row.get("trace")? })
}

/// A story as it is written.
pub(super) fn tell(story: &Story) -> Result<String, Error> {
    Ok(serde_json::to_string(story)?)
}

/// A refusal as it is written, to be told again word by word.
#[derive(Serialize, Deserialize)]
struct Kept {
    reason: String,
    detail: String,
    metadata: HashMap<String, String>,
}

/// A refusal as it is written.
pub(super) fn write(refusal: &Fault) -> Result<String, Error> {
    let kept = Kept {
        reason: refusal.reason.as_str().to_owned(),
        detail: refusal.detail.clone(),
        metadata: refusal.metadata.clone(),
    };
    Ok(serde_json::to_string(&kept)?)
}

fn read(kept: &str) -> Result<Fault, Error> {
    let kept: Kept = serde_json::from_str(kept)?;
    Ok(Fault { metadata: kept.metadata, ..Fault::new(reason(&kept.reason), kept.detail) })
}

/// A reason by its word. A word that this release does not know, written by a newer one or by hand, becomes
/// INTERNAL.
fn reason(word: &str) -> Reason {
    word.parse()
        .unwrap_or_else(|_| Fault::internal(format_args!("the journal holds the reason {word:?}")).reason)
}
