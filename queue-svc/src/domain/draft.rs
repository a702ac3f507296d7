//! Deciding what a batch of commands does, without touching the committed state.
//!
//! A [`Draft`] lies over a [`QueueState`]. It has the rows that have changed so far and the tokens that were
//! put at the tail of each lane since. First it notes which tokens were heard of, then it expires those that
//! are due, then it runs the commands in turn. After each of these steps it admits every token that may be
//! admitted. So a batch does what its commands would do one by one, however they are divided into batches,
//! and a place is filled in the transaction that frees it. Silence is judged by the policy that the batch
//! begins with; a command that changes the policy counts from the next batch.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

use super::{
    DrawSetting, LANES, OnExpiry, Opened, PolicyPatch, PolicyRefusal, QueueRow, QueueState, SECOND, TokenRow,
    TokenStatus, state::Now,
};

/// The most admissions of one decision, which keeps its transaction short; the next decision follows at once.
pub const MAX_ADMITTED: usize = 2_000;
/// The most expiries of due tokens in one decision, for the same reason. As many again may expire when they
/// are found at the front while tokens are admitted.
pub const MAX_EXPIRED: usize = 2_000;

/// A request of a user or an operator to change a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Issue a token to a user, or find the user's live one.
    Join {
        /// The id of the new token, if one is needed.
        token: Uuid,
        /// The user who joins.
        user: Box<str>,
        /// The lane to join, 0 (served first) to 9.
        priority: u8,
    },
    /// End an ACTIVE token after a payment.
    Complete(Uuid),
    /// End a token because its user leaves.
    Leave(Uuid),
    /// Change the policy. The setting is what the draw begins with if the queue becomes one that opens by
    /// lot.
    SetPolicy(PolicyPatch, DrawSetting),
}

#[cfg(test)]
impl Command {
    /// A change of a policy that sets no draw.
    pub(super) const fn set_policy(patch: PolicyPatch) -> Self {
        let secret = super::DrawSecret { secret: [1; 32], token_key: [2; 32] };
        Self::SetPolicy(patch, DrawSetting { secret, chain: Ok(None) })
    }
}

/// The result of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandOutcome {
    /// The user has this live token.
    Joined {
        /// The token as it was when the command was decided.
        row: TokenRow,
        /// False when the user had the token already.
        created: bool,
    },
    /// The queue is full. The number is after how many microseconds to ask again.
    Full(i64),
    /// The token is COMPLETED, by this command or before.
    Completed(TokenRow),
    /// The token has ended, by this command or before.
    Left(TokenRow),
    /// The token is not ACTIVE; it has this status.
    NotActive(TokenStatus),
    /// No live token of this queue has this id. Whether it has ended, the caller finds in the database.
    NotHere(Uuid),
    /// The policy is now as the command asked.
    PolicySet,
    /// The policy cannot be as the command asked.
    PolicyRefused(PolicyRefusal),
}

/// Everything that a batch changes, and what each command is answered.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The final state of every token that changed. Those that ended come first, so that the rows can be
    /// written in this order: of a user's tokens at most one is live.
    pub rows: Vec<TokenRow>,
    /// The queue's row after the batch.
    pub head: QueueRow,
    /// The result of each command, in the order of the commands.
    pub outcomes: Vec<CommandOutcome>,
    /// How many tokens were admitted.
    pub admitted: usize,
    /// That the queue opens with it, if it does.
    pub opened: Option<Opened>,
    /// Whether anything changes that must be written.
    pub changed: bool,
}

/// Decides a batch: which tokens were heard of, and the commands. `now` is by the clock of the replica that
/// decides. A batch without commands still expires and admits what is due.
#[must_use]
pub fn decide(state: &QueueState, heard: &[Uuid], commands: Vec<Command>, now: i64) -> Decision {
    let mut draft = Draft::new(state, now);
    for token in heard {
        draft.hear(token);
    }
    for token in state.due(draft.time(), MAX_EXPIRED) {
        draft.expire_if_due(&token);
    }
    // I-LINE-NOW: a place that was freed is filled before the decision ends, here and after each command.
    draft.admit_all();
    let mut outcomes = Vec::with_capacity(commands.len());
    for command in commands {
        outcomes.push(draft.run(command));
        draft.admit_all();
    }
    draft.finish(outcomes)
}

