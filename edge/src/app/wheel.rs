//! A timing wheel: items that are due at some tick, at most [`SPAN`] ticks ahead. Inserting and removing cost
//! the same however many items there are, and nothing but the items is kept in memory. The reason is what a
//! stream may take: 2.3 KiB with 19,000 streams open (`tests/bench/README.md`), so none has a timer of its
//! own; and tokens that are due together share a call.

use crate::domain::pace::Tick;

/// How far ahead an item can be due, in ticks; the longest pause is 60.
const SPAN: Tick = 64;

/// Items by the tick at which they are due.
pub(super) struct Wheel<T> {
    buckets: [Vec<T>; SPAN as usize],
    /// The tick up to which due items have been taken.
    at: Tick,
    len: usize,
}

impl<T> Default for Wheel<T> {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| Vec::new()), at: 0, len: 0 }
    }
}

impl<T> Wheel<T> {
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Makes whatever is due later than in so many ticks due within them, spread over them.
    pub(super) fn hurry(&mut self, within: Tick) {
        for later in within + 1..SPAN {
            let tick = self.at.saturating_add(later);
            let bucket = std::mem::take(self.bucket(tick));
            self.bucket(self.at.saturating_add(1 + later % within)).extend(bucket);
        }
    }

    /// Inserts an item. When it is due already it is due at the next tick.
    pub(super) fn push(&mut self, due: Tick, thing: T) {
        let due = due.clamp(self.at.saturating_add(1), self.at.saturating_add(SPAN - 1));
        self.bucket(due).push(thing);
        self.len += 1;
    }

    /// Moves the items that are due up to `now` into a list.
    pub(super) fn take(&mut self, now: Tick, into: &mut Vec<T>) {
        let last = now.min(self.at.saturating_add(SPAN));
        for tick in self.at.saturating_add(1)..=last {
            // Taking the bucket itself frees the memory of one that was very full.
            let bucket = std::mem::take(self.bucket(tick));
            self.len -= bucket.len();
            into.extend(bucket);
        }
        self.at = self.at.max(now);
    }

    /// When the next item is due.
    pub(super) fn next(&self) -> Option<Tick> {
        let ticks = self.at.saturating_add(1)..=self.at.saturating_add(SPAN);
        if self.is_empty() {
            None
        } else {
            ticks.into_iter().find(|tick| !self.buckets[(tick % SPAN) as usize].is_empty())
        }
    }

    fn bucket(&mut self, tick: Tick) -> &mut Vec<T> {
        &mut self.buckets[(tick % SPAN) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(wheel: &mut Wheel<u32>, now: Tick) -> Vec<u32> {
        let mut all = Vec::new();
        wheel.take(now, &mut all);
        all.sort_unstable();
        all
    }

    #[test]
    fn everything_comes_out_once_and_not_before_its_time() {
        let mut wheel = Wheel::default();
        for due in [1, 5, 5, 63] {
            wheel.push(due, due);
        }
        assert_eq!(wheel.next(), Some(1));
        assert_eq!(taken(&mut wheel, 4), [1]);
        assert_eq!(wheel.next(), Some(5));
        assert_eq!(taken(&mut wheel, 5), [5, 5]);
        assert_eq!(taken(&mut wheel, 62), [0; 0]);
        assert_eq!(taken(&mut wheel, 63), [63]);
        assert!(wheel.is_empty() && wheel.next().is_none());
    }

    #[test]
    fn in_a_hurry_nothing_is_lost_and_little_comes_at_once() {
        let mut wheel = Wheel::default();
        for due in 1..=63 {
            wheel.push(due, due);
        }
        wheel.hurry(20);
        let counts: Vec<usize> = (1..=20).map(|now| taken(&mut wheel, now).len()).collect();
        assert_eq!(counts.iter().sum::<usize>(), 63);
        assert!(counts.iter().all(|count| (3..=4).contains(count)), "{counts:?}");
        assert!(wheel.is_empty());
    }

    #[test]
    fn a_wheel_that_stood_still_for_long_gives_everything_and_turns_on() {
        let mut wheel = Wheel::default();
        (1..=63).for_each(|due| wheel.push(due, due));
        assert_eq!(taken(&mut wheel, 10_000).len(), 63);
        wheel.push(10_010, 1);
        // Too late and too far ahead are the next tick and the last one.
        wheel.push(3, 2);
        wheel.push(20_000, 3);
        assert_eq!(taken(&mut wheel, 10_001), [2]);
        assert_eq!(taken(&mut wheel, 10_010), [1]);
        assert_eq!(taken(&mut wheel, 10_063), [3]);
    }
}
