//! The draw: its rules, how a queue opens by it, and that it is fair.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, sync::Arc};

use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::*;

pub(super) const OPENS: i64 = 3_600 * SECOND;
/// The people of the small draws, and the seed that makes their tokens and secrets.
const PEOPLE: u128 = 10;
const SEED: u64 = 20_261_129;

fn sha(parts: &[&[u8]]) -> Hash {
    Sha256::digest(parts.concat()).into()
}

/// The root as RFC 6962 defines it, by recursion.
fn plain_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha(&[]),
        [one] => sha(&[&[0], one]),
        many => {
            let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
            sha(&[&[1], &plain_root(left), &plain_root(right)])
        }
    }
}

/// The check of an inclusion proof, as RFC 9162 has it in section 2.1.3.2.
fn proves(root: &Hash, token_hash: &Hash, proof: &Proof) -> bool {
    let (mut at, mut last) = (proof.index, proof.size - 1);
    if at > last {
        return false;
    }
    let mut hash = sha(&[&[0], token_hash]);
    for beside in &proof.path {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            hash = sha(&[&[1], beside, &hash]);
            while at % 2 == 0 && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            hash = sha(&[&[1], &hash, beside]);
        }
        (at, last) = (at / 2, last / 2);
    }
    last == 0 && hash == *root
}

