//! Telling other systems what has happened: each event to each subscriber, at least once.
//!
//! One task gives events their positions, one takes over those of each other service ([`feed`]), and one for
//! each subscriber sends them: every subscriber has its
//! own place, its own pauses and its own lease, so one that is down holds up nobody. Over all replicas one
//! edge at a time tells a subscriber, which is a matter of order and not of truth: an event that was sent
//! again, after a crash or by a slow edge, has the same id as before.
//!
//! A batch is sent side by side, what is about one subject one after the other; the next one is begun when
//! all of it was taken. So a subscriber never hears of a refund before the payment.

mod book;
mod feed;
mod flags;
mod log;
mod nats;
mod signature;
mod subscriber;
mod webhook;

use std::{sync::Arc, time::Duration};

use chassis::{clock::Clock, warn_or_alert};
use futures::future::{join, join_all};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::book::{EventBook, SubscriberState, ToldEvent};
use self::{
    feed::{Feed, Feeding},
    log::LogLines,
    subscriber::Subscriber,
};
use crate::{clients::Clients, config::TellingArgs, store::Events};

/// The pause between two rounds, so that under load each has much to do.
const REST: Duration = Duration::from_millis(100);
/// How often to look without being notified, since another replica may have written something.
const LOOK: Duration = Duration::from_secs(1);

/// Notified when an event was written.
pub(crate) type Bell = Arc<Notify>;

/// Where events go.
enum Receiver {
    /// A line of the log for each.
    Log(LogLines),
    /// A request for each.
    Webhook(Box<webhook::Webhook>),
    /// A message in a stream for each.
    Nats(Box<nats::Nats>),
}

/// Why an event was not taken.
#[derive(Debug)]
struct Missed {
    why: String,
    /// How long the receiver asks to be left alone.
    after: Option<Duration>,
    /// The receiver wants no events any more.
    gone: bool,
}

/// Takes events from the outbox and sends them.
pub(crate) struct Relay {
    events: Events,
    clock: Clock,
    receivers: Vec<(String, Receiver)>,
    feeds: Vec<Feed>,
    bell: Bell,
}

impl Relay {
    /// A relay to the subscribers that the flags name, or into the log without any. What happens in the
    /// services of `clients` is told too; of reservations there is much to tell, so the log is not told of
    /// them.
    ///
    /// # Errors
    /// An address or a secret makes no sense, or the machine's authorities cannot be read.
    pub(crate) fn new(
        events: Events,
        clock: Clock,
        args: &TellingArgs,
        clients: Option<&Clients>,
    ) -> Result<Self, chassis::Error> {
        let mut receivers = args.receivers(&clock)?;
        let mut feeds: Vec<_> = clients.map(Feed::of_few).into_iter().flatten().collect();
        if receivers.is_empty() {
            receivers.push((log::NAME.to_owned(), Receiver::Log(LogLines)));
        } else {
            feeds.extend(clients.map(|clients| Feed::Booking(clients.booking.clone())));
        }
        Ok(Self { events, clock, receivers, feeds, bell: Bell::default() })
    }

    /// To be notified when an event was written.
    pub(crate) fn bell(&self) -> Bell {
        Arc::clone(&self.bell)
    }

    /// Relays until `shutdown`. Events that are left then are sent after the next start, or by another
    /// replica.
    pub(crate) async fn run_until(self, shutdown: CancellationToken) {
        let Self { events, clock, receivers, feeds, bell } = self;
        let (newest, _) = watch::channel(0);
        // What waits in the outbox gets its position when every subscriber has its own: a new one is told all
        // that comes after it.
        let (greeting, mut greeted) = mpsc::channel::<()>(1);
        let edge = Uuid::new_v4();
        let tasks: Vec<_> = receivers
            .into_iter()
            .map(|(name, receiver)| {
                Subscriber::new(name, receiver, events.clone(), clock.clone(), edge).run_until(
                    newest.subscribe(),
                    greeting.clone(),
                    shutdown.clone(),
                )
            })
            .collect();
        drop(greeting);
        let ordering = shutdown.run_until_cancelled(async {
            greeted.recv().await;
            let feeding =
                feeds.into_iter().map(|feed| Feeding::new(feed, &events, &clock, edge).run(&newest));
            join(order(&events, &clock, &bell, &newest), join_all(feeding)).await;
        });
        join(ordering, join_all(tasks)).await;
        if let Err(error) = events.release(edge, clock.now()).await {
            warn_or_alert!(
                error.is_passing(), %error, "subscribers could not be left to another edge; their leases lapse by themselves"
            );
        }
    }
}

/// Gives events their positions for ever, and says so to those who send them.
async fn order(events: &Events, clock: &Clock, bell: &Notify, newest: &watch::Sender<i64>) {
    loop {
        match events.order(clock.now()).await {
            Ok(Some(position)) => {
                newest.send_modify(|newest| *newest = position.max(*newest));
                // There may be more.
                sleep(REST).await;
                continue;
            }
            Ok(None) => {}
            // Another edge orders them.
            Err(error) if error.is_contended() => {}
            Err(error) => warn_or_alert!(
                error.is_passing(), %error, "events could not be taken from the outbox"
            ),
        }
        tokio::select! {
            () = bell.notified() => {}
            () = sleep(LOOK) => {}
        }
    }
}

#[cfg(test)]
mod tests;
