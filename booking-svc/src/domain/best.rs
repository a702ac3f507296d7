//! Best available: which seats somebody gets who says how many, and not which.
//!
//! The best are those in the lowest row, and there the nearest to its middle. Before that comes that no seat
//! is stranded: a free seat is stranded by a choice that takes its last free neighbour. Where people stand
//! there are no neighbours, and the lowest numbers are the best.

use serde::Serialize;

use super::{Hall, Refusal, SeatSet, Selection, hall::rows, refusal::NamedIn};

/// What somebody wishes who leaves the choice of the seats to us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Best {
    /// How many seats, 1 to 50.
    pub count: i32,
    /// The name of the section in which they are to be; empty: anywhere.
    pub section: String,
    /// Whether they must be side by side in one row.
    pub together: bool,
}

/// A row, or the standing room of a section, with what is free of it.
struct Block {
    /// Twice the middle of the row.
    middle: i32,
    is_standing: bool,
    /// The longest stretches of free seats, each as its first and last number.
    runs: Vec<(i32, i32)>,
}

/// A set of sums from 0 to 50, one bit for each.
type Sums = u64;

/// The best seats for a wish, in rising order, where these are taken.
///
/// # Errors
/// `SectionNotFound`, or `SeatsUnavailable`.
pub fn choose(hall: &Hall, wish: &Best, taken: &SeatSet) -> Result<Vec<i32>, Refusal> {
    let blocks = blocks(hall, &wish.section, taken)?;
    let chosen = if wish.together { side_by_side(&blocks, wish.count) } else { apart(&blocks, wish.count) };
    chosen.ok_or_else(|| Refusal::SeatsUnavailable {
        available: blocks.iter().map(Block::free).sum(),
        together: blocks.iter().map(Block::together).max().unwrap_or(0),
    })
}

/// Chooses for all who wish something at the same time, one after the other, so that no two get one seat.
/// Seats that others ask for by number at the same time are left to them.
///
/// Whoever gets nothing only because of the others is told `Overtaken`: what those are granted is not known
/// yet.
pub fn choose_for_all(
    hall: &Hall,
    wishes: &[&Best],
    asked: impl IntoIterator<Item = i32>,
    taken: &SeatSet,
) -> Vec<Result<Selection, Refusal>> {
    let mut left = taken.clone();
    asked.into_iter().for_each(|seat| left.insert(seat));
    let mut choose_one = |wish: &&Best| {
        let seats = choose(hall, wish, &left).map_err(|refusal| {
            let is_overtaken = left != *taken && choose(hall, wish, taken).is_ok();
            if is_overtaken { Refusal::Overtaken } else { refusal }
        })?;
        seats.iter().for_each(|seat| left.insert(*seat));
        Ok(Selection::chosen(seats))
    };
    wishes.iter().map(&mut choose_one).collect()
}

fn blocks(hall: &Hall, section: &str, taken: &SeatSet) -> Result<Vec<Block>, Refusal> {
    let mut blocks = Vec::new();
    let mut is_known = section.is_empty();
    for (one, numbers) in hall.sections().filter(|(one, _)| section.is_empty() || one.name == section) {
        is_known = true;
        let (first, last) = numbers.into_inner();
        let mut add = |is_standing, first, last| {
            let runs: Vec<_> = taken.gaps(first, last).collect();
            if !runs.is_empty() {
                blocks.push(Block { middle: first + last, is_standing, runs });
            }
        };
        if one.rows.is_empty() {
            add(true, first, last);
        }
        for (_, row) in rows(one, first) {
            add(false, *row.start(), *row.end());
        }
    }
    if is_known { Ok(blocks) } else { Err(Refusal::SectionNotFound(NamedIn::Wish)) }
}

impl Block {
    fn free(&self) -> i32 {
        self.runs.iter().map(|run| length(*run)).sum()
    }

    /// The most seats that go side by side.
    fn together(&self) -> i32 {
        if self.is_standing {
            return self.free();
        }
        self.runs.iter().map(|run| length(*run)).max().unwrap_or(0)
    }

    /// The best `count` seats side by side within a run, as the first of them: how many seats they strand,
    /// how far they are from the middle of the row, and their first number.
    fn place(&self, run: (i32, i32), count: i32) -> Option<(u8, i32, i32)> {
        let (first, last) = (run.0, run.1 - count + 1);
        let nearest = ((self.middle - count + 1) / 2).clamp(first, last.max(first));
        // At most two places strand a seat, one at either end, so that the best is among the nearest few.
        let places = (nearest - 2).max(first)..=(nearest + 3).min(last);
        places
            .map(|at| {
                let stranded = u8::from(at == first + 1) + u8::from(at + 1 == last);
                (stranded, (2 * at + count - 1 - self.middle).abs(), at)
            })
            .min()
    }

