//! The knobs of a queue's policy: one table of their names and bounds.
//!
//! Flags, the checks of gRPC and REST, the JSON members and the API document are made from it. To read it,
//! name a macro of your own: `boxoffice_proto::knobs!(mine)` calls `mine!` with the whole table. `on_expiry`
//! and `paused` are a word and a switch, without bounds, and are written out where they are used.

use std::ops::RangeInclusive;

/// Calls a macro with the table. A row is a knob's name in the proto and, in brackets, so that whoever needs
/// the names alone can take them as one token: its name in JSON, the least and the most that it may be, its
/// default in a new queue, what it is. A span's row is in whole seconds (a policy in Rust holds
/// microseconds), and has its default as a flag writes it after the number.
#[macro_export]
macro_rules! knobs {
    ($with:ident) => {
        $with! {
            counts {
                max_active ["maxActive" 0 1_000_000 6_000
                    "How many tokens may be ACTIVE at once."];
                max_waiting ["maxWaiting" 0 10_000_000 100_000
                    "How many tokens may wait; beyond it joining is refused with QUEUE_FULL."];
                admit_per_minute ["admitPerMinute" 1 10_000_000 6_000
                    "How many tokens are admitted in any 60 seconds at most."];
            }
            spans {
                active_ttl ["activeTtlSeconds" 1 86_400 300 "5m"
                    "How long an admission lasts."];
                waiting_ttl ["waitingTtlSeconds" 1 604_800 86_400 "24h"
                    "How long after it was issued a token may still wait."];
                waiting_grace ["waitingGraceSeconds" 0 604_800 600 "10m"
                    "After how long without a request (a poll, a stream, any call) a waiting token expires; 0 = never."];
                show_up_within ["showUpWithinSeconds" 0 86_400 90 "90s"
                    "How long an admitted user may take to send a request before the next gets the place; 0 = the whole admission."];
            }
        }
    };
}

/// A knob with bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knob {
    /// The field's name in the proto's QueuePolicy.
    pub name: &'static str,
    /// The member's name in JSON; a span's ends in `Seconds`.
    pub json: &'static str,
    /// What it may be: a number, or a span's whole seconds.
    pub bounds: RangeInclusive<i64>,
    /// What it is in a new queue unless told otherwise.
    pub default: i64,
    /// Whether it is a span of time.
    pub is_span: bool,
}

macro_rules! table {
    (
        counts { $($count:ident [$json:tt $least:tt $most:tt $default:tt $is:tt];)+ }
        spans { $($span:ident [$span_json:tt $from:tt $to:tt $seconds:tt $text:tt $span_is:tt];)+ }
    ) => {
        /// Every knob that has bounds, counts first.
        pub const KNOBS: &[Knob] = &[
            $(Knob {
                name: stringify!($count),
                json: $json,
                bounds: $least..=$most,
                default: $default,
                is_span: false,
            },)+
            $(Knob {
                name: stringify!($span),
                json: $span_json,
                bounds: $from..=$to,
                default: $seconds,
                is_span: true,
            },)+
        ];
    };
}

knobs!(table);
