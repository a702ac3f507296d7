//! What the fields of requests may be: one constant for each kind of value, for the checks of gRPC and of
//! REST.

use std::ops::RangeInclusive;

/// Characters of the title of a concert or a show.
pub const TITLE: RangeInclusive<usize> = 1..=200;
/// Characters of a show's description.
pub const DESCRIPTION: RangeInclusive<usize> = 0..=4_000;
/// Characters of the name of a time zone, as far as the edge looks at it.
pub const TIME_ZONE: RangeInclusive<usize> = 0..=64;
/// Characters of what is said about why a sale is undone.
pub const WHY: RangeInclusive<usize> = 0..=200;
/// Minutes that a show lasts: a day at most.
pub const MINUTES: RangeInclusive<i32> = 1..=1_440;
/// The price of one seat, in minor units of the currency.
pub const PRICE: RangeInclusive<i64> = 0..=1_000_000_000;
/// Characters of the name of a section.
pub const SECTION: RangeInclusive<usize> = 1..=100;
/// Characters of the name of a section whose price changes; empty where a show has no sections.
pub const PRICED: RangeInclusive<usize> = 0..=100;
/// Characters of the name of a row.
pub const ROW: RangeInclusive<usize> = 1..=20;
/// Sections of a hall.
pub const SECTIONS: RangeInclusive<usize> = 1..=500;
/// Rows of a hall, in all its sections: so many that a plan with the longest names fits into one message.
pub const ROWS: usize = 20_000;
/// What stands on the ticket of a row's first seat.
pub const LABEL: RangeInclusive<i32> = 1..=100_000;
/// Seats that one hold may have.
pub const SELECTION: RangeInclusive<i32> = 1..=50;
/// Seats of a show.
pub const SEATS: RangeInclusive<i32> = 1..=100_000;

/// Characters of what the seller says to everybody in a queue, in each language; empty: nothing.
pub const MESSAGE: RangeInclusive<usize> = 0..=280;
/// The lanes of a queue; the lowest is served first.
pub const PRIORITY: RangeInclusive<i32> = 0..=9;
/// The lane of a user who names none.
pub const DEFAULT_PRIORITY: i32 = 5;
