//! A simulated on-sale, second by second, against which the estimates are tested. A crowd comes at the start
//! and a trickle after it. Some users pay at once and some take their time, some give up while they wait and
//! some never show up. There are pauses, changes of `max_active`, and a shop that becomes slower. The seeds
//! are fixed.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, clippy::print_stdout, reason = "tests")]

use std::{collections::HashMap, sync::Arc};

use uuid::Uuid;

use super::*;

/// A small random generator of this test's own, so that no new version of a library changes the sales.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }

    /// True this many times in a million.
    fn chance(&mut self, in_a_million: i64) -> bool {
        self.below(1_000_000) < in_a_million
    }

    fn between(&mut self, least: i64, most: i64) -> i64 {
        least + self.below(most - least + 1)
    }
}

/// What one waiting user was told.
struct Told {
    token: Uuid,
    at: i64,
    low: i64,
    likely: i64,
    high: i64,
    place: i64,
}

struct Sale {
    random: Random,
    state: QueueState,
    queue: Arc<str>,
    now: i64,
    /// When each admitted user will be done; `None` for those who never show up.
    inside: HashMap<Uuid, Option<i64>>,
    waiting: Vec<Uuid>,
    /// The most seconds that an admitted user takes.
    session: i64,
    /// How many of a million waiting users give up each second.
    giving_up: i64,
    told: Vec<Told>,
    admitted: HashMap<Uuid, i64>,
    next: u128,
}

