//! What a seat map has to know of a show's seats: from when on each of them is free. The rows of the seats
//! say it, and so does their log, version by version ([`Occupancy::follow`]). What can be had at a moment
//! follows from it by the clock: [`HallView`].

use std::{collections::BTreeMap, sync::Arc};

use super::{Hall, SeatSet, Show};

/// The instant from which a seat is free that nobody has.
pub const AT_ONCE: i64 = 0;
/// The instant from which a seat is free that is sold.
pub const NEVER: i64 = i64::MAX;

/// What a seat map says about a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// The seat can be held now.
    Available,
    /// A live hold has the seat.
    Held,
    /// The seat is sold, or the show is called off, or its sale has closed, at the latest when the show
    /// begins unless the seller says otherwise.
    Sold,
}

/// The seats of a show, each with the instant from which it is free, in microseconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupancy {
    version: i64,
    /// Seat 1 is the first.
    free_from: Vec<i64>,
}

impl Occupancy {
    /// The seats of a show that has so many, at this version of its log. Those that are not named are free;
    /// numbers that the show does not have are ignored.
    #[must_use]
    pub fn new(version: i64, seats: i32, named: impl IntoIterator<Item = (i32, i64)>) -> Self {
        let mut made = Self { version, free_from: vec![AT_ONCE; usize::try_from(seats).unwrap_or(0)] };
        made.put(named);
        made
    }

    /// The version of the show's log of which this is.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// How many seats the show has.
    #[must_use]
    pub fn seats(&self) -> i32 {
        i32::try_from(self.free_from.len()).unwrap_or(i32::MAX)
    }

    /// Whether somebody has a seat at this time. A number that the show does not have nobody has.
    #[must_use]
    pub fn is_taken(&self, seat: i32, now: i64) -> bool {
        let index = seat.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| self.free_from.get(index)).is_some_and(|free_from| *free_from > now)
    }

    /// Goes on to the next version, in which these seats are free from these instants. Answers whether it is
    /// the next one; any other changes nothing.
    pub fn follow(&mut self, version: i64, changes: impl IntoIterator<Item = (i32, i64)>) -> bool {
        let is_next = self.version.checked_add(1) == Some(version);
        if is_next {
            self.version = version;
            self.put(changes);
        }
        is_next
    }

    /// The seats of which another state says something else, each with what that says.
    #[must_use]
    pub fn differences(&self, other: &Self) -> BTreeMap<i32, i64> {
        let both = (1..).zip(self.free_from.iter().zip(&other.free_from));
        both.filter(|(_, (mine, its))| mine != its).map(|(seat, (_, its))| (seat, *its)).collect()
    }

    /// Each seat's number and what it is at this time, whether or not the show is on sale.
    pub fn seen_at(&self, now: i64) -> impl Iterator<Item = (i32, Availability)> + '_ {
        let look = move |free_from: &i64| match *free_from {
            NEVER => Availability::Sold,
            held_until if held_until > now => Availability::Held,
            _ => Availability::Available,
        };
        (1..).zip(self.free_from.iter().map(look))
    }

    fn put(&mut self, named: impl IntoIterator<Item = (i32, i64)>) {
        for (seat, free_from) in named {
            let index = seat.checked_sub(1).and_then(|index| usize::try_from(index).ok());
            if let Some(known) = index.and_then(|index| self.free_from.get_mut(index)) {
                *known = free_from;
            }
        }
    }
}

/// What can be had of a hall at a moment.
///
/// Its version says all of it: of two views of a show with the same version the same seats can be had,
/// whichever replicas made them and whatever their clocks say (I-MAP-VERSION). It is made of the version of
/// the log and of the number of holds' seats that have lapsed since. Seats lapse in the order of their
/// instants, so at one version of the log the same number means the same seats.
#[derive(Clone, Debug)]
pub struct HallView {
    /// The show whose seats these are.
    pub show_id: i64,
    /// What the view is known by. It rises with every change, unless the hours of the sale are changed.
    pub version: i64,
    /// The hall in which they are.
    pub hall: Arc<Hall>,
    /// The seats that cannot be had.
    pub taken: SeatSet,
    /// The version of the log.
    of: i64,
    /// Whether the sale had closed.
    is_over: bool,
    /// When it was made, and when the next seat lapses.
    lasts: std::ops::Range<i64>,
}

/// How many views there may be at one version of the log: one for each number of lapsed seats, and the one in
/// which the sale has closed. A show has at most 100,000 seats.
const VIEWS: i64 = 1 << 17;

impl HallView {
    /// What can be had of a show at this time. Once its sale has closed that is nothing.
    #[must_use]
    pub fn new(show: &Show, hall: Arc<Hall>, occupancy: &Occupancy, now: i64) -> Self {
        let is_over = show.is_over(now);
        let (mut taken, mut lapsed, mut until) = (SeatSet::none_of(occupancy.seats()), 0, NEVER);
        for (seat, free_from) in (1..).zip(&occupancy.free_from) {
            if *free_from > now {
                taken.insert(seat);
                until = until.min(*free_from);
            } else {
                lapsed += i64::from(*free_from != AT_ONCE);
                if is_over {
                    taken.insert(seat);
                }
            }
        }
        let nth = if is_over { VIEWS - 1 } else { lapsed };
        let of = occupancy.version;
        let version = of.saturating_mul(VIEWS).saturating_add(nth);
        Self { show_id: show.show_id, version, hall, taken, of, is_over, lasts: now..until }
    }

    /// Whether it is also what can be had at this time.
    #[must_use]
    pub fn is_still(&self, show: &Show, occupancy: &Occupancy, now: i64) -> bool {
        self.of == occupancy.version && self.is_over == show.is_over(now) && self.lasts.contains(&now)
    }

    /// How many seats can be had.
    #[must_use]
    pub fn available(&self) -> i32 {
        self.taken.seats() - self.taken.count()
    }

    /// Each section's name and how many of its seats can be had.
    pub fn sections(&self) -> impl Iterator<Item = (&str, i32)> {
        let free = |first, last| self.taken.gaps(first, last).map(|(begin, end)| end - begin + 1).sum();
        self.hall
            .sections()
            .map(move |(section, numbers)| (section.name.as_str(), free(*numbers.start(), *numbers.end())))
    }
}

/// The version of the log that a view of this version has seen.
#[must_use]
pub const fn version_of_log(version: i64) -> i64 {
    version.div_euclid(VIEWS)
}

#[cfg(test)]
#[path = "occupancy_tests.rs"]
mod tests;
