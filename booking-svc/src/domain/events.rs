//! What other systems are told of reservations: that seats were held, and that held seats were released.

use std::time::Duration;

use uuid::Uuid;

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
