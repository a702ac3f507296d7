//! A queue's policy: how it admits tokens, and when a live token's time is over.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    SECOND,
    token::{Instants, TokenStatus},
};

/// How much later than its deadline a silent waiting token expires, in microseconds. The times that are
/// compared come from the clocks of several replicas, which may differ by a second, and it takes a moment to
/// write that a token was heard of.
const LATE: i64 = 2 * SECOND;
/// How much later than its deadline an admitted token that does not show up loses its place, in microseconds:
/// the time that another replica has to write that it heard of the token. It is short because the next in the
/// queue waits for it. No clocks are compared: see [`QueuePolicy::no_show`].
pub(super) const WORD: i64 = 400_000;

/// What becomes of an ACTIVE token whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnExpiry {
    /// The token goes back to the tail of its lane with a new ticket.
    Requeue,
    /// The token ends as EXPIRED.
    Expire,
}

impl OnExpiry {
    /// The number for it in a row.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Requeue => 1,
            Self::Expire => 2,
        }
    }

    /// The word with this [`OnExpiry::code`], if there is one.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        [Self::Requeue, Self::Expire].into_iter().find(|on_expiry| on_expiry.code() == code)
    }
}

/// In which order those who registered wait once the queue opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Opening {
    /// They wait in the order of their coming.
    #[default]
    Fifo,
    /// They wait in the order of a draw.
    Draw,
}

impl Opening {
    /// The number for it in a row.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Fifo => 1,
            Self::Draw => 2,
        }
    }

    /// The word with this [`Opening::code`], if there is one.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        [Self::Fifo, Self::Draw].into_iter().find(|opening| opening.code() == code)
    }
}

/// What the seller says to everybody in a queue, in at least one language. A copy shares the texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Texts", into = "Texts")]
pub struct Message(Arc<Texts>);

/// A message in each language; empty where nothing is said in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Texts {
    /// The text in Korean.
    pub ko: String,
    /// The text in English.
    pub en: String,
}

impl Message {
    /// The message with these texts; none where all are empty.
    #[must_use]
    pub fn of(texts: Texts) -> Option<Self> {
        (texts != Texts::default()).then(|| texts.into())
    }

    /// The message in each language.
    #[must_use]
    pub fn texts(&self) -> &Texts {
        &self.0
    }
}

impl From<Texts> for Message {
    fn from(texts: Texts) -> Self {
        Self(Arc::new(texts))
    }
}

impl From<Message> for Texts {
    fn from(message: Message) -> Self {
        Arc::unwrap_or_clone(message.0)
    }
}

