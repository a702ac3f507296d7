//! The saga as a pure state machine: state + outcome → what to do next. The runner makes the calls; nothing
//! in here waits or fails.
//!
//! ```text
//!            ┌── refused ──────────────────────────────┐
//! EXTEND ──▶ DEBIT ──▶ CONFIRM ──▶ COMPLETE ──▶ completed│      (COMPLETE refused: sold all the same)
//!            │  │         └── refused ──▶ REFUND ◀───────┘
//!            │  └ taken back already ───▶ REFUND ──▶ compensated (money went back), failed (none had moved)
//!            └ refused ──▶ RELEASE ──▶ failed             (policy `keep`: failed at once)
//! ```
//!
//! Every step is idempotent by the checkout's id, so whoever takes a checkout up, for whatever reason, begins
//! at EXTEND and finds its own traces. An outcome that is unknown is asked for again, with the same id, until
//! it is known: only a refusal compensates, and a refusal of EXTEND or CONFIRM is final for this payment, so
//! that no late message can make the seat ours after the refund.

use boxoffice_proto::{Fault, Reason};
use uuid::Uuid;

use super::checkout::Status;

const SECOND: i64 = 1_000_000;
/// A hold with less time left than this is extended before money moves.
pub(crate) const ENOUGH_HOLD: i64 = 60 * SECOND;
/// What a hold is extended to, from now. Booking bounds the sum of it.
pub(crate) const EXTEND_BY: i64 = 120 * SECOND;
/// After so many answers in a row that cannot be (about seven seconds) a checkout is parked: a person must
/// look.
pub(crate) const STUCK_AFTER: u32 = 10;

/// Where a checkout stands between two calls. What led to a compensation goes along.
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
}

/// What is known after a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It took effect (now or earlier).
    Done,
    /// Only of [`Saga::Refund`]: the payment cannot move money any more.
    TakenBack {
        /// It had, and the money went back.
        refunded: bool,
        /// Why the wallet holds the payment to have ended, where it says so.
        reason: Option<Reason>,
    },
    /// It did not take effect, and never will.
    Refused(Fault),
    /// It may have taken effect, or may yet: no answer, or one that says so.
    Unknown(Reason),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next call.
    Run(Saga),
    /// The same again, a little later.
    Again(Saga),
    /// The same again, though nothing but a person may help: after [`STUCK_AFTER`] of these in a row the
    /// checkout is parked.
    Stuck(Saga),
    /// Over.
    End(Ending),
}

/// How a checkout ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Paid, and the seats are the user's.
    Completed,
    /// Refused; no money moved.
    Failed(Fault),
    /// Debited, refused, refunded.
    Compensated(Fault),
}

impl Saga {
    /// A new checkout whose hold has so much time left: the call is spared when that is plenty.
    pub(crate) const fn begin(hold_left: i64) -> Self {
        if hold_left >= ENOUGH_HOLD { Self::Debit } else { Self::Extend }
    }

    /// A checkout that somebody else left somewhere.
    pub(crate) const fn resume() -> Self {
        Self::Extend
    }

    /// The step's name, for logs and metrics.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Extend => "extend_hold",
            Self::Debit => "create_payment",
            Self::Confirm => "confirm_reservation",
            Self::Complete => "complete_token",
            Self::Release(_) => "cancel_reservation",
            Self::Refund(_) => "cancel_payment",
        }
    }

    /// What follows from an outcome. `release`: the policy for the hold when the wallet refuses.
    pub(crate) fn next(self, outcome: Outcome, release: bool) -> Next {
        match (self, outcome) {
            // A service that is there and fails at this very step.
            (saga, Outcome::Unknown(Reason::Internal | Reason::Unimplemented)) => Next::Stuck(saga),
            (saga, Outcome::Unknown(_)) => Next::Again(saga),

            (Self::Extend, Outcome::Done) => Next::Run(Self::Debit),
            (Self::Debit, Outcome::Done) => Next::Run(Self::Confirm),
            (Self::Confirm, Outcome::Done) => Next::Run(Self::Complete),
            // The sale stands, also when the token had run out while the money moved.
            (Self::Complete, Outcome::Done | Outcome::Refused(_)) => Next::End(Ending::Completed),

            (Self::Extend | Self::Confirm, Outcome::Refused(why)) => Next::Run(Self::Refund(why)),
            // The wallet says that this payment was taken back: an earlier runner was on this path. Learn
            // whether money moved.
            (Self::Debit, Outcome::Refused(why)) if why.reason == Reason::ReservationCancelled => {
                Next::Run(Self::Refund(why))
            }
            (Self::Debit, Outcome::Refused(why)) if release => Next::Run(Self::Release(why)),
            (Self::Debit, Outcome::Refused(why)) => Next::End(Ending::Failed(why)),
            // A hold that cannot be given back is not ours to give back (any more); no money moved either
            // way.
            (Self::Release(why), Outcome::Done | Outcome::Refused(_)) => Next::End(Ending::Failed(why)),

            (Self::Refund(why), Outcome::TakenBack { refunded: true, reason }) => {
                Next::End(Ending::Compensated(first_cause(reason, why)))
            }
            (Self::Refund(why), Outcome::TakenBack { refunded: false, reason }) => {
                Next::End(Ending::Failed(first_cause(reason, why)))
            }
            // A compensation never gives up; and an answer that does not belong to the question is no answer.
            (saga @ Self::Refund(_), Outcome::Done | Outcome::Refused(_)) => Next::Stuck(saga),
            (
                saga @ (Self::Extend | Self::Debit | Self::Confirm | Self::Complete | Self::Release(_)),
                Outcome::TakenBack { .. },
            ) => Next::Stuck(saga),
        }
    }

    /// Before the same step is tried once more: a hold that would lapse meanwhile is extended first.
    pub(crate) fn again(self, hold_left: i64) -> Self {
        match self {
            Self::Debit | Self::Confirm if hold_left < ENOUGH_HOLD => Self::Extend,
            same @ (Self::Extend
            | Self::Debit
            | Self::Confirm
            | Self::Complete
            | Self::Release(_)
            | Self::Refund(_)) => same,
        }
    }
}

/// The wallet remembers why a payment ended. Somebody who resumes a half-done compensation sees only its
/// consequences (a hold that was released, a payment that is barred); the user is told the cause.
fn first_cause(remembered: Option<Reason>, seen: Fault) -> Fault {
    match remembered {
        Some(cause) if cause != seen.reason => Fault::new(cause, cause.title()),
        Some(_) | None => seen,
    }
}

impl Ending {
    /// The status it leaves the checkout in.
    ///
    /// A checkout leaves PENDING by an ending alone (I-ONE-OUTCOME), and COMPLETED stands for a confirmed hold
    /// only: every other ending has no money taken, or gives it back (I-PAID-IFF-MINE).
    pub(crate) const fn status(&self) -> Status {
        match self {
            Self::Completed => Status::Completed,
            Self::Failed(_) => Status::Failed,
            Self::Compensated(_) => Status::Compensated,
        }
    }

    /// What the caller is told, if it was refused: why, and what that means for the money.
    pub(crate) fn refusal(self, checkout_id: Uuid) -> Option<Fault> {
        let (mut fault, money, status) = match self {
            Self::Completed => return None,
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
