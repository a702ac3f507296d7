//! One subscriber: its place, its pauses, and whose turn it is to tell it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chassis::{
    back_off::BackOff,
    clock::{Clock, SECOND, micros},
    db::Error,
    warn_or_alert,
};
use futures::{StreamExt, stream};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{LOOK, Missed, REST, Receiver};
use crate::store::{Event, Events, Failing, Progress, Subscription};

/// Events of a batch.
const BATCH: i64 = 64;
/// Subjects of a batch whose events are sent at the same time.
const AT_ONCE: usize = 16;
/// How long a batch goes on sending, in microseconds; what is left then is for the next one.
const BATCH_WITHIN: i64 = 5 * SECOND;
/// How long the right to tell a subscriber lasts, in microseconds. A batch must end within half of it, lest
/// two edges send at a time.
const LEASE: i64 = 30 * SECOND;
/// The pauses after an event was not taken.
const PAUSES: BackOff =
    BackOff { base: Duration::from_secs(1), factor: 2, cap: Duration::from_secs(60), jitter: 0.0 };
/// An operator is alerted of a subscriber that has failed for so long, and again after as long; in
/// microseconds.
const ALERT_AFTER: i64 = 15 * 60 * SECOND;

/// Tells one subscriber what it has not been told.
pub(super) struct Subscriber {
    name: String,
    receiver: Receiver,
    events: Events,
    clock: Clock,
    edge: Uuid,
    /// What it has taken of us beyond its position.
    ahead: BTreeSet<i64>,
    alerted_at: Option<i64>,
}

/// What became of a batch.
#[derive(Default)]
struct Told {
    taken: Vec<i64>,
    refused: Option<(Event, Missed)>,
}

impl Subscriber {
    pub(super) const fn new(
        name: String,
        receiver: Receiver,
        events: Events,
        clock: Clock,
        edge: Uuid,
    ) -> Self {
        Self { name, receiver, events, clock, edge, ahead: BTreeSet::new(), alerted_at: None }
    }