impl Sale {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let policy = QueuePolicy {
            max_active: random.between(60, 400),
            admit_per_minute: random.between(200, 1_500),
            active_ttl: random.between(120, 300) * SECOND,
            on_expiry: if random.chance(500_000) { OnExpiry::Requeue } else { OnExpiry::Expire },
            ..QueuePolicy::default()
        };
        let (session, giving_up) = (random.between(40, 240), random.between(0, 600));
        Self {
            state: QueueState::new(QueueRow::new(policy, 0)),
            queue: "sale".into(),
            now: 0,
            inside: HashMap::new(),
            waiting: Vec::new(),
            session,
            giving_up,
            told: Vec::new(),
            admitted: HashMap::new(),
            next: 1,
            random,
        }
    }

    fn commands(&mut self, joins: i64) -> (Vec<Uuid>, Vec<Command>) {
        let mut commands = Vec::new();
        for _ in 0..joins {
            let token = Uuid::from_u128(self.next);
            commands.push(Command::Join { token, user: format!("u{}", self.next).into(), priority: 5 });
            self.waiting.push(token);
            self.next += 1;
        }
        for token in &self.waiting {
            if self.random.chance(self.giving_up) {
                commands.push(Command::Leave(*token));
            }
        }
        let (now, random) = (self.now, &mut self.random);
        let mut inside: Vec<_> = self.inside.iter().map(|(token, until)| (*token, *until)).collect();
        inside.sort_unstable();
        for (token, until) in &inside {
            if until.is_some_and(|until| until <= now) {
                commands.push(if random.chance(700_000) {
                    Command::Complete(*token)
                } else {
                    Command::Leave(*token)
                });
            }
        }
        // The waiting users poll all the time, and so do the admitted ones who showed up.
        let heard = inside.into_iter().filter(|(_, until)| until.is_some()).map(|(token, _)| token);
        let heard = heard.chain(self.waiting.iter().copied()).filter(|token| self.state.hear(token, now));
        (heard.collect(), commands)
    }

    fn second(&mut self, joins: i64, change: Option<PolicyPatch>) {
        let (heard, mut commands) = self.commands(joins);
        commands.extend(change.map(Command::set_policy));
        let decision = decide(&self.state, &heard, commands, self.now);
        if decision.changed {
            for row in &decision.rows {
                match row.status {
                    TokenStatus::Active if !self.inside.contains_key(&row.token) => {
                        let session = if self.random.chance(40_000) {
                            None
                        } else {
                            Some(self.random.between(5, self.session))
                        };
                        self.inside.insert(row.token, session.map(|seconds| self.now + seconds * SECOND));
                        self.admitted.entry(row.token).or_insert(self.now);
                    }
                    TokenStatus::Active => {}
                    TokenStatus::Waiting
                    | TokenStatus::Registered
                    | TokenStatus::Completed
                    | TokenStatus::Expired
                    | TokenStatus::Left => {
                        self.inside.remove(&row.token);
                    }
                }
            }
            self.state.advance(decision.head, decision.rows, self.now);
        }
        let state = &self.state;
        self.waiting.retain(|token| state.status(token) == Some(TokenStatus::Waiting));
        self.now += SECOND;
    }

    /// Some of the waiting users read their estimates.
    fn ask(&mut self) {
        for _ in 0..3 {
            if self.waiting.is_empty() {
                return;
            }
            let pick =
                usize::try_from(self.random.below(i64::try_from(self.waiting.len()).unwrap())).unwrap();
            let view = self.state.view(&self.queue, &self.waiting[pick], self.now).unwrap();
            assert!(0 <= view.estimated_wait_low && view.estimated_wait_low <= view.estimated_wait);
            assert!(view.estimated_wait <= view.estimated_wait_high);
            if self.admitted.contains_key(&view.token) {
                continue; // requeued: its truth is another
            }
            self.told.push(Told {
                token: view.token,
                at: self.now,
                low: view.estimated_wait_low,
                likely: view.estimated_wait,
                high: view.estimated_wait_high,
                place: view.position,
            });
        }
    }

    fn run(mut self) -> Self {
        let crowd = self.random.between(800, 4_000);
        let (pause, halt) = (self.random.between(100, 700), self.random.between(30, 120));
        let (change, slower) = (self.random.between(200, 900), self.random.between(200, 1_200));
        let factor = self.random.between(60, 160);
        for second in 0..3_600 {
            let joins = if second < 60 { crowd / 60 } else { i64::from(self.random.chance(300_000)) };
            let places = self.state.head().policy.max_active * factor / 100;
            let patch = match second {
                _ if second == pause => Some(PolicyPatch { paused: Some(true), ..PolicyPatch::default() }),
                _ if second == pause + halt => {
                    Some(PolicyPatch { paused: Some(false), ..PolicyPatch::default() })
                }
                _ if second == change => {
                    Some(PolicyPatch { max_active: Some(places), ..PolicyPatch::default() })
                }
                _ => None,
            };
            if second == slower {
                self.session = self.session * 13 / 10;
            }
            self.second(joins, patch);
            self.ask();
            if second > 120 && self.waiting.is_empty() {
                break;
            }
        }
        self
    }
}

#[test]
fn the_range_contains_the_truth_at_least_four_times_in_five() {
    let (mut contained, mut asked, mut below, mut near, mut widths) = (0, 0, 0, 0, Vec::new());
    for seed in 1..=12 {
        let sale = Sale::new(seed).run();
        let (mut here, mut all) = (0, 0);
        for told in &sale.told {
            let Some(truth) = sale.admitted.get(&told.token).map(|at| at - told.at) else { continue };
            all += 1;
            // The simulation moves in whole seconds.
            let right = told.low - SECOND <= truth && truth <= told.high + SECOND;
            here += i32::from(right);
            below += i32::from(truth < told.low - SECOND);
            near += i32::from((truth - told.likely).abs() <= truth / 3 + 5 * SECOND);
            if told.place > 20 {
                widths.push(told.high as f64 / (told.low as f64).max(1e6));
            }
        }
        println!(
            "sale {seed}: {here} of {all}, {:?} places, {:?} a minute",
            sale.state.head().policy.max_active,
            sale.state.head().policy.admit_per_minute
        );
        (contained, asked) = (contained + here, asked + all);
    }
    widths.sort_unstable_by(f64::total_cmp);
    let (share, width) = (f64::from(contained) / f64::from(asked), widths[widths.len() / 2]);
    println!(
        "{contained} of {asked} = {share:.3}; {below} sooner than told; {near} near the likely one; high / low {width:.2} in the middle"
    );
    assert!(asked > 10_000, "{asked}");
    assert!(share >= 0.8, "{share}");
    assert!(width < 4.0, "a range from nought to for ever is true and useless: {width}");
    assert!(f64::from(near) / f64::from(asked) > 0.6, "the likely one is likely");
}

