//! A queue's own row: its policy, its counters, and what it remembers of the last minutes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Beacon, Chain, DrawSecret, Entrants, Hash, Opening, QueuePolicy,
    pace::{Pace, Speed},
    permits::Permits,
};

/// A queue's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRow {
    /// How the queue admits tokens.
    pub policy: QueuePolicy,
    /// The number of the last commit; each commit adds one.
    pub version: i64,
    /// The last ticket that was given.
    pub last_ticket: i64,
    /// The highest ticket that was admitted so far.
    pub serving_ticket: i64,
    /// The time of the last decision, in microseconds since 1970 UTC. It never runs backwards, whatever the
    /// clocks of the replicas say.
    pub decided_at: i64,
    /// What is remembered of recent admissions.
    pub admissions: Admissions,
    /// When the queue was created, in microseconds since 1970 UTC.
    pub created_at: i64,
    /// The secret of the draw; set while the queue opens by one.
    pub secret: Option<DrawSecret>,
    /// The beacon that was announced with the draw; set while the queue opens by one that has a beacon.
    pub beacon: Option<Beacon>,
    /// What was drawn; set from the opening on of a queue that opens by lot.
    pub drawn: Option<Drawn>,
}

/// The tickets of a draw: those of the numbers from 1 on follow `after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// The last ticket that was given before the draw.
    pub after: i64,
    /// How many tokens took part.
    pub count: i64,
}

/// The instant that says no more than that a queue is to be open: one that is open keeps its own.
const AT_ONCE: i64 = 0;

/// What a draw begins with: the secret, and the chain of its beacon where it is to have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawSetting {
    /// What the queue keeps to itself.
    pub secret: DrawSecret,
    /// The chain that is announced; `None`: the draw has no beacon. Or why none can be announced now, which
    /// matters only where a draw is set.
    pub chain: Result<Option<Arc<Chain>>, PolicyRefusal>,
}

/// What a draw waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// The secret of the draw.
    pub secret: Hash,
    /// How many take part, and with which tickets.
    pub entrants: Entrants,
    /// The round that is waited for.
    pub round: i64,
    /// The beacon that was announced.
    pub beacon: Beacon,
}

/// Why a policy cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyRefusal {
    /// A draw needs an instant at which it is held.
    NoInstant,
    /// Somebody has joined already, and so this cannot become a draw, or the draw another one.
    Fixed,
    /// No draw of this queue waits for its beacon, so there is none to be held without.
    NoBeaconAwaited,
    /// The beacon of the draw cannot be announced, because nobody tells its chain.
    BeaconAway,
}

/// What is remembered of recent admissions: which permits of the cap are taken, and how fast the queue moves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admissions {
    #[serde(rename = "p", default)]
    permits: Permits,
    #[serde(flatten)]
    pace: Pace,
}

impl QueueRow {
    /// The row of a queue to which no token was issued yet.
    #[must_use]
    pub fn new(policy: QueuePolicy, now: i64) -> Self {
        Self {
            policy,
            version: 0,
            last_ticket: 0,
            serving_ticket: 0,
            decided_at: now,
            admissions: Admissions::default(),
            created_at: now,
            secret: None,
            beacon: None,
            drawn: None,
        }
    }

