//! The operators' journal (I-ACTION-KEPT). Rows are added and read, never changed or removed: triggers refuse
//! it.

use chassis::{
    args,
    db::{Db, Error, Row},
};
use uuid::Uuid;

use crate::domain::action::{Action, ActionEnd, RecordedAction};

/// The operators' journal. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Actions {
    pub(super) db: Db,
}

/// Which part of the list of actions is read. An empty text is any.
#[derive(Clone, Debug, Default)]
pub(crate) struct ActionsOf {
    /// Only those of this user.
    pub(crate) who: String,
    /// Only those of this method.
    pub(crate) what: String,
    /// Only those that changed this.
    pub(crate) target: String,
}

impl Actions {
    pub(crate) const fn new(db: Db) -> Self {
        Self { db }
    }

    /// Writes an action that is about to be made.
    pub(crate) async fn intend(&self, action: &Action) -> Result<(), Error> {
        const SQL: &str = "INSERT INTO operator_action \
                           (action_id, who, role, what, target, before, trace_id, created_at) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let intend = async || {
            let args = args![
                action.action_id,
                action.who.as_str(),
                action.role.as_str(),
                action.what.as_str(),
                action.target.as_str(),
                action.before.clone(),
                action.trace_id.as_str(),
                action.created_at
            ];
            self.db.write(SQL, args).await
        };
        self.db.transact("intend_action", intend).await.map(drop)
    }

    /// Writes what became of an action, once: an outcome that is there already stays.
    pub(crate) async fn conclude(&self, action_id: Uuid, end: &ActionEnd, now: i64) -> Result<(), Error> {
        const SQL: &str = "INSERT INTO operator_outcome (action_id, outcome, reason, after, ended_at) \
                           VALUES ($1, $2, $3, $4, $5) ON CONFLICT (action_id) DO NOTHING";
        let (word, reason, after) = match end {
            ActionEnd::Done(after) => ("DONE", None, Some(after)),
            ActionEnd::Refused(reason) => ("REFUSED", Some(reason), None),
            ActionEnd::Unknown(reason) => ("UNKNOWN", Some(reason), None),
        };
        let conclude =
            async || self.db.write(SQL, args![action_id, word, reason.cloned(), after.cloned(), now]).await;
        self.db.transact("conclude_action", conclude).await.map(drop)
    }

    /// A page, newest first, from behind the action of this time and id.
    pub(crate) async fn list(
        &self,
        of: &ActionsOf,
        before: Option<(i64, Uuid)>,
        limit: i64,
    ) -> Result<Vec<RecordedAction>, Error> {
        const SQL: &str = "SELECT a.action_id, a.who, a.role, a.what, a.target, a.before, a.trace_id, a.created_at, \
                           o.outcome, o.reason, o.after, o.ended_at \
                           FROM operator_action a LEFT JOIN operator_outcome o ON o.action_id = a.action_id \
                           WHERE ($1 = '' OR a.who = $1) AND ($2 = '' OR a.what = $2) AND ($3 = '' OR a.target = $3) \
                           AND (a.created_at, a.action_id) < ($4, $5) \
                           ORDER BY a.created_at DESC, a.action_id DESC LIMIT $6";
        let (at, id) = before.unwrap_or((i64::MAX, Uuid::max()));
        let args = args![of.who.as_str(), of.what.as_str(), of.target.as_str(), at, id, limit];
        self.db.read().await?.all(SQL, args).await?.iter().map(recorded).collect()
    }
}

fn recorded(row: &Row) -> Result<RecordedAction, Error> {
    let action = Action {
        action_id: row.get("action_id")?,
        who: row.get("who")?,
        role: row.get("role")?,
        what: row.get("what")?,
        target: row.get("target")?,
        before: row.get("before")?,
        trace_id: row.get("trace_id")?,
        created_at: row.get("created_at")?,
    };
    let Some(ended_at) = row.get::<Option<i64>>("ended_at")? else { return Ok((action, None)) };
    let word: String = row.get("outcome")?;
    let text = |column| row.get::<Option<String>>(column).map(Option::unwrap_or_default);
    let end = match word.as_str() {
        "DONE" => ActionEnd::Done(text("after")?),
        "REFUSED" => ActionEnd::Refused(text("reason")?),
        "UNKNOWN" => ActionEnd::Unknown(text("reason")?),
        word => return Err(Error::Other(format!("an action of outcome {word}").into())),
    };
    Ok((action, Some((end, ended_at))))
}

#[cfg(test)]
#[path = "actions_tests.rs"]
mod tests;
