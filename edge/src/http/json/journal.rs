//! Entries of the operators' journal, and the metrics of an edge.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Instant;
use crate::domain::action::{Action, ActionEnd, RecordedAction};

/// What became of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ActionOutcome {
    /// It was about to be made, and no outcome was written: it is under way, or was cut off.
    Intent,
    /// The change was made.
    Done,
    /// It was refused, and nothing was changed.
    Refused,
    /// The answer was lost: the change may have been made.
    Unknown,
}

/// Something that an operator or a cashier did.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OperatorAction, example = json!({
    "actionId": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "who": "olga", "role": "operator", "what": "UpdateQueue",
    "target": "default", "before": {"queue_id": "default", "policy": {"max_active": 100}},
    "after": {"queue_id": "default", "policy": {"max_active": 200}}, "outcome": "DONE", "reason": null,
    "traceId": "0af7651916cd43dd8448eb211c80319c",
    "createdAt": "2026-12-24T19:30:00.000000Z", "endedAt": "2026-12-24T19:30:00.012345Z"}))]
pub(crate) struct JournalEntry {
    /// The id of the action.
    #[schema(format = Uuid)]
    action_id: String,
    /// The user who acted; `anyone` where nobody is asked who they are.
    who: String,
    /// The role in which the user acted; null where nobody is asked.
    #[schema(required)]
    role: Option<String>,
    /// The method of the gRPC contract that makes the change.
    what: String,
    /// The id of what is changed; empty for a new concert.
    target: String,
    /// What there was before, with the names of the gRPC contract; null when there was nothing.
    #[schema(required, value_type = Option<Object>)]
    before: Option<Value>,
    /// What the service answered, with the names of the gRPC contract; null unless DONE.
    #[schema(required, value_type = Option<Object>)]
    after: Option<Value>,
    /// What became of it.
    outcome: ActionOutcome,
    /// Why it was refused, or its outcome is unknown.
    #[schema(required)]
    reason: Option<String>,
    /// The trace that the request belongs to.
    trace_id: String,
    /// When it was written, before the change was made.
    created_at: Instant,
    /// When its outcome was known; null while there is none.
    #[schema(required)]
    ended_at: Option<Instant>,
}

impl From<RecordedAction> for JournalEntry {
    fn from((action, end): RecordedAction) -> Self {
        let Action { action_id, who, role, what, target, before, trace_id, created_at } = action;
        let read = |text: String| serde_json::from_str(&text).unwrap_or_default();
        let ended_at = end.as_ref().map(|(_, at)| Instant(*at));
        let (outcome, after, reason) = match end.map(|(end, _)| end) {
            None => (ActionOutcome::Intent, None, None),
            Some(ActionEnd::Done(after)) => (ActionOutcome::Done, Some(read(after)), None),
            Some(ActionEnd::Refused(reason)) => (ActionOutcome::Refused, None, Some(reason)),
            Some(ActionEnd::Unknown(reason)) => (ActionOutcome::Unknown, None, Some(reason)),
        };
        Self {
            action_id: action_id.to_string(),
            who,
            role: Some(role).filter(|role| !role.is_empty()),
            what,
            target,
            before: before.map(read),
            after,
            outcome,
            reason,
            trace_id,
            created_at: Instant(created_at),
            ended_at,
        }
    }
}

/// A page of actions, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OperatorActions)]
pub(crate) struct JournalPage {
    /// The actions of this page.
    pub(crate) actions: Vec<JournalEntry>,
    /// Where the next page starts; empty on the last.
    pub(crate) next_page_token: String,
}

/// The metrics of one edge.
#[derive(Serialize, ToSchema)]
pub(crate) struct Metrics {
    /// All of them, in the text format of Prometheus.
    #[schema(example = "# TYPE http_requests_total counter\n")]
    pub(crate) text: String,
}