    /// The lowest free numbers.
    fn lowest(&self, count: i32) -> impl Iterator<Item = i32> + '_ {
        self.runs.iter().flat_map(|(first, last)| *first..=*last).take(usize::try_from(count).unwrap_or(0))
    }

    /// The runs from the middle of the row outwards.
    fn outwards(&self) -> Vec<(i32, i32)> {
        let mut runs = self.runs.clone();
        let distance = |run: &(i32, i32)| (2 * run.0 - self.middle).max(self.middle - 2 * run.1).max(0);
        runs.sort_by_key(|run| (distance(run), run.0));
        runs
    }

    /// The numbers of seats up to `most` that can be had of it without stranding one.
    fn sums(&self, most: i32) -> Sums {
        if self.is_standing {
            return up_to(self.free().min(most));
        }
        self.runs.iter().fold(1, |sums, run| added(sums, whole(*run, most), most))
    }
}

/// The seats of a block that is the best of all.
fn side_by_side(blocks: &[Block], count: i32) -> Option<Vec<i32>> {
    let mut best: Option<(u8, Vec<i32>)> = None;
    for block in blocks.iter().filter(|block| block.together() >= count) {
        let (stranded, seats) = if block.is_standing {
            (0, block.lowest(count).collect())
        } else {
            let runs = block.runs.iter().filter(|run| length(**run) >= count);
            let (stranded, _, at) = runs.filter_map(|run| block.place(*run, count)).min()?;
            (stranded, (at..at + count).collect())
        };
        if best.as_ref().is_none_or(|(least, _)| stranded < *least) {
            best = Some((stranded, seats));
        }
        if stranded == 0 {
            break;
        }
    }
    best.map(|(_, seats)| seats)
}

/// As many seats as possible of the lowest row, then of the next one, and so on, without stranding one if
/// that can be had; within a row from its middle outwards.
fn apart(blocks: &[Block], count: i32) -> Option<Vec<i32>> {
    if blocks.iter().map(Block::free).sum::<i32>() < count {
        return None;
    }
    let of_blocks: Vec<Sums> = blocks.iter().map(|block| block.sums(count)).collect();
    let after = suffixes(&of_blocks, count);
    // Otherwise one seat is stranded by whatever is chosen, and one only if every row is emptied in turn.
    let strands_none = has(after[0], count);
    let mut seats = Vec::new();
    let mut missing = count;
    for ((block, sums), after) in blocks.iter().zip(&of_blocks).zip(&after[1..]) {
        let take = if strands_none { most(*sums, *after, missing) } else { missing.min(block.free()) };
        missing -= take;
        if block.is_standing {
            seats.extend(block.lowest(take));
        } else {
            take_of_row(block, take, strands_none, &mut seats);
        }
    }
    seats.sort_unstable();
    Some(seats)
}

fn take_of_row(block: &Block, mut missing: i32, strands_none: bool, seats: &mut Vec<i32>) {
    if missing == 0 {
        return;
    }
    let runs = block.outwards();
    let of_runs: Vec<Sums> = runs.iter().map(|run| whole(*run, missing)).collect();
    let after = suffixes(&of_runs, missing);
    for ((run, sums), after) in runs.into_iter().zip(&of_runs).zip(&after[1..]) {
        let take = if strands_none { most(*sums, *after, missing) } else { missing.min(length(run)) };
        missing -= take;
        if let Some((_, _, at)) = block.place(run, take).filter(|_| take > 0) {
            seats.extend(at..at + take);
        }
    }
}

const fn length(run: (i32, i32)) -> i32 {
    run.1 - run.0 + 1
}

/// The sums from 0 to this.
const fn up_to(most: i32) -> Sums {
    (1 << (most + 1)) - 1
}

const fn has(sums: Sums, sum: i32) -> bool {
    sums >> sum & 1 == 1
}

/// The numbers of seats that can be had of a run without stranding one: all but one too few.
const fn whole(run: (i32, i32), most: i32) -> Sums {
    let length = length(run);
    if length > most + 1 {
        return up_to(most);
    }
    let all = up_to(if length < most { length } else { most });
    if length > 1 { all & !(1 << (length - 1)) } else { all }
}

/// The sums of one number of each set.
fn added(a: Sums, b: Sums, most: i32) -> Sums {
    let all = up_to(most);
    // Both have 0, so that nothing can be added to what has everything.
    if a == all || b == all {
        return all;
    }
    (0..=most).filter(|sum| has(a, *sum)).fold(0, |sums, sum| sums | b << sum) & all
}

/// For each set the sums that it and all later ones make; and 0, behind the last.
fn suffixes(sets: &[Sums], most: i32) -> Vec<Sums> {
    let mut all = vec![1; sets.len() + 1];
    for nth in (0..sets.len()).rev() {
        all[nth] = added(sets[nth], all[nth + 1], most);
    }
    all
}

/// The greatest number of a set that leaves one of the sums `after` it.
fn most(sums: Sums, after: Sums, missing: i32) -> i32 {
    let fits = |take: &i32| has(sums, *take) && has(after, missing - take);
    (0..=missing).rev().find(fits).unwrap_or(0)
}

#[cfg(test)]
#[path = "best_tests.rs"]
mod tests;
