//! The room against a model too simple to be wrong: a plain list, scanned from its start for everything.
//!
//! The same random history runs through the model one command at a time, and through two rooms ("replicas") in batches cut anywhere,
//! each batch decided by either, each catching up from a shared table as the service does. All three must agree on everything.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Join {
        user: u8,
        priority: u8,
    },
    Complete {
        pick: u8,
    },
    Leave {
        pick: u8,
    },
    Policy {
        max_active: i64,
        per_minute: i64,
        max_waiting: i64,
        requeue: bool,
        paused: bool,
    },
    Wait {
        seconds: u8,
    },
    /// Ends the batch; the next is decided by this replica.
    Cut {
        replica: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0_u8..40, prop_oneof![Just(5_u8), 0_u8..10]).prop_map(|(user, priority)| Step::Join { user, priority }),
        3 => any::<u8>().prop_map(|pick| Step::Complete { pick }),
        3 => any::<u8>().prop_map(|pick| Step::Leave { pick }),
        1 => (0_i64..6, 1_i64..9, 0_i64..20, any::<bool>(), prop::bool::weighted(0.2)).prop_map(
            |(max_active, per_minute, max_waiting, requeue, paused)| Step::Policy { max_active, per_minute, max_waiting, requeue, paused }
        ),
        3 => (0_u8..40).prop_map(|seconds| Step::Wait { seconds }),
        5 => any::<bool>().prop_map(|replica| Step::Cut { replica }),
    ]
}

/// Everything about a token that the model knows.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    token: Uuid,
    user: String,
    status: Status,
    priority: u8,
    ticket: i64,
    active_until: i64,
    valid_until: i64,
    requeues: u32,
}

struct Model {
    tokens: Vec<Plain>,
    policy: QueuePolicy,
    last_ticket: i64,
    admitted_at: Vec<i64>,
}

impl Model {
    fn count(&self, status: Status) -> i64 {
        i64::try_from(self.tokens.iter().filter(|token| token.status == status).count()).unwrap()
    }

    fn expire(&mut self, now: i64) {
        let deadline = |t: &Plain| if t.status == Status::Active { t.active_until } else { t.valid_until };
        let mut due: Vec<_> = self.tokens.iter().filter(|t| t.status.is_live() && deadline(t) <= now).cloned().collect();
        due.sort_by_key(|t| (deadline(t), t.ticket));
        for one in due {
            let requeue = self.policy.on_expiry == OnExpiry::Requeue && one.status == Status::Active && one.valid_until > now;
            let token = self.tokens.iter_mut().find(|t| t.token == one.token).unwrap();
            if requeue {
                self.last_ticket += 1;
                (token.status, token.ticket, token.active_until) = (Status::Waiting, self.last_ticket, 0);
                token.requeues += 1;
            } else {
                (token.status, token.active_until) = (Status::Expired, 0);
            }
        }
    }

    fn admit(&mut self, now: i64) {
        loop {
            let recent = self.admitted_at.iter().filter(|at| at.div_euclid(SECOND) > now.div_euclid(SECOND) - 61).count();
            let full = self.count(Status::Active) >= self.policy.max_active;
            if self.policy.paused || full || i64::try_from(recent).unwrap() >= self.policy.admit_per_minute {
                return;
            }
            let waiting = self.tokens.iter_mut().filter(|token| token.status == Status::Waiting);
            let Some(next) = waiting.min_by_key(|token| (token.priority, token.ticket)) else { return };
            (next.status, next.active_until) = (Status::Active, now + self.policy.active_ttl);
            self.admitted_at.push(now);
        }
    }

