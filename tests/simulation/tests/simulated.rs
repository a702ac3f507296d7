//! That a run is its seed, and that the model and the audit see what is wrong.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use simulation::{
    KNOWN,
    child::{Outcome, Task},
    run::Sabotage,
};

fn run(seed: u64, sabotage: Option<Sabotage>) -> Outcome {
    let task = Task { seed, sabotage, core: None };
    task.run(Path::new(env!("CARGO_BIN_EXE_simulated-seed")))
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"))
}

/// The rules that were broken.
fn broken(outcome: &Outcome) -> Vec<&str> {
    let mut rules: Vec<_> =
        outcome.history.violations.iter().map(|violation| violation.rule.as_str()).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

#[test]
fn a_seed_is_the_same_run_every_time_and_another_one_is_another() {
    let digests: Vec<_> = (1..=5).map(|seed| run(seed, None).digest).collect();
    let again: Vec<_> = (1..=5).map(|seed| run(seed, None).digest).collect();
    assert_eq!(digests, again);
    assert!(
        digests.iter().enumerate().all(|(index, digest)| !digests[..index].contains(digest)),
        "{digests:?}"
    );
}

#[test]
fn what_once_found_something_finds_nothing_any_more() {
    for (seed, once) in KNOWN {
        let outcome = run(*seed, None);
        assert!(
            outcome.history.violations.is_empty(),
            "seed {seed} ({once}): {:#?}",
            outcome.history.violations
        );
    }
}

#[test]
fn a_wrong_price_is_seen() {
    assert!(broken(&run(1, Some(Sabotage::Price))).contains(&"FIXED-PRICE"));
}

#[test]
fn one_too_many_in_the_hall_is_seen() {
    // It takes a seed in which so many want to be in at once.
    assert!((1..=10).any(|seed| broken(&run(seed, Some(Sabotage::Line))).contains(&"LINE-CAP")));
}

#[test]
fn a_forged_balance_is_seen() {
    let outcome = run(1, Some(Sabotage::Ledger));
    assert_eq!(broken(&outcome), ["AUDIT"]);
    assert!(
        outcome.history.violations.iter().all(|violation| violation.what.contains("I-LEDGER-SUM")),
        "{outcome:?}"
    );
}

#[test]
fn a_draw_that_was_forged_is_seen() {
    // It takes a seed whose line opens by lot for two at least, and for some mistakes with a beacon.
    for sabotage in [Sabotage::Lots, Sabotage::Twice, Sabotage::Ignored, Sabotage::Reread, Sabotage::Again] {
        let seen = (1..=30).any(|seed| {
            let outcome = run(seed, Some(sabotage));
            outcome.history.violations.iter().any(|violation| violation.what.contains("I-DRAW"))
        });
        assert!(seen, "{sabotage:?}");
    }
}

/// Whether one of these seeds breaks a rule that says so, when booking-svc makes this mistake.
fn is_found(sabotage: Sabotage, seeds: std::ops::RangeInclusive<u64>, told: &[&str]) -> bool {
    seeds.into_iter().any(|seed| {
        let violations = run(seed, Some(sabotage)).history.violations;
        violations.iter().any(|one| told.iter().any(|told| one.rule == *told || one.what.contains(told)))
    })
}

#[test]
fn a_memory_of_seats_that_does_not_follow_is_seen() {
    assert!(is_found(Sabotage::Stale, 1..=20, &["SOLD-STAYS", "TAKEN-NOW"]));
}

#[test]
fn seats_that_were_changed_and_not_written_down_are_seen() {
    assert!(is_found(Sabotage::Unlogged, 1..=20, &["SOLD-STAYS", "I-SEAT-FOLLOWED"]));
}

#[test]
fn a_seat_that_was_given_twice_is_seen() {
    assert!(is_found(Sabotage::Double, 1..=20, &["SEAT-ONCE"]));
}

#[test]
fn a_seat_that_came_free_and_is_told_as_taken_is_seen() {
    assert!(is_found(Sabotage::Unfreed, 1..=20, &["I-SEAT-FOLLOWED"]));
    // It takes somebody who wants again at once what they have just given back, which is seldom: with the
    // plans of today in seed 152 first.
    assert!(is_found(Sabotage::Unfreed, 140..=160, &["TAKEN-NOW"]));
}

#[test]
fn a_line_that_opens_before_its_instant_is_seen() {
    assert!(is_found(Sabotage::Early, 1..=20, &["LINE-OPENS"]));
}

#[test]
fn who_registered_and_is_not_served_in_the_order_of_coming_is_seen() {
    assert!(is_found(Sabotage::Backwards, 1..=20, &["LINE-ORDER"]));
}

#[test]
fn what_is_said_and_not_told_by_every_replica_is_seen() {
    assert!(is_found(Sabotage::Mute, 1..=20, &["SAID"]));
}

#[test]
fn a_batch_that_was_answered_and_not_committed_is_seen() {
    assert!(is_found(Sabotage::Vanished, 1..=20, &["HOLD-KEPT"]));
}

#[test]
fn a_request_that_was_done_twice_is_seen() {
    assert!(is_found(Sabotage::Repeated, 1..=20, &["ONE-ANSWER"]));
}

#[test]
fn seats_beyond_what_one_may_have_are_seen() {
    // It takes somebody who wants more than the show allows in one batch: with the plans of today in seed 41
    // first.
    assert!(is_found(Sabotage::Unlimited, 30..=45, &["LIMIT"]));
}

#[test]
fn a_change_that_is_made_over_another_one_is_seen() {
    assert!(is_found(Sabotage::Unwritten, 1..=20, &["FASTER"]));
}

#[test]
fn a_hold_that_does_not_keep_its_price_is_seen() {
    assert!(is_found(Sabotage::Repriced, 1..=20, &["HOLD-KEPT"]));
}

#[test]
fn a_sale_that_cannot_be_undone_is_seen() {
    assert!(is_found(Sabotage::Grudging, 1..=20, &["REFUND"]));
}

#[test]
fn a_sale_that_is_undone_by_half_is_seen() {
    for sabotage in [Sabotage::Kept, Sabotage::Bolted] {
        assert!(is_found(sabotage, 1..=20, &["BACK-IFF-FREE"]), "{sabotage:?}");
    }
}

#[test]
fn a_show_that_is_called_off_with_a_sale_left_is_seen() {
    assert!(is_found(Sabotage::Forgotten, 1..=20, &["CALLED-OFF"]));
}
