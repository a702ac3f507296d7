//! A checkout: one payment of one reservation, from the click to its outcome.
//!
//! ```text
//! PENDING ──┬─▶ COMPLETED     paid, and the seats are the user's
//!           ├─▶ FAILED        refused; no money moved
//!           └─▶ COMPENSATED   debited, refused, refunded
//!
//! COMPLETED ─── a refund is asked for, and done ───▶ COMPENSATED
//! ```
//! A checkout that is COMPLETED stays so while it is refunded: the seats are the user's, or the money is on
//! its way back.

use fault::Fault;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::story::Story;

/// The status of a checkout. All but `Pending` are final, except that a `Completed` one can be refunded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Status {
    /// It is still being settled.
    Pending,
    /// Paid and confirmed.
    Completed,
    /// Refused; no money moved.
    Failed,
    /// The wallet was debited, and the money was refunded: a later step was refused, or the sale was undone.
    Compensated,
}

/// A refund of a checkout that was completed, asked for once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refund {
    /// When it was asked for, in microseconds.
    pub(crate) asked_at: i64,
    /// Why, in the words of whoever asked; it may be empty.
    pub(crate) reason: String,
    /// When the money was back and the seats were free, in microseconds; none until then.
    pub(crate) done_at: Option<i64>,
}

impl Status {
    /// The word for it in the journal and in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Compensated => "COMPENSATED",
        }
    }

    /// The status of a word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        let all = [Self::Pending, Self::Completed, Self::Failed, Self::Compensated];
        all.into_iter().find(|status| status.as_str() == word)
    }
}

/// One payment of one reservation, as callers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkout {
    /// The id of the checkout, which is also the id of its payment in the wallet.
    pub(crate) checkout_id: Uuid,
    /// The user who pays.
    pub(crate) user_id: String,
    /// The reservation that is paid for.
    pub(crate) reservation_id: Uuid,
    /// The price in minor units, fixed when the seats were held.
    pub(crate) amount: i64,
    /// The status now.
    pub(crate) status: Status,
    /// The reason of the refusal; none unless refused.
    pub(crate) reason: Option<String>,
    /// When it was begun, in microseconds.
    pub(crate) created_at: i64,
    /// When it ended, in microseconds; none while pending.
    pub(crate) settled_at: Option<i64>,
    /// How many times a runner began or resumed it, and how many rounds ended without an outcome.
    pub(crate) attempts: i64,
    /// Since when it has been parked for an operator, in microseconds; only while pending.
    pub(crate) parked_at: Option<i64>,
    /// The attempts, as far as they were written down.
    pub(crate) story: Story,
    /// The refund that was asked for, if one was.
    pub(crate) refund: Option<Refund>,
}

impl Checkout {
    /// Whether its sale is being undone at this moment.
    pub(crate) fn is_being_refunded(&self) -> bool {
        self.refund.as_ref().is_some_and(|refund| refund.done_at.is_none())
    }

    /// A checkout that begins.
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
            refund: None,
        }
    }
}

/// A checkout as the journal keeps it, with what a runner needs and what a replay is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordedCheckout {
    /// The checkout as the public sees it.
    pub(crate) checkout: Checkout,
    /// The queue token that it was begun with.
    pub(crate) token: Uuid,
    /// The refusal that ended it, which a replay is told again word by word.
    pub(crate) refusal: Option<Fault>,
    /// The trace in which it was begun, as a `traceparent`, if that is sampled.
    pub(crate) trace: Option<String>,
}