    fn run(&mut self, command: &Command, now: i64) {
        match command {
            Command::Join { token, user, priority } => {
                let held = self.tokens.iter().any(|t| t.user == **user && t.status.is_live());
                let before = (self.tokens.len(), self.last_ticket, self.admitted_at.len());
                if held {
                    return;
                }
                self.last_ticket += 1;
                self.tokens.push(Plain {
                    token: *token,
                    user: user.to_string(),
                    status: Status::Waiting,
                    priority: *priority,
                    ticket: self.last_ticket,
                    active_until: 0,
                    valid_until: now + self.policy.waiting_ttl,
                    requeues: 0,
                });
                self.admit(now);
                // Refused if it made the line too long: as if it had never been.
                if self.tokens[before.0].status == Status::Waiting && self.count(Status::Waiting) > self.policy.max_waiting {
                    assert_eq!(self.admitted_at.len(), before.2);
                    self.tokens.truncate(before.0);
                    self.last_ticket = before.1;
                }
            }
            Command::Complete(token) => self.end(token, Status::Completed, |status| status == Status::Active),
            Command::Leave(token) => self.end(token, Status::Left, Status::is_live),
            Command::SetPolicy(patch) => self.policy = patch.apply(&self.policy),
        }
        self.admit(now);
    }

    fn end(&mut self, token: &Uuid, status: Status, from: impl Fn(Status) -> bool) {
        if let Some(found) = self.tokens.iter_mut().find(|t| t.token == *token && from(t.status)) {
            (found.status, found.active_until) = (status, 0);
        }
    }

    fn position(&self, of: &Plain) -> Option<i64> {
        let before = |t: &&Plain| t.status == Status::Waiting && (t.priority, t.ticket) <= (of.priority, of.ticket);
        (of.status == Status::Waiting).then(|| i64::try_from(self.tokens.iter().filter(before).count()).unwrap())
    }
}

/// The shared database: the last state of every row.
struct Table {
    head: Head,
    rows: BTreeMap<Uuid, TokenRow>,
}

impl Table {
    fn bring_up_to_date(&self, room: &mut Room) {
        let news = self.rows.values().filter(|row| row.version > room.version()).cloned().collect();
        room.advance(self.head.clone(), news);
    }

    fn commit(&mut self, decision: &Decision) {
        assert_eq!(decision.head.version, self.head.version + 1);
        for row in &decision.rows {
            let rivals = self.rows.values().filter(|r| r.user == row.user && r.token != row.token && r.status.is_live()).count();
            assert!(!row.status.is_live() || rivals == 0, "two live tokens of one user within the statement");
            self.rows.insert(row.token, row.clone());
        }
        self.head = decision.head.clone();
    }
}

fn policy() -> QueuePolicy {
    QueuePolicy {
        max_active: 3,
        max_waiting: 12,
        active_ttl: 30 * SECOND,
        waiting_ttl: 200 * SECOND,
        admit_per_minute: 6,
        on_expiry: OnExpiry::Requeue,
        paused: false,
    }
}

fn same(table: &Table, rooms: &[Room; 2], model: &Model) {
    assert_eq!(table.rows.len(), model.tokens.len(), "nobody is lost and nobody appears");
    for plain in &model.tokens {
        let row = &table.rows[&plain.token];
        let as_plain = Plain {
            token: row.token,
            user: row.user.to_string(),
            status: row.status,
            priority: row.priority,
            ticket: row.ticket,
            active_until: row.active_until.unwrap_or(0),
            valid_until: row.valid_until,
            requeues: row.requeues,
        };
        assert_eq!(as_plain, *plain);
        for room in rooms {
            assert_eq!(room.token(&plain.token), plain.status.is_live().then(|| row.clone()));
            assert_eq!(room.position(&plain.token), model.position(plain));
            let held = model.tokens.iter().find(|t| t.user == plain.user && t.status.is_live()).map(|t| t.token);
            assert_eq!(room.token_of(&plain.user), held);
        }
    }
    for room in rooms {
        assert_eq!((room.active(), room.waiting()), (model.count(Status::Active), model.count(Status::Waiting)));
    }
}

fn in_any_minute(admitted: &[i64]) -> usize {
    admitted.iter().map(|from| admitted.iter().filter(|at| (*from..*from + 60 * SECOND).contains(at)).count()).max().unwrap_or(0)
}

