//! How a queue admits.

use serde::{Deserialize, Serialize};

use super::{
    SECOND,
    token::{Instants, TokenStatus},
};

/// How much longer than it must a decision about a silent waiter waits: the instants that it compares come
/// from clocks of several replicas, which may differ by a second, and word of a hearing takes a moment to be
/// written down.
const LATE: i64 = 2 * SECOND;
/// The same about somebody who was admitted and does not show up. The next in line waits for it, so it is
/// short: the time that another replica has to write down whom it heard. No clocks are compared, see
/// [`QueuePolicy::no_show`].
pub(super) const WORD: i64 = 400_000;

/// What becomes of an ACTIVE token whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnExpiry {
    /// Back to the tail of its lane with a new ticket.
    Requeue,
    /// It ends as EXPIRED.
    Expire,
}

impl OnExpiry {
    /// The number that stands for it in a row.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Requeue => 1,
            Self::Expire => 2,
        }
    }

    /// Reads [`OnExpiry::code`] back.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        [Self::Requeue, Self::Expire].into_iter().find(|on_expiry| on_expiry.code() == code)
    }
}

/// Makes the policy, what may be asked to change of it, and its defaults from one list of its knobs.
macro_rules! policy {
    (
        $($(#[doc = $is:literal])+ $knob:ident: $type:ty = $default:expr;)+
        since $($(#[doc = $new_is:literal])+ $new:ident: $new_type:ty = $new_default:expr;)+
    ) => {
        /// A queue's policy. Spans are microseconds.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct QueuePolicy {
            $($(#[doc = $is])+ pub $knob: $type,)+
            $($(#[doc = $new_is])+ #[serde(default)] pub $new: $new_type,)+
        }

        impl Default for QueuePolicy {
            /// What the contract promises for a field left out in a new queue.
            fn default() -> Self {
                Self { $($knob: $default,)+ $($new: $new_default,)+ }
            }
        }

        /// A change of policy: what is `None` keeps its value.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct PolicyPatch {
            $($(#[doc = $is])+ pub $knob: Option<$type>,)+
            $(
                $(#[doc = $new_is])+
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $new: Option<$new_type>,
            )+
        }

        impl PolicyPatch {
            /// The policy with these changes.
            #[must_use]
            pub fn apply(&self, to: &QueuePolicy) -> QueuePolicy {
                QueuePolicy {
                    $($knob: self.$knob.unwrap_or(to.$knob),)+
                    $($new: self.$new.unwrap_or(to.$new),)+
                }
            }
        }
    };
}

// Knobs stay in this order: a request's fingerprint is made of it. Those since the first release stand below
// `since`, where answers and fingerprints that were recorded without them are still read.
policy! {
    /// How many tokens may be ACTIVE at once.
    max_active: i64 = 6_000;
    /// How many tokens may wait; beyond it joining is refused.
    max_waiting: i64 = 100_000;
    /// How long an admission lasts.
    active_ttl: i64 = 300 * SECOND;
    /// How long after it was issued a token may still wait.
    waiting_ttl: i64 = 24 * 3_600 * SECOND;
    /// How many tokens are admitted in any 60 seconds at most.
    admit_per_minute: i64 = 6_000;
    /// What becomes of an admission that was not used.
    on_expiry: OnExpiry = OnExpiry::Requeue;
    /// Nobody is admitted while this is set.
    paused: bool = false;
    since
    /// A waiting token whose user sent no request for this long expires; 0 = never.
    waiting_grace: i64 = 600 * SECOND;
    /// An admitted token whose user sent no request for this long after its admission loses its place; 0 =
    /// never.
    show_up_within: i64 = 90 * SECOND;
}

impl QueuePolicy {
    /// Whether a queue in which so many wait takes no other one.
    pub(super) const fn is_full(&self, waiting: i64) -> bool {
        waiting >= self.max_waiting
    }

    /// How many should have been admitted before somebody who found the queue full comes again: a hundredth
    /// of those who may wait.
    pub(super) const fn places_until_room(&self) -> i64 {
        self.max_waiting / 100
    }

    /// After what silence a waiting token expires, if ever.
    fn silence(&self) -> Option<i64> {
        (self.waiting_grace > 0).then_some(self.waiting_grace)
    }

    /// For how long an admitted token is awaited, if not for its whole admission.
    fn awaited(&self) -> Option<i64> {
        (self.show_up_within > 0).then_some(self.show_up_within)
    }

    /// When a live token's time ends, by the queue's time. `listening` is since when anybody could have been
    /// heard at all.
    pub(super) fn ends_at(&self, token: Instants, listening: i64) -> i64 {
        if token.status == TokenStatus::Active {
            token.active_until
        } else if let Some(silence) = self.silence() {
            // What is remembered may be that much older than what was heard.
            // I-LINE-HEARD: it counts as silent only when it cannot have been heard of since.
            let silent = silence + self.remembered_to() + LATE;
            token.valid_until.min(token.heard_at.max(listening).saturating_add(silent))
        } else {
            token.valid_until
        }
    }

    /// When an admitted token that was not heard of since loses its place, by the clock of this replica
    /// alone. It counts from the moment at which this replica learnt of the admission, which is not before
    /// the admission itself: so much time has passed then in truth, whatever the clock of the replica that
    /// admitted says.
    pub(super) fn no_show(&self, token: Instants, learnt_at: i64, listening: i64) -> Option<i64> {
        let awaited = self.awaited().filter(|_| token.has_yet_to_show_up())?;
        Some(learnt_at.max(listening).saturating_add(awaited + WORD))
    }

    /// Has it the same rules about who is heard of?
    pub(super) fn listens_like(&self, other: &Self) -> bool {
        self.silence() == other.silence() && self.awaited() == other.awaited()
    }

    /// To what precision it is remembered when a waiting token was heard of: a row is written no oftener than
    /// that.
    const fn remembered_to(&self) -> i64 {
        self.waiting_grace / 4
    }

    /// Must it be written down that this token was heard of now?
    pub(super) fn is_news(&self, token: Instants, now: i64) -> bool {
        let shows_up = self.awaited().is_some() && token.has_yet_to_show_up();
        // Also while ACTIVE: it may have to wait again.
        shows_up || (self.silence().is_some() && now - token.heard_at >= self.remembered_to())
    }

    /// How long a waiting token may be left unasked and still be heard of in time.
    #[must_use]
    pub fn patience(&self) -> i64 {
        let spans = [self.silence(), self.awaited()].into_iter().flatten();
        spans.map(|span| (span / 3).max(SECOND / 4)).min().unwrap_or(i64::MAX)
    }
}
