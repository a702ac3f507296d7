//! What other systems are told of reservations: that seats were held, and that held seats were released; and
//! of shows: that they begin at another time.

use std::time::Duration;

use chrono_tz::Tz;
use uuid::Uuid;

use super::Show;

/// The most events that are handed over at once, and taken at once.
pub const AT_ONCE: i64 = 500;
/// How long events wait that nobody takes, and how long they are written down after somebody took some.
pub const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// Why held seats are free again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// They were given back.
    Cancelled,
    /// The hold ended unpaid.
    Expired,
    /// The show is called off.
    ShowCancelled,
}

impl Release {
    /// Every reason with its word.
    const WORDS: [(Self, &'static str); 3] =
        [(Self::Cancelled, "CANCELLED"), (Self::Expired, "EXPIRED"), (Self::ShowCancelled, "SHOW_CANCELLED")];

    /// The word that rows have for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(one, _)| *one == self).map_or("", |(_, word)| word)
    }

    /// The reason that a row's word says.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, one)| *one == word).map(|(one, _)| *one)
    }
}

/// Something that happens to a hold, in the transaction in which it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldEvent {
    /// The id of the hold.
    pub reservation_id: Uuid,
    /// Why its seats are released; `None` when they are held.
    pub released: Option<Release>,
}

impl HoldEvent {
    /// Seats are held.
    #[must_use]
    pub const fn held(reservation_id: Uuid) -> Self {
        Self { reservation_id, released: None }
    }

    /// Held seats are released.
    #[must_use]
    pub const fn released(reservation_id: Uuid, why: Release) -> Self {
        Self { reservation_id, released: Some(why) }
    }
}

/// An event that waits to be taken, with what is told of its hold. None of that changes any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingEvent {
    /// The number by which it is taken.
    pub number: i64,
    /// When it happened, in microseconds since 1970 UTC.
    pub happened_at: i64,
    /// What happened, and to which hold.
    pub event: HoldEvent,
    /// The user of the hold.
    pub user_id: String,
    /// The id of the show's concert.
    pub concert_id: i64,
    /// The id of the show.
    pub show_id: i64,
    /// The numbers of the seats, in rising order.
    pub seats: Vec<i32>,
    /// The price of all seats together.
    pub amount: i64,
    /// Until when the seats were promised when they were held.
    pub promised_until: i64,
}

/// A show begins at another time, as of the transaction in which it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShowMove {
    /// By which whoever is told of it recognises it.
    pub event_id: Uuid,
    /// The id of the show.
    pub show_id: i64,
    /// Its title after the change.
    pub title: String,
    /// When it begins now, in microseconds since 1970 UTC.
    pub starts_at: i64,
    /// When it was to begin before.
    pub previous_starts_at: i64,
    /// The time zone of its venue.
    pub time_zone: Tz,
    /// When it was moved.
    pub happened_at: i64,
}

impl ShowMove {
    /// What a change of a show, which was to begin at an instant before, has to tell: nothing if it still
    /// does.
    #[must_use]
    pub fn of(previous_starts_at: i64, after: &Show, event_id: Uuid, happened_at: i64) -> Option<Self> {
        let &Show { show_id, starts_at, time_zone, .. } = after;
        let title = after.title.clone();
        let moved = Self { event_id, show_id, title, starts_at, previous_starts_at, time_zone, happened_at };
        Some(moved).filter(|moved| moved.starts_at != moved.previous_starts_at)
    }
}

/// A move that waits to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingMove {
    /// The number by which it is taken.
    pub number: i64,
    /// The id of the show's concert.
    pub concert_id: i64,
    /// What is told of it.
    pub moved: ShowMove,
}
