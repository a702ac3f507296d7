//! The state against a model that is too simple to be wrong: a plain list that is scanned from its start for
//! everything.
//!
//! The same random history runs through the model one command at a time, and through two states ("replicas")
//! in batches. The batches are cut anywhere, either replica may decide each, and each catches up from a
//! shared table as the service does. All three must agree on everything.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::{policy::WORD, *};

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
        /// The waiting grace and the time to show up, in seconds.
        patience: (i64, i64),
    },
    /// A user is heard of.
    Hear {
        pick: u8,
    },
    Wait {
        seconds: u8,
    },
    /// The batch ends, and this replica decides the next one.
    Cut {
        replica: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0_u8..40, prop_oneof![Just(5_u8), 0_u8..10]).prop_map(|(user, priority)| Step::Join { user, priority }),
        3 => any::<u8>().prop_map(|pick| Step::Complete { pick }),
        3 => any::<u8>().prop_map(|pick| Step::Leave { pick }),
        1 => (0_i64..6, 1_i64..9, 0_i64..20, any::<bool>(), prop::bool::weighted(0.2), (0_i64..60, 0_i64..30)).prop_map(
            |(max_active, per_minute, max_waiting, requeue, paused, patience)| Step::Policy {
                max_active, per_minute, max_waiting, requeue, paused, patience
            }
        ),
        4 => any::<u8>().prop_map(|pick| Step::Hear { pick }),
        3 => (0_u8..40).prop_map(|seconds| Step::Wait { seconds }),
        5 => any::<bool>().prop_map(|replica| Step::Cut { replica }),
    ]
}

/// Everything about a token that the model knows.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    token: Uuid,
    user: String,
    status: TokenStatus,
    priority: u8,
    ticket: i64,
    active_until: i64,
    valid_until: i64,
    admitted_at: i64,
    heard_at: i64,
    requeues: u32,
}

struct Model {
    tokens: Vec<Plain>,
    policy: QueuePolicy,
    /// The waiting grace and the time to show up that the batch began with.
    patience: (i64, i64),
    /// The time since which these rules hold; a silence before it does not count.
    listening: i64,
    last_ticket: i64,
    admitted_at: Vec<i64>,
    /// When each permit comes back.
    back_at: Vec<i64>,
}

impl Model {
    fn count(&self, status: TokenStatus) -> i64 {
        i64::try_from(self.tokens.iter().filter(|token| token.status == status).count()).unwrap()
    }

    fn expire(&mut self, now: i64) {
        let (grace, show_up) = self.patience;
        let deadline = |t: &Plain| {
            let silent = grace + grace / 4 + 2 * SECOND;
            match t.status {
                TokenStatus::Active if show_up > 0 && t.heard_at < t.admitted_at => {
                    t.active_until.min(t.admitted_at.max(self.listening) + show_up + WORD)
                }
                TokenStatus::Active => t.active_until,
                TokenStatus::Waiting if grace > 0 => {
                    t.valid_until.min(t.heard_at.max(self.listening) + silent)
                }
                TokenStatus::Waiting
                | TokenStatus::Registered
                | TokenStatus::Completed
                | TokenStatus::Expired
                | TokenStatus::Left => t.valid_until,
            }
        };
        let mut due: Vec<_> =
            self.tokens.iter().filter(|t| t.status.is_live() && deadline(t) <= now).cloned().collect();
        due.sort_by_key(|t| (deadline(t), t.ticket));
        for one in due {
            let heard_at = one.heard_at.max(self.listening);
            let may_wait =
                one.valid_until > now && (grace == 0 || heard_at + grace + grace / 4 + 2 * SECOND > now);
            let requeue =
                self.policy.on_expiry == OnExpiry::Requeue && one.status == TokenStatus::Active && may_wait;
            let token = self.tokens.iter_mut().find(|t| t.token == one.token).unwrap();
            if requeue {
                self.last_ticket += 1;
                (token.status, token.ticket, token.active_until) =
                    (TokenStatus::Waiting, self.last_ticket, 0);
                token.admitted_at = 0;
                token.requeues += 1;
            } else {
                (token.status, token.active_until) = (TokenStatus::Expired, 0);
            }
        }
    }

