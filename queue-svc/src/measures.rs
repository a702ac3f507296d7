//! The names of this crate's metrics and what they mean.

use chassis::telemetry::Described;

pub(crate) const MEASURES: &[Described] = &[
    ("queue_active", "People who are admitted at this moment, by queue."),
    ("queue_admissions_total", "Admissions, by queue."),
    (
        "queue_beacon_late_seconds",
        "By how much the beacon that a draw waits for is late, by queue; 0 while none is.",
    ),
    ("queue_batch_seconds", "How long a batch of commands took to be decided and written."),
    ("queue_batch_size", "Commands that one batch did together, by queue."),
    ("queue_batches_total", "Batches of commands that were made, by queue."),
    ("queue_poll_batch_seconds", "How long a batch of polls that came over a stream took to be answered."),
    ("queue_refused_busy_total", "Commands refused because the queue had as much to do as it can, by queue."),
    ("queue_registered", "People who registered before the queue opens, by queue."),
    ("queue_waiting", "People who wait at this moment, by queue."),
];
