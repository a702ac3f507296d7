//! Following tokens for SSE and WebSocket: one follower a queue, however many streams.
//!
//! ```text
//! stream ─ first read ─▶ follow() ─▶ inbox ─▶ wheel of 100 ms ─▶ BatchGetTokens, 1,000 tokens a call
//!                            ▲                                          │ what is worth sending ([`pace`])
//!                            └── the latest news, in the stream's slot ◀┘
//! ```
//! A stream has no task, timer or call of its own here, but an entry in the wheel and its slot. 100,000
//! streams that wait need some twenty calls a second. Looking a token up is also its user's heartbeat to
//! queue-svc, so every token is looked up at least every six seconds. While queue-svc is away the streams
//! stay open, with heartbeats, and go on afterwards. At shutdown every client is told to connect again.
//!
//! [`pace`]: crate::domain::pace

use std::{collections::HashMap, sync::Arc, time::Duration};

use boxoffice_proto::{Fault, Reason};
use chassis::{background::Vital, context::Context};
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc},
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::{
    audience::Audience,
    batch::{BATCH, Lookup, Places},
    following::Following,
    news::{Slot, StreamEnd},
    notices::SeenPlace,
    standing::standing,
    wheel::Wheel,
};
use crate::domain::pace::{Band, EventId, Memory, SECOND, SPREAD, Standing, Tick, Verdict};

/// How many streams may be open at once. At less than 3 KiB each this is 300 MiB; further clients have to
/// poll, which costs the edge nothing between two polls.
pub(crate) const STREAMS: u32 = 100_000;
/// The most tokens that are looked up in a tick, those in front first; the others wait for the next tick. It
/// is twice what [`STREAMS`] need.
const ROUND: usize = 4 * BATCH;
/// How long one call may take: one attempt on a replica that hangs (3 s), and another one on the next.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait after a call that failed.
const AGAIN: Tick = SECOND;
const TICK: Duration = Duration::from_millis(100);

/// The followers of this edge. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Followers(Arc<Registry>);

/// What the followers share.
struct Registry {
    places: Places,
    /// A follower that failed would leave its streams open with nothing to say.
    vital: Vital,
    seats: Arc<Semaphore>,
    audience: Arc<Audience>,
    /// Where followers run, whichever thread's request opens the first stream.
    runtime: Handle,
    /// The inbox of each queue's follower. It is bounded by the number of streams that may be open.
    inboxes: Mutex<HashMap<String, mpsc::UnboundedSender<Joined>>>,
}

/// A stream that is handed over to its follower.
struct Joined {
    slot: Arc<Slot>,
    first: SeenPlace,
    id: Uuid,
    told: EventId,
}

/// A stream in the wheel.
pub(super) struct Followed {
    slot: Arc<Slot>,
    token: Uuid,
    memory: Memory,
    band: Band,
}

impl Followers {
    pub(crate) fn new(places: Places, vital: Vital) -> Self {
        let seats = Arc::new(Semaphore::new(usize::try_from(STREAMS).unwrap_or(usize::MAX)));
        let (audience, runtime) = (Arc::default(), Handle::current());
        let inboxes = Mutex::default();
        Self(Arc::new(Registry { places, vital, seats, audience, runtime, inboxes }))
    }

    /// Follows a token that was looked up a moment ago, for a client that was sent the state `told` before:
    /// its state at once if that is news to the client, then its changes, until the token ends or has too
    /// many newer streams.
    ///
    /// # Errors
    /// UNAVAILABLE when as many streams are open as there may be.
    pub(crate) fn follow(&self, first: SeenPlace, told: Option<EventId>) -> Result<Following, Fault> {
        let place = Arc::clone(&self.0.seats).try_acquire_owned().map_err(|_| {
            let detail = "As many streams are open as there may be: poll GET /v1/tokens/{token} instead.";
            Fault::new(Reason::Unavailable, detail).retry_after(Duration::from_secs(10))
        })?;
        let (slot, now) = (Arc::<Slot>::default(), standing(&first));
        let id = Uuid::try_parse(&first.token.token).ok().filter(|_| !now.is_final);
        let seat = id.map(|id| self.0.audience.attend(id, Arc::clone(&slot)));
        let following = Following::new(Arc::clone(&slot), place, seat);
        if told.is_none_or(|told| told.is_news(&now)) {
            slot.tell(Box::new(first.clone()));
        }
        if now.is_final {
            slot.end(StreamEnd::Final);
        } else if let Some(id) = id {
            let told = told.filter(|told| !told.is_news(&now)).unwrap_or_else(|| EventId::of(&now));
            self.0.hand_over(Joined { slot, first, id, told });
        } else {
            slot.end(StreamEnd::Unknown);
        }
        Ok(following)
    }

