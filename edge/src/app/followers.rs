//! Following places for SSE and WebSocket: one follower a room, however many streams.
//!
//! ```text
//! stream ─ first read ─▶ follow() ─▶ inbox ─▶ wheel of 100 ms ─▶ BatchGetTokens, 1,000 tokens a call
//!                            ▲                                          │ what is worth telling ([`pace`])
//!                            └── the latest news, in the stream's slot ◀┘
//! ```
//! A stream has no task, timer or call of its own here: an entry of some 80 bytes in the wheel, and its slot.
//! 100,000 streams that wait are some twenty calls a second. Asking for a token is also how queue-svc hears
//! of its user; nobody is asked for less than every six seconds. While queue-svc is away the streams stay
//! open, with heartbeats, and go on afterwards. At shutdown every stream is told to come back.

use std::{collections::HashMap, sync::Arc, time::Duration};

use boxoffice_proto::{Fault, Reason, queue::Token};
use chassis::context::Context;
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    audience::Audience,
    batch::{self, BATCH},
    following::{Ending, Following, Slot},
    pace::{Band, Memory, SECOND, Tick, Told, Verdict, is_final},
    wheel::Wheel,
};
use crate::clients::Clients;

/// How many streams may be open at once. At some 20 KiB each this is 2 GiB; more people than that should
/// poll, which costs the edge nothing while they wait.
pub(crate) const STREAMS: u32 = 100_000;
/// Tokens asked for in a tick, those in front first; what is more waits for the next tick. It is twice what
/// [`STREAMS`] need.
const ROUND: usize = 4 * BATCH;
/// How long one call may take: one attempt on a replica that hangs (3 s), and another one elsewhere.
const TIMEOUT: Duration = Duration::from_secs(5);
/// When to try again after a call that failed.
const AGAIN: Tick = SECOND;
const TICK: Duration = Duration::from_millis(100);

/// All followers of this edge. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Followers(Arc<Inner>);

struct Inner {
    clients: Clients,
    shutdown: CancellationToken,
    places: Arc<Semaphore>,
    audience: Arc<Audience>,
    /// Where followers live, whoever opens the first stream.
    runtime: Handle,
    /// The way to each room's follower. As many wait in an inbox as streams may be open at most.
    rooms: Mutex<HashMap<String, mpsc::UnboundedSender<Joined>>>,
}

/// A stream on its way to its follower.
struct Joined {
    slot: Arc<Slot>,
    first: Token,
    id: Uuid,
    told: Told,
}

/// A stream in the wheel.
pub(super) struct Followed {
    slot: Arc<Slot>,
    token: Uuid,
    memory: Memory,
    band: Band,
}

impl Followers {
    pub(crate) fn new(clients: Clients, shutdown: CancellationToken) -> Self {
        let places = Arc::new(Semaphore::new(usize::try_from(STREAMS).unwrap_or(usize::MAX)));
        let (audience, runtime) = (Arc::default(), Handle::current());
        Self(Arc::new(Inner { clients, shutdown, places, audience, runtime, rooms: Mutex::default() }))
    }

    /// Follows a token that was read a moment ago, for a client that knows `told`: its state at once where
    /// that is news, then what changes, until the token is final, or has too many newer streams.
    ///
    /// # Errors
    /// UNAVAILABLE when as many streams are open as there may be.
    pub(crate) fn follow(&self, first: Token, told: Option<Told>) -> Result<Following, Fault> {
        let place = Arc::clone(&self.0.places).try_acquire_owned().map_err(|_| {
            let detail = "As many streams are open as there may be: poll GET /v1/tokens/{token} instead.";
            Fault::new(Reason::Unavailable, detail).retry_after(Duration::from_secs(10))
        })?;
        let slot = Arc::<Slot>::default();
        let id = Uuid::try_parse(&first.token).ok().filter(|_| !is_final(&first));
        let seat = id.map(|id| self.0.audience.seat(id, Arc::clone(&slot)));
        let following = Following::new(Arc::clone(&slot), place, seat);
        if told.is_none_or(|told| told.is_news(&first)) {
            slot.tell(Box::new(first.clone()));
        }
        if is_final(&first) {
            slot.end(Ending::Final);
        } else if let Some(id) = id {
            let told = told.filter(|told| !told.is_news(&first)).unwrap_or_else(|| Told::of(&first));
            self.0.hand_over(Joined { slot, first, id, told });
        } else {
            slot.end(Ending::Unknown);
        }
        Ok(following)
    }

    /// Waits until no stream is open any more: after shutdown each of them still says goodbye.
    pub(crate) async fn ended(&self) {
        drop(self.0.places.acquire_many(STREAMS).await);
    }
}

