//! How often a place in a queue is looked up for its stream, and which changes its client is sent: pure
//! rules.
//!
//! | who | looked up | sent |
//! | --- | --- | --- |
//! | the first ten | every 100 ms | each change |
//! | admitted within about a second | every 100 ms | once a second |
//! | the first thousand; admitted within about ten seconds; ACTIVE | every second | each change |
//! | the others | every 4 to 6 s | a step of 1 % of the position; any change, after 8 s of silence |
//! | REGISTERED | every 4 to 6 s; when the queue opens within that, every second | the opening |
//!
//! A change of the token itself (admitted, sent back, ended), and whatever the seller says anew to all, is
//! sent whenever it is seen. So that what is said is seen soon, no look is later than [`SPREAD`] where few
//! follow, or once one look has found it. A client that was sent nothing for 8 s gets a heartbeat, with the
//! present state in it when anything in it has changed.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// The unit of time here: 100 ms.
pub(crate) type Tick = u32;
/// Ticks in a second.
pub(crate) const SECOND: Tick = 10;
/// After this long without a message a heartbeat is sent. Tokens far behind are looked up every five seconds,
/// so their clients get one every 8 to 14 s.
const SILENCE: Tick = 8 * SECOND;
/// Something new that the seller says reaches every stream within this time after the first that is told.
pub(crate) const SPREAD: Tick = 2 * SECOND;

/// Up to this position each step is sent at once.
const FRONT: i64 = 10;
/// Up to this position each step is sent, at most once a second.
const NEAR: i64 = 1_000;
/// Beyond this position nobody is looked up every second, however soon they will be admitted.
const SOON: i64 = 10_000;
/// Beyond [`NEAR`] a step is sent when it is at least this fraction (one hundredth) of the position.
const SHARE: i64 = 100;

/// One look at a token: what the rules depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The version of the token's row. It also rises when nothing else here changes, as on a heartbeat.
    pub(crate) version: i64,
    /// The status, by its number in the contract.
    pub(crate) status: i32,
    /// Whether the token has ended, so that nothing of it will ever change.
    pub(crate) is_final: bool,
    /// The token's ticket.
    pub(crate) ticket: i64,
    /// The position, 1 for the next to be admitted; 0 when the token does not wait.
    pub(crate) position: i64,
    /// How many wait behind the token.
    pub(crate) waiting_behind: i64,
    /// When the admission ends, in seconds since 1970; 0 unless ACTIVE.
    pub(crate) active_until: i64,
    /// How often the token was admitted, not used and sent back.
    pub(crate) requeues: i32,
    /// The estimated wait in seconds.
    pub(crate) estimated_wait: i64,
    /// The reason of a longer wait, by its number in the contract; 0 for none.
    pub(crate) delay_reason: i32,
    /// When to poll again, in seconds, where the policy says so.
    pub(crate) poll_after: Option<i64>,
    /// When the queue opens, in seconds since 1970, where it is not open yet.
    pub(crate) opens_at: Option<i64>,
    /// Which message the seller has for everybody in the queue, by a number of its own.
    pub(crate) notice: Option<u32>,
}

/// Identifies a state of a token that a client was sent: its position, and a hash of whatever else is worth a
/// message. The version orders states. As text it is the `id` of an event, and the same on every edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventId {
    version: i64,
    position: i64,
    state: u32,
}

impl EventId {
    /// The id of this state.
    pub(crate) fn of(now: &Standing) -> Self {
        let own = [now.status.into(), now.ticket, now.active_until, now.requeues.into()];
        // Where nothing is said the hash is that of the releases that know of no messages.
        let state = hash(own.into_iter().chain(now.notice.map(i64::from)));
        Self { version: now.version, position: now.position, state }
    }

    /// Whether a client that was sent `self` must be sent this state.
    pub(crate) fn is_news(self, now: &Standing) -> bool {
        let id = Self::of(now);
        !self.is_later(now) && (id.position != self.position || id.state != self.state)
    }

    /// Whether this state comes from a replica that lags behind. A final state never does, whatever a client
    /// claims to have been sent.
    const fn is_later(self, now: &Standing) -> bool {
        self.version > now.version && !now.is_final
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{:x}", self.version, self.position, self.state)
    }
}

impl FromStr for EventId {
    type Err = ();

    fn from_str(id: &str) -> Result<Self, ()> {
        let mut parts = id.split('.');
        let mut number = || parts.next().and_then(|text| text.parse().ok()).ok_or(());
        let (version, position) = (number()?, number()?);
        let state = parts.next().and_then(|text| u32::from_str_radix(text, 16).ok()).ok_or(())?;
        parts.next().is_none().then_some(Self { version, position, state }).ok_or(())
    }
}