    /// Changes the policy. `setting` is what the draw begins with if the queue becomes one that opens by lot.
    ///
    /// # Errors
    /// A draw without an instant; or the opening of a queue that somebody has joined, where it is or was to
    /// be a draw. What was announced to the first who registered holds for everybody. Or a draw is to be held
    /// without its beacon that does not wait for one, or is to be set while its beacon cannot be announced.
    pub fn set_policy(&mut self, policy: QueuePolicy, setting: &DrawSetting) -> Result<(), PolicyRefusal> {
        let is_draw = policy.opening == Opening::Draw;
        let other =
            policy.opening != self.policy.opening || (is_draw && policy.opens_at != self.policy.opens_at);
        // I-DRAW: the commitment and the instant stand before the first token is issued.
        if other && (self.last_ticket > 0 || self.taking_part().is_some()) {
            return Err(PolicyRefusal::Fixed);
        }
        if is_draw && policy.opens_at.is_none_or(|opens_at| opens_at == AT_ONCE) {
            return Err(PolicyRefusal::NoInstant);
        }
        if policy.without_beacon != self.policy.without_beacon && self.awaited().is_none() {
            return Err(PolicyRefusal::NoBeaconAwaited);
        }
        if !is_draw {
            (self.secret, self.beacon) = (None, None);
        } else if self.secret.is_none() {
            self.beacon = setting.chain.clone()?.map(Beacon::new);
            self.secret = Some(setting.secret.clone());
        }
        let (was_closed, opened_at) = (self.is_closed(), self.policy.opens_at);
        self.policy = policy;
        if was_closed && !self.is_closed() {
            // Silence counts and `waiting_ttl` runs from the opening on, which is now, and not at an instant
            // that may have passed before the first token was issued.
            self.policy.opens_at = self.policy.opens_at.map(|opens_at| opens_at.max(self.decided_at));
        } else if !was_closed && self.policy.opens_at == Some(AT_ONCE) {
            self.policy.opens_at = opened_at;
        }
        Ok(())
    }

