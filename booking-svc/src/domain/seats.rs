//! Seats: which may be asked for together, and how a show's seats look at a moment.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Refusal, Show};

/// So many seats one request may take at most.
pub const MAX_SELECTION: usize = 50;

/// Seats asked for together: 1 to 50 different ones, rising. In this order they are locked, everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection(BTreeSet<i32>);

/// A list of seats that is no selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must name 1 to {MAX_SELECTION} different seats")]
pub struct NotASelection;

impl Selection {
    /// Reads a caller's list.
    ///
    /// # Errors
    /// It is empty, too long, or names a seat twice.
    pub fn new(numbers: &[i32]) -> Result<Self, NotASelection> {
        if numbers.is_empty() || numbers.len() > MAX_SELECTION {
            return Err(NotASelection);
        }
        let seats: BTreeSet<i32> = numbers.iter().copied().collect();
        if seats.len() == numbers.len() { Ok(Self(seats)) } else { Err(NotASelection) }
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> i64 {
        // At most MAX_SELECTION.
        i64::try_from(self.0.len()).unwrap_or(i64::MAX)
    }

    /// The numbers, rising.
    pub fn numbers(&self) -> impl Iterator<Item = i32> + '_ {
        self.0.iter().copied()
    }

    /// May these seats of this show be sold now?
    ///
    /// # Errors
    /// `SeatNotFound` with the numbers beyond the show's, or `SalesClosed`.
    pub fn check(&self, show: &Show, now: i64) -> Result<(), Refusal> {
        let beyond: BTreeSet<i32> =
            self.numbers().filter(|seat| !(1..=show.seat_count).contains(seat)).collect();
        if !beyond.is_empty() {
            return Err(Refusal::SeatNotFound(beyond));
        }
        if show.on_sale(now) { Ok(()) } else { Err(Refusal::SalesClosed) }
    }

    /// What they cost together. Cannot overflow: 50 seats at the highest price are 50 milliards.
    #[must_use]
    pub fn amount(&self, price: i64) -> i64 {
        price.saturating_mul(self.count())
    }
}

/// How a seat looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It can be held now.
    Available,
    /// Somebody is deciding.
    Held,
    /// It is not to be had any more: sold, or the show has begun.
    Sold,
}

/// All seats of a show at one moment.
#[derive(Clone, Debug)]
pub struct SeatMap {
    /// The show.
    pub show: Arc<Show>,
    /// Seat 1 first.
    pub seats: Arc<[Availability]>,
}

impl SeatMap {
    /// The seats with their numbers as one sees them now: once the show has begun there is nothing to be had.
    pub fn seen_at(&self, now: i64) -> impl Iterator<Item = (i32, Availability)> + '_ {
        let on_sale = self.show.on_sale(now);
        let look = move |seat: &Availability| if on_sale { *seat } else { Availability::Sold };
        (1..).zip(self.seats.iter().map(look))
    }
}

/// Lays a show's seats out: free, except those named.
#[must_use]
pub fn lay_out(seat_count: i32, held: &[i32], sold: &[i32]) -> Arc<[Availability]> {
    let mut seats = vec![Availability::Available; usize::try_from(seat_count).unwrap_or(0)];
    let mut mark = |numbers: &[i32], look| {
        for number in numbers {
            let seat = number
                .checked_sub(1)
                .and_then(|index| usize::try_from(index).ok())
                .and_then(|index| seats.get_mut(index));
            if let Some(seat) = seat {
                *seat = look;
            }
        }
    };
    mark(held, Availability::Held);
    mark(sold, Availability::Sold);
    seats.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(seat_count: i32) -> Show {
        Show {
            show_id: 1,
            concert_id: 1,
            starts_at: 1_000,
            duration_minutes: 90,
            title: "t".to_owned(),
            description: String::new(),
            price: 10,
            seat_count,
            created_at: 0,
        }
    }

    #[test]
    fn a_show_that_has_begun_has_no_seat_to_be_had() {
        let map = SeatMap { show: Arc::new(show(3)), seats: lay_out(3, &[2], &[3]) };
        let look = |now| map.seen_at(now).map(|(_, seat)| seat).collect::<Vec<_>>();
        assert_eq!(look(999), [Availability::Available, Availability::Held, Availability::Sold]);
        assert_eq!(look(1_000), [Availability::Sold; 3]);
    }

    #[test]
    fn seats_that_are_not_there_are_ignored_in_a_layout() {
        assert_eq!(lay_out(1, &[0, -5, 2, i32::MIN], &[i32::MAX])[..], [Availability::Available]);
    }

    proptest! {
        #[test]
        fn a_selection_is_one_to_fifty_different_seats(numbers in proptest::collection::vec(-3_i32..60, 0..60)) {
            let distinct: BTreeSet<i32> = numbers.iter().copied().collect();
            let good = (1..=50).contains(&numbers.len()) && distinct.len() == numbers.len();
            let selection = Selection::new(&numbers);
            prop_assert_eq!(selection.is_ok(), good);
            if let Ok(selection) = selection {
                prop_assert!(selection.numbers().eq(distinct.iter().copied()));
                prop_assert_eq!(selection.amount(7), 7 * i64::try_from(numbers.len()).unwrap());
                let beyond: BTreeSet<i32> = distinct.into_iter().filter(|n| *n < 1 || *n > 40).collect();
                let expected = if beyond.is_empty() { Ok(()) } else { Err(Refusal::SeatNotFound(beyond)) };
                prop_assert_eq!(selection.check(&show(40), 999), expected);
            }
        }
    }
}
