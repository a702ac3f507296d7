//! Where alerts are picked up: a layer of the log that puts what has the field `alert` into bounded memory.

use std::{
    fmt::{self, Write as _},
    sync::OnceLock,
};

use tokio::sync::mpsc;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// Alerts that wait to be written down. In half a second there are not so many that differ.
const ROOM: usize = 1_024;
/// Bytes of an alert's text; the log has all of it.
const LONGEST: usize = 1_000;

/// The way into memory, from when on somebody takes alerts out of it. The log of a process is one, and so is
/// this.
static SINK: OnceLock<mpsc::Sender<Alert>> = OnceLock::new();

/// An alert as it was logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alert {
    /// What it is about, by the words of its message.
    pub(super) kind: String,
    /// Its message and its fields.
    pub(super) text: String,
    /// How many alerts it stands for.
    pub(super) times: i64,
}

/// The alerts that were picked up.
pub(super) struct Inbox(mpsc::Receiver<Alert>);

impl Inbox {
    /// Takes what there is.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Alert> {
        std::iter::from_fn(|| self.0.try_recv().ok())
    }
}

/// The alerts of this process from now on; `None` when somebody has them already.
pub(super) fn take() -> Option<Inbox> {
    let (sender, receiver) = mpsc::channel(ROOM);
    SINK.set(sender).ok().map(|()| Inbox(receiver))
}

/// The layer that picks alerts up.
pub(crate) struct Pick;

impl<S: Subscriber> Layer<S> for Pick {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if *metadata.level() != Level::ERROR || metadata.fields().field("alert").is_none() {
            return;
        }
        if let Some(sink) = SINK.get()
            && sink.try_send(read(event)).is_err()
        {
            metrics::counter!("alerts_total", "outcome" => "dropped").increment(1);
        }
    }
}

fn read(event: &Event<'_>) -> Alert {
    let mut fields = AlertFields::default();
    event.record(&mut fields);
    let AlertFields { message, others } = fields;
    let kind = kind(&message);
    let mut text = format!("{message}{others}");
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    Alert { kind, text, times: 1 }
}

/// The kind of an alert: its message up to the first mark, in small letters, with hyphens.
fn kind(message: &str) -> String {
    let head = message.split([':', ';', '(', ',']).next().unwrap_or_default();
    let words: Vec<String> = head
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.join("-")
}

#[derive(Default)]
struct AlertFields {
    message: String,
    others: String,
}

impl Visit for AlertFields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a text cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            "alert" => Ok(()),
            name => write!(self.others, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn an_alert_is_picked_up_with_its_kind_and_its_fields_and_nothing_else_is() {
        let mut inbox = take().unwrap();
        assert!(take().is_none(), "one a process");
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Pick), || {
            tracing::error!("failed");
            tracing::info!(alert = true, "no error");
            let step = "confirm";
            tracing::error!(alert = true, step, rounds = 20, "a checkout does not get on; it is tried again");
            tracing::error!(alert = true, cause = "é".repeat(900), "something");
        });
        let alerts: Vec<_> = inbox.drain().collect();
        assert_eq!(alerts.len(), 2, "{alerts:?}");
        assert_eq!(alerts[0].kind, "a-checkout-does-not-get-on");
        assert_eq!(alerts[0].text, "a checkout does not get on; it is tried again step=confirm rounds=20");
        assert!(alerts[1].text.len() < LONGEST + 8 && alerts[1].text.ends_with("é…"), "{}", alerts[1].text);
    }
}