    fn admit(&mut self, now: i64) {
        loop {
            let out = self.back_at.iter().filter(|back| **back > now).count();
            let full = self.count(TokenStatus::Active) >= self.policy.max_active;
            let cap = self.policy.admit_per_minute;
            if self.policy.paused || full || i64::try_from(out).unwrap() >= cap {
                return;
            }
            let waiting = self.tokens.iter_mut().filter(|token| token.status == TokenStatus::Waiting);
            let Some(next) = waiting.min_by_key(|token| (token.priority, token.ticket)) else { return };
            (next.status, next.active_until) = (TokenStatus::Active, now + self.policy.active_ttl);
            next.admitted_at = now;
            self.admitted_at.push(now);
            let apart = (60 * SECOND / cap).min(SECOND);
            let last = self.back_at.iter().filter(|back| **back > now).max().copied();
            self.back_at.push(last.map_or(0, |last| last + apart).max(now + 60 * SECOND));
        }
    }

    fn run(&mut self, command: &Command, now: i64) {
        match command {
            Command::Join { token, user, priority } => {
                let held =
                    self.tokens.iter().find(|t| t.user == **user && t.status.is_live()).map(|t| t.token);
                let before = (self.tokens.len(), self.last_ticket, self.admitted_at.len());
                if let Some(held) = held {
                    return self.hear(&held, now);
                }
                self.last_ticket += 1;
                self.tokens.push(Plain {
                    token: *token,
                    user: user.to_string(),
                    status: TokenStatus::Waiting,
                    priority: *priority,
                    ticket: self.last_ticket,
                    active_until: 0,
                    valid_until: now + self.policy.waiting_ttl,
                    admitted_at: 0,
                    heard_at: now,
                    requeues: 0,
                });
                self.admit(now);
                // It is refused if it made the queue too long, as if it had never joined.
                if self.tokens[before.0].status == TokenStatus::Waiting
                    && self.count(TokenStatus::Waiting) > self.policy.max_waiting
                {
                    assert_eq!(self.admitted_at.len(), before.2);
                    self.tokens.truncate(before.0);
                    self.last_ticket = before.1;
                }
            }
            Command::Complete(token) => {
                self.end(token, TokenStatus::Completed, |status| status == TokenStatus::Active)
            }
            Command::Leave(token) => self.end(token, TokenStatus::Left, TokenStatus::is_live),
            Command::SetPolicy(patch, _) => self.policy = patch.apply(&self.policy),
        }
        self.admit(now);
    }

    fn hear(&mut self, token: &Uuid, now: i64) {
        let (grace, show_up) = self.patience;
        for t in self.tokens.iter_mut().filter(|t| t.token == *token) {
            let shows_up = t.status == TokenStatus::Active && show_up > 0 && t.heard_at < t.admitted_at;
            let news = t.status.is_live() && (shows_up || (grace > 0 && now - t.heard_at >= grace / 4));
            t.heard_at = if news { now } else { t.heard_at };
        }
    }

    fn end(&mut self, token: &Uuid, status: TokenStatus, from: impl Fn(TokenStatus) -> bool) {
        if let Some(found) = self.tokens.iter_mut().find(|t| t.token == *token && from(t.status)) {
            (found.status, found.active_until) = (status, 0);
        }
    }

    fn position(&self, of: &Plain) -> Option<i64> {
        let before = |t: &&Plain| {
            t.status == TokenStatus::Waiting && (t.priority, t.ticket) <= (of.priority, of.ticket)
        };
        (of.status == TokenStatus::Waiting)
            .then(|| i64::try_from(self.tokens.iter().filter(before).count()).unwrap())
    }
}

/// The shared database: the last row of each token.
struct Table {
    head: QueueRow,
    rows: BTreeMap<Uuid, TokenRow>,
}

impl Table {
    fn bring_up_to_date(&self, state: &mut QueueState, now: i64) {
        let news = self.rows.values().filter(|row| row.version > state.version()).cloned().collect();
        state.advance(self.head.clone(), news, now);
    }

