//! Concerts and shows: facts that never change once they are there, which is why they may be remembered for
//! good.

use serde::{Deserialize, Serialize};

/// An event with one or more shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concert {
    /// Its number.
    pub concert_id: i64,
    /// Its name.
    pub title: String,
    /// The waiting room that guards it.
    pub queue_id: String,
    /// When it was created.
    pub created_at: i64,
}

/// One performance of a concert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Show {
    /// Its number.
    pub show_id: i64,
    /// Its concert.
    pub concert_id: i64,
    /// When it begins.
    pub starts_at: i64,
    /// How long it lasts.
    pub duration_minutes: i32,
    /// Its name.
    pub title: String,
    /// Anything else.
    pub description: String,
    /// The price of one seat, in minor units.
    pub price: i64,
    /// It has the seats 1 to this.
    pub seat_count: i32,
    /// When it was created.
    pub created_at: i64,
}

/// How long ago a show may have begun that is made now: whoever makes one that begins at this moment has a
/// clock of their own, and the request was on its way.
const JUST_NOW: i64 = 60_000_000;

impl Show {
    /// Would it be made after its beginning?
    #[must_use]
    pub const fn begins_in_the_past(&self) -> bool {
        self.starts_at < self.created_at - JUST_NOW
    }

    /// Is it on sale? Until it begins.
    #[must_use]
    pub const fn on_sale(&self, now: i64) -> bool {
        now < self.starts_at
    }
}
