//! A queue's own row: its policy, its counters, and what it remembers of the last minutes.

use serde::{Deserialize, Serialize};

use super::{
    DrawSecret, Opening, QueuePolicy,
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

/// Why a policy cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyRefusal {
    /// A draw needs an instant at which it is held.
    NoInstant,
    /// Somebody has joined already, and so this cannot become a draw, or the draw another one.
    Fixed,
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
            drawn: None,
        }
    }

    /// Changes the policy. `secret` is that of the draw if the queue becomes one that opens by lot.
    ///
    /// # Errors
    /// A draw without an instant; or the opening of a queue that somebody has joined, where it is or was to
    /// be a draw. What was announced to the first who registered holds for everybody.
    pub fn set_policy(&mut self, policy: QueuePolicy, secret: &DrawSecret) -> Result<(), PolicyRefusal> {
        let is_draw = policy.opening == Opening::Draw;
        let other =
            policy.opening != self.policy.opening || (is_draw && policy.opens_at != self.policy.opens_at);
        // I-DRAW: the commitment and the instant stand before the first token is issued.
        if other && (self.last_ticket > 0 || self.drawn.is_some()) {
            return Err(PolicyRefusal::Fixed);
        }
        if is_draw && policy.opens_at.is_none() {
            return Err(PolicyRefusal::NoInstant);
        }
        self.secret = is_draw.then(|| self.secret.take().unwrap_or_else(|| secret.clone()));
        self.policy = policy;
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

    /// The secret of a draw that is to be held now.
    #[must_use]
    pub fn due_draw(&self, now: i64) -> Option<&DrawSecret> {
        let opens_at = self.policy.opens_at?;
        self.secret.as_ref().filter(|_| self.is_closed() && opens_at <= self.decided_at.max(now))
    }

    /// The row after a draw in which this many took part. Their tickets are new and follow those of the
    /// coming, so no ticket is used twice, and whoever joins from now on stands behind them.
    #[must_use]
    pub fn after_draw(&self, count: i64, now: i64) -> Self {
        let mut after = self.clone();
        after.pass(now, 0);
        after.drawn = Some(Drawn { after: self.last_ticket, count });
        after.last_ticket += count;
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
