//! A state in memory: what it takes, and rows that come in any order.

use uuid::Uuid;

use super::*;

fn waiting(number: i64) -> TokenRow {
    TokenRow {
        token: Uuid::from_u128(
            u128::try_from(number).expect("positive").wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c),
        ),
        user: format!("user-{number}").into(),
        status: TokenStatus::Waiting,
        priority: 5,
        ticket: number,
        entered_at: number,
        active_until: None,
        valid_until: number + 1_000_000,
        admitted_at: None,
        heard_at: number,
        requeues: 0,
        version: 1,
    }
}

#[test]
fn a_waiting_person_takes_less_than_three_hundred_bytes() {
    for people in [10_000_i64, 100_000, 140_000] {
        let mut state = QueueState::new(QueueRow::new(QueuePolicy::default(), 0));
        state.load((1..=people).map(waiting).collect(), 0);
        let each = state.memory() / usize::try_from(people).expect("positive");
        assert!(each < 250, "{each} bytes with {people} waiting");
    }
}

#[test]
fn a_row_that_arrives_out_of_ticket_order_takes_its_rightful_place() {
    let mut state = QueueState::new(QueueRow::new(QueuePolicy::default(), 0));
    state.load(vec![waiting(1), waiting(3), waiting(2)], 0);
    let places: Vec<_> = (1..=3).map(|number| state.position(&waiting(number).token)).collect();
    assert_eq!(places, [Some(1), Some(2), Some(3)]);
}

#[test]
fn old_news_changes_nothing() {
    let mut state = QueueState::new(QueueRow::new(QueuePolicy::default(), 0));
    let head = |version| QueueRow { version, ..QueueRow::new(QueuePolicy::default(), 0) };
    let gone = TokenRow { status: TokenStatus::Left, ..waiting(1) };
    assert!(state.advance(head(1), vec![waiting(1)], 0));
    assert!(state.advance(head(2), vec![gone], 0));
    assert!(!state.advance(head(1), vec![waiting(1)], 0));
    assert_eq!((state.waiting(), state.version()), (0, 2));
}
