//! A set of a show's seats, one bit for each.

/// Some of a show's seats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatSet {
    /// Seat 1 is the lowest bit of the first word. Bits beyond the last seat are 0.
    words: Vec<u64>,
    seats: i32,
}

impl SeatSet {
    /// None of the seats of a show that has so many.
    #[must_use]
    pub fn none_of(seats: i32) -> Self {
        let seats = seats.max(0);
        // 64 seats a word.
        Self { words: vec![0; index(seats).div_ceil(64)], seats }
    }

    /// How many seats the show has.
    #[must_use]
    pub const fn seats(&self) -> i32 {
        self.seats
    }

    /// Whether a seat is in the set. A number that the show does not have is in none.
    #[must_use]
    pub fn has(&self, seat: i32) -> bool {
        self.place(seat).is_some_and(|(word, bit)| self.words[word] & bit != 0)
    }

    /// Adds a seat; a number that the show does not have is ignored.
    pub fn insert(&mut self, seat: i32) {
        if let Some((word, bit)) = self.place(seat) {
            self.words[word] |= bit;
        }
    }

    /// Takes a seat out.
    pub fn remove(&mut self, seat: i32) {
        if let Some((word, bit)) = self.place(seat) {
            self.words[word] &= !bit;
        }
    }

    /// How many seats it has.
    #[must_use]
    pub fn count(&self) -> i32 {
        // At most as many as the show has, which is an i32.
        i32::try_from(self.words.iter().map(|word| word.count_ones()).sum::<u32>()).unwrap_or(i32::MAX)
    }

    /// The runs of seats that are not in the set, from one seat to another, each as its first and last
    /// number.
    pub fn gaps(&self, first: i32, last: i32) -> impl Iterator<Item = (i32, i32)> + '_ {
        let last = last.min(self.seats);
        let mut at = first.max(1);
        std::iter::from_fn(move || {
            let begin = self.next(at, false).filter(|begin| *begin <= last)?;
            let end = self.next(begin, true).map_or(last, |taken| last.min(taken - 1));
            at = end + 1;
            Some((begin, end))
        })
    }

    /// The set as bytes: bit i, the least significant bit of each byte first, is seat i + 1.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(index(self.seats).div_ceil(8));
        bytes
    }

    /// The first seat from this one on that is in the set, or is not.
    fn next(&self, from: i32, is_in: bool) -> Option<i32> {
        let start = index(from - 1);
        for (nth, word) in self.words.iter().enumerate().skip(start / 64) {
            let word = if is_in { *word } else { !*word };
            let word = if nth == start / 64 { word & (u64::MAX << (start % 64)) } else { word };
            if word != 0 {
                let seat = i32::try_from(nth * 64).ok()? + i32::try_from(word.trailing_zeros()).ok()? + 1;
                return (seat <= self.seats).then_some(seat);
            }
        }
        None
    }

    fn place(&self, seat: i32) -> Option<(usize, u64)> {
        let bit = index(seat.checked_sub(1).filter(|bit| (0..self.seats).contains(bit))?);
        Some((bit / 64, 1 << (bit % 64)))
    }
}

fn index(number: i32) -> usize {
    usize::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set_of_the_shows_seats(seats in 1..200_i32, changes in proptest::collection::vec((-5..210_i32, any::<bool>()), 0..300)) {
            let (mut set, mut model) = (SeatSet::none_of(seats), BTreeSet::new());
            for (seat, add) in changes {
                if add && (1..=seats).contains(&seat) {
                    model.insert(seat);
                } else {
                    model.remove(&seat);
                }
                if add { set.insert(seat) } else { set.remove(seat) }
                prop_assert_eq!(set.has(seat), model.contains(&seat));
            }
            prop_assert_eq!(usize::try_from(set.count()).ok(), Some(model.len()));
            for (first, last) in [(1, seats), (3, 70), (64, 65), (seats, seats)] {
                let gaps: Vec<i32> = set.gaps(first, last).flat_map(|(begin, end)| begin..=end).collect();
                let free: Vec<i32> = (first..=last.min(seats)).filter(|seat| !model.contains(seat)).collect();
                prop_assert_eq!(gaps, free);
                let apart = set.gaps(first, last).collect::<Vec<_>>();
                prop_assert!(apart.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            }
            let bytes = set.to_bytes();
            prop_assert_eq!(bytes.len(), usize::try_from(seats).unwrap_or(0).div_ceil(8));
            let bits = (0..bytes.len() * 8).filter(|bit| bytes[bit / 8] >> (bit % 8) & 1 == 1);
            let told: BTreeSet<i32> = bits.filter_map(|bit| i32::try_from(bit + 1).ok()).collect();
            prop_assert_eq!(told, model);
        }
    }
}
