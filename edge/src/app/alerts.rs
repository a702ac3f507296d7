//! What needs a person, of all programs of the mesh: each has written its alerts into a database of its own.

use std::{cmp::Reverse, collections::HashMap};

use boxoffice_proto::{
    Fault,
    alerts::{Alert, ListAlertsRequest, ListAlertsResponse},
    time::micros,
};
use chassis::clock::SECOND;
use futures::future::{join, join_all};

use super::{caller::Caller, edge::Edge};
use crate::clients::ask;

/// How long alerts of a kind are counted together after the latest of them, in microseconds.
const TOGETHER: i64 = 3_600 * SECOND;

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
    told.alerts = of_each_kind(told.alerts);
    told.alerts.sort_by_key(|alert| Reverse(latest(alert)));
    Ok(told)
}

fn latest(alert: &Alert) -> i64 {
    alert.latest_at.as_ref().and_then(micros).unwrap_or(i64::MIN)
}

/// Makes one alert of those of one program and kind. Where all services are one process, any of their
/// databases may be the one that its alerts are written into, and after a restart it may be another.
fn of_each_kind(alerts: Vec<Alert>) -> Vec<Alert> {
    let mut kinds: HashMap<(String, String), Alert> = HashMap::new();
    for alert in alerts {
        let kind = (alert.program.clone(), alert.kind.clone());
        let alert = match kinds.remove(&kind) {
            Some(known) => together(known, alert),
            None => alert,
        };
        kinds.insert(kind, alert);
    }
    kinds.into_values().collect()
}

/// Counts two together as they would be in one database.
fn together(one: Alert, other: Alert) -> Alert {
    let (older, newer) = if latest(&one) <= latest(&other) { (one, other) } else { (other, one) };
    let since = |alert: &Alert| alert.since.as_ref().and_then(micros).unwrap_or(i64::MIN);
    if since(&newer).saturating_sub(latest(&older)) > TOGETHER {
        return newer;
    }
    let first = if since(&older) <= since(&newer) { older.since } else { newer.since };
    Alert { times: older.times.saturating_add(newer.times), since: first, ..newer }
}

#[cfg(test)]
mod tests {
    use boxoffice_proto::time::timestamp;

    use super::*;

    fn alert(program: &str, kind: &str, times: i64, since: i64, latest_at: i64) -> Alert {
        Alert {
            program: program.to_owned(),
            kind: kind.to_owned(),
            text: format!("{kind} at {latest_at}"),
            times,
            since: Some(timestamp(since * SECOND)),
            latest_at: Some(timestamp(latest_at * SECOND)),
            silenced: latest_at % 2 == 1,
        }
    }

    #[test]
    fn alerts_of_one_program_and_kind_are_one_wherever_they_are_written_down() {
        let told = of_each_kind(vec![
            alert("boxoffice", "a", 3, 100, 101),
            alert("queue-svc", "a", 1, 100, 100),
            alert("boxoffice", "b", 1, 90, 90),
            alert("boxoffice", "a", 2, 40, 60),
            alert("boxoffice", "a", 1, 200, 200),
        ]);
        assert_eq!(told.len(), 3, "{told:?}");
        let one = told.iter().find(|one| one.program == "boxoffice" && one.kind == "a").unwrap();
        assert_eq!(*one, Alert { text: "a at 200".to_owned(), ..alert("boxoffice", "a", 6, 40, 200) });
    }

    #[test]
    fn what_was_over_for_an_hour_is_counted_no_more() {
        let (old, new) = (alert("boxoffice", "a", 9, 0, 100), alert("boxoffice", "a", 2, 3_701, 3_800));
        assert_eq!(of_each_kind(vec![new.clone(), old.clone()]), [new]);
        let soon = alert("boxoffice", "a", 2, 3_700, 3_800);
        assert_eq!(of_each_kind(vec![old, soon]), [alert("boxoffice", "a", 11, 0, 3_800)]);
    }
}
