//! The committed state of one queue in memory.
//!
//! It changes only by [`QueueState::advance`], with new rows of the database that this replica or another one
//! has written. A token that has ended leaves it; the database keeps its row. Every answer costs O(log n) or
//! less in the length of the queue.
//!
//! One thing about a live token is not committed: that it was heard of since its row was written. Readers
//! note it ([`QueueState::hear`]), and the writer writes it.
//!
//! The memory of a waiting token, whose user has a name of up to 16 bytes: slot 96, spot 12, name 16, two
//! hash indexes 6 to 22, lane 8 to 16, deadline index about 30. `examples/measure.rs` measures it, and 300
//! bytes are allowed.

mod dealing;

use std::{
    collections::BTreeSet,
    hash::BuildHasher,
    sync::{Arc, atomic::Ordering},
};

use hashbrown::{DefaultHashBuilder, HashTable};
use uuid::Uuid;

pub use dealing::Dealing;

use super::{
    Draw, LANES, QueueRow, TokenRow, TokenStatus,
    lane::Lane,
    pace::Speed,
    slab::{Slab, Slot, Spot, Spots},
    token::Instants,
};

/// The time of a decision by two clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// The queue's time, which is the same for all replicas and never before that of the last decision.
    pub(super) queue: i64,
    /// The time by the clock of the replica that decides, for spans that it has measured itself.
    pub(super) here: i64,
}

/// One queue: its row, and every live token by id, by user, by place and by deadline.
#[derive(Debug)]
pub struct QueueState {
    head: QueueRow,
    slab: Slab,
    spots: Spots,
    hash: DefaultHashBuilder,
    by_token: HashTable<u32>,
    by_user: HashTable<u32>,
    lanes: [Lane; LANES],
    deadlines: BTreeSet<(i64, u32)>,
    active: i64,
    /// The draw by which the queue opened.
    draw: Option<Arc<Draw>>,
    /// The speed of the queue as of `head`.
    speed: Speed,
    /// The time since which this replica can have heard of any user.
    listening: i64,
}

impl QueueState {
    /// A state without tokens.
    #[must_use]
    pub fn new(head: QueueRow) -> Self {
        Self {
            speed: head.speed(0),
            head,
            slab: Slab::default(),
            spots: Spots::default(),
            hash: DefaultHashBuilder::default(),
            by_token: HashTable::new(),
            by_user: HashTable::new(),
            lanes: Default::default(),
            deadlines: BTreeSet::new(),
            active: 0,
            draw: None,
            listening: i64::MIN,
        }
    }

    /// The queue's row as of [`QueueState::version`].
    #[must_use]
    pub const fn head(&self) -> &QueueRow {
        &self.head
    }