fn tokens(people: u128) -> Vec<Uuid> {
    (1..=people).map(|number| Uuid::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn everybody_gets_one_number_and_a_proof_that_holds(people in 1_u128..400, secret: Hash, after in 0_i64..1_000) {
        let tokens = tokens(people);
        let draw = Draw::hold(&secret, &[], &tokens, after);
        let mut hashes: Vec<Hash> = tokens.iter().map(token_hash).collect();
        hashes.sort_unstable();
        prop_assert_eq!(*draw.root(), plain_root(&hashes));
        prop_assert_eq!(*draw.seed(), sha(&[&secret, draw.root()]));
        let mut plain = tokens.clone();
        plain.sort_by_key(|token| sha(&[draw.seed(), token.as_bytes()]));
        prop_assert_eq!(draw.order(), &plain[..]);
        for (number, token) in (1..).zip(&plain) {
            prop_assert_eq!(draw.number(token), Some(number));
            let proof = draw.prove(token).unwrap();
            prop_assert_eq!(hashes[usize::try_from(proof.index).unwrap()], token_hash(token));
            prop_assert!(proves(draw.root(), &token_hash(token), &proof));
        }
        let other = Uuid::from_u128(7);
        prop_assert_eq!((draw.number(&other), draw.prove(&other)), (None, None));
    }

    #[test]
    fn a_proof_that_was_forged_is_refused(people in 2_u128..300, who: usize, what in 0_usize..4, at: usize, bit in 0_u8..8) {
        let tokens = tokens(people);
        let draw = Draw::hold(&[9; 32], &[], &tokens, 0);
        let token = tokens[who % tokens.len()];
        let (mut hash, mut proof) = (token_hash(&token), draw.prove(&token).unwrap());
        match what {
            0 => hash[at % 32] ^= 1 << bit,
            1 => { let steps = proof.path.len(); proof.path[at % steps][at % 32] ^= 1 << bit; }
            2 => { proof.path.pop(); }
            _ => { hash = token_hash(&tokens[(who % tokens.len() + 1) % tokens.len()]); }
        }
        prop_assert!(!proves(draw.root(), &hash, &proof));
    }

    #[test]
    fn one_registration_more_or_less_changes_the_whole_order(people in 20_u128..200, without: usize) {
        let tokens = tokens(people);
        let all = Draw::hold(&[9; 32], &[], &tokens, 0);
        let mut fewer = tokens.clone();
        let gone = fewer.remove(without % fewer.len());
        let fewer = Draw::hold(&[9; 32], &[], &fewer, 0);
        prop_assert_ne!(all.seed(), fewer.seed());
        let rest: Vec<_> = all.order().iter().filter(|token| **token != gone).collect();
        prop_assert_ne!(rest, fewer.order().iter().collect::<Vec<_>>(), "not the old order with a gap");
    }

    #[test]
    fn the_order_of_coming_does_not_matter(people in 0_u128..200, turn: usize) {
        let mut tokens = tokens(people);
        let draw = Draw::hold(&[9; 32], &[], &tokens, 5);
        if !tokens.is_empty() {
            let by = turn % tokens.len();
            tokens.rotate_left(by);
        }
        let again = Draw::hold(&[9; 32], &[], &tokens, 5);
        prop_assert_eq!((draw.root(), draw.seed(), draw.order()), (again.root(), again.seed(), again.order()));
    }
}

/// Over 1,000 draws of the same people each of them gets each number equally often. With nine degrees of
/// freedom the statistic is above 33.7 in one case of ten thousand; the secrets are kept, so there is no
/// chance in it.
#[test]
fn everybody_is_everywhere_equally_often() {
    let mut random = StdRng::seed_from_u64(SEED);
    let tokens: Vec<Uuid> = (0..PEOPLE).map(|_| Uuid::from_u128(random.random())).collect();
    let mut counts = vec![[0_u32; PEOPLE as usize]; tokens.len()];
    for _ in 0..1_000 {
        let draw = Draw::hold(&random.random(), &[], &tokens, 0);
        for (who, token) in tokens.iter().enumerate() {
            counts[who][usize::try_from(draw.number(token).unwrap() - 1).unwrap()] += 1;
        }
    }
    for (who, counts) in counts.iter().enumerate() {
        let squares: f64 = counts.iter().map(|count| (f64::from(*count) - 100.0).powi(2) / 100.0).sum();
        assert!(squares < 33.7, "person {who}: {squares} of {counts:?}");
    }
}

fn setting() -> DrawSetting {
    DrawSetting { secret: DrawSecret { secret: [3; 32], token_key: [4; 32] }, chain: Ok(None) }
}

/// A queue that opens by lot after an hour, where nobody has been yet.
pub(super) fn closed(policy: QueuePolicy) -> QueueState {
    let mut head = QueueRow::new(QueuePolicy::default(), 0);
    let policy = QueuePolicy { opens_at: Some(OPENS), opening: Opening::Draw, ..policy };
    head.set_policy(policy, &setting()).unwrap();
    QueueState::new(head)
}

pub(super) fn join(number: u128) -> Command {
    join_in(number, 5)
}

fn join_in(number: u128, priority: u8) -> Command {
    // The ids of those who register are not these: they follow from the user.
    Command::Join { token: Uuid::from_u128(number), user: format!("user-{number}").into(), priority }
}

pub(super) fn apply(state: &mut QueueState, commands: Vec<Command>, now: i64) -> Decision {
    let decision = decide(state, &[], commands, now);
    if decision.changed {
        state.advance(decision.head.clone(), decision.rows.clone(), now);
    }
    decision
}

pub(super) fn registered(state: &QueueState) -> Vec<Uuid> {
    let mut tokens = Vec::new();
    let _parts = (0..).take_while(|part| state.add_registered(*part, &mut tokens)).count();
    tokens
}

/// Holds the draw as a replica does.
pub(super) fn open(state: &mut QueueState, now: i64) -> Arc<Draw> {
    let (secret, after) = (state.head().due_draw(now).unwrap().secret, state.head().last_ticket);
    let draw = Arc::new(Draw::hold(&secret, &[], &registered(state), after));
    let head = state.head().after_draw(draw.of(), now);
    state.deal(Arc::clone(&draw));
    state.advance(head, Vec::new(), now);
    draw
}

fn token_of(state: &QueueState, number: u128) -> Uuid {
    state.token_of(&format!("user-{number}")).unwrap()
}

pub(super) fn rows(state: &QueueState) -> Vec<TokenRow> {
    (1..=200)
        .filter_map(|number| state.token_of(&format!("user-{number}")))
        .map(|id| state.token(&id).unwrap())
        .collect()
}

#[test]
fn a_queue_opens_by_lot_and_who_joins_later_stands_behind() {
    let mut state = closed(QueuePolicy { max_active: 3, ..QueuePolicy::default() });
    for number in 1..=20 {
        apply(&mut state, vec![join(number)], SECOND);
    }
    assert!(state.head().due_draw(OPENS - 1).is_none());
    let late = apply(&mut state, vec![join(21)], OPENS);
    assert_eq!(late.admitted, 0, "nothing is decided as if the queue were open before the draw is held");
    let draw = open(&mut state, OPENS);
    assert!(state.head().due_draw(OPENS).is_none() && !state.head().is_closed());
    assert_eq!(draw.of(), 21);
    for (place, token) in (1..).zip(draw.order()) {
        assert_eq!(state.position(token), Some(place));
        assert_eq!(state.token(token).unwrap().ticket, 21 + place, "tickets rise, and none is used twice");
    }
    let after = apply(&mut state, vec![join(22)], OPENS + SECOND);
    assert_eq!(after.admitted, 3);
    for token in &draw.order()[..3] {
        assert_eq!(state.status(token), Some(TokenStatus::Active));
    }
    assert_eq!(state.position(&token_of(&state, 22)), Some(19), "behind all who took part");
    assert_eq!(token_of(&state, 22), Uuid::from_u128(22), "whose tokens are random again");
    assert_eq!(draw.number(&Uuid::from_u128(22)), None);
}

#[test]
fn lanes_keep_their_order_and_in_each_the_lots_decide() {
    let mut state = closed(QueuePolicy { max_active: 0, ..QueuePolicy::default() });
    for number in 1..=30 {
        apply(&mut state, vec![join_in(number, u8::try_from(number % 3).unwrap())], SECOND);
    }
    let draw = open(&mut state, OPENS);
    let mut plain: Vec<TokenRow> = rows(&state);
    plain.sort_by_key(|row| (row.priority, draw.number(&row.token)));
    for (place, row) in (1..).zip(&plain) {
        assert_eq!(state.position(&row.token), Some(place));
    }
}

#[test]
fn who_leaves_and_registers_again_has_the_same_token_and_no_second_lot() {
    let mut state = closed(QueuePolicy::default());
    apply(&mut state, vec![join(1), join(2)], SECOND);
    let (first, other) = (token_of(&state, 1), token_of(&state, 2));
    assert_ne!(first, other);
    apply(&mut state, vec![Command::Leave(first)], 2 * SECOND);
    assert_eq!(state.status(&first), None);
    apply(&mut state, vec![join(1)], 3 * SECOND);
    assert_eq!(token_of(&state, 1), first);
    let at_once = apply(&mut state, vec![Command::Leave(first), join(1)], 4 * SECOND);
    assert_eq!(at_once.rows.len(), 1, "one row, written once");
    assert_eq!((token_of(&state, 1), state.waiting()), (first, 2));
    let draw = open(&mut state, OPENS);
    assert_eq!(draw.of(), 2);
    apply(&mut state, vec![Command::Leave(first), join(1)], OPENS);
    assert_ne!(token_of(&state, 1), first, "after the draw it is a new place");
    assert_eq!(draw.number(&token_of(&state, 1)), None);
}

#[test]
fn a_replica_that_reads_the_rows_has_the_same_places() {
    let mut state = closed(QueuePolicy { max_active: 2, ..QueuePolicy::default() });
    for number in 1..=40 {
        apply(&mut state, vec![join(number)], SECOND);
    }
    let (before, behind) = (rows(&state), state.head().clone());
    let draw = open(&mut state, OPENS);
    let changed = apply(&mut state, vec![join(41), Command::Leave(draw.order()[7])], OPENS);
    // The rows as the database has them: most were not written since the coming.
    let written = |row: &TokenRow| changed.rows.iter().find(|changed| changed.token == row.token).cloned();
    let mut stored: Vec<TokenRow> = before
        .iter()
        .map(|row| written(row).unwrap_or_else(|| row.clone()))
        .filter(|row| row.status.is_live())
        .collect();
    stored.push(state.token(&token_of(&state, 41)).unwrap());
    stored.sort_by_key(|row| row.ticket);
    let mut loaded = QueueState::new(state.head().clone());
    loaded.load(stored, OPENS);
    let again = Draw::hold(draw.secret(), &[], draw.order(), draw.after());
    loaded.deal(Arc::new(again));
    // One that follows, and was behind by a registration when the draw was held.
    let mut follower = QueueState::new(QueueRow { version: behind.version - 1, ..behind });
    follower.load(before[..39].to_vec(), OPENS);
    let mut news = changed.rows.clone();
    if news.iter().all(|row| row.token != before[39].token) {
        news.push(before[39].clone());
    }
    // The places are dealt before the news: some leave them, and one who took part comes to stand among them.
    follower.deal(draw);
    assert!(follower.advance(state.head().clone(), news, OPENS));
    let all: BTreeSet<Uuid> = rows(&state).into_iter().map(|row| row.token).collect();
    assert_eq!(all.len(), 40);
    for token in &all {
        for other in [&loaded, &follower] {
            assert_eq!(other.position(token), state.position(token));
            assert_eq!(other.token(token).unwrap().ticket, state.token(token).unwrap().ticket);
        }
    }
}

#[test]
fn what_was_announced_to_the_first_holds_for_all() {
    let patch = |opens_at: Option<i64>, opening| PolicyPatch {
        opens_at: opens_at.map(Some),
        opening: Some(opening),
        ..PolicyPatch::default()
    };
    let set = |state: &mut QueueState, patch: PolicyPatch| {
        apply(state, vec![Command::set_policy(patch)], SECOND).outcomes.remove(0)
    };
    let mut state = QueueState::new(QueueRow::new(QueuePolicy::default(), 0));
    let refused = |refusal| CommandOutcome::PolicyRefused(refusal);
    assert_eq!(set(&mut state, patch(None, Opening::Draw)), refused(PolicyRefusal::NoInstant));
    assert_eq!(set(&mut state, patch(Some(OPENS), Opening::Draw)), CommandOutcome::PolicySet);
    let commitment = state.head().secret.as_ref().unwrap().commitment();
    assert_eq!(set(&mut state, patch(Some(2 * OPENS), Opening::Draw)), CommandOutcome::PolicySet);
    assert_eq!(state.head().secret.as_ref().unwrap().commitment(), commitment, "moved before anybody came");
    apply(&mut state, vec![join(1)], SECOND);
    for change in
        [patch(Some(OPENS), Opening::Draw), patch(None, Opening::Fifo), patch(Some(0), Opening::Draw)]
    {
        assert_eq!(set(&mut state, change), refused(PolicyRefusal::Fixed));
    }
    let same = PolicyPatch { max_active: Some(7), ..patch(Some(2 * OPENS), Opening::Draw) };
    assert_eq!(set(&mut state, same), CommandOutcome::PolicySet);
    let leave = Command::Leave(token_of(&state, 1));
    apply(&mut state, vec![leave], 2 * SECOND);
    assert_eq!(
        set(&mut state, patch(None, Opening::Fifo)),
        refused(PolicyRefusal::Fixed),
        "also when all have left"
    );
    open(&mut state, 2 * OPENS);
    assert_eq!(
        set(&mut state, patch(Some(9 * OPENS), Opening::Draw)),
        refused(PolicyRefusal::Fixed),
        "nor twice"
    );

    let mut open = QueueState::new(QueueRow::new(QueuePolicy::default(), 0));
    apply(&mut open, vec![join(1)], SECOND);
    assert_eq!(set(&mut open, patch(Some(OPENS), Opening::Draw)), refused(PolicyRefusal::Fixed));
}

/// A queue whose draw has a beacon, of a chain with a round a second.
fn with_beacon(policy: QueuePolicy) -> QueueState {
    let chain =
        Chain { public_key: Vec::new(), period: 1, genesis: 0, group_hash: vec![0; 32], id: String::new() };
    let setting = DrawSetting { chain: Ok(Some(Arc::new(chain))), ..setting() };
    let mut head = QueueRow::new(QueuePolicy::default(), 0);
    let policy = QueuePolicy { opens_at: Some(OPENS), opening: Opening::Draw, ..policy };
    head.set_policy(policy, &setting).unwrap();
    QueueState::new(head)
}

/// Fixes who takes part, as a replica does.
fn enter(state: &mut QueueState, now: i64) -> Vec<Uuid> {
    let tokens = registered(state);
    let count = i64::try_from(tokens.len()).unwrap();
    let head = state.head().after_entry(root_of(&tokens), count, now);
    state.advance(head, Vec::new(), now);
    tokens
}

#[test]
fn a_draw_with_a_beacon_waits_for_it_and_who_comes_meanwhile_stands_behind() {
    let mut state = with_beacon(QueuePolicy { max_active: 3, ..QueuePolicy::default() });
    for number in 1..=10 {
        apply(&mut state, vec![join(number)], SECOND);
    }
    let (first, second) = (token_of(&state, 1), token_of(&state, 2));
    assert!(state.head().due_draw(OPENS).is_none(), "it is not held without");
    assert!(!state.head().is_entry_due(OPENS - 1) && state.head().is_entry_due(OPENS));
    assert_eq!(state.next_deadline(), Some(OPENS));
    let tokens = enter(&mut state, OPENS);
    assert!(!state.head().is_entry_due(OPENS) && state.head().is_closed());
    let awaited = state.head().awaited().unwrap();
    assert_eq!((awaited.entrants.count, awaited.entrants.at), (10, OPENS));
    assert_eq!(awaited.beacon.chain.time_of(awaited.round), OPENS + 5 * SECOND);
    assert_ne!(state.next_deadline(), Some(OPENS), "the clock alone does not open it any more");
    // Meanwhile somebody comes, somebody leaves, and somebody leaves and comes again.
    let late =
        apply(&mut state, vec![join(11), Command::Leave(first), Command::Leave(second), join(2)], OPENS + 1);
    assert_eq!((late.admitted, late.head.last_ticket), (0, 22));
    assert_ne!(token_of(&state, 2), second, "it is a new place");
    let view = state.view(&"q".into(), &token_of(&state, 11), OPENS + 1).unwrap();
    assert_eq!(view.status, TokenStatus::Registered);
    assert!((4 * SECOND..=6 * SECOND).contains(&view.poll_after), "{}", view.poll_after);
    let overdue = state.view(&"q".into(), &token_of(&state, 11), OPENS + 60 * SECOND).unwrap();
    assert!((SECOND..=2 * SECOND).contains(&overdue.poll_after), "{}", overdue.poll_after);

    let now = OPENS + 6 * SECOND;
    let draw = Arc::new(Draw::hold(&awaited.secret, &[5; 32], &tokens, awaited.entrants.after));
    let head = state.head().after_beacon(Arc::from([1, 2]), now);
    state.deal(Arc::clone(&draw));
    state.advance(head, Vec::new(), now);
    assert!(!state.head().is_closed() && state.head().awaited().is_none());
    assert_eq!(*draw.seed(), sha(&[draw.secret(), draw.root(), &[5; 32]]));
    let here = draw.order().iter().filter(|token| **token != first && **token != second);
    for (place, token) in (1..).zip(here) {
        assert_eq!(state.position(token), Some(place));
        assert_eq!(state.token(token).unwrap().ticket, 10 + draw.number(token).unwrap());
    }
    for (place, number) in [(9, 11), (10, 2)] {
        assert_eq!(state.position(&token_of(&state, number)), Some(place), "behind all who took part");
    }
    assert_eq!(apply(&mut state, vec![], now).admitted, 3);
}

#[test]
fn only_a_draw_that_waits_can_be_held_without_its_beacon() {
    let without =
        |yes| Command::set_policy(PolicyPatch { without_beacon: Some(yes), ..PolicyPatch::default() });
    let set = |state: &mut QueueState, now| apply(state, vec![without(true)], now).outcomes.remove(0);
    let refused = CommandOutcome::PolicyRefused(PolicyRefusal::NoBeaconAwaited);
    let mut plain = closed(QueuePolicy::default());
    assert_eq!(set(&mut plain, SECOND), refused);
    let mut state = with_beacon(QueuePolicy::default());
    assert_eq!(set(&mut state, SECOND), refused);
    enter(&mut state, OPENS);
    let moved =
        Command::set_policy(PolicyPatch { opens_at: Some(Some(2 * OPENS)), ..PolicyPatch::default() });
    let fixed = apply(&mut state, vec![moved], OPENS).outcomes.remove(0);
    assert_eq!(fixed, CommandOutcome::PolicyRefused(PolicyRefusal::Fixed), "though nobody registered");
    assert_eq!(set(&mut state, OPENS), CommandOutcome::PolicySet);
    assert!(state.head().policy.without_beacon && state.head().awaited().is_some());
    let head = state.head().after_beacon(Arc::from([]), OPENS);
    assert!(!head.is_closed() && head.beacon.as_ref().unwrap().signature.as_deref() == Some(&[]));
    state.advance(head, Vec::new(), OPENS);
    let again = PolicyPatch { without_beacon: Some(true), max_active: Some(9), ..PolicyPatch::default() };
    assert_eq!(
        apply(&mut state, vec![Command::set_policy(again)], OPENS).outcomes[0],
        CommandOutcome::PolicySet
    );
}

#[test]
fn a_beacon_is_announced_with_the_draw_and_stays() {
    let chain = with_beacon(QueuePolicy::default()).head().beacon.clone().unwrap().chain;
    let plain = &setting();
    let setting = DrawSetting { chain: Ok(Some(Arc::clone(&chain))), ..setting() };
    let draw = QueuePolicy { opens_at: Some(OPENS), opening: Opening::Draw, ..QueuePolicy::default() };
    let mut head = QueueRow::new(QueuePolicy::default(), 0);
    head.set_policy(draw.clone(), plain).unwrap();
    head.set_policy(draw.clone(), &setting).unwrap();
    assert_eq!((head.beacon.as_ref(), head.round()), (None, None), "a draw without one stays one");
    head.set_policy(QueuePolicy::default(), &setting).unwrap();
    head.set_policy(draw, &setting).unwrap();
    assert_eq!(head.round(), Some(3_606));
    let moved = QueuePolicy { opens_at: Some(2 * OPENS), ..head.policy.clone() };
    head.set_policy(moved, plain).unwrap();
    assert_eq!(head.round(), Some(7_206), "it follows the opening");
}

#[test]
fn a_queue_that_nobody_joined_is_drawn_all_the_same() {
    let mut state = closed(QueuePolicy::default());
    let draw = open(&mut state, OPENS);
    assert_eq!((draw.of(), *draw.root()), (0, sha(&[])));
    assert_eq!(apply(&mut state, vec![join(1)], OPENS).admitted, 1);
}

#[test]
fn a_registered_person_takes_less_than_three_hundred_bytes_after_the_draw_too() {
    let mut state = closed(QueuePolicy { max_waiting: 100_000, max_active: 0, ..QueuePolicy::default() });
    for batch in 0..50_u128 {
        apply(&mut state, (1..=1_000).map(|number| join(batch * 1_000 + number)).collect(), SECOND);
    }
    open(&mut state, OPENS);
    let each = state.memory() / 50_000;
    assert!(each < 300, "{each} bytes");
}
