//! What needs a person, of all programs of the mesh: each has written its alerts into a database of its own.

use std::cmp::Reverse;

use boxoffice_proto::{
    Fault,
    alerts::{ListAlertsRequest, ListAlertsResponse},
    time::micros,
};
use futures::future::{join, join_all};

use super::{caller::Caller, edge::Edge};
use crate::clients::ask;

/// The alerts of all programs, the latest first. A program that does not answer is named, since what it has
/// to tell may be why.
pub(crate) async fn alerts(edge: &Edge, caller: &Caller) -> Result<ListAlertsResponse, Fault> {
    let request = caller.allow(ListAlertsRequest {})?;
    let others = edge.clients.alerts.iter().map(|(service, client)| async move {
        // A program is named after its service.
        (format!("{service}-svc"), ask!(*client, list_alerts(request)).map(|answer| answer.alerts))
    });
    let (own, others) = join(edge.alerts.list(), join_all(others)).await;
    let mut told = ListAlertsResponse::default();
    for (program, answer) in std::iter::once(("edge".to_owned(), own)).chain(others) {
        match answer {
            Ok(alerts) => told.alerts.extend(alerts),
            Err(fault) => {
                tracing::warn!(
                    program,
                    reason = fault.reason.as_str(),
                    "the alerts of a program cannot be read"
                );
                told.unread.push(program);
            }
        }
    }
    told.alerts.sort_by_key(|alert| Reverse(alert.latest_at.as_ref().and_then(micros)));
    Ok(told)
}