    /// Whether the queue is not open yet, as of the last decision. It opens with the first decision that is
    /// made at or after `opens_at`, and so exactly once and with whatever else that transaction does. One
    /// that opens by lot opens with its draw.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self.policy.opening {
            Opening::Fifo => self.policy.opens_at.is_some_and(|opens_at| self.decided_at < opens_at),
            Opening::Draw => self.drawn.is_none(),
        }
    }

    /// Whether the queue is closed, and the instant of its opening has come.
    fn is_due(&self, now: i64) -> bool {
        self.is_closed() && self.policy.opens_at.is_some_and(|opens_at| opens_at <= self.decided_at.max(now))
    }

    /// The secret of a draw without a beacon that is to be held now.
    #[must_use]
    pub fn due_draw(&self, now: i64) -> Option<&DrawSecret> {
        self.secret.as_ref().filter(|_| self.beacon.is_none() && self.is_due(now))
    }

    /// Whether it is to be fixed now who takes part in a draw with a beacon.
    #[must_use]
    pub fn is_entry_due(&self, now: i64) -> bool {
        self.beacon.as_ref().is_some_and(|beacon| beacon.entrants.is_none()) && self.is_due(now)
    }

    /// The round that the draw is held with; `None` for a draw without a beacon.
    #[must_use]
    pub fn round(&self) -> Option<i64> {
        Some(self.beacon.as_ref()?.round(self.policy.opens_at?))
    }

    /// What a draw waits for of which is fixed who takes part.
    #[must_use]
    pub fn awaited(&self) -> Option<Awaited> {
        let (secret, beacon) = self.secret.as_ref().zip(self.beacon.as_ref()).filter(|_| self.is_closed())?;
        let (entrants, round) = beacon.entrants.zip(self.round())?;
        Some(Awaited { secret: secret.secret, entrants, round, beacon: beacon.clone() })
    }

    /// When the queue opens as far as is known now: at its instant, or with the round of its beacon.
    #[must_use]
    pub fn opens_by(&self) -> Option<i64> {
        let round = self.beacon.as_ref().zip(self.round());
        round.map(|(beacon, round)| beacon.chain.time_of(round)).or(self.policy.opens_at)
    }

    /// How many tickets were given, those of a draw aside.
    #[must_use]
    pub fn given(&self) -> i64 {
        self.last_ticket - self.taking_part().unwrap_or(0)
    }

    /// How many take part in the draw, once that is fixed.
    #[must_use]
    pub fn taking_part(&self) -> Option<i64> {
        let entered = self.beacon.as_ref().and_then(|beacon| beacon.entrants).map(|entrants| entrants.count);
        self.drawn.map(|drawn| drawn.count).or(entered)
    }

    /// The row after a draw without a beacon in which this many took part. Their tickets are new and follow
    /// those of the coming, so no ticket is used twice, and whoever joins from now on stands behind them.
    #[must_use]
    pub fn after_draw(&self, count: i64, now: i64) -> Self {
        let mut after = self.clone();
        after.pass(now, 0);
        after.drawn = Some(Drawn { after: self.last_ticket, count });
        after.last_ticket += count;
        after.version += 1;
        after
    }

    /// The row once it is fixed who takes part in a draw with a beacon. Their tickets are kept for them, so
    /// whoever joins from now on stands behind them, though nobody has a number yet.
    #[must_use]
    pub fn after_entry(&self, root: Hash, count: i64, now: i64) -> Self {
        let mut after = self.clone();
        after.pass(now, 0);
        if let Some(beacon) = &mut after.beacon {
            beacon.entrants = Some(Entrants { after: self.last_ticket, count, root, at: after.decided_at });
        }
        after.last_ticket += count;
        after.version += 1;
        after
    }

    /// The row after the draw of those who were entered, with the signature of the round; empty where it was
    /// held without one.
    #[must_use]
    pub fn after_beacon(&self, signature: Arc<[u8]>, now: i64) -> Self {
        let mut after = self.clone();
        after.pass(now, 0);
        if let Some(beacon) = &mut after.beacon {
            after.drawn =
                beacon.entrants.map(|entrants| Drawn { after: entrants.after, count: entrants.count });
            beacon.signature = Some(signature);
        }
        after.version += 1;
        after
    }

    /// This many tokens that hold a place, as how many wait and how many are registered.
    #[must_use]
    pub fn told_apart(&self, places: i64) -> (i64, i64) {
        if self.is_closed() { (0, places) } else { (places, 0) }
    }

    /// Moves on to the time of a decision, up to which this many tokens waited. Time does not run backwards.
    pub(super) fn pass(&mut self, now: i64, waiting: i64) {
        let now = self.decided_at.max(now);
        // Before the opening nobody waits for an admission.
        let (waiting, _) = self.told_apart(waiting);
        self.admissions.pace.pass(self.decided_at, now, waiting, self.policy.paused);
        self.decided_at = now;
    }

    /// Notes an admission, and whether the token had to wait for it.
    pub(super) fn admit(&mut self, ticket: i64, waited: bool) {
        self.serving_ticket = self.serving_ticket.max(ticket);
        self.admissions.permits.take(self.decided_at, self.policy.admit_per_minute);
        if waited {
            self.admissions.pace.admitted(self.decided_at);
        }
    }

    /// Notes that a waiting token has ended without an admission.
    pub(super) fn gave_up(&mut self) {
        self.admissions.pace.gave_up(self.decided_at);
    }

    /// Whether the cap lets a token in now.
    pub(super) fn cap_allows(&self) -> bool {
        self.admissions.permits.left(self.decided_at, self.policy.admit_per_minute) > 0
    }

    /// When the cap next lets a token in: the time of the last decision if it did so then.
    pub(super) fn opens_at(&self) -> i64 {
        self.admissions.permits.opens_at(self.decided_at, self.policy.admit_per_minute)
    }

    /// How fast the queue moves, as of the last decision.
    pub(super) fn speed(&self, active: i64) -> Speed {
        self.admissions.pace.speed(self.decided_at, &self.policy, active, self.opens_at())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_survives_a_row_and_an_older_row_is_read() {
        let mut head = QueueRow::new(QueuePolicy::default(), 0);
        head.pass(40_000_000, 3);
        head.admit(7, true);
        head.gave_up();
        let text = serde_json::to_string(&head.admissions).expect("plain numbers");
        assert_eq!(serde_json::from_str::<Admissions>(&text).expect("what was written"), head.admissions);
        let older = serde_json::from_str::<Admissions>(r#"{"s":[[1,2]],"m":[[1,2]]}"#)
            .expect("nothing but other fields");
        assert_eq!(older, Admissions::default());
        assert_eq!(head.serving_ticket, 7);
    }
}
