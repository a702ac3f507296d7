//! The operators' journal: every outcome is one of an action that was written before, and tells what it must.
//! An action without an outcome is no fault, since an edge may have been lost, but somebody should know.

use futures::TryStreamExt;

use crate::{
    Error,
    checkouts::Age,
    law::Breaches,
    report::{Law, Look},
    snapshot::{Snapshot, Sql},
};

/// A row if the edge keeps the journal: a release before it may be running, or have been the last to run.
const IS_KEPT: Sql = Sql {
    postgres: "SELECT 1 WHERE to_regclass('operator_action') IS NOT NULL",
    sqlite: "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'operator_action'",
};

const ORPHANS: &str = "SELECT {id:o.action_id}, o.outcome FROM operator_outcome o \
                       LEFT JOIN operator_action a ON a.action_id = o.action_id WHERE a.action_id IS NULL";

const HOLLOW: &str = "SELECT {id:action_id}, outcome FROM operator_outcome \
                      WHERE (outcome = 'DONE') <> (after IS NOT NULL) OR (outcome = 'DONE') <> (reason IS NULL)";

const OPEN: &str = "SELECT {id:a.action_id}, a.who, a.what, a.target, a.created_at FROM operator_action a \
                    LEFT JOIN operator_outcome o ON o.action_id = a.action_id \
                    WHERE o.action_id IS NULL ORDER BY a.created_at, a.action_id";

pub(crate) async fn judge(look: &mut Look, snapshot: &mut Snapshot, age: &Age) -> Result<(), Error> {
    if snapshot.rows(IS_KEPT).try_next().await?.is_none() {
        look.skip("operators' actions: this edge's database has no journal of them; a newer edge makes it when it starts");
        return Ok(());
    }
    for (sql, what) in [
        (ORPHANS, "an outcome {1} is there of an operator's action that is not"),
        (HOLLOW, "an operator's action is {1} without what it must tell of that"),
    ] {
        let breaches = Breaches { law: Law::ActionKept, sql: Sql::from(sql), ids: &["action"], what };
        breaches.judge(look, snapshot).await?;
    }
    let mut rows = snapshot.rows(OPEN);
    while let Some(row) = rows.try_next().await? {
        let Some(age) = age.of(row.get(4)?) else { continue };
        let (id, who, what): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (target, seconds): (String, i64) = (row.get(3)?, age / 1_000_000);
        look.note(format!(
            "the operator's action {id} ({what} of {target:?} by {who}) has no outcome since {seconds} s: its edge was lost, \
             and the change may have been made"
        ));
    }
    Ok(())
}
