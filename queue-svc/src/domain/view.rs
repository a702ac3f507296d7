//! What a user is told about a token and a queue, and when to ask again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Delay, Message, OnExpiry, QueuePolicy, QueueState, SECOND, TokenRow, TokenStatus, estimate::Estimate,
    slab::Slot,
};

/// Up to each of these places, after how many seconds a user polls; further back it is `FAR`.
const NEAR: [(i64, i64); 3] = [(10, 1), (100, 2), (5_000, 5)];
const FAR: i64 = 12;
/// How soon at most a registered user polls again, so that an opening that was moved is heard of.
const REGISTERED: i64 = 600 * SECOND;
/// How many registered users are asked to poll in one second after the opening.
const AT_THE_OPENING: i64 = 10_000;

/// A token as its user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of boxoffice.queue.v1.Token; spans and instants in microseconds")]
pub struct TokenView {
    pub token: Uuid,
    pub queue_id: Arc<str>,
    pub user: Box<str>,
    pub status: TokenStatus,
    pub priority: u8,
    pub ticket: i64,
    pub position: i64,
    pub waiting_behind: i64,
    pub estimated_wait: i64,
    pub estimated_wait_low: i64,
    pub estimated_wait_high: i64,
    pub delay: Option<Delay>,
    pub entered_at: i64,
    pub active_until: Option<i64>,
    pub valid_until: i64,
    pub poll_after: i64,
    pub requeues: u32,
    pub version: i64,
    pub opens_at: Option<i64>,
    pub message: Option<Message>,
}

/// A lane in which tokens wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of boxoffice.queue.v1.Lane")]
pub struct LaneView {
    pub priority: u8,
    pub waiting: i64,
    pub next_ticket: i64,
    pub last_ticket: i64,
}

/// A queue as every caller sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of boxoffice.queue.v1.Queue")]
pub struct QueueView {
    pub queue_id: String,
    pub serving_ticket: i64,
    pub waiting: i64,
    #[serde(default)]
    pub registered: i64,
    pub active: i64,
    pub policy: QueuePolicy,
    pub created_at: i64,
    /// These three fields are of the present and are not recorded with an answer.
    #[serde(skip)]
    pub lanes: Vec<LaneView>,
    #[serde(skip)]
    pub places_per_minute: f64,
    #[serde(skip)]
    pub delay: Option<Delay>,
}

impl QueueView {
    /// A recorded answer with the fields that are of the present as they are now.
    #[must_use]
    pub fn at_present(self, now: Self) -> Self {
        Self { lanes: now.lanes, places_per_minute: now.places_per_minute, delay: now.delay, ..self }
    }
}

impl QueueState {
    /// A live token as it is seen at `now`. Everything but the `poll_after` of an admitted token follows from
    /// committed state alone.
    #[must_use]
    pub fn view(&self, queue_id: &Arc<str>, token: &Uuid, now: i64) -> Option<TokenView> {
        let (at, slot) = self.slot(token)?;
        Some(self.view_of(queue_id, at, slot, now))
    }

    /// A live token for its user, who is thereby heard of; also whether the writer must write that.
    #[must_use]
    pub fn ask(&self, queue_id: &Arc<str>, token: &Uuid, now: i64) -> Option<(TokenView, bool)> {
        let (at, slot) = self.slot(token)?;
        Some((self.view_of(queue_id, at, slot, now), self.hear_slot(slot, now)))
    }

    fn view_of(&self, queue_id: &Arc<str>, at: u32, slot: &Slot, now: i64) -> TokenView {
        let policy = &self.head().policy;
        let has_place = slot.status == TokenStatus::Waiting;
        let opens_at = policy.opens_at.filter(|_| has_place && self.head().is_closed());
        let waits = has_place && opens_at.is_none();
        let position = if waits { self.place(at).unwrap_or(0) } else { 0 };
        let estimate = if waits {
            self.speed().wait(position, slot.valid_until - slot.entered_at)
        } else {
            Estimate { low: 0, likely: 0, high: 0 }
        };
        TokenView {
            token: slot.token,
            queue_id: Arc::clone(queue_id),
            user: slot.user.clone(),
            status: if opens_at.is_some() { TokenStatus::Registered } else { slot.status },
            priority: slot.priority,
            ticket: self.ticket(at),
            position,
            waiting_behind: if waits { self.waiting() - position } else { 0 },
            estimated_wait: estimate.likely,
            estimated_wait_low: estimate.low,
            estimated_wait_high: estimate.high,
            delay: self.speed().delay.filter(|_| waits),
            entered_at: slot.entered_at,
            active_until: (!has_place).then_some(slot.active_until),
            valid_until: if has_place {
                policy.valid_until(slot.instants())
            } else {
                self.end_of_admission(slot)
            },
            poll_after: if let Some(opens_at) = opens_at {
                // Silence counts from the instant on, whatever the draw waits for.
                let heard_by = opens_at.saturating_add(policy.patience());
                let left = self.head().opens_by().map_or(opens_at, |by| by.min(heard_by)) - now;
                poll_registered(&slot.token, left, self.waiting(), policy.patience())
            } else if waits {
                poll_waiting(&slot.token, position).min(policy.patience())
            } else {
                poll_active(&slot.token, slot.active_until - now)
            },
            requeues: slot.requeues,
            version: slot.version,
            opens_at,
            message: policy.message.clone(),
        }
    }

    /// When an admitted token ends if nothing else happens. A token that would be sent back ends no sooner
    /// than its waiting time.
    fn end_of_admission(&self, slot: &Slot) -> i64 {
        match self.head().policy.on_expiry {
            OnExpiry::Expire => slot.active_until,
            OnExpiry::Requeue => slot.active_until.max(slot.valid_until),
        }
    }

