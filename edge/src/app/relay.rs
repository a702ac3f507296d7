//! The outbox's relay: sends the events of settled checkouts and of shows, at least once, and in order
//! within a checkout.
//!
//! With `--events-url` each event is an HTTP POST of a CloudEvent in structured mode. Any 2xx accepts it;
//! after any other answer it is sent again later, without end. Without the flag each event is one log line
//! of target `boxoffice::events` with its type, subject (a checkout or a show) and reason.

use std::{sync::Arc, time::Duration};

use chassis::{
    back_off::BackOff,
    clock::{Clock, SECOND, micros},
    warn_or_alert,
};
use futures::{StreamExt, stream};
use reqwest::{Client, Url, header::CONTENT_TYPE};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::store::{Journal, Outgoing};

/// Checkouts that are claimed at a time.
const BATCH: i64 = 64;
/// Checkouts of a batch whose events are sent at the same time.
const AT_ONCE: usize = 16;
/// How long a receiver may take for an event.
const POST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a claim lasts, in microseconds. A batch takes 64 / 16 x 5 s = 20 s when the receiver does not
/// answer and twice that when it answers each event at the last moment; were a claim shorter than that,
/// another relay would send the same events again.
const CLAIM: i64 = 60 * SECOND;
/// The pause between two rounds, so that under load each has much to send.
const REST: Duration = Duration::from_millis(20);
/// Checkouts of a round when events are only logged.
const LOGGED: i64 = 512;
/// How often to look without being notified, since another replica may have died with claims.
const LOOK: Duration = Duration::from_secs(1);
/// The pauses after an event was not accepted.
const PAUSES: BackOff =
    BackOff { base: Duration::from_secs(1), factor: 2, cap: Duration::from_secs(60), jitter: 0.0 };
/// An operator is alerted after so many attempts (about a quarter of an hour), and again after as many
/// more.
const ALERT_EVERY: i64 = 20;

/// Notified when an event was written.
pub(crate) type Bell = Arc<Notify>;

/// Takes events from the outbox and sends them.
pub(crate) struct Relay {
    journal: Journal,
    clock: Clock,
    receiver: Option<(Client, Url)>,
    bell: Bell,
}

impl Relay {
    /// A relay to this address, or into the log without one.
    ///
    /// # Errors
    /// The URL is malformed, or does not begin with `http://`.
    pub(crate) fn new(
        journal: Journal,
        clock: Clock,
        events_url: Option<&str>,
    ) -> Result<Self, chassis::Error> {
        let wrong = |what: String| chassis::Error::Config(format!("--events-url (EVENTS_URL): {what}"));
        let receiver = match events_url.filter(|url| !url.is_empty()) {
            None => None,
            Some(url) => {
                let url: Url = url.parse().map_err(|error| wrong(format!("{error}")))?;
                if url.scheme() != "http" {
                    return Err(wrong(
                        "must begin with http:// (TLS is for a proxy beside the edge to add)".to_owned(),
                    ));
                }
                let client = Client::builder().timeout(POST_TIMEOUT).build();
                Some((client.map_err(|error| wrong(error.to_string()))?, url))
            }
        };
        Ok(Self { journal, clock, receiver, bell: Bell::default() })
    }

    /// To be notified when an event was written.
    pub(crate) fn bell(&self) -> Bell {
        Arc::clone(&self.bell)
    }

    /// Relays until `shutdown`. Events that are left then are sent after the next start, or by another
    /// replica.
    pub(crate) async fn run_until(self, shutdown: CancellationToken) {
        let relaying = async {
            loop {
                match self.relay_some().await {
                    // There may be more.
                    Ok(true) => {
                        tokio::time::sleep(REST).await;
                        continue;
                    }
                    Ok(false) => {}
                    Err(error) => warn_or_alert!(
                        error.is_passing(), %error, "events could not be read from the outbox or marked in it"
                    ),
                }
                tokio::select! {
                    () = self.bell.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        };
        shutdown.run_until_cancelled(relaying).await;
    }

    /// Claims a batch, sends it and marks it. `true` when all events of some checkout were sent.
    async fn relay_some(&self) -> Result<bool, chassis::db::Error> {
        let now = self.clock.now();
        let Some((client, url)) = &self.receiver else {
            return Ok(self.journal.tell_events(now, LOGGED, log).await? > 0);
        };
        let claimed = self.journal.claim_events(now, now + CLAIM, BATCH).await?;
        let told = stream::iter(claimed).map(|row| tell(client, url, row)).buffer_unordered(AT_ONCE);
        let (told, missed): (Vec<_>, Vec<_>) =
            told.collect::<Vec<_>>().await.into_iter().partition(|row| row.told >= row.events.len());

        // What was sent is marked first: when the rest fails, it is not sent again.
        let any = !told.is_empty();
        if any {
            self.journal
                .mark_published(told.into_iter().map(|row| row.sequence).collect(), self.clock.now())
                .await?;
        }
        for row in missed {
            let pause = PAUSES.longest(u32::try_from(row.attempts).unwrap_or(u32::MAX));
            self.journal.postpone(row.sequence, row.told, self.clock.now() + micros(pause)).await?;
        }
        Ok(any)
    }
}

/// Writes an event as a log line. It leaves out the reservation's id, which is all that is needed to read
/// the reservation.
fn log(event: &Value) {
    let (kind, subject, reason) =
        (event["type"].as_str(), event["subject"].as_str(), event["data"]["reason"].as_str());
    tracing::info!(target: "boxoffice::events", kind, subject, reason, "event");
    count("logged");
}

/// Sends a checkout's events one after the other, up to the first that is not accepted.
async fn tell(client: &Client, url: &Url, mut row: Outgoing) -> Outgoing {
    while let Some(event) = row.events.get(row.told)
        && post(client, url, event, row.attempts).await
    {
        row.told += 1;
    }
    row
}

/// Sends one event. `true` when it was accepted.
async fn post(client: &Client, url: &Url, event: &Value, attempts: i64) -> bool {
    let kind = event["type"].as_str();
    let post =
        client.post(url.clone()).header(CONTENT_TYPE, "application/cloudevents+json").body(event.to_string());
    let refused = match post.send().await {
        Ok(answer) if answer.status().is_success() => {
            count("sent");
            return true;
        }
        Ok(answer) => format!("it answered {}", answer.status()),
        // Not the URL itself, which may hold a secret.
        Err(error) => error.without_url().to_string(),
    };
    count("missed");
    tracing::warn!(kind, attempts, refused, "the receiver of events did not take one");
    if attempts % ALERT_EVERY == 0 {
        tracing::error!(
            alert = true,
            kind,
            attempts,
            "an event does not get through; it is tried until it does"
        );
    }
    false
}

fn count(outcome: &'static str) {
    metrics::counter!("events_total", "outcome" => outcome).increment(1);
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
