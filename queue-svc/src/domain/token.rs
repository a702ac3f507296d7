//! One token as it stands in SQL.

use uuid::Uuid;

/// How many lanes a line has: priorities 0 (first) to 9 (last).
pub const LANES: usize = 10;

/// Where a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
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

impl Status {
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

    /// Reads [`Status::code`] back.
    #[must_use]
    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            1 => Some(Self::Waiting),
            2 => Some(Self::Active),
            3 => Some(Self::Completed),
            4 => Some(Self::Expired),
            5 => Some(Self::Left),
            _ => None,
        }
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

/// A token's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// The token.
    pub token: Uuid,
    /// Whose it is.
    pub user: Box<str>,
    /// Where it stands.
    pub status: Status,
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
    /// How often it was sent back to the tail.
    pub requeues: u32,
    /// The queue's version that last changed it.
    pub version: i64,
}

impl TokenRow {
    /// When time alone changes it.
    #[must_use]
    pub fn deadline(&self) -> Option<i64> {
        match self.status {
            Status::Waiting => Some(self.valid_until),
            Status::Active => self.active_until,
            Status::Completed | Status::Expired | Status::Left => None,
        }
    }

    /// The lane as an index.
    #[must_use]
    pub fn lane(&self) -> usize {
        usize::from(self.priority).min(LANES - 1)
    }
}