struct Draft<'a> {
    state: &'a QueueState,
    /// The time of the decision by the queue's clock, which never runs backwards.
    now: i64,
    /// The time of the decision by the clock of the replica that decides.
    here: i64,
    head: QueueRow,
    rows: Vec<TokenRow>,
    by_token: HashMap<Uuid, usize>,
    by_user: HashMap<Box<str>, Option<Uuid>>,
    /// For each lane, up to where its committed tokens have been admitted.
    fronts: [Option<usize>; LANES],
    /// For each lane, the tokens that were put at its tail since, each with its ticket.
    tails: [VecDeque<(Uuid, i64)>; LANES],
    waiting: i64,
    active: i64,
    admitted: usize,
    expired: usize,
    opened: Option<Opened>,
}

impl<'a> Draft<'a> {
    fn new(state: &'a QueueState, now: i64) -> Self {
        let mut head = state.head().clone();
        head.pass(now, state.waiting());
        let opens = state.head().is_closed() && !head.is_closed();
        Self {
            opened: opens.then(|| Opened::of(&head, state.waiting())),
            state,
            now: head.decided_at,
            here: now,
            head,
            rows: Vec::new(),
            by_token: HashMap::new(),
            by_user: HashMap::new(),
            fronts: [None; LANES],
            tails: Default::default(),
            waiting: state.waiting(),
            active: state.active(),
            admitted: 0,
            expired: 0,
        }
    }

    fn run(&mut self, command: Command) -> CommandOutcome {
        match command {
            Command::Join { token, user, priority } => self.join(token, user, priority),
            Command::Complete(token) => self.complete(&token),
            Command::Leave(token) => self.leave(&token),
            Command::SetPolicy(patch, setting) => {
                let was_closed = self.head.is_closed();
                let policy = patch.apply(&self.head.policy);
                if let Err(refusal) = self.head.set_policy(policy, &setting) {
                    return CommandOutcome::PolicyRefused(refusal);
                }
                if was_closed && !self.head.is_closed() {
                    self.opened = Some(Opened::of(&self.head, self.waiting));
                }
                CommandOutcome::PolicySet
            }
        }
    }

    fn join(&mut self, token: Uuid, user: Box<str>, priority: u8) -> CommandOutcome {
        if let Some(held) = self.token_of(&user) {
            // I-LINE-ONE: a user who has a live token gets that one.
            self.expire_if_due(&held);
            self.hear(&held);
            if let Some(row) = self.current(&held).filter(|row| row.status.is_live()) {
                return CommandOutcome::Joined { row, created: false };
            }
        }
        let straight_in = self.waiting == 0 && self.may_admit();
        if self.head.policy.is_full(self.waiting) && !straight_in {
            return CommandOutcome::Full(self.retry_after());
        }
        // I-DRAW: whoever leaves and registers again has the same token, and so the same lot. Once it is
        // fixed who takes part nobody registers any more.
        let registers = self.head.is_closed() && self.head.taking_part().is_none();
        let secret = self.head.secret.as_ref().filter(|_| registers);
        let token = secret.map_or(token, |secret| secret.token_of(&user, &token));
        let row = TokenRow {
            token,
            user,
            status: TokenStatus::Waiting,
            priority,
            ticket: 0,
            entered_at: self.now,
            active_until: None,
            valid_until: self
                .now
                .max(self.head.policy.opens_at.unwrap_or(i64::MIN))
                .saturating_add(self.head.policy.waiting_ttl),
            admitted_at: None,
            heard_at: self.now,
            requeues: 0,
            version: 0,
        };
        let row = self.enqueue(row);
        CommandOutcome::Joined { row, created: true }
    }

