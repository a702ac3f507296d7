//! The edge's use cases: passing the gate, polling, paying, and what goes on by itself (recovery, events).

mod checkouts;
mod gate;
mod polls;
mod relay;
mod runner;
mod running;
mod steps;

pub(crate) use self::{
    checkouts::{Checkouts, Filter, Pay},
    gate::Gate,
    polls::Polls,
    relay::Relay,
};

#[cfg(test)]
mod fakes;
#[cfg(test)]
mod tests;
