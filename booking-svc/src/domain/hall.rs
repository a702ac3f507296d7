//! A hall: its sections, each of rows of seats or of standing room.
//!
//! A show's seats are numbered 1, 2, 3 and so on through the sections and rows in their order. The number is
//! the key of a seat everywhere; the hall only says what stands on its ticket. A hall never changes once its
//! show is created. What its sections cost is the show's ([`super::Show::section_prices`]).

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// A part of a hall whose seats have one price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The name, which no other section of the hall has. A hall that nobody described has one without a name.
    pub name: String,
    /// The rows, in the order in which their seats are numbered; none in a section for standing.
    pub rows: Vec<HallRow>,
    /// How many may stand; 0 in a section with rows.
    pub capacity: i32,
}

/// A row of seats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HallRow {
    /// The name of the row, as it stands on a ticket.
    pub name: String,
    /// How many seats it has.
    pub seats: i32,
    /// What stands on the ticket of its first seat; the next seats count on from it.
    pub first_label: i32,
}

/// What stands on the ticket of one seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The name of its section.
    pub section: String,
    /// The name of its row; empty where people stand.
    pub row: String,
    /// Its number in its row, or in its section where people stand.
    pub label: i32,
    /// What it cost when it was held, in the currency's minor unit.
    pub price: i64,
}

/// The sections of a show's hall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hall(Vec<Section>);

impl Section {
    /// How many seats it has, standing room included.
    #[must_use]
    pub fn size(&self) -> i32 {
        self.rows.iter().fold(self.capacity, |sum, row| sum.saturating_add(row.seats))
    }

    /// Whether two of its seats have the same row and label, so that nobody could tell their tickets apart. A
    /// row may come in parts, as one that an aisle divides.
    #[must_use]
    pub fn has_twins(&self) -> bool {
        let mut blocks: Vec<_> = self.blocks().map(|(row, seats, first)| (row, first, seats)).collect();
        blocks.sort_unstable();
        blocks.windows(2).any(|pair| {
            let [(row, first, seats), (next_row, next, _)] = *pair else { return false };
            row == next_row && first.saturating_add(seats) > next
        })
    }

    /// Its blocks of seats whose labels count on, in their order: its rows, or its standing room.
    fn blocks(&self) -> impl Iterator<Item = (&str, i32, i32)> {
        let standing = self.rows.is_empty().then_some(("", self.capacity, 1));
        self.rows.iter().map(|row| (row.name.as_str(), row.seats, row.first_label)).chain(standing)
    }
}

impl Hall {
    /// A hall of these sections.
    #[must_use]
    pub const fn new(sections: Vec<Section>) -> Self {
        Self(sections)
    }

    /// The hall of a show of which only the number of seats is known: one section of one row without names.
    #[must_use]
    pub fn of_one_row(seats: i32) -> Self {
        let row = HallRow { name: String::new(), seats, first_label: 1 };
        Self(vec![Section { name: String::new(), rows: vec![row], capacity: 0 }])
    }

    /// The sections and the numbers of their seats.
    pub fn sections(&self) -> impl Iterator<Item = (&Section, RangeInclusive<i32>)> {
        numbered(self.0.iter(), |section| section.size())
    }

    /// How many seats it has, standing room included.
    #[must_use]
    pub fn seats(&self) -> i32 {
        self.0.iter().fold(0, |sum, section| sum.saturating_add(section.size()))
    }