    fn complete(&mut self, token: &Uuid) -> CommandOutcome {
        self.expire_if_due(token);
        let Some(row) = self.current(token) else { return CommandOutcome::NotHere(*token) };
        match row.status {
            TokenStatus::Active => CommandOutcome::Completed(self.end(row, TokenStatus::Completed)),
            TokenStatus::Completed => CommandOutcome::Completed(row),
            TokenStatus::Waiting if self.head.is_closed() => {
                CommandOutcome::NotActive(TokenStatus::Registered)
            }
            TokenStatus::Waiting | TokenStatus::Registered | TokenStatus::Expired | TokenStatus::Left => {
                CommandOutcome::NotActive(row.status)
            }
        }
    }

    fn leave(&mut self, token: &Uuid) -> CommandOutcome {
        self.expire_if_due(token);
        let Some(row) = self.current(token) else { return CommandOutcome::NotHere(*token) };
        CommandOutcome::Left(if row.status.is_live() { self.end(row, TokenStatus::Left) } else { row })
    }

    /// Notes that a token was heard of, if its row must say so.
    fn hear(&mut self, token: &Uuid) {
        let Some(row) = self.current(token).filter(|row| row.status.is_live()) else { return };
        if self.state.head().policy.is_news(row.instants(), self.now) {
            self.put(TokenRow { heard_at: self.now, ..row });
        }
    }

    /// Expires a token or sends it back to the tail, if its time is over.
    fn expire_if_due(&mut self, token: &Uuid) {
        let Some(row) = self.current(token).filter(|row| row.status.is_live()) else { return };
        if !self.is_due(&row) {
            return;
        }
        self.expired += 1;
        if row.status == TokenStatus::Active && self.head.policy.on_expiry == OnExpiry::Requeue {
            let again = TokenRow {
                status: TokenStatus::Waiting,
                active_until: None,
                admitted_at: None,
                requeues: row.requeues.saturating_add(1),
                ..row.clone()
            };
            // A token that may not wait any longer, or whose user is silent, is not sent back.
            if !self.is_due(&again) {
                self.enqueue(again);
                return;
            }
        }
        self.end(row, TokenStatus::Expired);
    }

    fn is_due(&self, row: &TokenRow) -> bool {
        self.state.is_due(row, self.time())
    }

    const fn time(&self) -> Now {
        Now { queue: self.now, here: self.here }
    }

    /// Gives a token the next ticket and puts it at the tail of its lane.
    fn enqueue(&mut self, mut row: TokenRow) -> TokenRow {
        // I-LINE-ORDER: only here, under the queue row's lock, is a ticket given.
        self.head.last_ticket += 1;
        row.ticket = self.head.last_ticket;
        self.tails[row.lane()].push_back((row.token, row.ticket));
        self.put(row.clone());
        row
    }

    fn end(&mut self, row: TokenRow, status: TokenStatus) -> TokenRow {
        if row.status == TokenStatus::Waiting && !self.head.is_closed() {
            self.head.gave_up();
        }
        let row = TokenRow { status, active_until: None, ..row };
        self.put(row.clone());
        row
    }

    /// I-LINE-CAP and I-LINE-RATE: no token is admitted unless both bounds leave room for one more.
    /// I-LINE-OPENS: none is admitted before the queue is open.
    fn may_admit(&self) -> bool {
        let policy = &self.head.policy;
        !policy.paused
            && !self.head.is_closed()
            && self.active < policy.max_active
            && self.admitted < MAX_ADMITTED
            && self.head.cap_allows()
    }

