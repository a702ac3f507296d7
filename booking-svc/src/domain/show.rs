//! Concerts and shows, and what a new one is made of. What may be changed of them later is in
//! [`super::mending`].

use chrono::NaiveDateTime;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{Refusal, Section, dates};

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
    /// The price of one seat, in the currency's minor unit; of the cheapest one where sections have prices.
    pub price: i64,
    /// The number of seats; they are numbered from 1 to this.
    pub seat_count: i32,
    /// The sections of its hall; none where only the number of seats is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<Section>,
    /// The price of a seat in each section, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<i64>,
    /// When its seats and how many of them may be had.
    #[serde(flatten)]
    pub sale: Sale,
}

/// The seller's rules for a show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// When its sale opens, in microseconds since 1970 UTC; `None`: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<i64>,
    /// When its sale closes, in microseconds since 1970 UTC; `None`: when the show begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<i64>,
    /// How many of its seats one user may have, held and bought together; `None`: the operator's limit of
    /// held ones counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_seats_per_user: Option<i32>,
}

/// Whether a show takes place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It takes place.
    #[default]
    Scheduled,
    /// It is called off, and its sales are being refunded.
    Cancelling,
    /// It is called off, and all of its sales are refunded.
    Cancelled,
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
    /// The price of one seat, in the currency's minor unit; of the cheapest one where sections have prices.
    pub price: i64,
    /// The number of seats; they are numbered from 1 to this.
    pub seat_count: i32,
    /// The price of a seat in each section of its hall; none where all seats have the one price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<i64>,
    /// When its seats and how many of them may be had.
    #[serde(flatten)]
    pub sale: Sale,
    /// When it was created, in microseconds since 1970 UTC.
    pub created_at: i64,
    /// Whether it takes place.
    #[serde(default, skip_serializing_if = "Standing::is_scheduled")]
    pub standing: Standing,
}

/// How far in the past, in microseconds, a new show may begin. A caller who creates a show that begins at
/// this moment goes by another clock, and the request takes time to arrive.
const JUST_NOW: i64 = MINUTE;
/// A minute in microseconds.
const MINUTE: i64 = 60_000_000;

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
        is_past(self.starts_at, now)
    }

    /// The show that is created at this time under this id, in this time zone.
    pub(crate) fn created(self, show_id: i64, time_zone: Tz, created_at: i64) -> Show {
        let Self { concert_id, starts_at, duration_minutes, title, description, price, .. } = self;
        let Self { seat_count, prices, sale, .. } = self;
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
            prices,
            sale,
            created_at,
            standing: Standing::Scheduled,
        }
    }
}

impl Standing {
    /// Whether the show takes place.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    const fn is_scheduled(&self) -> bool {
        matches!(self, Self::Scheduled)
    }
}

/// Whether a show that begins then has begun more than a minute ago.
const fn is_past(starts_at: i64, now: i64) -> bool {
    starts_at < now.saturating_sub(JUST_NOW)
}

impl Show {
    /// Whether it began more than a minute ago.
    pub(super) const fn begins_in_the_past(&self, now: i64) -> bool {
        is_past(self.starts_at, now)
    }

    /// Whether nobody gets its seats any more, because it does not take place (I-CALLED-OFF).
    #[must_use]
    pub const fn is_called_off(&self) -> bool {
        !self.standing.is_scheduled()
    }

    /// Refuses to change or to sell what is called off.
    ///
    /// # Errors
    /// `ShowCancelled`.
    pub const fn check_standing(&self) -> Result<(), Refusal> {
        if self.is_called_off() { Err(Refusal::ShowCancelled) } else { Ok(()) }
    }

    /// Refuses to sell its seats before its sale opens and after it has closed (I-SALE), and when it is
    /// called off.
    ///
    /// # Errors
    /// `SalesNotOpen`, `SalesClosed`, `ShowCancelled`.
    pub fn check_sale(&self, now: i64) -> Result<(), Refusal> {
        self.check_standing()?;
        match self.sale.opens_at {
            Some(opens_at) if now < opens_at => {
                Err(Refusal::SalesNotOpen { opens_at, wait: opens_at.saturating_sub(now) })
            }
            _ if self.is_over(now) => Err(Refusal::SalesClosed),
            _ => Ok(()),
        }
    }

    /// Whether its sale has closed at this time, or it is called off.
    #[must_use]
    pub fn is_over(&self, now: i64) -> bool {
        self.is_called_off() || self.closes_at() <= now
    }

    /// When its sale closes.
    fn closes_at(&self) -> i64 {
        self.sale.closes_at.unwrap_or(self.starts_at)
    }

    /// Refuses rules by which it would never be on sale, or still after it has ended.
    ///
    /// # Errors
    /// `NeverOnSale`, `ClosesTooLate`.
    pub fn check_rules(&self) -> Result<(), Refusal> {
        let ends_at = self.starts_at.saturating_add(i64::from(self.duration_minutes) * MINUTE);
        if self.sale.opens_at.is_some_and(|opens_at| self.closes_at() <= opens_at) {
            return Err(Refusal::NeverOnSale);
        }
        if self.closes_at() > ends_at { Err(Refusal::ClosesTooLate) } else { Ok(()) }
    }

    /// The price of a seat in each section of its hall.
    #[must_use]
    pub fn section_prices(&self) -> &[i64] {
        if self.prices.is_empty() { std::slice::from_ref(&self.price) } else { &self.prices }
    }

    /// The date and time at which it begins by the clock of its venue.
    #[must_use]
    pub fn begins(&self) -> NaiveDateTime {
        dates::begins(self.starts_at, self.time_zone)
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
            sections: Vec::new(),
            prices: Vec::new(),
            sale: Sale::default(),
        };
        new.created(1, Tz::UTC, 0)
    }

    /// The show with these rules; it begins at 1,000 and ends an hour and a half later.
    fn ruled(opens_at: Option<i64>, closes_at: Option<i64>) -> Show {
        Show { sale: Sale { opens_at, closes_at, max_seats_per_user: None }, ..show(1) }
    }

    #[test]
    fn a_sale_is_open_from_its_first_instant_up_to_its_last() {
        let closed = Err(Refusal::SalesClosed);
        for (opens_at, closes_at, now, expected) in [
            (None, None, 999, Ok(())),
            (None, None, 1_000, closed.clone()),
            (Some(500), None, 499, Err(Refusal::SalesNotOpen { opens_at: 500, wait: 1 })),
            (Some(500), None, 500, Ok(())),
            (Some(500), Some(600), 599, Ok(())),
            (Some(500), Some(600), 600, closed.clone()),
            (None, Some(2_000), 1_999, Ok(())),
            (None, Some(2_000), 2_000, closed),
        ] {
            assert_eq!(
                ruled(opens_at, closes_at).check_sale(now),
                expected,
                "{opens_at:?} {closes_at:?} {now}"
            );
        }
    }

    #[test]
    fn a_sale_opens_before_it_closes_and_closes_before_the_show_has_ended() {
        let end = 1_000 + 90 * MINUTE;
        for (opens_at, closes_at, expected) in [
            (None, None, Ok(())),
            (Some(999), None, Ok(())),
            (Some(1_000), None, Err(Refusal::NeverOnSale)),
            (Some(5), Some(5), Err(Refusal::NeverOnSale)),
            (Some(5), Some(6), Ok(())),
            (Some(2_000), Some(end), Ok(())),
            (None, Some(end + 1), Err(Refusal::ClosesTooLate)),
        ] {
            assert_eq!(ruled(opens_at, closes_at).check_rules(), expected, "{opens_at:?} {closes_at:?}");
        }
    }
}
