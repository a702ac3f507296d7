//! What a show has sold, and for how much: sums that are read of its holds, section by section (I-BOOKS).

use super::Hall;

/// The sums of a section, or of a show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sales {
    /// How many seats there are.
    pub seats: i64,
    /// How many of them are in live holds.
    pub held: i64,
    /// How many of them are sold.
    pub sold: i64,
    /// The price of all that was ever sold, in the currency's minor unit.
    pub gross: i64,
    /// The part of it that was given back.
    pub refunded: i64,
}

/// What became of seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They are in live holds.
    Held,
    /// They are sold.
    Sold,
    /// They were sold, and taken back.
    Refunded,
}

/// How many seats of a section had the same fate, and their price in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The name of the section; empty where the show has none.
    pub section: String,
    /// What became of the seats.
    pub fate: Fate,
    /// How many they are.
    pub seats: i64,
    /// What they cost together.
    pub money: i64,
}

impl Sales {
    fn add(&mut self, sum: &Sum) {
        match sum.fate {
            Fate::Held => self.held += sum.seats,
            Fate::Sold => {
                self.sold += sum.seats;
                self.gross += sum.money;
            }
            Fate::Refunded => {
                self.gross += sum.money;
                self.refunded += sum.money;
            }
        }
    }

    /// How many seats are free.
    #[must_use]
    pub fn free(&self) -> i64 {
        self.seats.saturating_sub(self.held).saturating_sub(self.sold).max(0)
    }

    /// What remains of the money.
    #[must_use]
    pub const fn net(&self) -> i64 {
        self.gross - self.refunded
    }
}

/// The sums of each section of a hall, with its name, and of all of them.
#[must_use]
pub fn books(hall: &Hall, sums: &[Sum]) -> (Sales, Vec<(String, Sales)>) {
    let mut sections: Vec<(String, Sales)> = hall
        .sections()
        .map(|(section, numbers)| {
            let seats = i64::from(*numbers.end()) - i64::from(*numbers.start()) + 1;
            (section.name.clone(), Sales { seats, ..Sales::default() })
        })
        .collect();
    let mut total = Sales { seats: sections.iter().map(|(_, sales)| sales.seats).sum(), ..Sales::default() };
    for sum in sums {
        total.add(sum);
        if let Some((_, sales)) = sections.iter_mut().find(|(name, _)| *name == sum.section) {
            sales.add(sum);
        }
    }
    (total, sections)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Section;

    #[test]
    fn what_was_given_back_is_in_the_gross_and_no_longer_in_the_net() {
        let section = |name: &str| Section { name: name.to_owned(), rows: Vec::new(), capacity: 10 };
        let hall = Hall::new(vec![section("Stalls"), section("Floor")]);
        let sum = |section: &str, fate, seats, money| Sum { section: section.to_owned(), fate, seats, money };
        let sums = [
            sum("Floor", Fate::Held, 2, 200),
            sum("Floor", Fate::Sold, 3, 300),
            sum("Floor", Fate::Refunded, 1, 90),
            sum("Stalls", Fate::Sold, 1, 500),
        ];
        let (total, sections) = books(&hall, &sums);
        let told =
            |sales: &Sales| (sales.held, sales.sold, sales.free(), sales.gross, sales.refunded, sales.net());
        assert_eq!(told(&total), (2, 4, 14, 890, 90, 800));
        assert_eq!((sections[0].0.as_str(), told(&sections[0].1)), ("Stalls", (0, 1, 9, 500, 0, 500)));
        assert_eq!((sections[1].0.as_str(), told(&sections[1].1)), ("Floor", (2, 3, 5, 390, 90, 300)));
    }
}
