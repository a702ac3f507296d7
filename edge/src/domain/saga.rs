//! The saga as a pure state machine: a state and the outcome of its call give what to do next. The runner
//! makes the calls; nothing in here waits or fails.
//!
//! ```text
//!            ┌── refused ──────────────────────────────┐
//! EXTEND ──▶ DEBIT ──▶ CONFIRM ──▶ COMPLETE ──▶ completed│      (COMPLETE refused: sold all the same)
//!            │  │         └── refused ──▶ REFUND ◀───────┘
//!            │  └ barred ───────────────▶ REFUND ──▶ compensated (money went back), failed (none had moved)
//!            └ refused ──▶ RELEASE ──▶ failed             (policy `keep`: failed at once)
//!
//! UNSELL ──▶ REPAY ──▶ refunded                                     (a sale that is undone)
//! ```
//!
//! A sale is undone from its end: booking takes the seats back for this payment, then the wallet gives the
//! money back. Nobody ever has both, and after the first step no late message confirms the seats again. Once
//! it is asked for, nothing may refuse it: what does shows a fault, for an operator to mend.
//!
//! Every step is idempotent by the checkout's id, so a runner that takes a checkout over begins at EXTEND and
//! gets the answers that the steps had before. A call whose outcome is unknown is made again, with the same
//! id, until it is known. Only a refusal compensates, and a refusal of EXTEND or CONFIRM is final for this
//! payment: no late message can confirm the seats after the refund.
//!
//! What is decided depends on the kind of an outcome alone. The faults that outcomes carry are for the caller
//! and for the story: their reasons may be reworded without moving money.

use fault::{Fault, Reason};
use uuid::Uuid;

use super::{checkout::Status, story::Tried};

const SECOND: i64 = 1_000_000;
/// A hold with less time left than this is extended before money moves.
pub(crate) const ENOUGH_HOLD: i64 = 60 * SECOND;
/// What a hold is extended to, from now. Booking bounds the sum of it.
pub(crate) const EXTEND_BY: i64 = 120 * SECOND;
/// A checkout is parked for an operator after so many answers in a row that show a fault of a service (about
/// seven seconds).
pub(crate) const STUCK_AFTER: u32 = 10;

/// Which call comes next. A compensation carries the refusal that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Saga {
    /// Keep the hold alive while its payment is in flight.
    Extend,
    /// Debit the wallet.
    Debit,
    /// Make the seats the user's.
    Confirm,
    /// End the queue token.
    Complete,
    /// Give the hold back: the wallet refused.
    Release(Fault),
    /// Take the payment back: booking refused.
    Refund(Fault),
    /// Take the seats back from the user: the sale is undone.
    Unsell,
    /// Give the money back for the seats that were taken back.
    Repay,
}

/// What is known of a call's effect once it was answered, or was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It took effect (now or earlier).
    Done,
    /// Only of [`Saga::Refund`] and [`Saga::Repay`]: the payment cannot move money any more.
    TakenBack {
        /// Whether it had moved money, which went back.
        refunded: bool,
        /// The reason for which the wallet has recorded that the payment ended, where it has.
        reason: Option<Reason>,
    },
    /// It did not take effect, and never will.
    Refused(Fault),
    /// Only of [`Saga::Debit`]: the payment was taken back before, by an earlier runner that was
    /// compensating.
    Barred(Fault),
    /// It may have taken effect, or may yet: there was no answer, or one that says so.
    Unknown(Reason),
    /// It may have taken effect, or may yet. The service can be reached, and fails at this very call.
    Broken(Reason),
}

impl Outcome {
    /// What the story and the metrics tell of it.
    pub(crate) const fn tried(&self) -> (Tried, Option<Reason>) {
        match self {
            Self::Done | Self::TakenBack { .. } => (Tried::Done, None),
            Self::Refused(why) | Self::Barred(why) => (Tried::Refused, Some(why.reason)),
            Self::Unknown(reason) | Self::Broken(reason) => (Tried::Unknown, Some(*reason)),
        }
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next call.
    Run(Saga),
    /// The same call again, a little later.
    Again(Saga),
    /// The same call again, although only an operator may be able to help: after [`STUCK_AFTER`] of these in
    /// a row the checkout is parked.
    Stuck(Saga),
    /// Nothing: the checkout has ended.
    End(Ending),
}

/// How a checkout ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Paid, and the seats are the user's.
    Completed,
    /// Refused; no money moved.
    Failed(Fault),
    /// The wallet was debited, a later step was refused, and the money was refunded.
    Compensated(Fault),
    /// The sale was undone: the seats are free and the money is back (I-BACK-IFF-FREE).
    Refunded,
}

impl Saga {
    /// The first call of a new checkout whose hold lasts for `hold_left` microseconds more: EXTEND is left
    /// out where that is enough.
    pub(crate) const fn begin(hold_left: i64) -> Self {
        if hold_left >= ENOUGH_HOLD { Self::Debit } else { Self::Extend }
    }

    /// The first call of a runner that takes over a checkout that is paid for.
    pub(crate) const fn resume() -> Self {
        Self::Extend
    }

    /// The first call of a runner that undoes a sale, whether or not another one began to.
    pub(crate) const fn undo() -> Self {
        Self::Unsell
    }