    /// The queue as every caller sees it.
    #[must_use]
    pub fn queue_view(&self, queue_id: &str) -> QueueView {
        let (waiting, registered) = self.head().told_apart(self.waiting());
        QueueView {
            queue_id: queue_id.to_owned(),
            serving_ticket: self.head().serving_ticket,
            waiting,
            registered,
            active: self.active(),
            policy: self.head().policy.clone(),
            created_at: self.head().created_at,
            lanes: self
                .lanes()
                .filter(|_| registered == 0)
                .map(|(priority, waiting, next_ticket, last_ticket)| LaneView {
                    priority,
                    waiting,
                    next_ticket,
                    last_ticket,
                })
                .collect(),
            places_per_minute: self.speed().places_per_minute(self.waiting()),
            delay: self.speed().delay.filter(|_| waiting > 0),
        }
    }
}

impl TokenView {
    /// A token that no state has, as its row says; it has ended.
    #[must_use]
    pub fn of_row(row: TokenRow, queue_id: Arc<str>) -> Self {
        Self {
            token: row.token,
            queue_id,
            user: row.user,
            status: row.status,
            priority: row.priority,
            ticket: row.ticket,
            position: 0,
            waiting_behind: 0,
            estimated_wait: 0,
            estimated_wait_low: 0,
            estimated_wait_high: 0,
            delay: None,
            entered_at: row.entered_at,
            active_until: row.active_until,
            valid_until: row.valid_until,
            poll_after: if row.status.is_live() { SECOND } else { 0 },
            requeues: row.requeues,
            version: row.version,
            opens_at: None,
            message: None,
        }
    }
}

/// After how long a waiting user should ask again: 1 s near the front, then 2 s, 5 s and far back 12 s, and
/// up to a fifth less. How much less follows from the token's own bits, so that users who came together do
/// not poll together. 110,000 waiting users poll about 10,900 times a second.
fn poll_waiting(token: &Uuid, position: i64) -> i64 {
    let seconds = NEAR.iter().find(|(within, _)| position <= *within).map_or(FAR, |(_, seconds)| *seconds);
    jittered(token, seconds * SECOND)
}

/// After how long an admitted user should ask again: about 5 s, and not past the end of the admission.
fn poll_active(token: &Uuid, left: i64) -> i64 {
    jittered(token, 5 * SECOND).min(left).max(SECOND / 10)
}

/// After how long a registered user should ask again, where the queue opens after `left`: just after the
/// opening, each a little later by the token's own bits, so that a crowd comes as a stream; long before the
/// opening after about ten minutes. The stream takes no longer than an admitted user may be silent
/// (`patience`), because the first of them are admitted at once. While a draw waits for a beacon that is late
/// they ask again and again, in the same stream.
fn poll_registered(token: &Uuid, left: i64, registered: i64, patience: i64) -> i64 {
    let stream = (registered / AT_THE_OPENING + 1).saturating_mul(SECOND).min(patience);
    if left < 0 {
        return jittered(token, stream.max(2 * SECOND)).min(patience);
    }
    let after_opening = left.saturating_add(stream - jitter(token, stream));
    if after_opening > REGISTERED { REGISTERED - jitter(token, REGISTERED / 5) } else { after_opening }
}

fn jittered(token: &Uuid, base: i64) -> i64 {
    base - jitter(token, base / 5)
}

/// A part of a span, from nothing to all of it, by a token's own bits.
fn jitter(token: &Uuid, span: i64) -> i64 {
    let bytes = token.as_bytes();
    span.saturating_mul(i64::from(u16::from_be_bytes([bytes[14], bytes[15]]))) / i64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_and_ten_thousand_waiters_ask_eleven_thousand_times_a_second_at_most() {
        let asks: f64 = (1..=110_000_i64)
            .map(|position| {
                let bits =
                    u128::try_from(position).expect("positive").wrapping_mul(0x9e37_79b9_7f4a_7c15) & 0xffff;
                #[expect(clippy::cast_precision_loss, reason = "a sum for a test")]
                let after = poll_waiting(&Uuid::from_u128(bits), position) as f64 / 1e6;
                1.0 / after
            })
            .sum();
        assert!((9_000.0..11_000.0).contains(&asks), "{asks}");
    }

    #[test]
    fn those_near_the_front_ask_about_once_a_second() {
        for bits in [0, 0xffff] {
            assert!((SECOND * 8 / 10..=SECOND).contains(&poll_waiting(&Uuid::from_u128(bits), 10)));
        }
    }

    #[test]
    fn the_registered_ask_after_the_opening_spread_over_seconds() {
        const CROWD: i64 = 200_000;
        let mut in_second = [0; 22];
        for number in 0..CROWD {
            let bits = u128::try_from(number).expect("positive").wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let after = poll_registered(&Uuid::from_u128(bits & 0xffff), 60 * SECOND, CROWD, 30 * SECOND);
            in_second[usize::try_from(after / SECOND - 60).expect("after the opening")] += 1;
        }
        assert!(in_second.iter().all(|asks| *asks < 12_000), "{in_second:?}");
        for bits in [0, 0xffff] {
            let far = poll_registered(&Uuid::from_u128(bits), 86_400 * SECOND, CROWD, 30 * SECOND);
            assert!((480 * SECOND..=600 * SECOND).contains(&far), "{far}");
        }
    }

    #[test]
    fn an_admitted_one_asks_before_the_admission_ends() {
        assert_eq!(poll_active(&Uuid::nil(), 2 * SECOND), 2 * SECOND);
        assert_eq!(poll_active(&Uuid::nil(), 200 * SECOND), 5 * SECOND);
    }
}
