//! The names of this crate's metrics and what they mean.

use chassis::telemetry::Described;

/// Each metric's name and its description, as `/metrics` tells them.
pub(crate) const MEASURES: &[Described] = &[
    (
        "booking_confirmations_total",
        "Confirmations of holds that were asked for, by outcome: CONFIRMED, or the reason of the refusal.",
    ),
    ("booking_events_kept", "1 while events of reservations are written down, because somebody takes them."),
    ("booking_events_waiting", "Events of reservations that are not taken yet, or a few more."),
    ("booking_holds_total", "Holds that were asked for, by outcome: HELD, or the reason of the refusal."),
    (
        "booking_seats_unlogged_total",
        "Seats whose rows were changed by programs that write no log. They are written down in it when a replica finds them.",
    ),
    ("booking_sweep_failures_total", "Sweeps that failed. The next one repeats them."),
    ("booking_swept_total", "Holds that lapsed and were closed, their seats free again."),
];