    /// Waits until no stream is open any more: after shutdown each one still has its end to send.
    pub(crate) async fn ended(&self) {
        drop(self.0.seats.acquire_many(STREAMS).await);
    }
}

impl Registry {
    /// Hands a stream over to its queue's follower, which is started when there is none.
    fn hand_over(self: &Arc<Self>, joined: Joined) {
        let mut inboxes = self.inboxes.lock();
        if self.vital.shutdown().is_cancelled() {
            joined.slot.end(StreamEnd::Restart);
            return;
        }
        let unsent = match inboxes.get(&joined.first.token.queue_id) {
            Some(inbox) => inbox.send(joined).err().map(|unsent| unsent.0),
            None => Some(joined),
        };
        if let Some(joined) = unsent {
            let queue_id = joined.first.token.queue_id.clone();
            let (sender, inbox) = mpsc::unbounded_channel();
            let follower = Follower::new(Arc::clone(self), queue_id.clone(), inbox);
            self.runtime.spawn(self.vital.clone().guard("a follower of places", follower.run()));
            // It cannot fail: the receiver is in the task that was just started.
            drop(sender.send(joined));
            inboxes.insert(queue_id, sender);
        }
    }
}

/// Follows the tokens of every stream of one queue.
struct Follower {
    all: Arc<Registry>,
    queue_id: String,
    inbox: mpsc::UnboundedReceiver<Joined>,
    wheel: Wheel<Followed>,
    began: Instant,
    /// Taken from the wheel and not yet looked up, those in front last. This list and the next one are fields
    /// so that no stream is lost when a shutdown ends a round half-way.
    due: Vec<Followed>,
    /// Being looked up.
    asked: Vec<Followed>,
    /// Which message of the seller's was seen last in the queue.
    notice: Option<u32>,
}

impl Follower {
    fn new(all: Arc<Registry>, queue_id: String, inbox: mpsc::UnboundedReceiver<Joined>) -> Self {
        Self {
            all,
            queue_id,
            inbox,
            wheel: Wheel::default(),
            began: Instant::now(),
            due: Vec::new(),
            asked: Vec::new(),
            notice: None,
        }
    }

    /// Runs until the queue's last stream has gone, or the edge shuts down.
    async fn run(mut self) {
        let shutdown = self.all.vital.shutdown().clone();
        loop {
            let next = self.wheel.next().map(|tick| self.began + TICK * tick);
            tokio::select! {
                () = shutdown.cancelled() => break,
                joined = self.inbox.recv() => match joined {
                    Some(joined) => self.place(joined),
                    None => break,
                },
                () = sleep_until(next.unwrap_or(self.began)), if next.is_some() => {
                    tokio::select! {
                        () = shutdown.cancelled() => break,
                        () = self.round() => {}
                    }
                }
            }
            while let Ok(joined) = self.inbox.try_recv() {
                self.place(joined);
            }
            if self.wheel.is_empty() && self.is_over() {
                return;
            }
        }
        self.send_away();
    }

    fn now(&self) -> Tick {
        let ticks = self.began.elapsed().as_millis() / TICK.as_millis();
        Tick::try_from(ticks).unwrap_or(Tick::MAX)
    }

    fn place(&mut self, joined: Joined) {
        let Joined { slot, first, id, told } = joined;
        let (now, first) = (self.now(), standing(&first));
        self.hear(&first);
        let (band, memory) = (Band::of(&first), Memory::new(told, &first, now));
        self.wheel.push(now + band.first_pause(&id, now), Followed { slot, token: id, memory, band });
    }

