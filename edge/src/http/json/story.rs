//! The stories of payments.

use serde::Serialize;
use utoipa::ToSchema;

use super::Instant;
use crate::domain::{
    checkout::Checkout,
    story::{Attempt, Tried},
};

/// The outcome of an attempt at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum StepOutcome {
    /// It took effect, by this attempt or an earlier one.
    Done,
    /// It was refused.
    Refused,
    /// It may have taken effect, or may yet: it is tried again with the same id.
    Unknown,
}

/// One attempt at a step of a payment, or several in a row with the same outcome.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StoryStep)]
pub(crate) struct StoryStep {
    /// The step: `extend_hold`, `create_payment`, `confirm_reservation`, `complete_token`,
    /// `cancel_reservation`, `refund_reservation` or `cancel_payment`; or `taken_over` where another replica
    /// went on.
    #[schema(example = "create_payment")]
    step: String,
    /// What became of it.
    outcome: StepOutcome,
    /// Why it was not done; null when it was.
    #[schema(required)]
    reason: Option<String>,
    /// When the first of these attempts was answered.
    first_at: Instant,
    /// When the last of them was answered.
    last_at: Instant,
    /// How many they were.
    #[schema(minimum = 1, example = 1)]
    times: u32,
}

impl From<&Attempt> for StoryStep {
    fn from(attempt: &Attempt) -> Self {
        Self {
            step: attempt.step.clone(),
            outcome: match attempt.outcome {
                Tried::Done => StepOutcome::Done,
                Tried::Refused => StepOutcome::Refused,
                Tried::Unknown => StepOutcome::Unknown,
            },
            reason: attempt.reason.clone(),
            first_at: Instant(attempt.first_at),
            last_at: Instant(attempt.last_at),
            times: attempt.times,
        }
    }
}

/// What was tried for a payment, step by step.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PaymentStory)]
pub(crate) struct Story {
    /// The id of the payment.
    #[schema(format = Uuid, example = "7c9e6679-7425-40de-944b-e07fc1f90ae7")]
    payment_id: String,
    /// How many times a replica has taken it up: 1, unless one was lost or an answer was missing.
    #[schema(minimum = 0, example = 1)]
    attempts: i64,
    /// Since when it waits for an operator: one of its steps keeps failing in a way that only an operator can
    /// mend, and it is tried once a minute. Null unless it does.
    #[schema(required)]
    parked_at: Option<Instant>,
    /// The attempts, in order. While the payment is PENDING, those since the last failure may be missing.
    steps: Vec<StoryStep>,
}

impl From<Checkout> for Story {
    fn from(checkout: Checkout) -> Self {
        Self {
            payment_id: checkout.checkout_id.to_string(),
            attempts: checkout.attempts,
            parked_at: checkout.parked_at.map(Instant),
            steps: checkout.story.lines().iter().map(StoryStep::from).collect(),
        }
    }
}
