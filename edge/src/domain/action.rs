//! What an operator or a cashier does: an entry of the operators' journal.

use uuid::Uuid;

/// An action, as it is written before its change is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    /// The id of the action.
    pub(crate) action_id: Uuid,
    /// The user who acts; `anyone` where nobody is asked.
    pub(crate) who: String,
    /// The role in which the user acts; empty where nobody is asked.
    pub(crate) role: String,
    /// The method of the contract that makes the change.
    pub(crate) what: String,
    /// The id of what is changed; empty when it is still to be made.
    pub(crate) target: String,
    /// What there was before, as JSON.
    pub(crate) before: Option<String>,
    /// The trace that the request belongs to.
    pub(crate) trace_id: String,
    /// When it was written.
    pub(crate) created_at: i64,
}

/// What became of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ActionEnd {
    /// The change was made; the service's answer as JSON.
    Done(String),
    /// It was refused, for this reason, and nothing was changed.
    Refused(String),
    /// The answer was lost, for this reason: the change may have been made.
    Unknown(String),
}

/// An action with its outcome and the time of it, if it has one.
pub(crate) type RecordedAction = (Action, Option<(ActionEnd, i64)>);
