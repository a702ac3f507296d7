//! The edge's use cases: passing the gate, polling, following, paying, and what goes on by itself (recovery,
//! events).

mod audience;
mod batch;
mod checkouts;
mod followers;
mod following;
mod gate;
mod pace;
mod polls;
mod relay;
mod runner;
mod running;
mod steps;
mod wheel;

pub(crate) use self::{
    checkouts::{Before, Checkouts, Filter, Pay, place},
    followers::Followers,
    following::{Ending, Following, News},
    gate::Gate,
    pace::{Told, is_final},
    polls::Polls,
    relay::Relay,
};

#[cfg(test)]
mod fakes;
#[cfg(test)]
mod tests;
