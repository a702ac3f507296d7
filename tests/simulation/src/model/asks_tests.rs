//! What the model finds wrong with an answer, and what it lets pass because it is not certain.
#![allow(clippy::unwrap_used, reason = "tests")]

use chrono::DateTime;
use serde_json::json;

use super::*;
use crate::{
    hall::{Hall, Section},
    history,
};

const SECOND: i64 = 1_000_000;

/// Nobody has asked yet for a seat of a row of six; one person may have three of them.
fn asks() -> Asks {
    let row = Section { name: "Stalls".to_owned(), price: 10, rows: vec![6], standing: 0 };
    let hall = Hall { sections: vec![row], most: Some(3), opens: None, closes: None, dearer: None };
    let plan = Plan { hall, called_off: None, skew: 0, ..Plan::of(1) };
    Asks::new(&Rc::new(plan))
}

fn pair() -> Wanted {
    Wanted::Best { count: 2, section: None, together: true }
}

/// Somebody asks between the 20th and the 21st second.
fn with(wanted: Wanted, alone: bool, answer: Told) -> Asks {
    let mut asks = asks();
    let (from, until) = (Duration::from_secs(20), Some(Duration::from_secs(21)));
    asks.asks.push(Ask { user: "ann".to_owned(), wanted, from, until, alone, answer: Some(answer) });
    asks
}

/// A reservation that was made at this second.
fn reservation(id: &str, user: &str, seats: &[i64], at: i64, status: &str) -> Value {
    let held_at = DateTime::from_timestamp_micros(START + at * SECOND).unwrap().to_rfc3339();
    json!({"reservationId": id, "userId": user, "seatNumbers": seats, "heldAt": held_at, "status": status})
}

/// The rules that are broken, when these are all reservations; what was asked to end is named `touched`.
fn broken(asks: &Asks, reservations: &[Value]) -> Vec<String> {
    let _before = history::take();
    asks.judge(reservations.iter(), |id| id == "touched");
    history::take().violations.into_iter().map(|violation| violation.rule).collect()
}

fn held(seats: &[i64]) -> Told {
    Told::Held { reservation: "mine".to_owned(), seats: seats.to_vec() }
}

#[test]
fn a_seat_that_is_left_alone_is_held_against_a_choice_if_it_need_not_be() {
    let sold = reservation("sold", "bob", &[6], 1, "CONFIRMED");
    let mine = |seats: &[i64]| reservation("mine", "ann", seats, 20, "CONFIRMED");
    let judged = |seats: &[i64], others: &[Value], alone| {
        let all = [others, &[mine(seats)]].concat();
        broken(&with(pair(), alone, held(seats)), &all)
    };
    assert_eq!(judged(&[3, 4], std::slice::from_ref(&sold), true), ["STRANDED"], "seat 5 is alone");
    assert!(judged(&[1, 2], std::slice::from_ref(&sold), true).is_empty());
    assert!(judged(&[4, 5], std::slice::from_ref(&sold), true).is_empty());
    assert!(judged(&[3, 4], std::slice::from_ref(&sold), false).is_empty(), "others may have been choosing");
    assert!(judged(&[3, 4], &[], true).is_empty(), "seat 6 is free");
    let given_back = reservation("touched", "bob", &[6], 1, "CANCELLED");
    assert!(judged(&[3, 4], &[given_back], true).is_empty(), "seat 6 may have been free");
    let others = [sold, reservation("two", "cid", &[1, 2], 1, "CONFIRMED")];
    assert!(judged(&[3, 4], &others, true).is_empty(), "whatever is chosen of three leaves one alone");
}

#[test]
fn whoever_is_refused_is_refused_for_something_that_is_so() {
    let taken = || with(Wanted::These(vec![2]), false, Told::Taken(vec![2]));
    assert_eq!(broken(&taken(), &[]), ["TAKEN-NOW"]);
    assert!(broken(&taken(), &[reservation("one", "bob", &[2], 19, "CONFIRMED")]).is_empty());
    assert!(broken(&taken(), &[reservation("touched", "bob", &[2], 5, "CANCELLED")]).is_empty());
    assert_eq!(broken(&taken(), &[reservation("one", "bob", &[2], 5, "EXPIRED")]), ["TAKEN-NOW"]);
    let mut back = taken();
    back.given_back.insert("touched".to_owned(), Duration::from_secs(19));
    let given_back = [reservation("touched", "ann", &[2], 17, "CANCELLED")];
    assert_eq!(broken(&back, &given_back), ["TAKEN-NOW"], "it was told to be given back");

    let too_few = |alone| with(pair(), alone, Told::TooFew);
    let every_second = [reservation("one", "bob", &[2, 4, 6], 1, "CONFIRMED")];
    assert_eq!(broken(&too_few(true), &[]), ["AS-ASKED"]);
    assert!(broken(&too_few(false), &[]).is_empty());
    assert!(broken(&too_few(true), &every_second).is_empty());
}

#[test]
fn nobody_has_more_than_one_may_nor_is_refused_for_less() {
    let two = |id: &str, seats: &[i64], at| reservation(id, "ann", seats, at, "CONFIRMED");
    assert_eq!(broken(&asks(), &[two("one", &[1, 2], 1), two("two", &[3, 4], 9)]), ["LIMIT"]);
    let lapsed = reservation("one", "ann", &[1, 2], 1, "EXPIRED");
    assert!(broken(&asks(), &[lapsed, two("two", &[3, 4], 9)]).is_empty());
    let refused = || with(pair(), false, Told::Limit);
    assert!(broken(&refused(), &[two("one", &[1, 2], 1)]).is_empty());
    assert_eq!(broken(&refused(), &[two("one", &[1], 1)]), ["LIMIT"]);
    assert_eq!(broken(&refused(), &[reservation("one", "bob", &[1, 2], 1, "CONFIRMED")]), ["LIMIT"]);
}
