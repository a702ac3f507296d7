//! Concerts and shows, and what a new one is made of. Neither changes once it is created, so a replica may
//! cache it without an expiry.

use chrono::NaiveDateTime;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::dates;

/// A concert to create. A request's fingerprint is made of these fields in this order; what release 0.1 did
/// not have is left out of it unless it is given.
#[derive(Clone, Debug, Serialize)]
pub struct NewConcert {
    /// The title, as callers see it.
    pub title: String,
    /// The id of the queue that admits users to it.
    pub queue_id: String,
    /// The time zone of its venue; `None`: the one that the operator has set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Tz>,
}

/// An event with one or more shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concert {
    /// The concert's id, a number that the database gives; later concerts have higher ones.
    pub concert_id: i64,
    /// The title, as callers see it.
    pub title: String,
    /// The id of the queue that admits users to this concert.
    pub queue_id: String,
    /// The time zone of its venue, by whose clock its shows have their dates.
    #[serde(default = "utc")]
    pub time_zone: Tz,
    /// When it was created, in microseconds since 1970 UTC.
    pub created_at: i64,
}

/// A show to create. A request's fingerprint is made of these fields in this order.
#[derive(Clone, Debug, Serialize)]
pub struct NewShow {
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
    /// The time zone of its venue.
    #[serde(default = "utc")]
    pub time_zone: Tz,
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

/// The time zone of what was recorded before venues had one.
const fn utc() -> Tz {
    Tz::UTC
}

impl NewConcert {
    /// The concert that is created at this time under this id. Unless the request has a time zone it gets
    /// this one.
    pub(crate) fn created(self, concert_id: i64, time_zone: Tz, created_at: i64) -> Concert {
        let Self { title, queue_id, time_zone: given } = self;
        Concert { concert_id, title, queue_id, time_zone: given.unwrap_or(time_zone), created_at }
    }
}

impl NewShow {
    /// Whether it would be created more than a minute after its beginning, which is refused.
    pub(crate) const fn begins_in_the_past(&self, now: i64) -> bool {
        self.starts_at < now - JUST_NOW
    }

    /// The show that is created at this time under this id, in this time zone.
    pub(crate) fn created(self, show_id: i64, time_zone: Tz, created_at: i64) -> Show {
        let Self { concert_id, starts_at, duration_minutes, title, description, price, seat_count } = self;
        Show {
            show_id,
            concert_id,
            starts_at,
            time_zone,
            duration_minutes,
            title,
            description,
            price,
            seat_count,
            created_at,
        }
    }
}

impl Show {
    /// Whether its seats can be held at this time: until it begins.
    #[must_use]
    pub const fn on_sale(&self, now: i64) -> bool {
        now < self.starts_at
    }

    /// The date and time at which it begins by the clock of its venue.
    #[must_use]
    pub fn begins(&self) -> NaiveDateTime {
        dates::local(self.starts_at, self.time_zone).unwrap_or_default()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A show with so many seats that begins in the first thousandth of a second.
    pub(crate) fn show(seat_count: i32) -> Show {
        let new = NewShow {
            concert_id: 1,
            starts_at: 1_000,
            duration_minutes: 90,
            title: "t".to_owned(),
            description: String::new(),
            price: 10,
            seat_count,
        };
        new.created(1, Tz::UTC, 0)
    }
}