    fn commit(&mut self, decision: &Decision) {
        assert_eq!(decision.head.version, self.head.version + 1);
        for row in &decision.rows {
            let rivals = self
                .rows
                .values()
                .filter(|r| r.user == row.user && r.token != row.token && r.status.is_live())
                .count();
            assert!(!row.status.is_live() || rivals == 0, "two live tokens of one user within the statement");
            self.rows.insert(row.token, row.clone());
        }
        self.head = decision.head.clone();
    }
}

pub(super) fn policy() -> QueuePolicy {
    QueuePolicy {
        max_active: 3,
        max_waiting: 12,
        active_ttl: 30 * SECOND,
        waiting_ttl: 200 * SECOND,
        admit_per_minute: 6,
        on_expiry: OnExpiry::Requeue,
        paused: false,
        waiting_grace: 60 * SECOND,
        show_up_within: 15 * SECOND,
        opens_at: None,
        opening: Opening::Fifo,
        message: None,
        without_beacon: false,
    }
}

fn same(table: &Table, states: &[QueueState; 2], model: &Model) {
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
            // After the end of a token its admission does not matter.
            admitted_at: if row.status.is_live() { row.admitted_at.unwrap_or(0) } else { plain.admitted_at },
            heard_at: row.heard_at,
            requeues: row.requeues,
        };
        assert_eq!(as_plain, *plain);
        for state in states {
            assert_eq!(state.token(&plain.token), plain.status.is_live().then(|| row.clone()));
            assert_eq!(state.position(&plain.token), model.position(plain));
            let held =
                model.tokens.iter().find(|t| t.user == plain.user && t.status.is_live()).map(|t| t.token);
            assert_eq!(state.token_of(&plain.user), held);
        }
    }
    for state in states {
        assert_eq!(
            (state.active(), state.waiting()),
            (model.count(TokenStatus::Active), model.count(TokenStatus::Waiting))
        );
    }
}

fn in_any_minute(admitted: &[i64]) -> usize {
    admitted
        .iter()
        .map(|from| admitted.iter().filter(|at| (*from..*from + 60 * SECOND).contains(at)).count())
        .max()
        .unwrap_or(0)
}

fn pick_of(model: &Model, pick: u8) -> Option<Uuid> {
    model.tokens.get(usize::from(pick) % model.tokens.len().max(1)).map(|token| token.token)
}

fn commands_of(step: &Step, model: &Model, next_id: &mut u128) -> Option<Command> {
    let pick = |pick: u8| pick_of(model, pick).unwrap_or_default();
    match step {
        Step::Join { user, priority } => {
            *next_id += 1;
            Some(Command::Join {
                token: Uuid::from_u128(*next_id),
                user: format!("u{user}").into(),
                priority: *priority,
            })
        }
        Step::Complete { pick: one } => Some(Command::Complete(pick(*one))),
        Step::Leave { pick: one } => Some(Command::Leave(pick(*one))),
        Step::Policy { max_active, per_minute, max_waiting, requeue, paused, patience } => {
            Some(Command::set_policy(PolicyPatch {
                max_active: Some(*max_active),
                admit_per_minute: Some(*per_minute),
                max_waiting: Some(*max_waiting),
                on_expiry: Some(if *requeue { OnExpiry::Requeue } else { OnExpiry::Expire }),
                paused: Some(*paused),
                waiting_grace: Some(patience.0 * SECOND),
                show_up_within: Some(patience.1 * SECOND),
                ..PolicyPatch::default()
            }))
        }
        Step::Wait { .. } | Step::Cut { .. } | Step::Hear { .. } => None,
    }
}