    /// The number of the commit that this state has reached.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.head.version
    }

    /// How many tokens wait, or are registered while the queue is closed.
    #[must_use]
    pub fn waiting(&self) -> i64 {
        self.lanes.iter().map(|lane| i64::from(lane.live())).sum()
    }

    /// How many tokens are admitted. They are counted as the tokens change, and never stored apart from them.
    #[must_use]
    pub const fn active(&self) -> i64 {
        self.active
    }

    /// The draw by which the queue opened, if it did so.
    #[must_use]
    pub const fn draw(&self) -> Option<&Arc<Draw>> {
        self.draw.as_ref()
    }

    pub(super) const fn speed(&self) -> &Speed {
        &self.speed
    }

    /// The time since which this replica can have heard of any user.
    #[must_use]
    pub const fn listening(&self) -> i64 {
        self.listening
    }

    /// Moves on the time since which this replica can have heard of any user. No token expires for a silence
    /// before it.
    pub fn listen_from(&mut self, at: i64) {
        if at > self.listening {
            self.listening = at;
            self.index_deadlines();
        }
    }

    /// Listens since the same time as the state that this one replaces, or from now on when the rules about
    /// silence differ.
    pub fn listen_for(&mut self, before: &Self, now: i64) {
        let same_rules = self.head.policy.listens_like(&before.head.policy);
        self.listen_from(if same_rules { before.listening } else { before.listening.max(now) });
    }

    /// The row of a live token.
    #[must_use]
    pub fn token(&self, token: &Uuid) -> Option<TokenRow> {
        self.find(token).map(|at| self.slab.get(at).row(self.ticket(at)))
    }

    /// The status of a live token; `None` for one that has ended.
    #[must_use]
    pub fn status(&self, token: &Uuid) -> Option<TokenStatus> {
        self.find(token).map(|at| self.slab.get(at).status)
    }

    /// A user's live token.
    #[must_use]
    pub fn token_of(&self, user: &str) -> Option<Uuid> {
        let same = |at: &u32| *self.slab.get(*at).user == *user;
        self.by_user.find(self.hash.hash_one(user), same).map(|at| self.slab.get(*at).token)
    }

    /// A waiting token's place in the whole queue, where 1 is next; lower lanes are served first.
    #[must_use]
    pub fn position(&self, token: &Uuid) -> Option<i64> {
        self.find(token).and_then(|at| self.place(at))
    }

    /// Notes that a token was heard of; true when the caller must hand it to the writer.
    #[must_use]
    pub fn hear(&self, token: &Uuid, now: i64) -> bool {
        self.find(token).is_some_and(|at| self.hear_slot(self.slab.get(at), now))
    }

    pub(super) fn hear_slot(&self, slot: &Slot, now: i64) -> bool {
        self.head.policy.is_news(slot.instants(), now) && slot.report()
    }

    /// Marks these tokens as on their way to the writer.
    pub fn report<'a>(&self, tokens: impl IntoIterator<Item = &'a Uuid>) {
        for at in tokens.into_iter().filter_map(|token| self.find(token)) {
            self.slab.get(at).report();
        }
    }

    /// Notes that the writer is done with these tokens, whether or not their rows had to change.
    pub fn reported(&self, tokens: &[Uuid]) {
        for at in tokens.iter().filter_map(|token| self.find(token)) {
            self.slab.get(at).reported.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn slot(&self, token: &Uuid) -> Option<(u32, &Slot)> {
        self.find(token).map(|at| (at, self.slab.get(at)))
    }

    /// The lanes in which tokens wait: the priority, how many wait, and the tickets of the first and the
    /// last.
    pub(super) fn lanes(&self) -> impl Iterator<Item = (u8, i64, i64, i64)> {
        self.lanes.iter().zip(0_u8..).filter_map(|(lane, number)| {
            let ticket = |slot| self.ticket(slot);
            let (_, first) = lane.next(lane.front())?;
            Some((number, i64::from(lane.live()), ticket(first), ticket(lane.last()?)))
        })
    }

    pub(super) fn place(&self, at: u32) -> Option<i64> {
        let slot = self.slab.get(at);
        (slot.status == TokenStatus::Waiting).then(|| {
            let before: i64 = self.lanes[..slot.lane()].iter().map(|lane| i64::from(lane.live())).sum();
            before + i64::from(self.lanes[slot.lane()].rank(self.spots.get(at).place))
        })
    }

    pub(super) fn ticket(&self, at: u32) -> i64 {
        self.spots.get(at).ticket()
    }

    /// Takes over a later committed state: its queue row, and every token's row that changed since
    /// [`QueueState::version`]. One that is not later changes nothing, so the follower and the writer may
    /// bring the same rows in any order. `now` is by this replica's clock.
    pub fn advance(&mut self, head: QueueRow, mut rows: Vec<TokenRow>, now: i64) -> bool {
        if head.version <= self.head.version {
            return false;
        }
        // Tokens that end go first: a user who left and joined again must be found under the new token. The
        // others follow in ticket order, because a lane is appended to.
        rows.sort_unstable_by_key(|row| (row.status.is_live(), row.ticket));
        self.apply_all(rows, now);
        let new_rules = !self.head.policy.listens_like(&head.policy);
        let moved = self.head.policy.opens_at != head.policy.opens_at;
        self.head = head;
        self.speed = self.head.speed(self.active);
        if new_rules {
            // Rows were written only as often as the old rules demanded.
            self.listening = self.listening.max(now);
        }
        if new_rules || moved {
            self.index_deadlines();
        }
        true
    }

    /// Adds live rows while a state is loaded, before it has readers.
    pub fn load(&mut self, rows: Vec<TokenRow>, now: i64) {
        self.apply_all(rows, now);
        self.speed = self.head.speed(self.active);
    }

    fn apply_all(&mut self, rows: Vec<TokenRow>, now: i64) {
        let mut between = Vec::new();
        for row in rows {
            let row = TokenRow { ticket: self.ticket_of(&row), ..row };
            let late = match self.find(&row.token) {
                Some(at) if row.status.is_live() => self.change(at, row, now),
                Some(at) => {
                    self.remove(at);
                    None
                }
                None if row.status.is_live() => self.insert(row, now),
                None => None,
            };
            between.extend(late);
        }
        self.stand_between(&between);
    }

    fn find(&self, token: &Uuid) -> Option<u32> {
        self.by_token.find(self.hash.hash_one(token), |at| self.slab.get(*at).token == *token).copied()
    }

    fn insert(&mut self, row: TokenRow, now: i64) -> Option<u32> {
        let ticket = row.ticket;
        let at = self.slab.insert(Slot::new(row, now));
        self.spots.set(at, Spot::new(ticket, 0));
        let Self { slab, hash, by_token, by_user, .. } = self;
        let slot = slab.get(at);
        by_token.insert_unique(hash.hash_one(slot.token), at, |at| hash.hash_one(slab.get(*at).token));
        by_user.insert_unique(hash.hash_one(&*slot.user), at, |at| hash.hash_one(&*slab.get(*at).user));
        self.link(at)
    }

    fn change(&mut self, at: u32, row: TokenRow, now: i64) -> Option<u32> {
        let (slot, before, ticket) = (self.slab.get(at), self.ticket(at), row.ticket);
        let keeps_place = slot.status == TokenStatus::Waiting
            && row.status == TokenStatus::Waiting
            && before == ticket
            && slot.priority == row.priority;
        let changed = slot.changed(before, row, now);
        if keeps_place {
            let deadline = self.deadline(slot);
            self.deadlines.remove(&(deadline, at));
            *self.slab.get_mut(at) = changed;
            self.deadlines.insert((self.deadline(self.slab.get(at)), at));
            None
        } else {
            self.unlink(at);
            *self.slab.get_mut(at) = changed;
            self.spots.set(at, Spot::new(ticket, 0));
            self.link(at)
        }
    }

    fn remove(&mut self, at: u32) {
        self.unlink(at);
        let slot = self.slab.get(at);
        let (token, user) = (self.hash.hash_one(slot.token), self.hash.hash_one(&*slot.user));
        for (table, hash) in [(&mut self.by_token, token), (&mut self.by_user, user)] {
            if let Ok(entry) = table.find_entry(hash, |other| *other == at) {
                entry.remove();
            }
        }
        if self.slab.remove(at) {
            self.spots = Spots::default();
        }
    }

    /// Enters a slot into its lane or the count of admitted tokens, and into the deadlines. Answers the slot
    /// if it stands before others that are in its lane already, and is still to be entered there.
    fn link(&mut self, at: u32) -> Option<u32> {
        let slot = self.slab.get(at);
        self.deadlines.insert((self.deadline(slot), at));
        if slot.status == TokenStatus::Active {
            self.active += 1;
            return None;
        }
        let (lane, ticket) = (slot.lane(), self.ticket(at));
        if ticket <= self.lanes[lane].last_ticket() {
            return Some(at);
        }
        let place = self.lanes[lane].push(at, ticket);
        self.spots.set(at, Spot::new(ticket, place));
        None
    }

    /// Enters these slots into their lanes, among those that are there. Tickets rise in commit order, so they
    /// are of people who took part in a draw and of whom this replica hears together with it.
    fn stand_between(&mut self, slots: &[u32]) {
        for lane in 0..LANES {
            let of_lane = |at: &&u32| self.slab.get(**at).lane() == lane;
            let between: Vec<u32> = slots.iter().filter(of_lane).copied().collect();
            if !between.is_empty() {
                let mut all = self.lanes[lane].take();
                all.extend(between);
                // This sort goes once through what is in order already.
                all.sort_by_key(|at| self.ticket(*at));
                self.refill(lane, all);
            }
        }
    }

    fn unlink(&mut self, at: u32) {
        let slot = self.slab.get(at);
        self.deadlines.remove(&(self.deadline(slot), at));
        if slot.status == TokenStatus::Active {
            self.active -= 1;
            return;
        }
        let (lane, place) = (slot.lane(), self.spots.get(at).place);
        self.lanes[lane].remove(place);
        if self.lanes[lane].wants_packing() {
            let slots = self.lanes[lane].take();
            self.refill(lane, slots);
        }
    }

    fn refill(&mut self, lane: usize, slots: Vec<u32>) {
        for at in slots {
            let ticket = self.ticket(at);
            let place = self.lanes[lane].push(at, ticket);
            self.spots.set(at, Spot::new(ticket, place));
        }
    }

    /// When a slot's time may be over: the earlier of its ends, by whichever clock.
    fn deadline(&self, slot: &Slot) -> i64 {
        let ends_at = self.head.policy.ends_at(slot.instants(), self.listening);
        self.head
            .policy
            .no_show(slot.instants(), slot.learnt_at(), self.listening)
            .map_or(ends_at, |by| by.min(ends_at))
    }

    /// Computes all deadlines anew, since what they depend on has changed.
    fn index_deadlines(&mut self) {
        self.deadlines = self.by_token.iter().map(|at| (self.deadline(self.slab.get(*at)), *at)).collect();
    }

    /// When this state next changes by the clock alone: the queue opens, a deadline passes, or the cap lets a
    /// token in. A time in the past means now.
    #[must_use]
    pub fn next_deadline(&self) -> Option<i64> {
        let first = self.deadlines.first().map(|(at, _)| *at);
        let policy = &self.head.policy;
        if self.head.is_closed() {
            // Once it is fixed who takes part, the clock alone does not open it.
            let opens_at = policy.opens_at.filter(|_| self.head.taking_part().is_none());
            return first.into_iter().chain(opens_at).min();
        }
        let could_admit = !policy.paused && self.active < policy.max_active && self.waiting() > 0;
        let opens = could_admit.then(|| self.head.opens_at());
        first.into_iter().chain(opens).min()
    }

    /// The live tokens whose time is over, earliest first, at most `limit`.
    pub(super) fn due(&self, now: Now, limit: usize) -> Vec<Uuid> {
        // The queue's time is never behind this replica's clock.
        let passed = self.deadlines.range(..=(now.queue, u32::MAX)).map(|(_, at)| *at);
        let is_over = |slot: &Slot| {
            self.is_over(slot.instants(), slot.learnt_at(), slot.reported.load(Ordering::Relaxed), now)
        };
        let mut due: Vec<u32> = passed.filter(|at| is_over(self.slab.get(*at))).take(limit).collect();
        // The order of slots differs from replica to replica and is not used.
        due.sort_unstable_by_key(|at| (self.deadline(self.slab.get(*at)), self.ticket(*at)));
        due.into_iter().map(|at| self.slab.get(at).token).collect()
    }

    /// Whether a live token's time is over. One that was heard of and is on its way to the writer is not
    /// silent.
    fn is_over(&self, token: Instants, learnt_at: i64, reported: bool, now: Now) -> bool {
        let token = if reported { Instants { heard_at: now.queue, ..token } } else { token };
        let policy = &self.head.policy;
        policy.ends_at(token, self.listening) <= now.queue
            || policy.no_show(token, learnt_at, self.listening).is_some_and(|by| by <= now.here)
    }

    /// Whether the time of a row of a draft is over.
    pub(super) fn is_due(&self, row: &TokenRow, now: Now) -> bool {
        let slot = self.slot(&row.token);
        let reported = slot.is_some_and(|(_, slot)| slot.reported.load(Ordering::Relaxed));
        // An admission that no slot has was decided in the draft itself.
        let known = slot.filter(|(at, slot)| slot.knows_admission(self.ticket(*at), row));
        let learnt_at = known.map_or(now.here, |(_, slot)| slot.learnt_at());
        self.is_over(row.instants(), learnt_at, reported, now)
    }

    /// The first waiting token of a lane at or after the index `from`; `None` begins at the front.
    pub(super) fn next_in_lane(&self, lane: usize, from: Option<usize>) -> Option<(usize, Uuid, i64)> {
        let lane = &self.lanes[lane];
        let (at, slot) = lane.next(from.unwrap_or(lane.front()))?;
        Some((at, self.slab.get(slot).token, self.ticket(slot)))
    }

    /// The bytes that the live tokens and their indexes take, by what is allocated. A name's allocation
    /// counts as its length rounded up to 16.
    #[must_use]
    pub fn memory(&self) -> usize {
        let names =
            self.by_token.iter().map(|at| self.slab.get(*at).user.len().next_multiple_of(16)).sum::<usize>();
        let lanes = self.lanes.iter().map(Lane::memory).sum::<usize>();
        // A B-tree leaf has room for 11 keys and, filled in rising order, holds 6: with inner nodes 16 bytes
        // a key become about 32.
        let deadlines = self.deadlines.len() * 32;
        self.slab.memory()
            + self.spots.memory()
            + names
            + self.by_token.allocation_size()
            + self.by_user.allocation_size()
            + lanes
            + deadlines
            + self.draw.as_ref().map_or(0, |draw| draw.memory())
    }
}
