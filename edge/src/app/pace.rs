//! How often a place in line is looked at for its stream, and what of it is told: pure rules.
//!
//! | who | looked at | told |
//! | --- | --- | --- |
//! | the first ten | every 100 ms | each change |
//! | admitted within about a second | every 100 ms | once a second |
//! | the first thousand; admitted within about ten seconds; ACTIVE | every second | each change |
//! | behind | every 4 to 6 s | a step of 1 %; whatever changed, after 12 s of silence |
//!
//! A change of the token itself (admitted, sent back, ended) is told whenever it is seen. Who was told
//! nothing for 12 s hears a heartbeat, with the present state in it when that has changed in any way.

use std::{fmt, str::FromStr};

use boxoffice_proto::queue::{Token, TokenStatus};
use uuid::Uuid;

/// The unit of time here: 100 ms.
pub(super) type Tick = u32;
/// Ticks in a second.
pub(super) const SECOND: Tick = 10;
/// Silence that ends in a heartbeat. Those far behind are looked at every five seconds, so they hear one
/// every 12 to 18 s.
const SILENCE: Tick = 12 * SECOND;

/// These are told every step.
const FRONT: i64 = 10;
/// These about once a second.
const NEAR: i64 = 1_000;
/// However soon they will be admitted, so many are looked at every second and no more.
const SOON: i64 = 10_000;
/// Far behind, a step of this share of the place is worth telling.
const SHARE: i64 = 100;

/// What tells two states of a token apart: its place, and what else of it is worth telling. (Its row's
/// version rises also when nothing of that changes, for its user was heard of; it tells what is older.) As
/// text it is the `id` of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    version: i64,
    position: i64,
    state: u32,
}

impl Told {
    /// Of a token.
    pub(crate) fn of(token: &Token) -> Self {
        let until = token.active_until.as_ref().map_or(0, |until| until.seconds);
        let state = mixed(&[token.status.into(), token.ticket, until, token.requeues.into()]);
        Self { version: token.version, position: token.position, state }
    }

    /// Is this token's state one that somebody who knows `self` must be told?
    pub(crate) fn is_news(self, token: &Token) -> bool {
        let seen = Self::of(token);
        !self.is_later(token) && (seen.position != self.position || seen.state != self.state)
    }

    /// Is the token seen by a replica that lags behind? What is final is so, whatever somebody claims to
    /// know.
    fn is_later(self, token: &Token) -> bool {
        self.version > token.version && !is_final(token)
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{:x}", self.version, self.position, self.state)
    }
}

impl FromStr for Told {
    type Err = ();

    fn from_str(id: &str) -> Result<Self, ()> {
        let mut parts = id.split('.');
        let mut number = || parts.next().and_then(|text| text.parse().ok()).ok_or(());
        let (version, position) = (number()?, number()?);
        let state = parts.next().and_then(|text| u32::from_str_radix(text, 16).ok()).ok_or(())?;
        parts.next().is_none().then_some(Self { version, position, state }).ok_or(())
    }
}

/// Will the token never change again?
pub(crate) fn is_final(token: &Token) -> bool {
    !matches!(token.status(), TokenStatus::Waiting | TokenStatus::Active)
}

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Tell it.
    Tell,
    /// Give a sign of life.
    Heartbeat,
    /// Nothing.
    Keep,
}

/// What one stream knows, and since when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    told: Told,
    /// What else it was told: to be refreshed in the silence, not worth a message of its own.
    aside: u32,
    at: Tick,
    /// Its place seemed to have got worse when it was last looked at.
    worse: bool,
}

impl Memory {
    /// After `told` was told of what is seen now; or after a reconnect of somebody who knows `told`.
    pub(super) fn new(told: Told, token: &Token, now: Tick) -> Self {
        Self { told, aside: aside(token), at: now, worse: false }
    }

    /// What to tell of a token that is seen now; it counts as told.
    pub(super) fn judge(&mut self, token: &Token, now: Tick) -> Verdict {
        let quiet = now.saturating_sub(self.at);
        let silent = quiet >= SILENCE;
        let seen = Told::of(token);
        if self.told.is_later(token) {
            return self.rest(now);
        }
        self.told.version = seen.version;
        let worth = if seen.state != self.told.state {
            true
        } else if seen.position > self.told.position {
            // Somebody of a better lane has joined; or a replica lags a moment behind the one that was asked
            // before. What is seen twice is believed.
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

    /// When there is nothing to tell, or nothing could be seen.
    pub(super) fn rest(&mut self, now: Tick) -> Verdict {
        if now.saturating_sub(self.at) < SILENCE {
            return Verdict::Keep;
        }
        self.at = now;
        Verdict::Heartbeat
    }
}

/// What may change while the token and its place do not.
fn aside(token: &Token) -> u32 {
    let wait = token.estimated_wait.as_ref().map_or(0, |wait| wait.seconds);
    mixed(&[wait, token.waiting_behind, token.delay_reason.into()])
}

/// A number that is another one, as good as always, when one of these is; the same at every edge.
fn mixed(parts: &[i64]) -> u32 {
    let mixed = parts.iter().fold(0, |mixed: u64, part| {
        (mixed ^ part.cast_unsigned()).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    });
    u32::try_from(mixed >> 32).unwrap_or_default()
}

/// How often somebody is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Band {
    /// Every 100 ms.
    Front,
    /// Every second.
    Near,
    /// Every 4 to 6 s.
    Far,
}

impl Band {
    pub(super) fn of(token: &Token) -> Self {
        let wait = token.estimated_wait.as_ref().map_or(0, |wait| wait.seconds);
        let within = |place: i64| token.position <= place;
        // Where the policy wants to hear of everybody oftener than those far behind are looked at.
        let often = token.poll_after.as_ref().is_some_and(|after| after.seconds < 4);
        if within(0) {
            Self::Near
        } else if within(FRONT) || (within(NEAR) && wait < 1) {
            Self::Front
        } else if often || within(NEAR) || (within(SOON) && wait < 10) {
            Self::Near
        } else {
            Self::Far
        }
    }

    /// How long until the next look. Those far behind get a span of their own, different each time: a crowd
    /// that came together does not stay together.
    pub(super) fn pause(self, token: &Uuid, now: Tick) -> Tick {
        match self {
            Self::Front => 1,
            Self::Near => SECOND,
            Self::Far => 4 * SECOND + scatter(token, now) % (2 * SECOND + 1),
        }
    }

    /// How long until the first look: spread over the pause.
    pub(super) fn first_pause(self, token: &Uuid, now: Tick) -> Tick {
        let longest = match self {
            Self::Front => 1,
            Self::Near => SECOND,
            Self::Far => 5 * SECOND,
        };
        1 + scatter(token, now) % longest
    }
}

/// A number that depends on the token and the time as if by chance.
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
