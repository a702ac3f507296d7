//! Examples of what one batch of commands does.

#![allow(clippy::unwrap_used, reason = "tests")]

use uuid::Uuid;

use super::{model_tests::policy, *};

#[test]
fn a_user_who_leaves_and_joins_in_one_batch_has_one_live_token_and_the_tail() {
    let mut state =
        QueueState::new(QueueRow::new(QueuePolicy { max_active: 0, ..QueuePolicy::default() }, 0));
    let join =
        |id: u128, user: &str| Command::Join { token: Uuid::from_u128(id), user: user.into(), priority: 5 };
    let first = decide(&state, &[], vec![join(1, "ann"), join(2, "bob")], 0);
    state.advance(first.head, first.rows, 0);
    let again =
        decide(&state, &[], vec![Command::Leave(Uuid::from_u128(1)), join(3, "ann"), join(4, "ann")], 0);
    assert_eq!(again.rows.len(), 2);
    assert_eq!(again.rows[0].status, TokenStatus::Left, "who ends is written first");
    assert!(
        matches!(&again.outcomes[2], CommandOutcome::Joined { row, created: false } if row.token == Uuid::from_u128(3))
    );
    state.advance(again.head, again.rows, 0);
    assert_eq!(state.position(&Uuid::from_u128(3)), Some(2));
}

#[test]
fn a_crowd_is_admitted_in_bounded_transactions_one_at_once_after_the_other() {
    let policy = QueuePolicy {
        max_active: 5_000,
        admit_per_minute: 1_000_000,
        paused: true,
        ..QueuePolicy::default()
    };
    let mut state = QueueState::new(QueueRow::new(policy, 0));
    let joins = (1..=6_000).map(|id| Command::Join {
        token: Uuid::from_u128(id),
        user: format!("{id}").into(),
        priority: 5,
    });
    let joined = decide(&state, &[], joins.collect(), 0);
    state.advance(joined.head, joined.rows, 0);
    let mut sizes = Vec::new();
    let mut commands =
        vec![Command::set_policy(PolicyPatch { paused: Some(false), ..PolicyPatch::default() })];
    loop {
        let decision = decide(&state, &[], std::mem::take(&mut commands), 0);
        if !decision.changed {
            break;
        }
        sizes.push(decision.admitted);
        state.advance(decision.head, decision.rows, 0);
        assert_eq!(
            state.next_deadline().is_some_and(|at| at <= 0),
            state.active() < 5_000,
            "more to do means now"
        );
    }
    assert_eq!(sizes, [MAX_ADMITTED, MAX_ADMITTED, 1_000]);
}

#[test]
fn whoever_has_spoken_is_not_given_up_however_many_have() {
    const PEOPLE: i64 = 1_500;
    let ids: Vec<_> = (1..=PEOPLE).map(|id| Uuid::from_u128(u128::try_from(id).unwrap())).collect();
    let mut state =
        QueueState::new(QueueRow::new(QueuePolicy { max_active: 0, max_waiting: PEOPLE, ..policy() }, 0));
    let joins = ids.iter().map(|id| Command::Join { token: *id, user: id.to_string().into(), priority: 5 });
    let joined = decide(&state, &[], joins.collect(), 0);
    state.advance(joined.head, joined.rows, 0);
    // All users ask for longer than the grace while nothing can be written, and there are more of them than
    // one batch notes.
    let now = 100 * SECOND;
    assert!(ids.iter().all(|id| state.hear(id, now)));
    let heard = &ids[500..];
    state.reported(heard);
    let open = Command::set_policy(PolicyPatch { max_active: Some(3), ..PolicyPatch::default() });
    let decision = decide(&state, heard, vec![open, Command::Complete(ids[3])], now);
    assert!(decision.rows.iter().all(|row| row.status.is_live()), "nobody is given up");
    assert_eq!(decision.outcomes[1], CommandOutcome::NotActive(TokenStatus::Waiting));
    state.advance(decision.head, decision.rows, 0);
    assert_eq!((state.active(), state.waiting()), (3, PEOPLE - 3));
    assert!(
        ids[..3].iter().all(|id| state.status(id) == Some(TokenStatus::Active)),
        "and those in front are let in"
    );
}

#[test]
fn a_replica_whose_clock_is_behind_does_not_turn_time_back() {
    let mut state = QueueState::new(QueueRow::new(QueuePolicy::default(), 0));
    let join =
        |id: u128| Command::Join { token: Uuid::from_u128(id), user: format!("{id}").into(), priority: 5 };
    let ahead = decide(&state, &[], vec![join(1)], 100 * SECOND);
    state.advance(ahead.head, ahead.rows, 100 * SECOND);
    let behind = decide(&state, &[], vec![join(2)], 40 * SECOND);
    assert_eq!(behind.rows[0].entered_at, 100 * SECOND);
    assert_eq!(behind.head.decided_at, 100 * SECOND);
}
