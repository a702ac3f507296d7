//! Two replicas whose clocks differ, and admitted users who do not show up. The test measures by the true
//! time, which neither replica has.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const MILLI: i64 = 1_000;
const SHOW_UP: i64 = 2 * SECOND;
/// How much longer than the rule says the next user may have to wait for one who does not show up.
const AT_MOST: i64 = 500 * MILLI;
const START: i64 = 1_000_000 * SECOND;

/// Two replicas and what they have committed.
struct Pair {
    states: [QueueState; 2],
    /// How far each clock is from the true time.
    wrong: [i64; 2],
    /// The commits that each replica has yet to learn of, each with the true time at which it does.
    coming: [Vec<(i64, QueueRow, Vec<TokenRow>)>; 2],
    /// How long each takes to learn of the other's commit.
    behind: [i64; 2],
}

impl Pair {
    /// Takes over the commits that have arrived; under the lock, all of them.
    fn learn(&mut self, replica: usize, now: i64, locked: bool) {
        for (_, head, rows) in self.coming[replica].extract_if(.., |(at, ..)| locked || *at <= now) {
            self.states[replica].advance(head, rows, now + self.wrong[replica]);
        }
    }

    /// Decides a batch at one replica and commits it.
    fn decide(&mut self, replica: usize, heard: &[Uuid], commands: Vec<Command>, now: i64) {
        self.learn(replica, now, true);
        let here = now + self.wrong[replica];
        let decision = decide(&self.states[replica], heard, commands, here);
        self.states[replica].reported(heard);
        if decision.changed {
            self.coming[1 - replica].push((
                now + self.behind[1 - replica],
                decision.head.clone(),
                decision.rows.clone(),
            ));
            self.states[replica].advance(decision.head, decision.rows, here);
        }
    }

    /// Lets each replica do what is due by its clock.
    fn tick(&mut self, now: i64) {
        for replica in [0, 1] {
            self.learn(replica, now, false);
            if self.states[replica].next_deadline().is_some_and(|at| at <= now + self.wrong[replica]) {
                self.decide(replica, &[], Vec::new(), now);
            }
        }
    }
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn join(number: u128) -> Command {
    Command::Join { token: id(number), user: number.to_string().into(), priority: 5 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// One user is admitted and three wait. The first leaves at replica `by`. The next is heard of at replica
    /// `ear` within the rule, or not at all.
    #[test]
    fn nobody_who_shows_up_in_time_is_given_up_and_a_no_show_costs_half_a_second_more_than_the_rule(
        wrong in prop::array::uniform2(-800_i64..=800),
        behind in prop::array::uniform2(0_i64..=100),
        by in 0_usize..2,
        ear in 0_usize..2,
        shows_up in prop::option::of(0_i64..=SHOW_UP / MILLI),
        word in 0_i64..=300,
    ) {
        let policy = QueuePolicy { max_active: 1, show_up_within: SHOW_UP, ..QueuePolicy::default() };
        let head = QueueRow::new(policy, START - 10 * SECOND);
        let mut pair = Pair {
            states: [QueueState::new(head.clone()), QueueState::new(head)],
            wrong: wrong.map(|millis| millis * MILLI),
            coming: [Vec::new(), Vec::new()],
            behind: behind.map(|millis| millis * MILLI),
        };
        pair.decide(by, &[], vec![join(1), join(2), join(3)], START - 5 * SECOND);
        pair.decide(by, &[], vec![Command::Leave(id(1))], START);
        // A user learns of the admission from a replica that knows of it.
        let shows_up = shows_up.map(|millis| START + (millis * MILLI).max(if ear == by { 0 } else { pair.behind[ear] }));
        let (mut given_up, mut written) = (None, None);
        for now in (START..START + 10 * SECOND).step_by(5_000) {
            pair.tick(now);
            if shows_up.is_some_and(|at| at <= now) && written.is_none() {
                let at = now;
                prop_assert!(given_up.is_some() || pair.states[ear].hear(&id(2), at + pair.wrong[ear]));
                written = Some(at + word * MILLI);
            }
            if written.is_some_and(|at| (at..at + 5_000).contains(&now)) {
                pair.decide(ear, &[id(2)], Vec::new(), now);
            }
            if given_up.is_none() && pair.states.iter().any(|state| state.status(&id(2)) != Some(TokenStatus::Active)) && now > START + 200 * MILLI {
                given_up = Some(now);
            }
        }
        match (shows_up, given_up) {
            (Some(_), given_up) => prop_assert_eq!(given_up, None, "it was there"),
            (None, None) => prop_assert!(false, "the next waits for ever"),
            (None, Some(at)) => {
                prop_assert!(at >= START + SHOW_UP, "{} ms too early", (START + SHOW_UP - at) / MILLI);
                // A follower learns of the expiry a little later than the replica that decided it.
                let late = at - START - SHOW_UP - AT_MOST;
                prop_assert!(late <= 0, "{} ms too late", late / MILLI);
            }
        }
    }
}