    fn admit_all(&mut self) {
        while self.waiting > 0 && self.may_admit() {
            let Some(token) = self.next_waiter() else { break };
            let Some(row) = self.current(&token) else { break };
            if self.is_due(&row) {
                // More tokens are due than may expire at once, and none of them is admitted.
                if self.expired >= 2 * MAX_EXPIRED {
                    break;
                }
                self.expire_if_due(&token);
                continue;
            }
            let waited = self.state.status(&token) == Some(TokenStatus::Waiting);
            self.head.admit(row.ticket, waited);
            self.admitted += 1;
            let until = self.now.saturating_add(self.head.policy.active_ttl);
            self.put(TokenRow {
                status: TokenStatus::Active,
                active_until: Some(until),
                admitted_at: Some(self.now),
                ..row
            });
        }
    }

    /// The waiting token that is admitted next: of the lowest lane that has one, first the committed tokens,
    /// then those that joined since.
    fn next_waiter(&mut self) -> Option<Uuid> {
        for lane in 0..LANES {
            while let Some((at, token, ticket)) = self.state.next_in_lane(lane, self.fronts[lane]) {
                self.fronts[lane] = Some(at);
                if self.still_waits(&token, ticket) {
                    return Some(token);
                }
                self.fronts[lane] = Some(at + 1);
            }
            while let Some((token, ticket)) = self.tails[lane].front().copied() {
                if self.still_waits(&token, ticket) {
                    return Some(token);
                }
                self.tails[lane].pop_front();
            }
        }
        None
    }

    /// Whether a token of a lane still waits with this ticket. Only a row that this draft has changed can
    /// differ from the lane.
    fn still_waits(&self, token: &Uuid, ticket: i64) -> bool {
        self.by_token
            .get(token)
            .is_none_or(|at| self.rows[*at].status == TokenStatus::Waiting && self.rows[*at].ticket == ticket)
    }

    fn current(&self, token: &Uuid) -> Option<TokenRow> {
        self.by_token.get(token).map_or_else(|| self.state.token(token), |at| Some(self.rows[*at].clone()))
    }

    fn token_of(&self, user: &str) -> Option<Uuid> {
        self.by_user.get(user).copied().unwrap_or_else(|| self.state.token_of(user))
    }

    /// Puts a row into the draft and updates the counts.
    fn put(&mut self, row: TokenRow) {
        match self.current(&row.token).map(|before| before.status) {
            Some(TokenStatus::Waiting | TokenStatus::Registered) => self.waiting -= 1,
            Some(TokenStatus::Active) => self.active -= 1,
            Some(TokenStatus::Completed | TokenStatus::Expired | TokenStatus::Left) | None => {}
        }
        match row.status {
            TokenStatus::Waiting | TokenStatus::Registered => self.waiting += 1,
            TokenStatus::Active => self.active += 1,
            TokenStatus::Completed | TokenStatus::Expired | TokenStatus::Left => {}
        }
        self.by_user.insert(row.user.clone(), row.status.is_live().then_some(row.token));
        match self.by_token.get(&row.token) {
            Some(at) => self.rows[*at] = row,
            None => {
                self.by_token.insert(row.token, self.rows.len());
                self.rows.push(row);
            }
        }
    }

    /// When a user whom a full queue refused should ask again: after the time in which the queue moves by a
    /// hundredth of its length, 1 to 60 s.
    fn retry_after(&self) -> i64 {
        self.state.speed().wait(self.head.policy.places_until_room(), 60 * SECOND).likely.max(SECOND)
    }

    fn finish(mut self, outcomes: Vec<CommandOutcome>) -> Decision {
        // That the queue has opened must be written, also when nobody is admitted by it.
        let is_changed = !self.rows.is_empty() || self.head.policy != self.state.head().policy;
        let changed = is_changed || self.opened.is_some();
        self.head.version += i64::from(changed);
        for row in &mut self.rows {
            row.version = self.head.version;
        }
        self.rows.sort_unstable_by_key(|row| (row.status.is_live(), row.ticket));
        let Self { rows, head, admitted, opened, .. } = self;
        Decision { rows, head, outcomes, admitted, opened, changed }
    }
}