fn commands_of(step: &Step, model: &Model, next_id: &mut u128) -> Option<Command> {
    let pick = |pick: u8| {
        let index = usize::from(pick) % model.tokens.len().max(1);
        model.tokens.get(index).map_or(Uuid::nil(), |token| token.token)
    };
    match step {
        Step::Join { user, priority } => {
            *next_id += 1;
            Some(Command::Join { token: Uuid::from_u128(*next_id), user: format!("u{user}").into(), priority: *priority })
        }
        Step::Complete { pick: one } => Some(Command::Complete(pick(*one))),
        Step::Leave { pick: one } => Some(Command::Leave(pick(*one))),
        Step::Policy { max_active, per_minute, max_waiting, requeue, paused } => Some(Command::SetPolicy(PolicyPatch {
            max_active: Some(*max_active),
            admit_per_minute: Some(*per_minute),
            max_waiting: Some(*max_waiting),
            on_expiry: Some(if *requeue { OnExpiry::Requeue } else { OnExpiry::Expire }),
            paused: Some(*paused),
            ..PolicyPatch::default()
        })),
        Step::Wait { .. } | Step::Cut { .. } => None,
    }
}

fn flush(batch: &mut Vec<Command>, room: &mut Room, table: &mut Table, now: i64) {
    table.bring_up_to_date(room);
    let decision = decide(room, std::mem::take(batch), now);
    if decision.changed {
        table.commit(&decision);
        assert!(room.advance(decision.head, decision.rows));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn two_replicas_in_batches_do_what_a_list_does_one_by_one(steps in prop::collection::vec(step(), 1..160)) {
        let mut now = 1_000_000 * SECOND;
        let head = Head::new(policy(), now);
        let mut table = Table { head: head.clone(), rows: BTreeMap::new() };
        let mut rooms = [Room::new(head.clone()), Room::new(head)];
        let mut model = Model { tokens: Vec::new(), policy: policy(), last_ticket: 0, admitted_at: Vec::new() };
        let (mut batch, mut turn, mut next_id) = (Vec::new(), 0, 0);
        let mut highest_cap = policy().admit_per_minute;
        for step in steps {
            if let Some(command) = commands_of(&step, &model, &mut next_id) {
                let (before, cap) = (model.count(Status::Active), model.policy.max_active);
                model.expire(now);
                model.admit(now);
                model.run(&command, now);
                prop_assert!(model.count(Status::Active) <= before.max(cap).max(model.policy.max_active));
                highest_cap = highest_cap.max(model.policy.admit_per_minute);
                batch.push(command);
                continue;
            }
            flush(&mut batch, &mut rooms[turn], &mut table, now);
            match step {
                Step::Wait { seconds } => now += i64::from(seconds) * SECOND + 137,
                Step::Cut { replica } => turn = usize::from(replica),
                Step::Join { .. } | Step::Complete { .. } | Step::Leave { .. } | Step::Policy { .. } => unreachable!("commands"),
            }
            model.expire(now);
            model.admit(now);
            flush(&mut batch, &mut rooms[turn], &mut table, now);
            for room in &mut rooms {
                table.bring_up_to_date(room);
            }
            same(&table, &rooms, &model);
            for room in &rooms {
                prop_assert!(room.next_deadline().is_none_or(|at| at > now), "time has done all it could");
            }
        }
        prop_assert!(i64::try_from(in_any_minute(&model.admitted_at)).unwrap() <= highest_cap);
    }

    #[test]
    fn whoever_came_first_in_a_lane_is_admitted_first(lanes in prop::collection::vec(0_u8..10, 1..200), places in 1_i64..5) {
        let now = SECOND;
        let mut room = Room::new(Head::new(QueuePolicy { max_active: 0, ..QueuePolicy::default() }, now));
        let joins = lanes.iter().enumerate().map(|(number, lane)| Command::Join {
            token: Uuid::from_u128(number as u128 + 1),
            user: format!("{number}").into(),
            priority: *lane,
        });
        let decision = decide(&room, joins.collect(), now);
        room.advance(decision.head, decision.rows);
        let open = decide(&room, vec![Command::SetPolicy(PolicyPatch { max_active: Some(places), ..PolicyPatch::default() })], now);
        room.advance(open.head, open.rows);
        let mut order = Vec::new();
        while room.active() > 0 {
            let active = |number: &usize| room.status(&Uuid::from_u128(*number as u128 + 1)) == Some(Status::Active);
            let mut now_in: Vec<usize> = (0..lanes.len()).filter(active).collect();
            now_in.sort_by_key(|number| (lanes[*number], *number));
            let first = now_in[0];
            order.push((lanes[first], first));
            let done = decide(&room, vec![Command::Complete(Uuid::from_u128(first as u128 + 1))], now);
            room.advance(done.head, done.rows);
        }
        prop_assert!(order.is_sorted(), "{:?}", order);
        prop_assert_eq!(order.len(), lanes.len());
    }
}

#[test]
fn a_user_who_leaves_and_joins_in_one_batch_has_one_live_token_and_the_tail() {
    let mut room = Room::new(Head::new(QueuePolicy { max_active: 0, ..QueuePolicy::default() }, 0));
    let join = |id: u128, user: &str| Command::Join { token: Uuid::from_u128(id), user: user.into(), priority: 5 };
    let first = decide(&room, vec![join(1, "ann"), join(2, "bob")], 0);
    room.advance(first.head, first.rows);
    let again = decide(&room, vec![Command::Leave(Uuid::from_u128(1)), join(3, "ann"), join(4, "ann")], 0);
    assert_eq!(again.rows.len(), 2);
    assert_eq!(again.rows[0].status, Status::Left, "who ends is written first");
    assert!(matches!(&again.outcomes[2], Outcome::Joined { row, created: false } if row.token == Uuid::from_u128(3)));
    room.advance(again.head, again.rows);
    assert_eq!(room.position(&Uuid::from_u128(3)), Some(2));
}

#[test]
fn a_crowd_is_admitted_in_bounded_transactions_one_at_once_after_the_other() {
    let policy = QueuePolicy { max_active: 5_000, admit_per_minute: 1_000_000, paused: true, ..QueuePolicy::default() };
    let mut room = Room::new(Head::new(policy, 0));
    let joins = (1..=6_000).map(|id| Command::Join { token: Uuid::from_u128(id), user: format!("{id}").into(), priority: 5 });
    let joined = decide(&room, joins.collect(), 0);
    room.advance(joined.head, joined.rows);
    let mut sizes = Vec::new();
    let mut commands = vec![Command::SetPolicy(PolicyPatch { paused: Some(false), ..PolicyPatch::default() })];
    loop {
        let decision = decide(&room, std::mem::take(&mut commands), 0);
        if !decision.changed {
            break;
        }
        sizes.push(decision.admitted);
        room.advance(decision.head, decision.rows);
        assert_eq!(room.next_deadline().is_some_and(|at| at <= 0), room.active() < 5_000, "more to do means now");
    }
    assert_eq!(sizes, [MAX_ADMITTED, MAX_ADMITTED, 1_000]);
}

#[test]
fn a_replica_whose_clock_is_behind_does_not_turn_time_back() {
    let mut room = Room::new(Head::new(QueuePolicy::default(), 0));
    let join = |id: u128| Command::Join { token: Uuid::from_u128(id), user: format!("{id}").into(), priority: 5 };
    let ahead = decide(&room, vec![join(1)], 100 * SECOND);
    room.advance(ahead.head, ahead.rows);
    let behind = decide(&room, vec![join(2)], 40 * SECOND);
    assert_eq!(behind.rows[0].entered_at, 100 * SECOND);
    assert_eq!(behind.head.decided_at, 100 * SECOND);
}
