//! The hall of a seed's show and the rules of its sale: in half of the seeds sections with rows and standing
//! room at prices of their own, otherwise one row at one price, as it was before there were halls.

use std::{collections::BTreeSet, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

/// By how much every price rises in the middle of the sale.
const DEARER: i64 = 500;

/// The seats and who may have them.
#[derive(Clone, Debug)]
pub struct Hall {
    /// The sections in their order; one without a name where the show has none.
    pub sections: Vec<Section>,
    /// How many seats one person may have.
    pub most: Option<i64>,
    /// When the sale opens.
    pub opens: Option<Duration>,
    /// When it closes.
    pub closes: Option<Duration>,
    /// When all prices rise.
    pub dearer: Option<Duration>,
}

/// A section whose seats have one price.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// What a seat costs at first.
    pub price: i64,
    /// How many seats each row has; none where people stand.
    pub rows: Vec<i64>,
    /// How many may stand.
    pub standing: i64,
}

/// Seats that are side by side, or standing room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The number of its section.
    pub section: usize,
    /// Its first seat.
    pub first: i64,
    /// Its last seat.
    pub last: i64,
    /// Whether people stand there.
    pub is_standing: bool,
}

impl Hall {
    /// The hall of a seed; `seats` at `price` where it has no sections. Other dice decide it than the rest.
    #[must_use]
    pub fn of(seed: u64, seats: i32, price: i64, calm: Duration, called_off: Option<Duration>) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x4A11);
        if rng.random_bool(0.5) {
            let row = Section { name: String::new(), price, rows: vec![seats.into()], standing: 0 };
            return Self { sections: vec![row], most: None, opens: None, closes: None, dearer: None };
        }
        let section = |(nth, price): (usize, i64), rng: &mut StdRng| {
            let (rows, standing) = if rng.random_bool(0.7) {
                let rows = rng.random_range(1..=3);
                ((0..rows).map(|_| rng.random_range(2..=7)).collect(), 0)
            } else {
                (Vec::new(), rng.random_range(2..=6))
            };
            Section { name: ["Stalls", "Circle", "Floor"][nth].to_owned(), price, rows, standing }
        };
        let count: usize = rng.random_range(1..=3);
        let prices: Vec<i64> = (0..count).map(|_| price + rng.random_range(0..=3) * 1_000).collect();
        let sections = prices.into_iter().enumerate().map(|one| section(one, &mut rng)).collect();
        let most = rng.random_bool(0.5).then(|| rng.random_range(2..=4));
        let opens = rng.random_bool(0.3).then(|| Duration::from_millis(rng.random_range(2_500..=6_000)));
        let closes = rng.random_bool(0.3).then(|| calm + Duration::from_millis(rng.random_range(0..=3_000)));
        let at = Duration::from_millis(rng.random_range(4_000..=9_000));
        // Of a show that is called off nothing is changed any more.
        let may_rise = called_off.is_none_or(|off| at + Duration::from_millis(500) < off);
        let dearer = (rng.random_bool(0.5) && may_rise).then_some(at);
        Self { sections, most, opens, closes, dearer }
    }

    /// Whether it is one row at one price.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.sections.iter().all(|section| section.name.is_empty())
    }

    /// The rows and the standing room, in their order, which is that of the seats' numbers.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut last) = (Vec::new(), 0);
        for (section, one) in self.sections.iter().enumerate() {
            let standing = one.rows.is_empty().then_some(one.standing);
            for seats in one.rows.iter().copied().chain(standing) {
                let is_standing = one.rows.is_empty();
                blocks.push(Block { section, first: last + 1, last: last + seats, is_standing });
                last += seats;
            }
        }
        blocks
    }

    /// How many seats it has.
    #[must_use]
    pub fn seats(&self) -> i64 {
        self.blocks().last().map_or(0, |block| block.last)
    }

    /// The section in which a seat is.
    #[must_use]
    pub fn section_of(&self, seat: i64) -> Option<&Section> {
        let block = self.blocks().into_iter().find(|block| (block.first..=block.last).contains(&seat))?;
        self.sections.get(block.section)
    }

    /// What these seats cost together, at first and when prices have risen.
    #[must_use]
    pub fn cost(&self, seats: &[i64], is_dearer: bool) -> i64 {
        let more = if is_dearer { DEARER } else { 0 };
        seats.iter().filter_map(|seat| Some(self.section_of(*seat)?.price + more)).sum()
    }

    /// What these seats may cost by `dearer`, whether prices may not have risen yet or have.
    #[must_use]
    pub fn costs(&self, seats: &[i64], dearer: impl IntoIterator<Item = bool>) -> BTreeSet<i64> {
        dearer.into_iter().map(|dearer| self.cost(seats, dearer)).collect()
    }

    /// What a show is created with.
    #[must_use]
    pub fn body(&self) -> Value {
        if let [Section { name, price, rows, .. }] = self.sections.as_slice()
            && name.is_empty()
        {
            return json!({"price": price, "seatCount": rows.iter().sum::<i64>()});
        }
        let section = |section: &Section| {
            let mut json = json!({"name": section.name, "price": section.price});
            if section.rows.is_empty() {
                json["capacity"] = json!(section.standing);
            } else {
                let row =
                    |(nth, seats): (usize, &i64)| json!({"name": (nth + 1).to_string(), "seats": seats});
                json["rows"] = section.rows.iter().enumerate().map(row).collect();
            }
            json
        };
        json!({"sections": self.sections.iter().map(section).collect::<Vec<_>>()})
    }

    /// The prices when they have risen.
    #[must_use]
    pub fn dearer_prices(&self) -> Value {
        let price = |section: &Section| json!({"section": section.name, "price": section.price + DEARER});
        self.sections.iter().map(price).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_numbered_through_rows_and_standing_room() {
        let section = |name: &str, price, rows: &[i64], standing| Section {
            name: name.to_owned(),
            price,
            rows: rows.to_vec(),
            standing,
        };
        let sections = vec![section("Stalls", 30, &[2, 3], 0), section("Floor", 10, &[], 3)];
        let hall = Hall { sections, most: None, opens: None, closes: None, dearer: None };
        let told = |block: &Block| (block.section, block.first, block.last, block.is_standing);
        let blocks: Vec<_> = hall.blocks().iter().map(told).collect();
        assert_eq!(blocks, [(0, 1, 2, false), (0, 3, 5, false), (1, 6, 8, true)]);
        assert_eq!((hall.seats(), hall.cost(&[1, 5, 6], false)), (8, 70));
        assert_eq!(hall.costs(&[5, 8], [false, true]), BTreeSet::from([40, 40 + 2 * DEARER]));
        assert!(hall.section_of(9).is_none() && !hall.is_plain());
    }
}
