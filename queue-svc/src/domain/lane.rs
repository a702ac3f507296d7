//! One lane: first come, first served, with the number of tokens ahead of any token in O(log n).
//!
//! Tickets only rise, so a lane is an append-only list, in which a token that leaves it becomes a gap. A
//! Fenwick tree over the list counts the tokens that are still there. When most of the list is gaps it is
//! packed, so list and tree both stay O(live tokens).

/// The entry of a token that has left the lane.
const GONE: u32 = u32::MAX;
/// The length up to which a lane is not packed, because it would save little.
const SMALL: usize = 64;

/// The waiting slots of one priority in ticket order.
#[derive(Debug, Default)]
pub(super) struct Lane {
    slots: Vec<u32>,
    /// `tree[i]` counts the live ones among the `lowbit(i + 1)` entries that end at `i`.
    tree: Vec<u32>,
    live: u32,
    /// The index of the first live entry; every entry before it is a gap.
    front: usize,
    last_ticket: i64,
}

impl Lane {
    pub(super) const fn live(&self) -> u32 {
        self.live
    }

    pub(super) const fn last_ticket(&self) -> i64 {
        self.last_ticket
    }

    pub(super) const fn front(&self) -> usize {
        self.front
    }

    /// Appends a slot and returns its index in the list.
    pub(super) fn push(&mut self, slot: u32, ticket: i64) -> u32 {
        let at = self.slots.len() + 1;
        let mut count = 1;
        let mut below = at - 1;
        while below > at - lowbit(at) {
            count += self.tree[below - 1];
            below -= lowbit(below);
        }
        self.slots.push(slot);
        self.tree.push(count);
        self.live += 1;
        self.last_ticket = ticket;
        u32::try_from(at - 1).expect("gaps are packed, so a lane is shorter than twice the slots")
    }

    pub(super) fn remove(&mut self, place: u32) {
        let place = place as usize;
        self.slots[place] = GONE;
        self.live -= 1;
        let mut at = place + 1;
        while at <= self.tree.len() {
            self.tree[at - 1] -= 1;
            at += lowbit(at);
        }
        while self.slots.last() == Some(&GONE) {
            // An entry of the tree counts no later entries of the list, so both may be cut off together.
            self.slots.pop();
            self.tree.pop();
        }
        while self.slots.get(self.front) == Some(&GONE) {
            self.front += 1;
        }
        self.front = self.front.min(self.slots.len());
    }

    /// The last slot of the lane.
    pub(super) fn last(&self) -> Option<u32> {
        self.slots.last().copied()
    }

    /// The slots at the end of the lane for which this holds, in order.
    pub(super) fn tail(&self, holds: impl Fn(u32) -> bool) -> Vec<u32> {
        let live = self.slots.iter().rev().copied().filter(|slot| *slot != GONE);
        let mut tail: Vec<u32> = live.take_while(|slot| holds(*slot)).collect();
        tail.reverse();
        tail
    }

    /// The number of live entries up to and including this one: 1 for the first of the lane.
    pub(super) fn rank(&self, place: u32) -> u32 {
        let mut at = place as usize + 1;
        let mut count = 0;
        while at > 0 {
            count += self.tree[at - 1];
            at -= lowbit(at);
        }
        count
    }

    /// The first slot at or after the index `from`, with its index.
    pub(super) fn next(&self, from: usize) -> Option<(usize, u32)> {
        let rest = self.slots.get(from..)?;
        let step = rest.iter().position(|slot| *slot != GONE)?;
        Some((from + step, rest[step]))
    }

    pub(super) fn wants_packing(&self) -> bool {
        self.slots.len() > SMALL && (self.live as usize) * 2 < self.slots.len()
    }

    /// Empties the lane and returns its slots in order.
    pub(super) fn take(&mut self) -> Vec<u32> {
        let slots = std::mem::take(&mut self.slots);
        *self = Self { last_ticket: 0, ..Self::default() };
        slots.into_iter().filter(|slot| *slot != GONE).collect()
    }

    pub(super) fn memory(&self) -> usize {
        (self.slots.capacity() + self.tree.capacity()) * 4
    }
}

const fn lowbit(number: usize) -> usize {
    number & number.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_rank_is_the_number_of_those_still_before(len in 1_u32..300, gone in proptest::collection::vec(any::<u16>(), 0..300)) {
            let mut lane = Lane::default();
            for slot in 0..len {
                prop_assert_eq!(lane.push(slot, i64::from(slot)), slot);
            }
            let mut naive: Vec<u32> = (0..len).collect();
            for pick in gone {
                if naive.is_empty() { break; }
                let place = naive.remove(usize::from(pick) % naive.len());
                lane.remove(place);
            }
            prop_assert_eq!(lane.live() as usize, naive.len());
            for (before, place) in naive.iter().enumerate() {
                prop_assert_eq!(lane.rank(*place) as usize, before + 1);
            }
            prop_assert_eq!(lane.next(lane.front()).map(|(_, slot)| slot), naive.first().copied());
            prop_assert_eq!(lane.last(), naive.last().copied());
            let place = lane.push(len, i64::from(len));
            prop_assert_eq!(lane.rank(place) as usize, naive.len() + 1, "whoever comes after is counted after all");
            naive.push(len);
            let behind = |slot: &u32| *slot > len / 2;
            let tail: Vec<u32> = naive.iter().copied().filter(behind).collect();
            prop_assert_eq!(lane.tail(|slot| behind(&slot)), tail);
            prop_assert_eq!(lane.take(), naive);
        }
    }
}