    /// Tells it until `shutdown`, which waits for what is being sent. `greeting` is dropped when it is known.
    pub(super) async fn run_until(
        mut self,
        mut newest: watch::Receiver<i64>,
        greeting: mpsc::Sender<()>,
        shutdown: CancellationToken,
    ) {
        let mut greeting = Some(greeting);
        while !shutdown.is_cancelled() {
            let round = if greeting.is_none() {
                self.round(&shutdown).await
            } else {
                self.greet().await.map(|()| Some(REST))
            };
            let pause = match round {
                Ok(pause) => {
                    greeting = None;
                    pause
                }
                Err(error) => {
                    if !error.is_contended() {
                        let subscriber = self.name.as_str();
                        warn_or_alert!(error.is_passing(), subscriber, %error, "a subscriber could not be told of events");
                    }
                    None
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = sleep(pause.unwrap_or(LOOK)) => {}
                // Without an end to wait for, what is new is a reason to look.
                Ok(()) = newest.changed(), if pause.is_none() => {}
            }
        }
    }

    /// Makes it known, and says how far it is.
    async fn greet(&self) -> Result<(), Error> {
        let subscriber = self.name.as_str();
        if self.events.subscribe(subscriber, self.edge, self.clock.now()).await? {
            tracing::info!(subscriber, "a new subscriber is told of events from now on");
        } else if let Some(Subscription { position, newest, gone_at, .. }) =
            self.events.subscription(subscriber).await?
        {
            if gone_at.is_some() {
                tracing::warn!(
                    subscriber,
                    "this subscriber has said that it wants no events (410); `boxoffice events replay` begins again"
                );
            } else {
                tracing::info!(
                    subscriber,
                    behind = newest - position,
                    "a subscriber is told on from where it was"
                );
            }
        }
        Ok(())
    }

    /// Tells it a batch. Answers how long to pause; nothing when there is nothing to do until something
    /// happens.
    async fn round(&mut self, shutdown: &CancellationToken) -> Result<Option<Duration>, Error> {
        let now = self.clock.now();
        let Some(known) = self.events.subscription(&self.name).await? else {
            self.events.subscribe(&self.name, self.edge, now).await?;
            return Ok(None);
        };
        self.measure(&known);
        if known.runner != self.edge && known.lease_until > now {
            return Ok(None);
        }
        let is_ours = known.runner == self.edge;
        let lasts = is_ours && known.lease_until - now > LEASE / 2;
        if !lasts && !self.events.lease(&self.name, known.runner, self.edge, now, now + LEASE).await? {
            return Ok(None);
        }
        // Another edge has gone on, or an operator has it told again: what it took of us counts no more.
        if !is_ours {
            self.ahead.clear();
        }
        if known.gone_at.is_some() || known.position >= known.newest {
            return Ok(None);
        }
        if known.due_at > now {
            let until_due = u64::try_from(known.due_at - now).unwrap_or(0);
            return Ok(Some(Duration::from_micros(until_due).min(LOOK)));
        }
        let batch = self.events.after(known.position, BATCH).await?;
        let to = match (batch.last(), known.newest) {
            // What was between is forgotten.
            (None, newest) => Progress { position: newest, due_at: 0, failing: None, gone_at: None },
            (Some(_), _) => self.tell(&known, batch, shutdown).await,
        };
        let pause = to.failing.is_none().then_some(REST);
        if self.events.advance(&self.name, self.edge, known.position, &to).await? {
            Ok(pause)
        } else {
            Ok(Some(REST))
        }
    }

    /// Sends a batch and says what has become of it.
    async fn tell(
        &mut self,
        known: &Subscription,
        batch: Vec<Event>,
        shutdown: &CancellationToken,
    ) -> Progress {
        let positions: Vec<i64> = batch.iter().map(|event| event.position).collect();
        let mut subjects: BTreeMap<String, Vec<Event>> = BTreeMap::new();
        for event in batch.into_iter().filter(|event| !self.ahead.contains(&event.position)) {
            subjects.entry(event.subject.clone()).or_default().push(event);
        }
        let until = self.clock.now() + BATCH_WITHIN;
        let told = stream::iter(subjects.into_values())
            .map(|events| self.tell_one_by_one(events, until, shutdown))
            .buffer_unordered(AT_ONCE);
        let told: Vec<Told> = told.collect().await;
        let mut refused = None;
        for one in told {
            self.ahead.extend(one.taken);
            refused = refused.or(one.refused);
        }
        let reached = positions.iter().take_while(|position| self.ahead.contains(position)).last();
        let position = reached.copied().unwrap_or(known.position);
        self.ahead.retain(|taken| *taken > position);
        let Some((event, refusal)) = refused else {
            self.alerted_at = None;
            return Progress { position, due_at: 0, failing: None, gone_at: None };
        };
        self.refused(known, position, &event, refusal)
    }

    /// Sends the events of a subject in order, up to the first that is not taken.
    async fn tell_one_by_one(&self, events: Vec<Event>, until: i64, shutdown: &CancellationToken) -> Told {
        let mut told = Told::default();
        for event in events {
            if shutdown.is_cancelled() || self.clock.now() >= until {
                break;
            }
            match self.receiver.tell(&event).await {
                Ok(()) => {
                    self.count("taken");
                    told.taken.push(event.position);
                }
                Err(refusal) => {
                    self.count("missed");
                    told.refused = Some((event, refusal));
                    break;
                }
            }
        }
        told
    }

    /// Notes that an event was not taken, and says when to go on.
    fn refused(&mut self, known: &Subscription, position: i64, event: &Event, refusal: Missed) -> Progress {
        let (now, subscriber) = (self.clock.now(), self.name.as_str());
        let before = known.failing.as_ref().filter(|_| position == known.position);
        let attempts = before.map_or(0, |failing| failing.attempts) + 1;
        let since = before.map_or(now, |failing| failing.since);
        let Missed { why, after, gone } = refusal;
        let (kind, event_id) = (event.kind.as_str(), event.id.as_str());
        if gone {
            tracing::error!(
                alert = true,
                subscriber,
                kind,
                event_id,
                "a subscriber says that it wants no events any more (410): nothing is sent until `boxoffice events replay`"
            );
        } else {
            tracing::warn!(subscriber, kind, event_id, attempts, why, "a subscriber did not take an event");
            let last = self.alerted_at.unwrap_or(since);
            if now - last >= ALERT_AFTER {
                self.alerted_at = Some(now);
                tracing::error!(
                    alert = true,
                    subscriber,
                    kind,
                    event_id,
                    attempts,
                    why,
                    "a subscriber takes no events; they are sent until it does, or too old"
                );
            }
        }
        let pause = after.unwrap_or_else(|| PAUSES.longest(u32::try_from(attempts).unwrap_or(u32::MAX)));
        Progress {
            position,
            due_at: now + micros(pause),
            failing: Some(Failing { attempts, since, why }),
            gone_at: gone.then_some(now),
        }
    }

    fn count(&self, outcome: &'static str) {
        metrics::counter!("events_total", "subscriber" => self.name.clone(), "outcome" => outcome)
            .increment(1);
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of events")]
    fn measure(&self, known: &Subscription) {
        let behind = (known.newest - known.position).max(0);
        metrics::gauge!("events_behind", "subscriber" => self.name.clone()).set(behind as f64);
    }
}

impl Receiver {
    async fn tell(&self, event: &Event) -> Result<(), Missed> {
        match self {
            Self::Log(log) => {
                log.tell(event);
                Ok(())
            }
            Self::Webhook(webhook) => webhook.tell(event).await,
            Self::Nats(nats) => nats.tell(event).await,
        }
    }
}