fn flush(heard: &[Uuid], batch: &mut Vec<Command>, state: &mut QueueState, table: &mut Table, now: i64) {
    table.bring_up_to_date(state, now);
    for token in heard {
        assert!(!state.hear(token, now) || !state.hear(token, now), "one report is enough");
    }
    state.reported(heard);
    let decision = decide(state, heard, std::mem::take(batch), now);
    if decision.changed {
        table.commit(&decision);
        assert!(state.advance(decision.head, decision.rows, now));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn two_replicas_in_batches_do_what_a_list_does_one_by_one(steps in prop::collection::vec(step(), 1..160)) {
        let mut now = 1_000_000 * SECOND;
        let head = QueueRow::new(policy(), now);
        let mut table = Table { head: head.clone(), rows: BTreeMap::new() };
        let mut states = [QueueState::new(head.clone()), QueueState::new(head)];
        let patience = |policy: &QueuePolicy| (policy.waiting_grace, policy.show_up_within);
        let mut model = Model {
            tokens: Vec::new(),
            policy: policy(),
            patience: patience(&policy()),
            listening: 0,
            last_ticket: 0,
            admitted_at: Vec::new(),
            back_at: Vec::new(),
        };
        let (mut batch, mut turn, mut next_id) = (Vec::new(), 0, 0);
        let mut highest_cap = policy().admit_per_minute;
        for step in steps {
            if let Some(command) = commands_of(&step, &model, &mut next_id) {
                let (before, cap) = (model.count(TokenStatus::Active), model.policy.max_active);
                model.expire(now);
                model.admit(now);
                model.run(&command, now);
                prop_assert!(model.count(TokenStatus::Active) <= before.max(cap).max(model.policy.max_active));
                highest_cap = highest_cap.max(model.policy.admit_per_minute);
                batch.push(command);
                continue;
            }
            flush(&[], &mut batch, &mut states[turn], &mut table, now);
            for state in &mut states {
                table.bring_up_to_date(state, now);
            }
            if model.patience != patience(&model.policy) {
                (model.patience, model.listening) = (patience(&model.policy), now);
            }
            let mut heard = Vec::new();
            match step {
                Step::Wait { seconds } => now += i64::from(seconds) * SECOND + 137,
                Step::Cut { replica } => turn = usize::from(replica),
                Step::Hear { pick } => heard.extend(pick_of(&model, pick)),
                Step::Join { .. } | Step::Complete { .. } | Step::Leave { .. } | Step::Policy { .. } => unreachable!("commands"),
            }
            heard.iter().for_each(|token| model.hear(token, now));
            model.expire(now);
            model.admit(now);
            flush(&heard, &mut batch, &mut states[turn], &mut table, now);
            for state in &mut states {
                table.bring_up_to_date(state, now);
            }
            same(&table, &states, &model);
            for state in &states {
                prop_assert!(state.next_deadline().is_none_or(|at| at > now), "time has done all it could");
            }
        }
        prop_assert!(i64::try_from(in_any_minute(&model.admitted_at)).unwrap() <= highest_cap);
    }

    #[test]
    fn whoever_came_first_in_a_lane_is_admitted_first(lanes in prop::collection::vec(0_u8..10, 1..200), places in 1_i64..5) {
        let now = SECOND;
        let mut state = QueueState::new(QueueRow::new(QueuePolicy { max_active: 0, ..QueuePolicy::default() }, now));
        let joins = lanes.iter().enumerate().map(|(number, lane)| Command::Join {
            token: Uuid::from_u128(number as u128 + 1),
            user: format!("{number}").into(),
            priority: *lane,
        });
        let decision = decide(&state, &[], joins.collect(), now);
        state.advance(decision.head, decision.rows, now);
        let open = decide(&state, &[], vec![Command::set_policy(PolicyPatch { max_active: Some(places), ..PolicyPatch::default() })], now);
        state.advance(open.head, open.rows, now);
        let mut order = Vec::new();
        while state.active() > 0 {
            let active = |number: &usize| state.status(&Uuid::from_u128(*number as u128 + 1)) == Some(TokenStatus::Active);
            let mut now_in: Vec<usize> = (0..lanes.len()).filter(active).collect();
            now_in.sort_by_key(|number| (lanes[*number], *number));
            let first = now_in[0];
            order.push((lanes[first], first));
            let done = decide(&state, &[], vec![Command::Complete(Uuid::from_u128(first as u128 + 1))], now);
            state.advance(done.head, done.rows, now);
        }
        prop_assert!(order.is_sorted(), "{:?}", order);
        prop_assert_eq!(order.len(), lanes.len());
    }
}
