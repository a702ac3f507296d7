//! What other systems are told of queues: that one which was to open has opened.

use std::time::Duration;

use super::{Opening, QueueRow};

/// The most events that are handed over at once, and taken at once.
pub const AT_ONCE: i64 = 500;
/// How long events wait that nobody takes.
pub const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// An opening of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// When it opened, in microseconds since 1970 UTC, by the queue's own time.
    pub at: i64,
    /// How it opened.
    pub opening: Opening,
    /// The instant at which it was to open, or at which an operator opened it at once.
    pub opens_at: Option<i64>,
    /// How many had registered.
    pub registered: i64,
}

impl Opened {
    /// The opening of the queue with this row, in which so many had registered.
    #[must_use]
    pub const fn of(head: &QueueRow, registered: i64) -> Self {
        let policy = &head.policy;
        Self { at: head.decided_at, opening: policy.opening, opens_at: policy.opens_at, registered }
    }
}

/// An event that waits to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingEvent {
    /// The number by which it is taken.
    pub number: i64,
    /// The queue that opened.
    pub queue_id: String,
    /// Its version when it was open.
    pub version: i64,
    /// How and when it opened.
    pub opened: Opened,
}