/// What to send a client after a look at its token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The state of the token.
    Tell,
    /// A heartbeat, since nothing else was sent for a while.
    Heartbeat,
    /// Nothing this time.
    Keep,
}

/// What the client of one stream was last sent, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    told: EventId,
    /// A hash of what else it was sent: not worth a message of its own, but sent again in place of a
    /// heartbeat.
    aside: u32,
    at: Tick,
    /// Whether the position was worse than the one that was sent when the token was last looked up.
    worse: bool,
}

impl Memory {
    /// Of a client that was sent this state as `told`, or that has reconnected and was sent `told` before.
    pub(crate) fn new(told: EventId, token: &Standing, now: Tick) -> Self {
        Self { told, aside: aside(token), at: now, worse: false }
    }

    /// What to send of the state that is seen now; it counts as sent.
    pub(crate) fn judge(&mut self, token: &Standing, now: Tick) -> Verdict {
        let quiet = now.saturating_sub(self.at);
        let silent = quiet >= SILENCE;
        let seen = EventId::of(token);
        if self.told.is_later(token) {
            return self.rest(now);
        }
        self.told.version = seen.version;
        let worth = if seen.state != self.told.state {
            true
        } else if seen.position > self.told.position {
            // Either a user with a better priority has joined, or this replica lags behind the one that was
            // asked before. A position that is seen twice is believed.
            std::mem::replace(&mut self.worse, true)
        } else {
            self.worse = false;
            let step = self.told.position - seen.position;
            let wide = seen.position <= NEAR || step.saturating_mul(SHARE) >= self.told.position;
            step > 0 && (seen.position <= FRONT || (wide && quiet >= SECOND) || silent)
        };
        if worth || (silent && !self.worse && self.aside != aside(token)) {
            *self = Self::new(seen, token, now);
            Verdict::Tell
        } else {
            self.rest(now)
        }
    }

    /// What to send when the state is not worth a message, or could not be looked up.
    pub(crate) fn rest(&mut self, now: Tick) -> Verdict {
        if now.saturating_sub(self.at) < SILENCE {
            return Verdict::Keep;
        }
        self.at = now;
        Verdict::Heartbeat
    }
}

/// A hash of what may change while the token and its position do not.
fn aside(token: &Standing) -> u32 {
    let opens_at = token.opens_at.unwrap_or(0);
    hash([token.estimated_wait, token.waiting_behind, token.delay_reason.into(), opens_at])
}

/// A hash of these numbers, the same on every edge and in every release.
fn hash(parts: impl IntoIterator<Item = i64>) -> u32 {
    let mixed = parts.into_iter().fold(0, |mixed: u64, part| {
        (mixed ^ part.cast_unsigned()).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    });
    u32::try_from(mixed >> 32).unwrap_or_default()
}

/// How often a token is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Band {
    /// The token is looked up every 100 ms.
    Front,
    /// The token is looked up every second.
    Near,
    /// The token is looked up every 4 to 6 s.
    Far,
}

impl Band {
    /// The band of a token.
    pub(crate) fn of(token: &Standing) -> Self {
        let wait = token.estimated_wait;
        let within = |position: i64| token.position <= position;
        // The queue's policy may ask for heartbeats more often than tokens far behind are looked up.
        let often = token.poll_after.is_some_and(|after| after < 4);
        if token.opens_at.is_some() {
            // The advice to poll is that of the opening: whoever is to poll soon learns of it soon.
            if token.poll_after.is_some_and(|after| after < 6) { Self::Near } else { Self::Far }
        } else if within(0) {
            Self::Near
        } else if within(FRONT) || (within(NEAR) && wait < 1) {
            Self::Front
        } else if often || within(NEAR) || (within(SOON) && wait < 10) {
            Self::Near
        } else {
            Self::Far
        }
    }

    /// How long until the next look. Tokens far behind get a different pause each time, so that users who
    /// joined at the same moment are not looked up at the same moment for ever.
    pub(crate) fn pause(self, token: &Uuid, now: Tick) -> Tick {
        match self {
            Self::Front => 1,
            Self::Near => SECOND,
            Self::Far => 4 * SECOND + scatter(token, now) % (2 * SECOND + 1),
        }
    }

    /// How long until the first look: spread evenly over the band's pause.
    pub(crate) fn first_pause(self, token: &Uuid, now: Tick) -> Tick {
        let longest = match self {
            Self::Front => 1,
            Self::Near => SECOND,
            Self::Far => 5 * SECOND,
        };
        1 + scatter(token, now) % longest
    }
}

/// A pseudo-random number made of the token and the time.
fn scatter(token: &Uuid, now: Tick) -> u32 {
    let (high, low) = token.as_u64_pair();
    let mut mixed = high ^ low ^ u64::from(now).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(factor);
    }
    u32::try_from(mixed >> 32).unwrap_or_default()
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
