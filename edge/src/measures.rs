//! The metrics of this crate and what they mean.

use chassis::telemetry::Described;

/// The name and the meaning of each metric.
pub(crate) const MEASURES: &[Described] = &[
    (
        "call_offs_stuck_total",
        "Times that calling a show off did not get on for some minutes. Somebody should look.",
    ),
    ("checkout_steps_total", "Steps of checkouts that were taken, by step and outcome."),
    (
        "checkout_stuck_total",
        "Times that a checkout did not get on after many rounds, by step. Somebody should look.",
    ),
    ("checkouts_parked", "Checkouts that wait for somebody to look at them, in the whole journal."),
    ("checkouts_parked_total", "Checkouts that were put aside for somebody to look at, by step."),
    ("checkouts_pending", "Checkouts that run in this process."),
    ("checkouts_taken_over_total", "Checkouts that were taken over from a process that did not finish them."),
    ("checkouts_total", "Checkouts that came to their end, by status."),
    ("events_behind", "Events that a subscriber has not taken yet, by subscriber."),
    ("events_total", "Events that were sent, by subscriber and by what became of them: taken, or missed."),
    ("http_panics_total", "HTTP handlers that panicked. Each is a fault of the program."),
    ("http_request_seconds", "How long an HTTP request took until its answer began, by method and route."),
    ("http_requests_total", "HTTP requests answered, by method, route and status."),
    (
        "limits_refused_total",
        "Requests refused because their caller asked too often, by limit: joins, holds, requests, refused, polls.",
    ),
    ("polls_batch_size", "Polls that the queue service answered together."),
    (
        "polls_lanes_ended_total",
        "Streams of polls to the queue service that ended under a batch, which was asked for by a call then.",
    ),
    ("polls_shed_total", "Polls refused because too many waited."),
    ("shows_cancelled_total", "Shows that were called off and whose sales are all refunded."),
    (
        "stream_messages_total",
        "Messages about a place in a queue, or about the seats of a show, that were sent over streams.",
    ),
    ("streams_displaced_total", "Streams that were ended because their token opened too many newer ones."),
    ("streams_open", "Streams that are open."),
];
