//! What happens in the other services, taken over from them into the one order of events.
//!
//! ```text
//!   booking: a hold and its event, one transaction ─────┐
//!                                                       ├─▶ handed over ─▶ written once an id ─▶ named taken
//!   booking: a show's move and its event, as one ───────┤       ▲                                  │
//!   queue: an opening and its event, one transaction ───┘       │                                  │
//!                                                               └────── again, until then ─────────┘
//! ```
//! An edge that dies between any two steps leaves an event where it was, or leaves it to be handed over once
//! more; its id is the same then, and it is left out. One edge at a time takes from a service, by a lease:
//! the others would only do the same once more.

use std::time::Duration;

use boxoffice_proto::{
    Fault, Reason,
    booking::{
        ReleaseReason, ReservationEvent, ShowEvent, TakeReservationEventsRequest, TakeShowEventsRequest,
        booking_service_client::BookingServiceClient,
    },
    queue::{QueueEvent, TakeQueueEventsRequest, queue_service_client::QueueServiceClient},
    time::micros,
};
use chassis::{
    channel::Channel,
    clock::{Clock, SECOND},
    context::{Context, TraceParent},
    warn_or_alert,
};
use serde_json::Value;
use tokio::{sync::watch, time::sleep};
use uuid::Uuid;

use super::{LOOK, REST};
use crate::{
    clients::{Clients, ask},
    domain::event::{self, HoldFacts, ShowFacts},
    store::Events,
};

/// How long the right to take from a service lasts, in microseconds.
const LEASE: i64 = 10 * SECOND;
/// How long a service may take to hand over what it has.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a service of an older release, which hands nothing over, is left alone.
const OLDER: Duration = Duration::from_secs(30);

/// A service that hands over events.
#[derive(Clone, Debug)]
pub(super) enum Feed {
    /// Openings of queues.
    Queue(QueueServiceClient<Channel>),
    /// Shows that begin at another time.
    Shows(BookingServiceClient<Channel>),
    /// Seats that are held, and released.
    Booking(BookingServiceClient<Channel>),
}

/// Takes what one service hands over.
pub(super) struct Feeding<'a> {
    feed: Feed,
    events: &'a Events,
    clock: &'a Clock,
    edge: Uuid,
    leased_until: i64,
    /// What is written down here, and not yet named to the service.
    taken: Vec<i64>,
}

impl<'a> Feeding<'a> {
    pub(super) const fn new(feed: Feed, events: &'a Events, clock: &'a Clock, edge: Uuid) -> Self {
        Self { feed, events, clock, edge, leased_until: 0, taken: Vec::new() }
    }

    /// Takes what there is for ever, and says so to those who send it.
    pub(super) async fn run(mut self, newest: &watch::Sender<i64>) {
        loop {
            sleep(self.round(newest).await).await;
        }
    }

    /// Takes some of what there is, and says how long to pause.
    async fn round(&mut self, newest: &watch::Sender<i64>) -> Duration {
        let (service, now) = (self.feed.name(), self.clock.now());
        if self.leased_until - now < LEASE / 2 {
            let leased = self.events.lease_feed(service, self.edge, now, now + LEASE).await;
            match leased {
                Ok(true) => self.leased_until = now + LEASE,
                Ok(false) => return LOOK,
                Err(error) => {
                    warn_or_alert!(error.is_passing(), service, %error, "events of a service cannot be written down");
                    return LOOK;
                }
            }
        }
        // Nobody asks for this, so it is in no trace that is recorded.
        let context = Context::of(TraceParent::not_sampled(), TIMEOUT);
        let handed = match context.scope(self.feed.take(self.taken.clone())).await {
            Ok(handed) => handed,
            Err(fault) if fault.reason == Reason::Unimplemented => {
                tracing::debug!(service, "a service of an older release tells no events");
                return OLDER;
            }
            Err(fault) => {
                tracing::warn!(service, reason = %fault.reason, "events of a service could not be taken; again soon");
                return LOOK;
            }
        };
        self.taken.clear();
        if handed.is_empty() {
            return LOOK;
        }
        let (numbers, bodies): (Vec<i64>, Vec<Value>) = handed.into_iter().unzip();
        match self.events.append(&bodies, self.clock.now()).await {
            Ok(position) => {
                newest.send_modify(|newest| *newest = position.max(*newest));
                self.taken = numbers;
                REST
            }
            Err(error) => {
                warn_or_alert!(error.is_passing(), service, %error, "events of a service could not be written down");
                LOOK
            }
        }
    }
}

