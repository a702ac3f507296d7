//! Seats: which ones a request may name together, and what a show's seat map says at a moment.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Availability, Hall, Occupancy, Refusal, Show};

/// The most seats that one request may name.
pub const MAX_SELECTION: usize = 50;

/// The seats that one request names: 1 to 50 different numbers, in rising order. Every transaction locks
/// seats in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection(BTreeSet<i32>);

/// The list of seat numbers is empty, too long, or names a seat twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must name 1 to {MAX_SELECTION} different seats")]
pub struct NotASelection;

impl Selection {
    /// Makes a selection of a caller's list.
    ///
    /// # Errors
    /// The list is empty, has more than [`MAX_SELECTION`] numbers, or names a seat twice.
    pub fn new(numbers: &[i32]) -> Result<Self, NotASelection> {
        if numbers.is_empty() || numbers.len() > MAX_SELECTION {
            return Err(NotASelection);
        }
        let seats: BTreeSet<i32> = numbers.iter().copied().collect();
        if seats.len() == numbers.len() { Ok(Self(seats)) } else { Err(NotASelection) }
    }

    /// A selection of seats that were chosen: 1 to [`MAX_SELECTION`] different ones.
    pub(super) fn chosen(seats: Vec<i32>) -> Self {
        Self(BTreeSet::from_iter(seats))
    }

    /// The number of seats, 1 to [`MAX_SELECTION`].
    #[must_use]
    pub fn count(&self) -> i64 {
        // At most MAX_SELECTION.
        i64::try_from(self.0.len()).unwrap_or(i64::MAX)
    }

    /// The seats' numbers in rising order.
    pub fn numbers(&self) -> impl Iterator<Item = i32> + '_ {
        self.0.iter().copied()
    }

    /// The numbers among these that the show does not have.
    #[must_use]
    pub fn beyond(&self, show: &Show) -> BTreeSet<i32> {
        self.numbers().filter(|seat| !(1..=show.seat_count).contains(seat)).collect()
    }

    /// Checks that the show has these seats and is on sale at this time.
    ///
    /// # Errors
    /// `SeatNotFound` with the numbers that the show does not have, or as [`Show::check_sale`].
    pub fn check(&self, show: &Show, now: i64) -> Result<(), Refusal> {
        let beyond = self.beyond(show);
        if !beyond.is_empty() {
            return Err(Refusal::SeatNotFound(beyond));
        }
        show.check_sale(now)
    }
}

/// All seats of a show, as they were when they were read.
#[derive(Clone, Debug)]
pub struct SeatMap {
    /// The show whose seats these are.
    pub show: Arc<Show>,
    /// The show's hall.
    pub hall: Arc<Hall>,
    /// From when on each seat is free.
    pub seats: Arc<Occupancy>,
}

impl SeatMap {
    /// Each seat's number and what callers are told of it at this time: once the show's sale has closed, or
    /// the show is called off, every seat is told as sold.
    pub fn seen_at(&self, now: i64) -> impl Iterator<Item = (i32, Availability)> + '_ {
        let is_over = self.show.is_over(now);
        self.seats
            .seen_at(now)
            .map(move |(seat, look)| (seat, if is_over { Availability::Sold } else { look }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::show::tests::show;

    #[test]
    fn a_show_that_has_begun_has_no_seat_to_be_had() {
        let map = SeatMap {
            show: Arc::new(show(3)),
            hall: Arc::new(Hall::of_one_row(3)),
            seats: Arc::new(Occupancy::new(0, 3, [(2, 2_000), (3, i64::MAX)])),
        };
        let look = |now| map.seen_at(now).map(|(_, seat)| seat).collect::<Vec<_>>();
        assert_eq!(look(999), [Availability::Available, Availability::Held, Availability::Sold]);
        assert_eq!(look(1_000), [Availability::Sold; 3]);
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
                let beyond: BTreeSet<i32> = distinct.into_iter().filter(|n| *n < 1 || *n > 40).collect();
                let expected = if beyond.is_empty() { Ok(()) } else { Err(Refusal::SeatNotFound(beyond)) };
                prop_assert_eq!(selection.check(&show(40), 999), expected);
            }
        }
    }
}
