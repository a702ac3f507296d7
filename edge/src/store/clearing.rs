//! What is deleted of a checkout that was settled long ago: the story of its steps, the text of its refusal
//! (the reason stays) and the request ids that stand for it. The checkout itself is a record of money and
//! stays. Of one whose sale is being refunded nothing is deleted, however long ago it was sold, and of one
//! that was refunded nothing before that is as long ago.

use chassis::{
    args,
    db::{Error, Session, Sql},
    prune::{Forgetting, Portion},
};
use uuid::Uuid;

/// Settled checkouts of which something can still be deleted.
const SETTLED: Sql = Sql {
    postgres: "SELECT checkout_id, settled_at FROM checkout WHERE story IS NOT NULL AND settled_at >= $1 AND settled_at < $2 \
               AND (refund_asked_at IS NULL OR refunded_at < $2) \
               ORDER BY settled_at LIMIT $3 FOR UPDATE SKIP LOCKED",
    sqlite: "SELECT checkout_id, settled_at FROM checkout WHERE story IS NOT NULL AND settled_at >= $1 AND settled_at < $2 \
               AND (refund_asked_at IS NULL OR refunded_at < $2) \
             ORDER BY settled_at LIMIT $3",
};

const UNNAME: Sql = Sql {
    postgres: "DELETE FROM checkout_request WHERE checkout_id = ANY($1)",
    sqlite: "DELETE FROM checkout_request WHERE checkout_id IN (SELECT unhex(value) FROM json_each($1))",
};

const CLEAR: Sql = Sql {
    postgres: "UPDATE checkout SET story = NULL, refusal = NULL WHERE checkout_id = ANY($1)",
    sqlite: "UPDATE checkout SET story = NULL, refusal = NULL WHERE checkout_id IN (SELECT unhex(value) FROM json_each($1))",
};

/// Deletes it, in the order in which the checkouts were settled.
pub(crate) fn forget_workings(session: &mut Session, portion: Portion) -> Forgetting<'_> {
    let Portion { from, before, limit } = portion;
    Box::pin(async move {
        let rows = session.all(SETTLED, args![from, before, limit]).await?;
        let ids = rows.iter().map(|row| row.get("checkout_id")).collect::<Result<Vec<Uuid>, Error>>()?;
        if !ids.is_empty() {
            session.execute(UNNAME, args![ids.clone()]).await?;
            session.execute(CLEAR, args![ids]).await?;
        }
        rows.iter().map(|row| row.get("settled_at")).collect()
    })
}
