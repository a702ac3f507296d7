//! What operators and cashiers have done, what needs a person, and what an operator may know of this edge and
//! of all of them.

use axum::{extract::State, http::StatusCode, response::Response};
use boxoffice_proto::{
    alerts::ListAlertsRequest,
    checkout::{GetHistoryRequest, GetMetricsRequest, ListOperatorActionsRequest},
};
use utoipa::IntoParams;

use super::{
    App,
    extract::{Page, Params, Since},
    json::{self, JournalEntry, JournalPage, Metrics, ToldAlerts, ToldHistory},
    operation::Operation,
    problem::Problem,
};
use crate::app::{Caller, acted, actions_page, alerts, metrics};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::of::<ListOperatorActionsRequest>("list_operator_actions", &[]),
    Operation::of::<GetMetricsRequest>("get_metrics", &[]),
    Operation::of::<GetHistoryRequest>("get_history", &[]),
    Operation::of::<ListAlertsRequest>("list_alerts", &[]),
];

/// The parameters that narrow the list of actions.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes parameters that the handler reads one by one")]
pub(super) struct Which {
    /// The user who acted; left out for all of them.
    #[param(required = false, max_length = 64, example = "olga")]
    who: String,
    /// The method that made the change; left out for all of them.
    #[param(required = false, max_length = 64, example = "UpdateQueue")]
    what: String,
    /// The id of what was changed; left out for everything.
    #[param(required = false, max_length = 64, example = "default")]
    target: String,
}

/// List what operators and cashiers have changed, newest first
///
/// Queues, concerts, shows, other users' wallets, and parked payments that were tried again. An action is
/// written before its change is made, and its outcome afterwards. One that stays an INTENT was cut off: the
/// change may have been made.
#[utoipa::path(get, path = "/v1/operator/journal", tag = "operator", params(Which, Page),
    responses((status = 200, description = "One page of actions.", body = JournalPage)))]
pub(super) async fn list_operator_actions(
    State(edge): App,
    caller: Caller,
    params: Params,
    page: Page,
) -> Result<Response, Problem> {
    let text = |name| params.get(name).map(|value| value.unwrap_or_default().to_owned());
    let request = ListOperatorActionsRequest {
        who: text("who")?,
        what: text("what")?,
        target: text("target")?,
        page_size: page.page_size,
        page_token: page.page_token,
    };
    let (of, page) = actions_page(&request)?;
    let found = edge.acting.list(&caller, &of, &page).await?;
    let size = |entry: &JournalEntry| serde_json::to_vec(entry).map_or(0, |text| text.len());
    let entries =
        found.into_iter().map(|recorded| (acted(&recorded), JournalEntry::from(recorded))).collect();
    let (entries, next_page_token) = page.cut(entries, |(at, _)| *at, |(_, entry)| size(entry));
    let actions = entries.into_iter().map(|(_, entry)| entry).collect();
    json::answer(StatusCode::OK, &JournalPage { actions, next_page_token })
}

/// Read the metrics of this edge
///
/// Those of the replica that answers, and of no other: the same as at its `/metrics`, for operators who
/// cannot reach that address.
#[utoipa::path(get, path = "/v1/operator/metrics", tag = "operator",
    responses((status = 200, description = "The metrics as they are now.", body = Metrics)))]
pub(super) async fn get_metrics(caller: Caller) -> Result<Response, Problem> {
    json::answer(StatusCode::OK, &Metrics { text: metrics(&caller)? })
}

/// Read how the sale went within the last hour
///
/// What all edges have counted together, and how the lines and the next shows stood, every ten seconds: the
/// same from every edge, and with the past of edges that are gone. What an edge counts is told some ten to
/// twenty seconds later.
#[utoipa::path(get, path = "/v1/operator/history", tag = "operator", params(Since),
    responses((status = 200, description = "The samples, the oldest first.", body = ToldHistory)))]
pub(super) async fn get_history(State(edge): App, caller: Caller, since: Since) -> Result<Response, Problem> {
    let request = GetHistoryRequest { since: since.timestamp()? };
    json::answer(StatusCode::OK, &ToldHistory::try_from(edge.history.tell(&caller, request).await?)?)
}

/// List what needs a person, the latest first
///
/// The alerts of the last 24 hours of all programs of the mesh: one entry for all alerts of a kind, counted
/// until an hour has passed without one. A program that does not answer is named in `unread`, and the others
/// are told all the same.
#[utoipa::path(get, path = "/v1/operator/alerts", tag = "operator",
    responses((status = 200, description = "The alerts as they are now.", body = ToldAlerts)))]
pub(super) async fn list_alerts(State(edge): App, caller: Caller) -> Result<Response, Problem> {
    json::answer(StatusCode::OK, &ToldAlerts::try_from(alerts(&edge, &caller).await?)?)
}
