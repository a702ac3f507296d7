//! Conversion of checkouts and of operators' actions into protobuf messages.

use boxoffice_proto::{
    checkout::{
        Attempt, AttemptOutcome, Checkout as Wire, CheckoutStatus, OperatorAction, OperatorActionOutcome,
    },
    time::timestamp,
};

use crate::domain::{
    action::{Action, ActionEnd, RecordedAction},
    checkout::{self, Checkout},
    story::{self, Tried},
};

pub(super) fn checkout(checkout: Checkout) -> Wire {
    let status = match checkout.status {
        checkout::Status::Pending => CheckoutStatus::Pending,
        checkout::Status::Completed => CheckoutStatus::Completed,
        checkout::Status::Failed => CheckoutStatus::Failed,
        checkout::Status::Compensated => CheckoutStatus::Compensated,
    };
    Wire {
        checkout_id: checkout.checkout_id.to_string(),
        user_id: checkout.user_id,
        reservation_id: checkout.reservation_id.to_string(),
        amount: checkout.amount,
        status: status.into(),
        reason: checkout.reason.unwrap_or_default(),
        created_at: Some(timestamp(checkout.created_at)),
        settled_at: checkout.settled_at.map(timestamp),
        attempts: i32::try_from(checkout.attempts).unwrap_or(i32::MAX),
        parked_at: checkout.parked_at.map(timestamp),
        timeline: checkout.story.lines().iter().map(attempt).collect(),
        refund_asked_at: checkout.refund.as_ref().map(|refund| timestamp(refund.asked_at)),
        refunded_at: checkout.refund.as_ref().and_then(|refund| refund.done_at).map(timestamp),
        refund_reason: checkout.refund.map(|refund| refund.reason).unwrap_or_default(),
    }
}

fn attempt(line: &story::Attempt) -> Attempt {
    let outcome = match line.outcome {
        Tried::Done => AttemptOutcome::Done,
        Tried::Refused => AttemptOutcome::Refused,
        Tried::Unknown => AttemptOutcome::Unknown,
    };
    Attempt {
        step: line.step.clone(),
        outcome: outcome.into(),
        reason: line.reason.clone().unwrap_or_default(),
        first_at: Some(timestamp(line.first_at)),
        last_at: Some(timestamp(line.last_at)),
        times: line.times,
    }
}

pub(super) fn action((action, end): RecordedAction) -> OperatorAction {
    let Action { action_id, who, role, what, target, before, trace_id, created_at } = action;
    let ended_at = end.as_ref().map(|(_, at)| timestamp(*at));
    let (outcome, after, reason) = match end.map(|(end, _)| end) {
        None => (OperatorActionOutcome::Intent, String::new(), String::new()),
        Some(ActionEnd::Done(after)) => (OperatorActionOutcome::Done, after, String::new()),
        Some(ActionEnd::Refused(reason)) => (OperatorActionOutcome::Refused, String::new(), reason),
        Some(ActionEnd::Unknown(reason)) => (OperatorActionOutcome::Unknown, String::new(), reason),
    };
    OperatorAction {
        action_id: action_id.to_string(),
        who,
        role,
        what,
        target,
        before: before.unwrap_or_default(),
        after,
        outcome: outcome.into(),
        reason,
        trace_id,
        created_at: Some(timestamp(created_at)),
        ended_at,
    }
}
