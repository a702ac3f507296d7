//! One token as its row has it, and the tag that a token's id has of its queue.

use uuid::Uuid;

/// How many lanes a queue has: priorities 0 (served first) to 9 (served last).
pub const LANES: usize = 10;

/// The tag that the ids of a queue's tokens share, so that a token is looked for in its own queue first. It
/// reveals only that two tokens may be of one queue; 106 bits of an id stay random.
#[must_use]
pub fn queue_tag(queue_id: &str) -> u16 {
    let hash = queue_id
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [a, b, c, d] = hash.to_be_bytes();
    u16::from_be_bytes([a ^ c, b ^ d])
}

/// The id of a new token: random bits with a queue's tag.
#[must_use]
pub const fn tagged(random: Uuid, tag: u16) -> Uuid {
    let mut bytes = random.into_bytes();
    [bytes[10], bytes[11]] = tag.to_be_bytes();
    Uuid::from_bytes(bytes)
}

/// The tag of a token's id; it means nothing when the id was made elsewhere.
#[must_use]
pub const fn tag_of(token: &Uuid) -> u16 {
    let bytes = token.as_bytes();
    u16::from_be_bytes([bytes[10], bytes[11]])
}

/// The status of a token. WAITING, REGISTERED and ACTIVE tokens are live; the others have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStatus {
    /// The token waits in the queue.
    Waiting,
    /// The token is admitted.
    Active,
    /// A payment used the token up.
    Completed,
    /// The token's time ran out.
    Expired,
    /// The user left the queue.
    Left,
    /// The token waits in a queue that is not open yet. Rows and slots say `Waiting`, because all tokens of a
    /// queue change at the one moment at which the queue's row does; users are told this.
    Registered,
}

impl TokenStatus {
    /// The number for it in a row, which is the number that the contract gives it.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Waiting => 1,
            Self::Active => 2,
            Self::Completed => 3,
            Self::Expired => 4,
            Self::Left => 5,
            Self::Registered => 6,
        }
    }

    /// The status of a row with this [`TokenStatus::code`], if there is one.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        let all = [Self::Waiting, Self::Active, Self::Completed, Self::Expired, Self::Left];
        all.into_iter().find(|status| status.code() == code)
    }

    /// The word that the contract has for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Active => "ACTIVE",
            Self::Completed => "COMPLETED",
            Self::Expired => "EXPIRED",
            Self::Left => "LEFT",
            Self::Registered => "REGISTERED",
        }
    }

    /// Whether it is WAITING, REGISTERED or ACTIVE; the other statuses are final.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Waiting | Self::Active | Self::Registered)
    }
}

/// The times of a live token that decide when the clock alone changes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instants {
    pub(super) status: TokenStatus,
    pub(super) entered_at: i64,
    pub(super) valid_until: i64,
    /// When the admission ends; it counts only while ACTIVE.
    pub(super) active_until: i64,
    /// When the token was admitted; it counts only while ACTIVE.
    pub(super) admitted_at: i64,
    pub(super) heard_at: i64,
}

impl Instants {
    /// Whether it was admitted and has not been heard of since.
    pub(super) const fn has_yet_to_show_up(self) -> bool {
        matches!(self.status, TokenStatus::Active) && self.heard_at < self.admitted_at
    }
}

/// A token's row; times are in microseconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// The token's id.
    pub token: Uuid,
    /// The user to whom it was issued.
    pub user: Box<str>,
    /// The status of the token.
    pub status: TokenStatus,
    /// The token's lane, 0 to 9.
    pub priority: u8,
    /// The token's ticket; a token that is sent back to the tail gets a new one.
    pub ticket: i64,
    /// When the user joined.
    pub entered_at: i64,
    /// When the admission ends; set only while the token is ACTIVE.
    pub active_until: Option<i64>,
    /// Until when the token may wait.
    pub valid_until: i64,
    /// When the token was last admitted.
    pub admitted_at: Option<i64>,
    /// When the token was last heard of; the row may lag behind by up to a quarter of the grace.
    pub heard_at: i64,
    /// How often the token was sent back to the tail.
    pub requeues: u32,
    /// The queue's version that last changed the row.
    pub version: i64,
}

impl TokenRow {
    /// The times that decide when the clock alone changes the token.
    pub(super) fn instants(&self) -> Instants {
        Instants {
            status: self.status,
            entered_at: self.entered_at,
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