impl Feed {
    /// Those in which little happens, so that the log is told of it as well.
    pub(super) fn of_few(clients: &Clients) -> [Self; 2] {
        [Self::Queue(clients.queue.clone()), Self::Shows(clients.booking.clone())]
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Queue(_) => "queue",
            Self::Shows(_) => "shows",
            Self::Booking(_) => "booking",
        }
    }

    /// Names what is taken, and takes what waits: the number of each, and what is told of it.
    async fn take(&self, taken: Vec<i64>) -> Result<Vec<(i64, Value)>, Fault> {
        Ok(match self {
            Self::Queue(queue) => {
                let answer = ask!(*queue, take_queue_events(TakeQueueEventsRequest { taken }))?;
                answer.events.iter().map(of_queue).collect()
            }
            Self::Shows(booking) => {
                let answer = ask!(*booking, take_show_events(TakeShowEventsRequest { taken }))?;
                answer.events.iter().map(of_show).collect()
            }
            Self::Booking(booking) => {
                let request = TakeReservationEventsRequest { taken };
                let answer = ask!(*booking, take_reservation_events(request))?;
                answer.events.iter().map(of_reservation).collect()
            }
        })
    }
}

fn of_queue(opened: &QueueEvent) -> (i64, Value) {
    let at = opened.opened_at.as_ref().and_then(micros).unwrap_or_default();
    let opens_at = opened.opens_at.as_ref().and_then(micros);
    let opening = opened.opening().as_str_name().trim_start_matches("OPENING_");
    let QueueEvent { number, version, registered, .. } = *opened;
    (number, event::queue_opened(&opened.queue_id, version, opening, opens_at, registered, at))
}

fn of_show(moved: &ShowEvent) -> (i64, Value) {
    let facts = ShowFacts {
        show_id: moved.show_id,
        concert_id: moved.concert_id,
        title: &moved.title,
        starts_at: moved.starts_at.as_ref().and_then(micros).unwrap_or_default(),
        time_zone: &moved.time_zone,
        local_date: &moved.local_date,
        local_time: &moved.local_time,
    };
    let before = moved.previous_starts_at.as_ref().and_then(micros).unwrap_or_default();
    let at = moved.happened_at.as_ref().and_then(micros).unwrap_or_default();
    (moved.number, event::show_moved(&facts, before, &moved.event_id, at))
}

fn of_reservation(told: &ReservationEvent) -> (i64, Value) {
    let released = match ReleaseReason::try_from(told.released) {
        Ok(ReleaseReason::Unspecified) => None,
        Ok(reason) => Some(reason.as_str_name().trim_start_matches("RELEASE_REASON_")),
        // A reason of a newer release: the seats are released all the same.
        Err(_) => Some("OTHER"),
    };
    let facts = HoldFacts {
        reservation_id: &told.reservation_id,
        user_id: &told.user_id,
        concert_id: told.concert_id,
        show_id: told.show_id,
        seats: &told.seat_numbers,
        amount: told.amount,
        promised_until: told.promised_until.as_ref().and_then(micros).unwrap_or_default(),
    };
    let at = told.happened_at.as_ref().and_then(micros).unwrap_or_default();
    (told.number, event::reservation_changed(&facts, released, at))
}
