//! A queue that opens at an instant: who comes before it is registered and in it afterwards, and the moment
//! happens once.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    Command, CommandOutcome, Decision, Opened, Opening, PolicyPatch, QueuePolicy, QueueRow, QueueState,
    SECOND, TokenStatus, TokenView, decide,
};

const OPENS: i64 = 86_400 * SECOND;

/// A queue that opens after a day, where nobody has been yet.
fn closed(policy: QueuePolicy) -> QueueState {
    QueueState::new(QueueRow::new(QueuePolicy { opens_at: Some(OPENS), ..policy }, 0))
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn join(number: u128) -> Command {
    Command::Join { token: id(number), user: format!("user-{number}").into(), priority: 5 }
}

fn apply(state: &mut QueueState, commands: Vec<Command>, now: i64) -> Decision {
    let decision = decide(state, &[], commands, now);
    if decision.changed {
        state.advance(decision.head.clone(), decision.rows.clone(), now);
    }
    decision
}

fn view(state: &QueueState, number: u128, now: i64) -> TokenView {
    state.view(&Arc::from("q"), &id(number), now).expect("a live token")
}

fn statuses(state: &QueueState, people: u128) -> Vec<TokenStatus> {
    (1..=people).map(|number| view(state, number, 0).status).collect()
}

#[test]
fn who_comes_before_the_opening_is_registered_and_enters_in_the_order_of_coming() {
    let mut state = closed(QueuePolicy { max_active: 2, ..QueuePolicy::default() });
    for number in 1..=4 {
        apply(&mut state, vec![join(number)], SECOND);
    }
    let told = view(&state, 3, SECOND);
    assert_eq!((told.status, told.position, told.opens_at), (TokenStatus::Registered, 0, Some(OPENS)));
    assert_eq!(told.valid_until, OPENS + 86_400 * SECOND, "the time to wait counts from the opening");
    let queue = state.queue_view("q");
    assert_eq!((queue.waiting, queue.registered, queue.lanes.len()), (0, 4, 0));
    let again = apply(&mut state, vec![join(3)], 2 * SECOND);
    assert!(!again.changed, "who joins again finds the place: {again:?}");
    apply(&mut state, vec![Command::Leave(id(1))], 3 * SECOND);
    assert!(!apply(&mut state, vec![], OPENS - 1).changed);
    assert_eq!(state.next_deadline(), Some(OPENS));
    assert_eq!(apply(&mut state, vec![], OPENS).admitted, 2);
    assert_eq!(view(&state, 2, OPENS).status, TokenStatus::Active);
    assert_eq!(view(&state, 3, OPENS).status, TokenStatus::Active);
    let last = view(&state, 4, OPENS);
    assert_eq!((last.status, last.position, last.opens_at), (TokenStatus::Waiting, 1, None));
}

#[test]
fn the_moment_is_written_once_and_also_where_nobody_came() {
    let mut state = closed(QueuePolicy::default());
    let opening = apply(&mut state, vec![], OPENS);
    assert!(opening.changed && opening.rows.is_empty() && !opening.head.is_closed());
    assert!(!apply(&mut state, vec![], OPENS + SECOND).changed);
    assert_eq!(state.next_deadline(), None);
    // A replica whose clock is slower cannot close it again.
    assert!(!apply(&mut state, vec![join(1)], OPENS - 10 * SECOND).head.is_closed());
    assert_eq!(statuses(&state, 1), [TokenStatus::Active]);
}

#[test]
fn a_registered_user_may_be_silent_until_the_opening_and_for_the_grace_after_it() {
    let mut state = closed(QueuePolicy { max_active: 0, ..QueuePolicy::default() });
    apply(&mut state, vec![join(1)], SECOND);
    let token = id(1);
    assert!(!state.hear(&token, OPENS - SECOND), "nothing is written of who polls before the opening");
    apply(&mut state, vec![], OPENS);
    let grace = state.head().policy.waiting_grace;
    apply(&mut state, vec![], OPENS + grace);
    assert_eq!(statuses(&state, 1), [TokenStatus::Waiting]);
    apply(&mut state, vec![], OPENS + 2 * grace);
    assert_eq!(state.status(&token), None, "silent for more than the grace after the opening");
}

#[test]
fn an_opening_that_is_moved_moves_everything_with_it() {
    let mut state = closed(QueuePolicy::default());
    apply(&mut state, vec![join(1)], SECOND);
    let opens = |at| Command::set_policy(PolicyPatch { opens_at: Some(Some(at)), ..PolicyPatch::default() });
    apply(&mut state, vec![opens(9 * OPENS)], 2 * SECOND);
    apply(&mut state, vec![], 8 * OPENS);
    assert_eq!(statuses(&state, 1), [TokenStatus::Registered], "still in, though its day of waiting is over");
    assert_eq!(view(&state, 1, 0).valid_until, 10 * OPENS);
    let now = apply(&mut state, vec![opens(8 * OPENS)], 8 * OPENS);
    assert_eq!((now.admitted, statuses(&state, 1)), (1, vec![TokenStatus::Active]), "open at once");
}

#[test]
fn who_registered_long_ago_waits_when_the_queue_is_opened_by_an_instant_of_the_past() {
    let mut state = closed(QueuePolicy { max_active: 0, ..QueuePolicy::default() });
    apply(&mut state, vec![join(1)], SECOND);
    let now = OPENS - SECOND;
    let at_once = || Command::set_policy(PolicyPatch { opens_at: Some(Some(0)), ..PolicyPatch::default() });
    let opened = apply(&mut state, vec![at_once()], now);
    assert_eq!(opened.head.policy.opens_at, Some(now), "it opens now");
    let grace = state.head().policy.waiting_grace;
    apply(&mut state, vec![], now + grace);
    assert_eq!(statuses(&state, 1), [TokenStatus::Waiting], "silence counts from now on");
    // An open queue is not opened once more.
    assert_eq!(apply(&mut state, vec![at_once()], now + grace).head.policy.opens_at, Some(now));
    apply(&mut state, vec![], now + 2 * grace);
    assert_eq!(state.status(&id(1)), None, "silent for too long");
}

#[test]
fn the_registered_count_as_waiting_and_may_leave_but_not_pay() {
    let mut state = closed(QueuePolicy { max_waiting: 2, ..QueuePolicy::default() });
    apply(&mut state, vec![join(1), join(2)], SECOND);
    let decision = apply(&mut state, vec![join(3), Command::Complete(id(1)), Command::Leave(id(1))], SECOND);
    assert!(matches!(
        &decision.outcomes[..],
        [
            CommandOutcome::Full(_),
            CommandOutcome::NotActive(TokenStatus::Registered),
            CommandOutcome::Left(_)
        ]
    ));
    assert_eq!(state.waiting(), 1);
}

#[test]
fn each_opening_is_told_with_the_decision_that_makes_it() {
    let mut state = closed(QueuePolicy::default());
    let opens = |at| Command::set_policy(PolicyPatch { opens_at: Some(at), ..PolicyPatch::default() });
    assert_eq!(apply(&mut state, vec![join(1), join(2)], SECOND).opened, None);
    let by_time = Opened { at: OPENS + 7, opening: Opening::Fifo, opens_at: Some(OPENS), registered: 2 };
    // Whoever closes it again in the same batch does not undo that it was open.
    let opening = apply(&mut state, vec![opens(Some(3 * OPENS))], OPENS + 7);
    assert_eq!((opening.opened, opening.admitted), (Some(by_time), 2));
    assert!(state.head().is_closed());
    assert_eq!(apply(&mut state, vec![join(3)], OPENS + 8).opened, None);
    let by_hand = Opened { at: OPENS + 9, opening: Opening::Fifo, opens_at: None, registered: 1 };
    assert_eq!(apply(&mut state, vec![opens(None)], OPENS + 9).opened, Some(by_hand));
    assert_eq!(apply(&mut state, vec![opens(Some(OPENS))], OPENS + 9).opened, None, "it was open");
}