    /// How many rows it has in all.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.0.iter().map(|section| section.rows.len()).sum()
    }

    /// What stands on the tickets of these seats, whose numbers rise, at these prices of the sections.
    #[must_use]
    pub fn places(&self, seats: impl IntoIterator<Item = i32>, prices: &[i64]) -> Vec<Place> {
        let blocks = self.0.iter().zip(prices).flat_map(|(section, price)| {
            section.blocks().map(move |(row, size, first)| (section, row, size, first, *price))
        });
        let mut blocks = numbered(blocks, |(_, _, size, _, _)| *size).peekable();
        let mut places = Vec::new();
        for seat in seats {
            while blocks.next_if(|(_, numbers)| *numbers.end() < seat).is_some() {}
            let Some(((section, row, _, first, price), numbers)) = blocks.peek() else { break };
            places.push(Place {
                section: section.name.clone(),
                row: (*row).to_owned(),
                label: first + (seat - numbers.start()),
                price: *price,
            });
        }
        places
    }
}

/// The rows of a section and the numbers of their seats, of which the first is `first`.
pub fn rows(section: &Section, first: i32) -> impl Iterator<Item = (&HallRow, RangeInclusive<i32>)> {
    numbered(section.rows.iter(), |row| row.seats)
        .map(move |(row, numbers)| (row, numbers.start() + first - 1..=numbers.end() + first - 1))
}

/// Parts of so many seats, each with the numbers of its seats: they count on from 1.
fn numbered<T>(
    parts: impl Iterator<Item = T>,
    size: impl Fn(&T) -> i32,
) -> impl Iterator<Item = (T, RangeInclusive<i32>)> {
    parts.scan(0_i32, move |before, part| {
        let first = *before + 1;
        *before += size(&part);
        Some((part, first..=*before))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(name: &str, seats: i32, first_label: i32) -> HallRow {
        HallRow { name: name.to_owned(), seats, first_label }
    }

    pub(crate) fn section(name: &str, rows: Vec<HallRow>, capacity: i32) -> Section {
        Section { name: name.to_owned(), rows, capacity }
    }

    /// Two rows of stalls (seats 1 to 5), standing room (6 to 8) and a balcony of one row (9 and 10).
    pub(crate) fn theatre() -> Hall {
        Hall::new(vec![
            section("Stalls", vec![row("A", 2, 11), row("B", 3, 1)], 0),
            section("Floor", vec![], 3),
            section("Balcony", vec![row("A", 2, 7)], 0),
        ])
    }

    #[test]
    fn every_seat_has_one_place() {
        let tickets = theatre().places(1..=10, &[30, 10, 20]);
        let told: Vec<_> =
            tickets.iter().map(|p| (p.section.as_str(), p.row.as_str(), p.label, p.price)).collect();
        assert_eq!(
            told,
            [
                ("Stalls", "A", 11, 30),
                ("Stalls", "A", 12, 30),
                ("Stalls", "B", 1, 30),
                ("Stalls", "B", 2, 30),
                ("Stalls", "B", 3, 30),
                ("Floor", "", 1, 10),
                ("Floor", "", 2, 10),
                ("Floor", "", 3, 10),
                ("Balcony", "A", 7, 20),
                ("Balcony", "A", 8, 20),
            ]
        );
        assert_eq!(theatre().places([2, 6, 10], &[30, 10, 20]), [1, 5, 9].map(|i: usize| tickets[i].clone()));
        assert!(theatre().places([11], &[30, 10, 20]).is_empty());
        let plain = Place { section: String::new(), row: String::new(), label: 5, price: 7 };
        assert_eq!(Hall::of_one_row(9).places([5], &[7]), [plain]);
    }

    #[test]
    fn sections_and_rows_are_numbered_on() {
        let hall = theatre();
        let sections: Vec<_> = hall.sections().map(|(one, numbers)| (one.name.as_str(), numbers)).collect();
        assert_eq!(sections, [("Stalls", 1..=5), ("Floor", 6..=8), ("Balcony", 9..=10)]);
        let (stalls, numbers) = hall.sections().next().expect("a section");
        let rows: Vec<_> =
            rows(stalls, *numbers.start()).map(|(one, numbers)| (one.name.as_str(), numbers)).collect();
        assert_eq!((rows, hall.rows()), (vec![("A", 1..=2), ("B", 3..=5)], 3));
    }
}
