//! The outbox's relay: tells the world what became of checkouts, in order within a checkout, at least once.
//!
//! With `--events-url` each event is an HTTP POST of a CloudEvent in structured mode; any 2xx takes it,
//! anything else is tried again later, without end. Without it each event is one log line of target
//! `boxoffice::events`: its type, checkout and reason.

use std::{sync::Arc, time::Duration};

use chassis::clock::{Clock, SECOND};
use futures::{StreamExt, stream};
use reqwest::{Client, Url, header::CONTENT_TYPE};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::store::{Journal, Outgoing};

/// Checkouts claimed at a time, and told of side by side. A receiver that answers nothing costs a batch 64 /
/// 16 x 5 s = 20 s, one that answers at the last moment twice that,
const BATCH: i64 = 64;
const AT_ONCE: usize = 16;
const POST_TIMEOUT: Duration = Duration::from_secs(5);
/// which must be well below how long a claim lasts, or another relay sends the same again.
const CLAIM: i64 = 60 * SECOND;
/// Rounds are so far apart at least, so that under load each has much to tell.
const REST: Duration = Duration::from_millis(20);
/// Checkouts in a round that is only logged.
const LOGGED: i64 = 512;
/// How often to look without having been called (another replica may have died over its claims).
const LOOK: Duration = Duration::from_secs(1);
/// The pause after an event was not taken: 1 s, doubled up to a minute.
const PAUSE_LAST: i64 = 60 * SECOND;
/// After so many attempts (about a quarter of an hour) somebody should look; and again after as many more.
const ALERT_EVERY: i64 = 20;

/// Rung when an event was written.
pub(crate) type Bell = Arc<Notify>;

/// Takes events from the outbox and tells them.
pub(crate) struct Relay {
    journal: Journal,
    clock: Clock,
    receiver: Option<(Client, Url)>,
    bell: Bell,
}

impl Relay {
    /// # Errors
    /// The URL makes no sense.
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

    /// To be rung when an event was written.
    pub(crate) fn bell(&self) -> Bell {
        Arc::clone(&self.bell)
    }

    /// Relays until `shutdown`. What is left then is told after the next start, or by another replica.
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
                    Err(error) => {
                        tracing::warn!(%error, "events could not be read from the outbox or marked in it")
                    }
                }
                tokio::select! {
                    () = self.bell.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        };
        shutdown.run_until_cancelled(relaying).await;
    }

    /// Claims a batch, tells it, marks it. `true` when something was told wholly.
    async fn relay_some(&self) -> Result<bool, chassis::db::Error> {
        let now = self.clock.now();
        let Some((client, url)) = &self.receiver else {
            return Ok(self.journal.tell_events(now, LOGGED, log).await? > 0);
        };
        let claimed = self.journal.claim_events(now, now + CLAIM, BATCH).await?;
        let told = stream::iter(claimed).map(|row| tell(client, url, row)).buffer_unordered(AT_ONCE);
        let (told, missed): (Vec<_>, Vec<_>) =
            told.collect::<Vec<_>>().await.into_iter().partition(|row| row.told >= row.events.len());

        // First what was told: should the rest fail, nothing is told twice for it.
        let any = !told.is_empty();
        if any {
            self.journal
                .mark_published(told.into_iter().map(|row| row.sequence).collect(), self.clock.now())
                .await?;
        }
        for row in missed {
            let pause = (SECOND << row.attempts.clamp(1, 7).saturating_sub(1)).min(PAUSE_LAST);
            self.journal.postpone(row.sequence, row.told, self.clock.now() + pause).await?;
        }
        Ok(any)
    }
}

/// One line of the log. Not all of it: whoever knows a reservation's id may read it.
fn log(event: &Value) {
    let (kind, checkout_id, reason) =
        (event["type"].as_str(), event["subject"].as_str(), event["data"]["reason"].as_str());
    tracing::info!(target: "boxoffice::events", kind, checkout_id, reason, "event");
    count("logged");
}

/// Tells a checkout's events one after the other, as far as they are taken.
async fn tell(client: &Client, url: &Url, mut row: Outgoing) -> Outgoing {
    while let Some(event) = row.events.get(row.told)
        && post(client, url, event, row.attempts).await
    {
        row.told += 1;
    }
    row
}

/// Sends one event; `true` when it was taken.
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
