//! What is known of the seats, against a naive model; and views of replicas whose clocks differ.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::domain::show::tests::show;

/// The show of the tests begins, and its sale closes, at this instant.
const CLOSES: i64 = 1_000;

fn hall(seats: i32) -> Arc<Hall> {
    Arc::new(Hall::of_one_row(seats))
}

fn view(seats: &Occupancy, now: i64) -> HallView {
    HallView::new(&show(seats.seats()), hall(seats.seats()), seats, now)
}

fn taken(view: &HallView) -> Vec<i32> {
    (1..=view.taken.seats()).filter(|seat| view.taken.has(*seat)).collect()
}

/// The instants from which seats of a hall of ten are free; the numbers beyond are no seats of it.
fn changes() -> impl Strategy<Value = Vec<(i32, i64)>> {
    let instant = prop_oneof![Just(AT_ONCE), Just(NEVER), 1..CLOSES + 200];
    proptest::collection::vec((-1..13_i32, instant), 0..6)
}

#[test]
fn a_view_tells_what_can_be_had_and_counts_it_by_section() {
    let seats = Occupancy::new(4, 4, [(1, NEVER), (2, 500), (3, 400), (9, NEVER)]);
    let at = |now| {
        let view = view(&seats, now);
        let sections: Vec<_> = view.sections().map(|(name, free)| (name.to_owned(), free)).collect();
        assert_eq!(sections, [(String::new(), view.available())]);
        (taken(&view), view.version - 4 * VIEWS)
    };
    assert_eq!(at(399), (vec![1, 2, 3], 0));
    assert_eq!(at(400), (vec![1, 2], 1), "lapsed by the clock alone");
    assert_eq!(at(500), (vec![1], 2));
    assert_eq!(at(CLOSES), (vec![1, 2, 3, 4], VIEWS - 1), "the sale has closed");
    assert_eq!(version_of_log(view(&seats, CLOSES).version), 4);
    let looks: Vec<_> = seats.seen_at(450).map(|(_, look)| look).collect();
    use Availability::{Available, Held, Sold};
    assert_eq!(looks, [Sold, Held, Available, Available]);
}

#[test]
fn only_the_next_version_is_followed() {
    let mut seats = Occupancy::new(4, 2, []);
    for other in [3, 4, 6, i64::MAX] {
        assert!(!seats.follow(other, [(1, NEVER)]));
    }
    assert_eq!(seats, Occupancy::new(4, 2, []));
    assert!(seats.follow(5, [(1, NEVER)]));
    assert_eq!(seats, Occupancy::new(5, 2, [(1, NEVER)]));
    assert!(!Occupancy::new(i64::MAX, 1, []).follow(i64::MIN, []));
}

proptest! {
    /// I-SEAT-FOLLOWED: who follows the log from anywhere knows what whoever read the rows knows.
    #[test]
    fn whoever_follows_the_log_knows_what_the_rows_say(
        log in proptest::collection::vec(changes(), 0..20), from in 0..20_usize,
    ) {
        let mut model: BTreeMap<i32, i64> = BTreeMap::new();
        let mut follower = None;
        for (version, changes) in (1..).zip(&log) {
            model.extend(changes.iter().copied().filter(|(seat, _)| (1..=10).contains(seat)));
            let rows = Occupancy::new(version, 10, model.clone());
            match &mut follower {
                None if usize::try_from(version).is_ok_and(|version| version > from) => follower = Some(rows.clone()),
                None => {}
                Some(follower) => {
                    prop_assert!(follower.follow(version, changes.iter().copied()));
                    prop_assert_eq!(&*follower, &rows);
                    prop_assert!(follower.differences(&rows).is_empty());
                }
            }
        }
    }

    /// I-MAP-VERSION: one version means one map, and a map that has changed has another version.
    #[test]
    fn views_of_one_version_are_equal_whatever_the_clocks_say(
        log in proptest::collection::vec(changes(), 1..12), clocks in proptest::collection::vec(0..CLOSES + 300, 1..12),
    ) {
        let mut seats = Occupancy::new(0, 10, []);
        let mut told: BTreeMap<i64, Vec<i32>> = BTreeMap::new();
        for (version, changes) in (1..).zip(log) {
            seats.follow(version, changes);
            let mut newest: Option<HallView> = None;
            for now in clocks.iter().collect::<BTreeSet<_>>() {
                let view = view(&seats, *now);
                let model: Vec<i32> = seats
                    .seen_at(*now)
                    .filter(|(_, look)| *now >= CLOSES || *look != Availability::Available)
                    .map(|(seat, _)| seat)
                    .collect();
                prop_assert_eq!(&taken(&view), &model);
                let known = told.entry(view.version).or_insert_with(|| model.clone());
                prop_assert_eq!(&*known, &model, "version {}", view.version);
                if let Some(before) = newest.filter(|before| before.is_still(&show(10), &seats, *now)) {
                    prop_assert_eq!(before.version, view.version);
                }
                newest = Some(view);
            }
        }
    }
}