/// Makes the policy, a change of it, and its defaults from one list of the knobs.
macro_rules! policy {
    (
        $($(#[doc = $is:literal])+ $knob:ident: $type:ty = $default:expr;)+
        since $($(#[doc = $new_is:literal])+ $new:ident: $new_type:ty = $new_default:expr;)+
    ) => {
        /// A queue's policy; spans are in microseconds.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct QueuePolicy {
            $($(#[doc = $is])+ pub $knob: $type,)+
            $($(#[doc = $new_is])+ #[serde(default)] pub $new: $new_type,)+
        }

        impl Default for QueuePolicy {
            /// The values that the contract promises for fields that are unset in a new queue.
            fn default() -> Self {
                Self { $($knob: $default,)+ $($new: $new_default,)+ }
            }
        }

        /// A change of a policy; a knob that is `None` keeps its value.
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
                    $($new: self.$new.clone().unwrap_or_else(|| to.$new.clone()),)+
                }
            }
        }
    };
}

// The order of the knobs must not change, because a request's fingerprint is made of it. Knobs that were
// added since the first release stand below `since`, so that answers and fingerprints that were recorded
// without them can still be read.
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
    /// While this is set, no token is admitted.
    paused: bool = false;
    since
    /// How long the user of a waiting token may be silent before the token expires; 0 = never.
    waiting_grace: i64 = 600 * SECOND;
    /// How long an admitted user may take to send a request before the token loses its place; 0 = never.
    show_up_within: i64 = 90 * SECOND;
    /// When the queue opens; `None`: it is open.
    opens_at: Option<i64> = None;
    /// In which order those who registered wait once it opens.
    opening: Opening = Opening::Fifo;
    /// What the seller says to everybody in the queue.
    message: Option<Message> = None;
    /// A draw that waits for its beacon is held without it.
    without_beacon: bool = false;
}

impl QueuePolicy {
    /// Whether a queue in which this many tokens wait takes no more.
    pub(super) const fn is_full(&self, waiting: i64) -> bool {
        waiting >= self.max_waiting
    }

    /// How many should have been admitted before a user whom a full queue refused asks again: a hundredth of
    /// those who may wait.
    pub(super) const fn places_until_room(&self) -> i64 {
        self.max_waiting / 100
    }

    /// After what silence a waiting token expires, in microseconds, if ever.
    fn silence(&self) -> Option<i64> {
        (self.waiting_grace > 0).then_some(self.waiting_grace)
    }

    /// For how long an admitted token is awaited, in microseconds, if not for its whole admission.
    fn awaited(&self) -> Option<i64> {
        (self.show_up_within > 0).then_some(self.show_up_within)
    }

    /// When a live token's time ends, by the queue's clock. `listening` is the time since which this replica
    /// can have heard of any user.
    pub(super) fn ends_at(&self, token: Instants, listening: i64) -> i64 {
        if token.status == TokenStatus::Active {
            token.active_until
        } else if let Some(silence) = self.silence() {
            // The row may be that much older than the last request that was heard. I-LINE-HEARD: a token
            // counts as silent only when it cannot have been heard of since.
            let silent = silence + self.remembered_to() + LATE;
            let heard_at = token.heard_at.max(listening).max(self.opened());
            self.valid_until(token).min(heard_at.saturating_add(silent))
        } else {
            self.valid_until(token)
        }
    }

    /// The time before which no silence counts, since nobody is asked for a word before the queue opens.
    fn opened(&self) -> i64 {
        self.opens_at.unwrap_or(i64::MIN)
    }

    /// Until when a token may wait. For one that joined before the opening this counts from the opening,
    /// wherever that was moved to since.
    pub(super) fn valid_until(&self, token: Instants) -> i64 {
        match self.opens_at {
            Some(opens_at) if token.entered_at < opens_at => {
                token.valid_until.max(opens_at.saturating_add(self.waiting_ttl))
            }
            Some(_) | None => token.valid_until,
        }
    }

    /// When an admitted token that was not heard of since its admission loses its place, by the clock of this
    /// replica alone. The time counts from when this replica learnt of the admission, which cannot be before
    /// the admission itself. So the user has had at least that much time, whatever the clock of the replica
    /// that admitted it says.
    pub(super) fn no_show(&self, token: Instants, learnt_at: i64, listening: i64) -> Option<i64> {
        let awaited = self.awaited().filter(|_| token.has_yet_to_show_up())?;
        Some(learnt_at.max(listening).saturating_add(awaited + WORD))
    }

    /// Whether the other policy has the same rules about silence.
    pub(super) fn listens_like(&self, other: &Self) -> bool {
        self.silence() == other.silence() && self.awaited() == other.awaited()
    }

    /// How old a waiting token's row may become before it is written again that the token was heard of.
    const fn remembered_to(&self) -> i64 {
        self.waiting_grace / 4
    }

    /// Whether the row must say that this token was heard of now.
    pub(super) fn is_news(&self, token: Instants, now: i64) -> bool {
        let shows_up = self.awaited().is_some() && token.has_yet_to_show_up();
        // This holds for ACTIVE tokens too, which may have to wait again.
        let heard_at = token.heard_at.max(self.opened());
        shows_up || (self.silence().is_some() && now.saturating_sub(heard_at) >= self.remembered_to())
    }

    /// How long a user may go without a request and still be heard of in time, in microseconds.
    #[must_use]
    pub fn patience(&self) -> i64 {
        let spans = [self.silence(), self.awaited()].into_iter().flatten();
        spans.map(|span| (span / 3).max(SECOND / 4)).min().unwrap_or(i64::MAX)
    }
}
