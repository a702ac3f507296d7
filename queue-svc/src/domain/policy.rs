//! How a line admits.

use serde::{Deserialize, Serialize};

use super::SECOND;

/// What becomes of an ACTIVE token whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnExpiry {
    /// Back to the tail of its lane with a new ticket.
    Requeue,
    /// It ends as EXPIRED.
    Expire,
}

impl OnExpiry {
    /// The number that stands for it in a row.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Requeue => 1,
            Self::Expire => 2,
        }
    }

    /// Reads [`OnExpiry::code`] back.
    #[must_use]
    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            1 => Some(Self::Requeue),
            2 => Some(Self::Expire),
            _ => None,
        }
    }
}

/// A line's policy. Spans are microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePolicy {
    /// How many may be ACTIVE at once.
    pub max_active: i64,
    /// How many may wait; beyond it joining is refused.
    pub max_waiting: i64,
    /// How long an admission lasts.
    pub active_ttl: i64,
    /// How long after it was issued a token may still wait.
    pub waiting_ttl: i64,
    /// How many are admitted in any 60 seconds at most.
    pub admit_per_minute: i64,
    /// What becomes of an admission that was not used.
    pub on_expiry: OnExpiry,
    /// Nobody is admitted while this is set.
    pub paused: bool,
}

impl Default for QueuePolicy {
    /// What the contract promises for a field left out in a new queue.
    fn default() -> Self {
        Self {
            max_active: 6_000,
            max_waiting: 100_000,
            active_ttl: 300 * SECOND,
            waiting_ttl: 24 * 3_600 * SECOND,
            admit_per_minute: 6_000,
            on_expiry: OnExpiry::Requeue,
            paused: false,
        }
    }
}

/// A change of policy: what is `None` keeps its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of QueuePolicy")]
pub struct PolicyPatch {
    pub max_active: Option<i64>,
    pub max_waiting: Option<i64>,
    pub active_ttl: Option<i64>,
    pub waiting_ttl: Option<i64>,
    pub admit_per_minute: Option<i64>,
    pub on_expiry: Option<OnExpiry>,
    pub paused: Option<bool>,
}

impl PolicyPatch {
    /// The policy with these changes.
    #[must_use]
    pub fn apply(&self, to: &QueuePolicy) -> QueuePolicy {
        QueuePolicy {
            max_active: self.max_active.unwrap_or(to.max_active),
            max_waiting: self.max_waiting.unwrap_or(to.max_waiting),
            active_ttl: self.active_ttl.unwrap_or(to.active_ttl),
            waiting_ttl: self.waiting_ttl.unwrap_or(to.waiting_ttl),
            admit_per_minute: self.admit_per_minute.unwrap_or(to.admit_per_minute),
            on_expiry: self.on_expiry.unwrap_or(to.on_expiry),
            paused: self.paused.unwrap_or(to.paused),
        }
    }
}
