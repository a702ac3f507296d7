//! One token as it stands in SQL.

use uuid::Uuid;

/// How many lanes a queue has: priorities 0 (first) to 9 (last).
pub const LANES: usize = 10;

/// What the ids of a queue's tokens have in common, so that a token is looked for in its own queue first. It
/// tells nothing but that two tokens may be of one queue; 106 random bits are left.
#[must_use]
pub fn queue_tag(queue_id: &str) -> u16 {
    let hash = queue_id
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [a, b, c, d] = hash.to_be_bytes();
    u16::from_be_bytes([a ^ c, b ^ d])
}

/// A random id with a queue's tag.
#[must_use]
pub const fn tagged(random: Uuid, tag: u16) -> Uuid {
    let mut bytes = random.into_bytes();
    [bytes[10], bytes[11]] = tag.to_be_bytes();
    Uuid::from_bytes(bytes)
}

/// An id's tag; of an id made elsewhere it means nothing.
#[must_use]
pub const fn tag_of(token: &Uuid) -> u16 {
    let bytes = token.as_bytes();
    u16::from_be_bytes([bytes[10], bytes[11]])
}

/// Where a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStatus {
    /// In line.
    Waiting,
    /// Admitted.
    Active,
    /// Used up by a payment.
    Completed,
    /// Ran out of time.
    Expired,
    /// Given up by its user.
    Left,
}

impl TokenStatus {
    /// The number that stands for it in a row: the wire's.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Waiting => 1,
            Self::Active => 2,
            Self::Completed => 3,
            Self::Expired => 4,
            Self::Left => 5,
        }
    }

    /// Reads [`TokenStatus::code`] back.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        let all = [Self::Waiting, Self::Active, Self::Completed, Self::Expired, Self::Left];
        all.into_iter().find(|status| status.code() == code)
    }

    /// The contract's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Active => "ACTIVE",
            Self::Completed => "COMPLETED",
            Self::Expired => "EXPIRED",
            Self::Left => "LEFT",
        }
    }

    /// WAITING or ACTIVE; the others are final.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Waiting | Self::Active)
    }
}

/// The instants of a live token that decide when time alone changes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instants {
    pub(super) status: TokenStatus,
    pub(super) valid_until: i64,
    /// While ACTIVE.
    pub(super) active_until: i64,
    /// While ACTIVE.
    pub(super) admitted_at: i64,
    pub(super) heard_at: i64,
}

impl Instants {
    /// Whether it was admitted and has not been heard of since.
    pub(super) const fn has_yet_to_show_up(self) -> bool {
        matches!(self.status, TokenStatus::Active) && self.heard_at < self.admitted_at
    }
}

/// A token's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// The token.
    pub token: Uuid,
    /// Whose it is.
    pub user: Box<str>,
    /// Where it stands.
    pub status: TokenStatus,
    /// Its lane.
    pub priority: u8,
    /// Its number in line.
    pub ticket: i64,
    /// When it joined.
    pub entered_at: i64,
    /// When the admission ends; exactly while ACTIVE.
    pub active_until: Option<i64>,
    /// Until when it may wait.
    pub valid_until: i64,
    /// When it was last admitted.
    pub admitted_at: Option<i64>,
    /// When it was last heard of, as far as that is written down.
    pub heard_at: i64,
    /// How often it was sent back to the tail.
    pub requeues: u32,
    /// The queue's version that last changed it.
    pub version: i64,
}

impl TokenRow {
    /// What decides when time alone changes it.
    pub(super) fn instants(&self) -> Instants {
        Instants {
            status: self.status,
            valid_until: self.valid_until,
            active_until: self.active_until.unwrap_or(0),
            admitted_at: self.admitted_at.unwrap_or(0),
            heard_at: self.heard_at,
        }
    }

    /// The lane as an index.
    #[must_use]
    pub fn lane(&self) -> usize {
        usize::from(self.priority).min(LANES - 1)
    }
}
