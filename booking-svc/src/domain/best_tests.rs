//! The choice against an exhaustive search of small halls.

use proptest::prelude::*;

use super::*;
use crate::domain::hall::tests::{row, section};

/// Halls of up to three sections with rows of up to 7 seats, or standing room.
fn halls() -> impl Strategy<Value = Hall> {
    let rows = proptest::collection::vec(1..=7_i32, 1..=2);
    let section_of = prop_oneof![3 => rows, 1 => (1..=3_i32).prop_map(|room| vec![-room])];
    proptest::collection::vec(section_of, 1..=3).prop_map(|sections| {
        let name = |nth: usize| ["A", "B", "C"][nth].to_owned();
        let sections = sections.into_iter().enumerate().map(|(nth, sizes)| match sizes[..] {
            [room] if room < 0 => section(&name(nth), vec![], -room),
            _ => section(&name(nth), sizes.iter().map(|seats| row("", *seats, 1)).collect(), 0),
        });
        Hall::new(sections.collect())
    })
}

/// The rows in which a wish may be granted, as their first and last seat; and whether people stand there.
fn places(hall: &Hall, wished: &str) -> Vec<(i32, i32, bool)> {
    let mut places = Vec::new();
    for (one, numbers) in hall.sections().filter(|(one, _)| wished.is_empty() || one.name == wished) {
        let (first, last) = numbers.into_inner();
        if one.rows.is_empty() {
            places.push((first, last, true));
        }
        places.extend(rows(one, first).map(|(_, row)| (*row.start(), *row.end(), false)));
    }
    places
}

fn is_free(seat: i32, (first, last, _): (i32, i32, bool), taken: &SeatSet) -> bool {
    (first..=last).contains(&seat) && !taken.has(seat)
}

/// How many free seats have a free neighbour before, and none afterwards.
fn stranded(places: &[(i32, i32, bool)], before: &SeatSet, after: &SeatSet) -> usize {
    let alone = |seat: i32, row, taken| {
        is_free(seat, row, taken) && !is_free(seat - 1, row, taken) && !is_free(seat + 1, row, taken)
    };
    let rows = places.iter().filter(|(_, _, is_standing)| !is_standing);
    let seats = rows.flat_map(|row| (row.0..=row.1).map(|seat| (seat, *row)));
    seats.filter(|(seat, row)| alone(*seat, *row, after) && !alone(*seat, *row, before)).count()
}

fn with(taken: &SeatSet, seats: &[i32]) -> SeatSet {
    let mut all = taken.clone();
    seats.iter().for_each(|seat| all.insert(*seat));
    all
}

/// Every choice of so many seats.
fn choices(free: &[i32], count: usize) -> Vec<Vec<i32>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let Some((first, others)) = free.split_first() else { return Vec::new() };
    let mut all: Vec<Vec<i32>> = choices(others, count - 1)
        .into_iter()
        .map(|mut choice| {
            choice.insert(0, *first);
            choice
        })
        .collect();
    all.extend(choices(others, count));
    all
}

/// What decides between choices: the seats stranded, the row, twice the distance from its middle, the number.
type Rank = (usize, usize, i32, i32);

/// The best choice side by side: the least seats stranded, then the lowest row, then its middle, then the
/// lowest number.
fn search(places: &[(i32, i32, bool)], count: i32, taken: &SeatSet) -> Option<Vec<i32>> {
    let mut best: Option<(Rank, Vec<i32>)> = None;
    for (nth, place) in places.iter().enumerate() {
        let free: Vec<i32> = (place.0..=place.1).filter(|seat| !taken.has(*seat)).collect();
        for choice in free.windows(usize::try_from(count).unwrap_or(0)) {
            let (first, last) = (choice[0], choice[choice.len() - 1]);
            if !place.2 && last - first + 1 != count {
                continue;
            }
            let middle = if place.2 { 0 } else { (first + last - place.0 - place.1).abs() };
            let key = (stranded(places, taken, &with(taken, choice)), nth, middle, first);
            if best.as_ref().is_none_or(|(best, _)| key < *best) {
                best = Some((key, choice.to_vec()));
            }
        }
    }
    best.map(|(_, seats)| seats)
}

/// The most seats that go side by side.
fn longest(places: &[(i32, i32, bool)], taken: &SeatSet) -> i32 {
    (1..=50).rev().find(|count| search(places, *count, taken).is_some()).unwrap_or(0)
}

/// How many seats of a choice are in each row.
fn by_row(places: &[(i32, i32, bool)], choice: &[i32]) -> Vec<usize> {
    let within =
        |place: &(i32, i32, bool)| choice.iter().filter(|seat| (place.0..=place.1).contains(*seat)).count();
    places.iter().map(within).collect()
}