    /// The step's name in logs, metrics and the story.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Extend => "extend_hold",
            Self::Debit => "create_payment",
            Self::Confirm => "confirm_reservation",
            Self::Complete => "complete_token",
            Self::Release(_) => "cancel_reservation",
            Self::Refund(_) | Self::Repay => "cancel_payment",
            Self::Unsell => "refund_reservation",
        }
    }

    /// What follows from an outcome. With `release` a hold whose payment the wallet refuses is cancelled, and
    /// without it the hold is kept until it lapses.
    pub(crate) fn next(self, outcome: Outcome, release: bool) -> Next {
        match (self, outcome) {
            (saga, Outcome::Broken(_)) => Next::Stuck(saga),
            (saga, Outcome::Unknown(_)) => Next::Again(saga),

            (Self::Extend, Outcome::Done) => Next::Run(Self::Debit),
            (Self::Debit, Outcome::Done) => Next::Run(Self::Confirm),
            (Self::Confirm, Outcome::Done) => Next::Run(Self::Complete),
            // The sale stands, also when the token expired while the money moved.
            (Self::Complete, Outcome::Done | Outcome::Refused(_)) => Next::End(Ending::Completed),

            (Self::Extend | Self::Confirm, Outcome::Refused(why)) => Next::Run(Self::Refund(why)),
            // The refund is asked for again to learn whether money had moved.
            (Self::Debit, Outcome::Barred(why)) => Next::Run(Self::Refund(why)),
            (Self::Debit, Outcome::Refused(why)) if release => Next::Run(Self::Release(why)),
            (Self::Debit, Outcome::Refused(why)) => Next::End(Ending::Failed(why)),
            // A hold that cannot be cancelled is no longer this user's hold; no money moved either way.
            (Self::Release(why), Outcome::Done | Outcome::Refused(_)) => Next::End(Ending::Failed(why)),

            (Self::Refund(why), Outcome::TakenBack { refunded: true, reason }) => {
                Next::End(Ending::Compensated(first_cause(reason, why)))
            }
            (Self::Refund(why), Outcome::TakenBack { refunded: false, reason }) => {
                Next::End(Ending::Failed(first_cause(reason, why)))
            }
            (Self::Unsell, Outcome::Done) => Next::Run(Self::Repay),
            (Self::Repay, Outcome::TakenBack { .. }) => Next::End(Ending::Refunded),
            // A compensation never gives up, and an outcome that this call cannot have decides nothing.
            (
                saga @ (Self::Refund(_) | Self::Repay),
                Outcome::Done | Outcome::Refused(_) | Outcome::Barred(_),
            )
            | (saga @ Self::Unsell, Outcome::Refused(_))
            | (
                saga @ (Self::Extend | Self::Confirm | Self::Complete | Self::Release(_) | Self::Unsell),
                Outcome::TakenBack { .. } | Outcome::Barred(_),
            )
            | (saga @ Self::Debit, Outcome::TakenBack { .. }) => Next::Stuck(saga),
        }
    }

    /// The call with which to try once more: a hold that would lapse meanwhile is extended first.
    pub(crate) fn again(self, hold_left: i64) -> Self {
        match self {
            Self::Debit | Self::Confirm if hold_left < ENOUGH_HOLD => Self::Extend,
            same @ (Self::Extend
            | Self::Debit
            | Self::Confirm
            | Self::Complete
            | Self::Release(_)
            | Self::Refund(_)
            | Self::Unsell
            | Self::Repay) => same,
        }
    }
}

/// The refusal to tell the user. The wallet has recorded why a payment ended; a runner that resumes a
/// half-done compensation sees only the consequences (a hold that was cancelled, a payment that is barred).
fn first_cause(recorded: Option<Reason>, seen: Fault) -> Fault {
    match recorded {
        Some(cause) if cause != seen.reason => Fault::new(cause, cause.title()),
        Some(_) | None => seen,
    }
}

impl Ending {
    /// The status it leaves the checkout in.
    ///
    /// A checkout leaves PENDING by an ending alone (I-ONE-OUTCOME), and COMPLETED stands for a confirmed
    /// hold only: every other ending has no money taken, or gives it back (I-PAID-IFF-MINE).
    pub(crate) const fn status(&self) -> Status {
        match self {
            Self::Completed => Status::Completed,
            Self::Failed(_) => Status::Failed,
            Self::Compensated(_) | Self::Refunded => Status::Compensated,
        }
    }

    /// Whether it is that of a sale that was undone.
    pub(crate) fn is_refund(&self) -> bool {
        *self == Self::Refunded
    }

    /// The reason of the refusal that ended it; none unless it was refused.
    pub(crate) const fn refusal_reason(&self) -> Option<Reason> {
        match self {
            Self::Completed | Self::Refunded => None,
            Self::Failed(fault) | Self::Compensated(fault) => Some(fault.reason),
        }
    }

    /// What the caller is told when the checkout was refused: the reason, and what became of the money.
    pub(crate) fn refusal(self, checkout_id: Uuid) -> Option<Fault> {
        let (mut fault, money, status) = match self {
            Self::Completed | Self::Refunded => return None,
            Self::Failed(fault) => (fault, "No money was taken.", "FAILED"),
            Self::Compensated(fault) => (fault, "The money is back in the wallet.", "CANCELLED"),
        };
        fault.detail = format!("{} {money}", fault.detail.trim_end());
        Some(fault.with("payment_id", checkout_id).with("payment_status", status))
    }
}

#[cfg(test)]
#[path = "saga_tests.rs"]
mod tests;
