//! The saga's journal and its outbox, and the operators' journal: all SQL of the edge.
//!
//! A checkout that succeeds costs two writes: its row before the first step, its outcome with the events
//! after the last. Both are group commits ([`grouped`]). `status = 'PENDING'` guards every change, so a
//! checkout is settled once, even when two runners have it. A refund is two writes more, to the same row
//! ([`refunds`]). Calling a show off has a row of its own kind, and begins refunds ([`call_offs`]).
//!
//! How the sale went within the last hour is written down beside it ([`samples`]).

mod actions;
mod call_offs;
mod clearing;
mod events;
mod grouped;
mod journal;
mod refunds;
mod rows;
mod samples;

pub(crate) use self::{
    actions::{Actions, ActionsOf},
    clearing::forget_workings,
    events::{Event, Events, Failing, Progress, Subscription, forget_events, forget_subscribers},
    grouped::Settlement,
    journal::{Journal, Narrowed},
    refunds::UNDONE,
    samples::{EdgeSpan, SampleBook, forget_samples},
};

#[cfg(test)]
mod tests;
