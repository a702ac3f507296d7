//! Concerts and shows. Neither changes once it is created, so a replica may cache it without an expiry.

use serde::{Deserialize, Serialize};

/// An event with one or more shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concert {
    /// The concert's id, a number that the database gives; later concerts have higher ones.
    pub concert_id: i64,
    /// The title, as callers see it.
    pub title: String,
    /// The id of the queue that admits users to this concert.
    pub queue_id: String,
    /// When it was created, in microseconds since 1970 UTC.
    pub created_at: i64,
}

/// One performance of a concert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Show {
    /// The show's id, a number that the database gives; later shows have higher ones.
    pub show_id: i64,
    /// The id of the concert it belongs to.
    pub concert_id: i64,
    /// When it begins, in microseconds since 1970 UTC.
    pub starts_at: i64,
    /// How long it lasts, in minutes.
    pub duration_minutes: i32,
    /// The title, as callers see it.
    pub title: String,
    /// A description for callers; it may be empty.
    pub description: String,
    /// The price of one seat, in the currency's minor unit.
    pub price: i64,
    /// The number of seats; they are numbered from 1 to this.
    pub seat_count: i32,
    /// When it was created, in microseconds since 1970 UTC.
    pub created_at: i64,
}

/// How far in the past, in microseconds, a new show may begin. A caller who creates a show that begins at
/// this moment goes by another clock, and the request takes time to arrive.
const JUST_NOW: i64 = 60_000_000;

impl Show {
    /// Whether it was created more than a minute after its beginning, which is refused.
    #[must_use]
    pub const fn begins_in_the_past(&self) -> bool {
        self.starts_at < self.created_at - JUST_NOW
    }

    /// Whether its seats can be held at this time: until it begins.
    #[must_use]
    pub const fn on_sale(&self, now: i64) -> bool {
        now < self.starts_at
    }
}