impl Inner {
    /// Brings a stream to its room's follower, who is called to life where there is none.
    fn hand_over(self: &Arc<Self>, joined: Joined) {
        let mut rooms = self.rooms.lock();
        if self.shutdown.is_cancelled() {
            joined.slot.end(Ending::Restart);
            return;
        }
        let unsent = match rooms.get(&joined.first.queue_id) {
            Some(inbox) => inbox.send(joined).err().map(|unsent| unsent.0),
            None => Some(joined),
        };
        if let Some(joined) = unsent {
            let room = joined.first.queue_id.clone();
            let (sender, inbox) = mpsc::unbounded_channel();
            self.runtime.spawn(Follower::new(Arc::clone(self), room.clone(), inbox).run());
            // The receiver lives in the task that was just made.
            drop(sender.send(joined));
            rooms.insert(room, sender);
        }
    }
}

/// Follows every stream of one room.
struct Follower {
    all: Arc<Inner>,
    room: String,
    inbox: mpsc::UnboundedReceiver<Joined>,
    wheel: Wheel<Followed>,
    began: Instant,
    /// Taken from the wheel and not yet asked for, those in front last; and those who are asked for at this
    /// moment. They are kept here so that nobody is lost when the round is cut short.
    due: Vec<Followed>,
    asked: Vec<Followed>,
}

impl Follower {
    fn new(all: Arc<Inner>, room: String, inbox: mpsc::UnboundedReceiver<Joined>) -> Self {
        Self {
            all,
            room,
            inbox,
            wheel: Wheel::default(),
            began: Instant::now(),
            due: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Until the last stream of the room has gone, or the edge ends.
    async fn run(mut self) {
        let shutdown = self.all.shutdown.clone();
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
        let (now, band) = (self.now(), Band::of(&first));
        let memory = Memory::new(told, &first, now);
        self.wheel.push(now + band.first_pause(&id, now), Followed { slot, token: id, memory, band });
    }

    /// Looks at everyone whose time has come.
    async fn round(&mut self) {
        let now = self.now();
        self.wheel.take(now, &mut self.due);
        self.due.retain(|followed| !followed.slot.is_abandoned());
        // Those in front are asked for first, from the end; what is more than a round holds has to wait.
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
            match Context::fresh(TIMEOUT).scope(batch::read(&self.all.clients.queue, &ids)).await {
                Ok(tokens) => self.tell(&ids, tokens),
                Err(fault) => {
                    tracing::debug!(%fault, room = self.room, "the places that are followed could not be read");
                    return self.wait();
                }
            }
        }
    }

    /// Tells those who were asked for what is worth telling.
    fn tell(&mut self, ids: &[Uuid], answers: Vec<batch::Answer>) {
        let now = self.now();
        let mut found = ids.iter().zip(answers).peekable();
        for mut followed in self.asked.drain(..) {
            // Both are sorted; several streams may follow one token.
            while found.next_if(|(id, _)| **id < followed.token).is_some() {}
            let token = match found.peek() {
                Some((_, Ok(token))) => token,
                Some((_, Err(fault))) if fault.reason == Reason::Unavailable => {
                    self.wheel.push(now + wait(&mut followed, now), followed);
                    continue;
                }
                Some((_, Err(_))) | None => {
                    followed.slot.end(Ending::Unknown);
                    continue;
                }
            };
            followed.band = Band::of(token);
            match followed.memory.judge(token, now) {
                Verdict::Tell => {
                    metrics::counter!("stream_messages_total").increment(1);
                    followed.slot.tell(Box::new(token.clone()));
                }
                Verdict::Heartbeat => followed.slot.beat(),
                Verdict::Keep => {}
            }
            if is_final(token) {
                followed.slot.end(Ending::Final);
            } else {
                self.wheel.push(now + followed.band.pause(&followed.token, now), followed);
            }
        }
    }

    /// The queue cannot be asked: everyone who is due waits, with a sign of life now and then.
    fn wait(&mut self) {
        let now = self.now();
        for mut followed in self.asked.drain(..).chain(self.due.drain(..)) {
            self.wheel.push(now + wait(&mut followed, now), followed);
        }
    }

    /// Nobody is left: the room is given up, unless somebody has come in this moment.
    fn is_over(&mut self) -> bool {
        let mut rooms = self.all.rooms.lock();
        let over = self.inbox.is_empty();
        if over {
            rooms.remove(&self.room);
        }
        over
    }

    /// Everyone is told to come back, also those who are still on their way here.
    fn send_away(mut self) {
        self.all.rooms.lock().remove(&self.room);
        self.wheel.take(Tick::MAX, &mut self.due);
        self.due.iter().chain(&self.asked).for_each(|followed| followed.slot.end(Ending::Restart));
        while let Ok(joined) = self.inbox.try_recv() {
            joined.slot.end(Ending::Restart);
        }
    }
}

/// How long somebody waits whose place could not be seen, with a sign of life now and then.
fn wait(followed: &mut Followed, now: Tick) -> Tick {
    if followed.memory.rest(now) == Verdict::Heartbeat {
        followed.slot.beat();
    }
    followed.band.pause(&followed.token, now).max(AGAIN)
}

#[cfg(test)]
#[path = "followers_tests.rs"]
mod tests;