#[test]
fn a_pause_is_told_and_an_unchanged_line_is_told_the_same() {
    let mut sale = Sale::new(3);
    for _ in 0..90 {
        sale.second(20, None);
    }
    let last = *sale.waiting.last().unwrap();
    let view = |sale: &Sale, at: i64| sale.state.view(&sale.queue, &last, at).unwrap();
    assert_eq!(view(&sale, sale.now), view(&sale, sale.now + 9 * SECOND), "time alone changes nothing");
    assert!(view(&sale, sale.now).estimated_wait_high > 0);
    sale.second(0, Some(PolicyPatch { paused: Some(true), ..PolicyPatch::default() }));
    let (paused, line) = (view(&sale, sale.now), sale.state.queue_view("sale"));
    assert_eq!((paused.delay, line.delay), (Some(Delay::Paused), Some(Delay::Paused)));
    for _ in 0..100 {
        sale.second(0, None);
    }
    assert!(view(&sale, sale.now).estimated_wait_high > paused.estimated_wait_high, "a long pause may go on");
    assert!(
        view(&sale, sale.now).estimated_wait <= paused.estimated_wait * 11 / 10,
        "the pause does not make the line look slow"
    );
    sale.second(0, Some(PolicyPatch { paused: Some(false), max_active: Some(0), ..PolicyPatch::default() }));
    assert_eq!(view(&sale, sale.now).delay, Some(Delay::Full));
}

#[test]
fn a_room_in_which_no_place_becomes_free_for_a_minute_says_so() {
    let policy = QueuePolicy { max_active: 20, active_ttl: 3_600 * SECOND, ..QueuePolicy::default() };
    let mut sale = Sale {
        state: QueueState::new(QueueRow::new(policy, 0)),
        session: 3_000,
        giving_up: 0,
        ..Sale::new(1)
    };
    let delay = |sale: &Sale| sale.state.queue_view("sale").delay;
    for _ in 0..20 {
        sale.second(2, None);
    }
    assert_eq!((delay(&sale), sale.state.waiting()), (None, 20), "it has only just begun");
    // No admitted user is done any more; those who never showed up have lost their places before.
    for _ in 0..300 {
        sale.second(0, None);
    }
    let inside: Vec<_> = sale.inside.keys().copied().collect();
    sale.inside.values_mut().for_each(|until| *until = Some(i64::MAX));
    for _ in 0..100 {
        sale.second(1, None);
    }
    assert!(inside.len() <= 20);
    assert_eq!(delay(&sale), Some(Delay::Full));
}

#[test]
fn a_line_that_becomes_slower_says_so() {
    let policy = QueuePolicy { max_active: 100, admit_per_minute: 6_000, ..QueuePolicy::default() };
    let mut sale =
        Sale { state: QueueState::new(QueueRow::new(policy, 0)), session: 30, giving_up: 0, ..Sale::new(1) };
    for second in 0..240 {
        sale.second(if second < 60 { 40 } else { 0 }, None);
    }
    let delay = |sale: &Sale| sale.state.queue_view("sale").delay;
    assert_eq!(delay(&sale), None);
    sale.second(0, Some(PolicyPatch { max_active: Some(40), ..PolicyPatch::default() }));
    for _ in 0..75 {
        sale.second(0, None);
    }
    assert_eq!(delay(&sale), Some(Delay::Slower));
    for _ in 0..400 {
        sale.second(0, None);
    }
    assert_eq!(delay(&sale), None, "what lasts is the usual");
}
