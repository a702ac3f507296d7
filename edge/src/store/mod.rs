//! The saga's journal and its outbox: all SQL of the edge.
//!
//! In the good case a checkout costs two writes: its row before the first step, its outcome with the events
//! after the last. Both are group commits ([`grouped`]). `status = 'PENDING'` guards every change, so a
//! checkout is settled once whoever else believes to be its runner.

mod clearing;
mod grouped;
mod journal;
mod outbox;
mod rows;

pub(crate) use self::{
    clearing::forget_workings,
    journal::{Journal, Narrowed, Settlement},
    outbox::{Outgoing, forget_told},
};

#[cfg(test)]
mod tests;