    /// Looks up every token that is due.
    async fn round(&mut self) {
        let now = self.now();
        self.wheel.take(now, &mut self.due);
        self.due.retain(|followed| !followed.slot.is_abandoned());
        // Those in front come last and are looked up first; those that are too many for a round wait.
        self.due.sort_unstable_by_key(|followed| std::cmp::Reverse(followed.band));
        let more = self.due.len().saturating_sub(ROUND);
        for followed in self.due.drain(..more) {
            self.wheel.push(now + 1, followed);
        }
        while !self.due.is_empty() {
            let rest = self.due.len().saturating_sub(BATCH);
            self.asked.extend(self.due.drain(rest..));
            self.asked.sort_unstable_by_key(|followed| followed.token);
            let mut ids: Vec<Uuid> = self.asked.iter().map(|followed| followed.token).collect();
            ids.dedup();
            match Context::fresh(TIMEOUT).scope(self.all.places.look_up(&ids)).await {
                Ok(tokens) => self.tell(&ids, tokens),
                Err(fault) => {
                    tracing::debug!(%fault, queue_id = self.queue_id, "the followed tokens could not be looked up");
                    return self.wait();
                }
            }
        }
    }

    /// Puts what is worth sending into the slots of the streams whose tokens were looked up.
    fn tell(&mut self, ids: &[Uuid], found: Vec<Lookup>) {
        let now = self.now();
        let mut found = ids.iter().zip(found).peekable();
        for mut followed in std::mem::take(&mut self.asked) {
            // Both are sorted; several streams may follow one token.
            while found.next_if(|(id, _)| **id < followed.token).is_some() {}
            let place = match found.peek() {
                Some((_, Lookup::Found(place))) => place,
                Some((_, Lookup::Unavailable)) => {
                    self.wheel.push(now + wait(&mut followed, now), followed);
                    continue;
                }
                Some((_, Lookup::Unknown)) | None => {
                    followed.slot.end(StreamEnd::Unknown);
                    continue;
                }
            };
            let seen = standing(place);
            followed.band = Band::of(&seen);
            match followed.memory.judge(&seen, now) {
                Verdict::Tell => {
                    metrics::counter!("stream_messages_total").increment(1);
                    followed.slot.tell(Box::new(place.clone()));
                }
                Verdict::Heartbeat => followed.slot.beat(),
                Verdict::Keep => {}
            }
            if seen.is_final {
                followed.slot.end(StreamEnd::Final);
            } else {
                self.hear(&seen);
                let pause = followed.band.pause(&followed.token, now).min(self.longest());
                self.wheel.push(now + pause, followed);
            }
        }
    }

    /// Notes what the seller says. Something new is told to all soon, spread over a while.
    fn hear(&mut self, seen: &Standing) {
        if std::mem::replace(&mut self.notice, seen.notice) != seen.notice {
            self.wheel.hurry(SPREAD);
        }
    }

    /// The longest pause: where few follow, no look falls into most ticks, and it would take long until one
    /// finds what the seller says anew. All of them together are one call.
    fn longest(&self) -> Tick {
        if self.wheel.len() < BATCH { SPREAD } else { Tick::MAX }
    }

    /// Lets every stream that is due wait, since queue-svc did not answer; heartbeats go on.
    fn wait(&mut self) {
        let now = self.now();
        for mut followed in self.asked.drain(..).chain(self.due.drain(..)) {
            self.wheel.push(now + wait(&mut followed, now), followed);
        }
    }

    /// Whether this follower ends, now that it has no stream: unless one was handed over at this moment.
    fn is_over(&mut self) -> bool {
        let mut inboxes = self.all.inboxes.lock();
        let over = self.inbox.is_empty();
        if over {
            inboxes.remove(&self.queue_id);
        }
        over
    }

    /// Ends every stream with the request to connect again, those in the inbox included.
    fn send_away(mut self) {
        self.all.inboxes.lock().remove(&self.queue_id);
        self.wheel.take(Tick::MAX, &mut self.due);
        self.due.iter().chain(&self.asked).for_each(|followed| followed.slot.end(StreamEnd::Restart));
        while let Ok(joined) = self.inbox.try_recv() {
            joined.slot.end(StreamEnd::Restart);
        }
    }
}

/// How long a stream waits whose token could not be looked up; it gets a heartbeat when one is due.
fn wait(followed: &mut Followed, now: Tick) -> Tick {
    if followed.memory.rest(now) == Verdict::Heartbeat {
        followed.slot.beat();
    }
    followed.band.pause(&followed.token, now).max(AGAIN)
}

#[cfg(test)]
#[path = "followers_tests.rs"]
mod tests;
