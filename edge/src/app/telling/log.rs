//! Where nobody is told, each event is a line of the log.

use serde_json::Value;

use crate::store::Event;

/// The name of the log among the subscribers.
pub(super) const NAME: &str = "log";

/// The log as a receiver of events; it takes each of them.
pub(super) struct LogLines;

impl LogLines {
    /// Writes an event as a log line. It leaves out the reservation's id, which is all that is needed to read
    /// the reservation.
    pub(super) fn tell(&self, event: &Event) {
        let body: Value = serde_json::from_str(&event.body).unwrap_or_default();
        let (kind, reason) = (event.kind.as_str(), body["data"]["reason"].as_str());
        let subject =
            Some(event.subject.as_str()).filter(|subject| body["data"]["reservationId"] != **subject);
        tracing::info!(target: "boxoffice::events", kind, subject, reason, "event");
    }
}