#[test]
fn the_best_seats_are_in_the_middle_of_the_lowest_row_and_strand_nobody() {
    let hall = Hall::new(vec![
        section("Stalls", vec![row("A", 6, 1), row("B", 5, 1)], 0),
        section("Floor", vec![], 3),
    ]);
    let best = |count, section: &str, together, taken: &[i32]| {
        let wish = Best { count, section: section.to_owned(), together };
        choose(&hall, &wish, &with(&SeatSet::none_of(14), taken))
    };
    assert_eq!(best(2, "", true, &[]), Ok(vec![3, 4]));
    assert_eq!(best(2, "", true, &[3, 4]), Ok(vec![1, 2]));
    assert_eq!(best(1, "", true, &[3, 4]), Ok(vec![9]), "one of two seats would strand the other");
    assert_eq!(best(3, "", true, &[3, 4]), Ok(vec![7, 8, 9]), "the middle of five would strand two");
    assert_eq!(best(2, "Floor", true, &[12]), Ok(vec![13, 14]));
    let short = |available, together| Err(Refusal::SeatsUnavailable { available, together });
    assert_eq!(best(4, "Floor", false, &[]), short(3, 3));
    assert_eq!(best(7, "Stalls", true, &[2]), short(10, 5));
    assert_eq!(best(9, "Stalls", false, &[2]), Ok(vec![3, 4, 5, 6, 7, 8, 9, 10, 11]));
    assert_eq!(best(2, "Balcony", true, &[]), Err(Refusal::SectionNotFound(NamedIn::Wish)));
}

#[test]
fn pair_after_pair_is_side_by_side_while_there_are_pairs() {
    let hall = Hall::new(vec![section("Stalls", (0..30).map(|_| row("", 20, 1)).collect(), 0)]);
    let mut taken = SeatSet::none_of(600);
    let wish = Best { count: 2, section: String::new(), together: true };
    // Pairs from the middle of a row outwards leave one seat at either end.
    for nth in 0..270 {
        let pair = choose(&hall, &wish, &taken);
        let Ok([one, other]) = pair.as_deref() else { panic!("number {nth}: {pair:?}") };
        assert!(
            one + 1 == *other && (one - 1) / 20 == (other - 1) / 20 && !taken.has(*one) && !taken.has(*other)
        );
        pair.into_iter().flatten().for_each(|seat| taken.insert(seat));
    }
    assert_eq!(choose(&hall, &wish, &taken), Err(Refusal::SeatsUnavailable { available: 60, together: 1 }));
}

proptest! {
    #[test]
    fn no_choice_is_better(
        hall in halls(),
        wished in prop_oneof![3 => Just(""), 1 => Just("A"), 1 => Just("B")],
        count in 1..=5_i32,
        gone in proptest::collection::vec(any::<u8>(), 40),
    ) {
        let seats = hall.sections().map(|(one, _)| one.size()).sum();
        let mut taken = SeatSet::none_of(seats);
        (1..=seats).zip(&gone).filter(|(_, die)| **die < 100).for_each(|(seat, _)| taken.insert(seat));
        let places = places(&hall, wished);
        let free: Vec<i32> = places.iter().flat_map(|row| row.0..=row.1).filter(|seat| !taken.has(*seat)).collect();
        let wish = |together| Best { count, section: wished.to_owned(), together };
        if places.is_empty() {
            prop_assert_eq!(choose(&hall, &wish(true), &taken), Err(Refusal::SectionNotFound(NamedIn::Wish)));
            return Ok(());
        }
        let short = Refusal::SeatsUnavailable {
            available: i32::try_from(free.len()).unwrap_or(0),
            together: longest(&places, &taken),
        };
        let best = search(&places, count, &taken).ok_or_else(|| short.clone());
        prop_assert_eq!(choose(&hall, &wish(true), &taken), best);

        let wanted = usize::try_from(count).unwrap_or(0);
        match choose(&hall, &wish(false), &taken) {
            Err(refusal) => {
                prop_assert_eq!(refusal, short);
                prop_assert!(free.len() < wanted);
            }
            Ok(choice) => {
                prop_assert_eq!(choice.len(), wanted);
                prop_assert!(choice.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(choice.iter().all(|seat| free.contains(seat)));
                let strands = |choice: &[i32]| stranded(&places, &taken, &with(&taken, choice));
                let all = choices(&free, wanted);
                let least = all.iter().map(|choice| strands(choice)).min();
                prop_assert_eq!(Some(strands(&choice)), least, "{:?}", choice);
                let fine = all.iter().filter(|choice| Some(strands(choice)) == least);
                let lowest = fine.map(|choice| by_row(&places, choice)).max();
                prop_assert_eq!(Some(by_row(&places, &choice)), lowest, "{:?}", choice);
            }
        }
    }
}
