//! A checkout: one payment of one reservation, from the click to its outcome.
//!
//! ```text
//! PENDING ──┬─▶ COMPLETED     paid, and the seats are the user's
//!           ├─▶ FAILED        refused; no money moved
//!           └─▶ COMPENSATED   debited, refused, refunded
//! ```

use std::str::FromStr;

use boxoffice_proto::Fault;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::story::Story;

/// Where a checkout stands. All but `Pending` are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Status {
    /// Still settling.
    Pending,
    /// Paid and confirmed.
    Completed,
    /// Refused; no money moved.
    Failed,
    /// Debited, refused, refunded.
    Compensated,
}

impl Status {
    /// The word for it, in the journal and in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Compensated => "COMPENSATED",
        }
    }
}

/// A word that is no status.
#[derive(Debug)]
pub(crate) struct UnknownStatus;

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(word: &str) -> Result<Self, UnknownStatus> {
        [Self::Pending, Self::Completed, Self::Failed, Self::Compensated]
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or(UnknownStatus)
    }
}

/// One payment of one reservation, as callers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkout {
    /// Its id; also the id of its payment in the wallet.
    pub(crate) checkout_id: Uuid,
    /// Who pays.
    pub(crate) user_id: String,
    /// What for.
    pub(crate) reservation_id: Uuid,
    /// How much, fixed when the seats were held.
    pub(crate) amount: i64,
    /// Where it stands.
    pub(crate) status: Status,
    /// Why, when refused.
    pub(crate) reason: Option<String>,
    /// When it was begun.
    pub(crate) created_at: i64,
    /// When it ended.
    pub(crate) settled_at: Option<i64>,
    /// How many times it was taken up.
    pub(crate) attempts: i64,
    /// Since when it waits for a person; only of a pending one. It is still tried once a minute.
    pub(crate) parked_at: Option<i64>,
    /// What was tried, as far as the journal was told.
    pub(crate) story: Story,
}

impl Checkout {
    /// One that begins.
    pub(crate) fn begun(
        checkout_id: Uuid,
        user_id: String,
        reservation_id: Uuid,
        amount: i64,
        created_at: i64,
    ) -> Self {
        Self {
            checkout_id,
            user_id,
            reservation_id,
            amount,
            status: Status::Pending,
            reason: None,
            created_at,
            settled_at: None,
            attempts: 1,
            parked_at: None,
            story: Story::default(),
        }
    }
}

/// A checkout with what the journal keeps of it besides: what a runner needs, and what a replay answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The checkout.
    pub(crate) checkout: Checkout,
    /// The queue token it was begun with.
    pub(crate) token: Uuid,
    /// The refusal that ended it, to be told again word by word.
    pub(crate) refusal: Option<Fault>,
}
