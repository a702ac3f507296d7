//! What was dealt of an older state, and rows that were written with older tickets.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use super::{
    draw_tests::{OPENS, apply, closed, join, open, registered, rows},
    *,
};

#[test]
fn places_that_were_dealt_of_an_older_state_are_not_taken_over() {
    let mut state = closed(QueuePolicy { max_active: 0, ..QueuePolicy::default() });
    apply(&mut state, (1..=25_000).map(join).collect(), SECOND);
    let (secret, after) = (state.head().due_draw(OPENS).unwrap().secret, state.head().last_ticket);
    let draw = Arc::new(Draw::hold(&secret, &[], &registered(&state), after));
    let mut dealing = Dealing::begin(&state, Arc::clone(&draw));
    assert!(dealing.go_on(&state) && !state.take_over(&mut dealing), "a part of them");
    // Somebody leaves between two parts.
    apply(&mut state, vec![Command::Leave(draw.order()[20_000])], SECOND);
    assert!(!dealing.go_on(&state) && !state.take_over(&mut dealing));
    assert_eq!((state.draw().is_none(), state.waiting()), (true, 24_999));
    let draw = open(&mut state, OPENS);
    assert_eq!((draw.of(), state.position(&draw.order()[24_998])), (24_999, Some(24_999)));
}

/// A program of an earlier release writes a row as it knows it.
#[test]
fn a_row_that_is_written_with_the_ticket_of_the_coming_loses_nobody_the_place_that_was_drawn() {
    let mut state = closed(QueuePolicy { max_active: 0, ..QueuePolicy::default() });
    apply(&mut state, (1..=30).map(join).collect(), SECOND);
    let before = rows(&state);
    let draw = open(&mut state, OPENS);
    let places =
        |state: &QueueState| rows(state).iter().map(|row| state.position(&row.token)).collect::<Vec<_>>();
    let drawn = places(&state);
    let head = QueueRow { version: state.version() + 1, ..state.head().clone() };
    let heard = |row: &TokenRow| TokenRow { heard_at: OPENS, version: head.version, ..row.clone() };
    let heard = before.iter().map(heard).collect();
    assert!(state.advance(head, heard, OPENS));
    assert_eq!(places(&state), drawn);
    for (place, token) in (1..).zip(draw.order()) {
        assert_eq!(state.token(token).map(|row| (row.ticket, row.heard_at)), Some((30 + place, OPENS)));
    }
}
