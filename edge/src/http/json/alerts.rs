//! What needs a person.

use boxoffice_proto::alerts as proto;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Hollow, Instant};

/// The alerts of one kind.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Alert, example = json!({
    "program": "edge", "kind": "a-checkout-is-parked",
    "text": "a checkout is parked checkout_id=7c9e6679-7425-40de-944b-e07fc1f90ae7 step=confirm_reservation",
    "times": 3, "since": "2026-12-24T19:30:00.000000Z", "latestAt": "2026-12-24T19:31:30.000000Z",
    "silenced": false}))]
pub(crate) struct ToldAlert {
    /// The program that has logged the latest one: `edge`, `queue-svc`, `booking-svc` or `wallet-svc`, or
    /// `boxoffice` where all of them are one process.
    program: String,
    /// The kind: the first words of the message, in small letters, with hyphens. `--alert-silence` takes it.
    kind: String,
    /// The message of the latest one with its fields.
    text: String,
    /// How many there were since `since`.
    #[schema(minimum = 1)]
    times: i64,
    /// When the first of them was logged.
    since: Instant,
    /// When the latest of them was.
    latest_at: Instant,
    /// Whether this kind is silenced: it is told here and in the log, and sent to no chat.
    silenced: bool,
}

/// What needs a person, of all programs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Alerts)]
pub(crate) struct ToldAlerts {
    /// The alerts, the latest first.
    alerts: Vec<ToldAlert>,
    /// The programs whose alerts could not be read. Nothing is known of theirs.
    #[schema(example = json!(["queue-svc"]))]
    unread: Vec<String>,
}

impl TryFrom<proto::Alert> for ToldAlert {
    type Error = Hollow;

    fn try_from(alert: proto::Alert) -> Result<Self, Hollow> {
        let (since, latest_at) =
            (Instant::read(alert.since.as_ref())?, Instant::read(alert.latest_at.as_ref())?);
        let proto::Alert { program, kind, text, times, silenced, .. } = alert;
        Ok(Self { program, kind, text, times, since, latest_at, silenced })
    }
}

impl TryFrom<proto::ListAlertsResponse> for ToldAlerts {
    type Error = Hollow;

    fn try_from(told: proto::ListAlertsResponse) -> Result<Self, Hollow> {
        let alerts = told.alerts.into_iter().map(ToldAlert::try_from).collect::<Result<_, _>>()?;
        Ok(Self { alerts, unread: told.unread })
    }
}
