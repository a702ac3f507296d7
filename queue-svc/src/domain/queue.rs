//! A queue's own row: its policy, its counters, and what it remembers of the last minutes.

use serde::{Deserialize, Serialize};

use super::{
    QueuePolicy,
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
        }
    }

    /// Whether the queue is not open yet, as of the last decision. It opens with the first decision that is
    /// made at or after `opens_at`, and so exactly once and with whatever else that transaction does.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.policy.opens_at.is_some_and(|opens_at| self.decided_at < opens_at)
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
