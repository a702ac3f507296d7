//! What the public may do, whichever door a request comes by. The modules [`queue`], [`programme`], [`hall`]
//! and [`wallet`] are functions of the [`Edge`], the [`Caller`] and a command; [`Till`] is paying. The other
//! modules are what these work with, and what the edge does by itself: recovering checkouts and relaying
//! events.
//!
//! Commands and answers are messages of the contract where the services know more about them than the edge
//! does.

mod acting;
mod audience;
mod batch;
mod call_off;
mod caller;
mod edge;
mod followers;
mod following;
mod gate;
pub(crate) mod hall;
mod limits;
mod moves;
mod news;
mod polls;
pub(crate) mod programme;
pub(crate) mod queue;
mod refund;
mod relay;
mod runner;
mod running;
mod standing;
mod steps;
mod till;
pub(crate) mod wallet;
mod wheel;

pub(crate) use self::{
    acting::{Acting, acted, actions_page},
    caller::Caller,
    edge::Edge,
    followers::Followers,
    following::Following,
    gate::Gate,
    limits::{Allowed, Asker, Wish},
    news::{News, StreamEnd},
    polls::Polls,
    relay::Relay,
    standing::standing,
    till::{Before, Filter, Pay, Till, cursor},
};

#[cfg(test)]
mod fakes;
#[cfg(test)]
mod tests;
