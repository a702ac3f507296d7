//! What the public may do, whichever door a request comes by. The modules [`queue`], [`programme`], [`hall`]
//! and [`wallet`] are functions of the [`Edge`], the [`Caller`] and a command; [`Till`] is paying. The other
//! modules are what these work with, and what the edge does by itself: recovering checkouts, relaying events
//! and writing down how the sale goes.
//!
//! Commands and answers are messages of the contract where the services know more about them than the edge
//! does.

mod acting;
mod alerts;
mod audience;
mod batch;
mod board;
mod burning;
mod call_off;
mod caller;
mod coming;
mod edge;
mod followers;
mod following;
mod gate;
pub(crate) mod hall;
mod hall_stream;
mod halls;
mod history;
mod lanes;
mod limits;
mod metrics;
mod news;
mod notices;
mod polls;
pub(crate) mod programme;
pub(crate) mod queue;
mod refund;
mod runner;
mod running;
mod sampling;
mod series;
mod shared;
mod standing;
mod steps;
mod telling;
mod till;
pub(crate) mod wallet;
mod wheel;

pub use self::telling::{EventBook, SubscriberState, ToldEvent};
pub(crate) use self::{
    acting::{Acting, acted, actions_page},
    alerts::alerts,
    batch::Places,
    board::HallMap,
    burning::watch_until,
    caller::Caller,
    coming::{FirstPage, ToCome},
    edge::Edge,
    followers::Followers,
    following::Following,
    gate::Gate,
    hall_stream::{HallNews, HallStream},
    halls::Halls,
    history::History,
    limits::{Allowed, Asker, Wish},
    metrics::metrics,
    news::{News, StreamEnd},
    notices::{Notice, SeenPlace},
    polls::Polls,
    sampling::Sampler,
    standing::standing,
    telling::Relay,
    till::{Before, Filter, Pay, Till, cursor},
};

#[cfg(test)]
mod fakes;
#[cfg(test)]
mod tests;
