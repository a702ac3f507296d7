//! How often tokens are looked up and what is sent of them, over made-up queues.

use super::*;

const WAITING: i32 = 1;
const ACTIVE: i32 = 2;

fn waiting(version: i64, position: i64) -> Standing {
    Standing { status: WAITING, version, position, estimated_wait: 60, ..Standing::default() }
}

fn known(version: i64, position: i64, now: Tick) -> Memory {
    let token = waiting(version, position);
    Memory::new(EventId::of(&token), &token, now)
}

#[test]
fn an_event_s_id_names_the_state_and_is_read_back() {
    let told = EventId::of(&waiting(57, 3));
    assert!(told.to_string().starts_with("57.3."));
    assert_eq!(told.to_string().parse(), Ok(told));
    for strange in [
        "",
        "57",
        "57.3",
        "57.3.",
        ".3.1",
        "a.b.1",
        "57.3.x",
        "57.3.1.1",
        "57.3.100000000",
        "99999999999999999999.1.1",
    ] {
        assert_eq!(strange.parse::<EventId>(), Err(()), "{strange}");
    }
}

#[test]
fn who_comes_back_is_told_what_changed_and_never_what_is_older() {
    let told = EventId::of(&waiting(57, 3));
    assert!(!told.is_news(&waiting(57, 3)));
    assert!(told.is_news(&waiting(57, 2)) && told.is_news(&waiting(58, 2)));
    assert!(!told.is_news(&waiting(58, 3)), "only heard of");
    let changes: [&dyn Fn(&mut Standing); 5] = [
        &|token| token.status = ACTIVE,
        &|token| token.ticket = 9,
        &|token| token.active_until = 5,
        &|token| token.requeues = 1,
        &|token| token.notice = Some(0),
    ];
    for change in changes {
        let mut token = waiting(58, 3);
        change(&mut token);
        assert!(told.is_news(&token), "{token:?}");
    }
    assert!(!told.is_news(&waiting(56, 1)), "a replica that lags behind");
    let ended = Standing { status: 4, is_final: true, ..waiting(50, 0) };
    assert!(told.is_news(&ended), "what is final is so");
}

#[test]
fn the_first_ten_are_told_each_step_at_once() {
    let mut memory = known(1, 3, 100);
    assert_eq!(memory.judge(&waiting(1, 2), 101), Verdict::Tell);
    assert_eq!(memory.judge(&waiting(1, 2), 102), Verdict::Keep);
    assert_eq!(memory.judge(&waiting(1, 1), 103), Verdict::Tell);
}

#[test]
fn further_back_a_step_is_told_once_a_second_and_not_forgotten() {
    let mut memory = known(1, 500, 100);
    assert_eq!(memory.judge(&waiting(1, 499), 105), Verdict::Keep);
    assert_eq!(memory.judge(&waiting(1, 499), 110), Verdict::Tell);
}

#[test]
fn far_behind_one_percent_is_told_and_less_only_after_silence() {
    let mut memory = known(1, 50_000, 100);
    assert_eq!(memory.judge(&waiting(1, 49_501), 150), Verdict::Keep);
    assert_eq!(memory.judge(&waiting(1, 49_500), 151), Verdict::Tell);
    assert_eq!(memory.judge(&waiting(1, 49_499), 200), Verdict::Keep);
    assert_eq!(memory.judge(&waiting(1, 49_499), 151 + SILENCE), Verdict::Tell);
}

#[test]
fn a_change_of_the_token_is_told_wherever_it_stands() {
    let mut memory = known(1, 50_000, 100);
    let admitted = Standing { status: ACTIVE, version: 2, ..Standing::default() };
    assert_eq!(memory.judge(&admitted, 101), Verdict::Tell);
    assert_eq!(memory.judge(&waiting(1, 49_000), 150), Verdict::Keep, "a replica that lags behind");
}

#[test]
fn a_place_that_got_worse_is_believed_when_seen_twice() {
    let mut memory = known(1, 5, 100);
    assert_eq!(memory.judge(&waiting(1, 6), 101), Verdict::Keep);
    assert_eq!(memory.judge(&waiting(1, 5), 102), Verdict::Keep);
    assert_eq!(memory.judge(&waiting(1, 6), 103), Verdict::Keep);
    assert_eq!(memory.judge(&waiting(1, 6), 104), Verdict::Tell);
}

#[test]
fn silence_ends_in_a_heartbeat_or_in_what_else_has_changed() {
    let mut memory = known(1, 5, 100);
    assert_eq!(memory.judge(&waiting(1, 5), 99 + SILENCE), Verdict::Keep);
    assert_eq!(memory.judge(&waiting(1, 5), 100 + SILENCE), Verdict::Heartbeat);
    assert_eq!(memory.rest(100 + 2 * SILENCE), Verdict::Heartbeat);
    let paused = Standing { estimated_wait: 600, ..waiting(1, 5) };
    assert_eq!(memory.judge(&paused, 101 + 2 * SILENCE), Verdict::Keep);
    assert_eq!(memory.judge(&paused, 100 + 3 * SILENCE), Verdict::Tell);
}

#[test]
fn who_is_near_or_soon_admitted_is_looked_at_more_often() {
    let at = |position, seconds: i64| Band::of(&Standing { estimated_wait: seconds, ..waiting(1, position) });
    assert_eq!([at(1, 60), at(10, 60), at(900, 0)], [Band::Front; 3]);
    assert_eq!([at(0, 0), at(11, 60), at(1_000, 60), at(9_000, 5)], [Band::Near; 4]);
    assert_eq!([at(1_001, 60), at(10_001, 0), at(1_000_000, 5)], [Band::Far; 3]);
}

#[test]
fn a_crowd_that_came_together_is_spread_over_the_pause() {
    let mut buckets = [0_usize; 64];
    for id in 0..50_000_u128 {
        let token = Uuid::from_u128(id);
        let first = Band::Far.first_pause(&token, 7);
        assert!((1..=5 * SECOND).contains(&first));
        assert!((4 * SECOND..=6 * SECOND).contains(&Band::Far.pause(&token, 7 + first)));
        buckets[usize::try_from(first).unwrap_or_default()] += 1;
    }
    assert!(buckets.iter().all(|&count| count < 1_300), "{buckets:?}");
}

#[test]
fn the_registered_are_looked_up_seldom_until_the_queue_opens() {
    let registered = |poll_after| Standing {
        status: 6,
        opens_at: Some(1_800_000_000),
        poll_after: Some(poll_after),
        ..Standing::default()
    };
    assert_eq!(Band::of(&registered(600)), Band::Far);
    assert_eq!(Band::of(&registered(5)), Band::Near, "the opening is near");
}
