//! The saga's steps as calls: each idempotent by the checkout's id, each with an outcome that is done,
//! refused, or unknown.

use std::time::Duration;

use boxoffice_proto::{
    Fault, Reason,
    booking::{CancelReservationRequest, ConfirmReservationRequest, ExtendHoldRequest, Reservation},
    queue::CompleteTokenRequest,
    time,
    wallet::{CancelPaymentRequest, CreatePaymentRequest, PaymentStatus},
};
use chassis::context::{Context, TraceParent};

use super::gate::hollow;
use crate::{
    clients::{Clients, call},
    domain::{
        checkout::Entry,
        saga::{EXTEND_BY, Outcome, Saga},
    },
};

/// How long one step may take, its repetitions at other replicas included, before its outcome counts as
/// unknown.
const STEP_TIMEOUT: Duration = Duration::from_secs(4);

/// What a step brought.
pub(super) struct Taken {
    /// What is known of it.
    pub(super) outcome: Outcome,
    /// Until when the hold lasts, if the step told.
    pub(super) hold_until: Option<i64>,
}

impl From<Outcome> for Taken {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, hold_until: None }
    }
}

/// Takes a step, as part of this trace.
pub(super) async fn take(clients: &Clients, trace: TraceParent, entry: &Entry, saga: &Saga) -> Taken {
    let context = Context { trace, ..Context::fresh(STEP_TIMEOUT) };
    let step = async {
        match saga {
            Saga::Extend => extend(clients, entry).await,
            Saga::Debit => debit(clients, entry).await.into(),
            Saga::Confirm => confirm(clients, entry).await.into(),
            Saga::Complete => complete(clients, entry).await.into(),
            Saga::Release(_) => release(clients, entry).await.into(),
            Saga::Refund(why) => refund(clients, entry, why.reason).await.into(),
        }
    };
    let taken = context.scope(step).await;
    metrics::counter!("checkout_steps_total", "step" => saga.name(), "outcome" => word(&taken.outcome))
        .increment(1);
    taken
}

/// Keeps the hold alive. A reservation that this checkout has confirmed is answered as it is, which is done
/// as well.
async fn extend(clients: &Clients, entry: &Entry) -> Taken {
    let ask = ExtendHoldRequest {
        reservation_id: entry.checkout.reservation_id.to_string(),
        user_id: entry.checkout.user_id.clone(),
        payment_id: entry.checkout.checkout_id.to_string(),
        extend_by: Some(time::duration(EXTEND_BY)),
        request_id: String::new(),
    };
    let answer = call(|| {
        let (mut booking, ask) = (clients.booking.clone(), ask.clone());
        async move { booking.extend_hold(ask).await }
    });
    match answer.await {
        Ok(extended) => {
            Taken { outcome: Outcome::Done, hold_until: extended.reservation.as_ref().and_then(hold_until) }
        }
        Err(fault) => refused_or_unknown(fault).into(),
    }
}

/// Debits the wallet. The payment may have been taken back since by an earlier runner: then it is refused.
async fn debit(clients: &Clients, entry: &Entry) -> Outcome {
    let ask = CreatePaymentRequest {
        payment_id: entry.checkout.checkout_id.to_string(),
        user_id: entry.checkout.user_id.clone(),
        reservation_id: entry.checkout.reservation_id.to_string(),
        amount: entry.checkout.amount,
        request_id: String::new(),
    };
    let answer = call(|| {
        let (mut wallet, ask) = (clients.wallet.clone(), ask.clone());
        async move { wallet.create_payment(ask).await }
    });
    let refused = |reason: Reason| Outcome::Refused(Fault::new(reason, reason.title()));
    match answer.await {
        Ok(answer) => match answer.payment.map(|payment| payment.status()) {
            Some(PaymentStatus::Completed) => Outcome::Done,
            Some(PaymentStatus::Failed) => refused(Reason::InsufficientFunds),
            Some(PaymentStatus::Cancelled) => refused(Reason::ReservationCancelled),
            Some(PaymentStatus::Unspecified) | None => Outcome::Unknown(hollow("CreatePayment").reason),
        },
        Err(fault) => refused_or_unknown(fault),
    }
}

/// Makes the seats the user's.
async fn confirm(clients: &Clients, entry: &Entry) -> Outcome {
    let ask = ConfirmReservationRequest {
        reservation_id: entry.checkout.reservation_id.to_string(),
        user_id: entry.checkout.user_id.clone(),
        payment_id: entry.checkout.checkout_id.to_string(),
        request_id: String::new(),
    };
    let answer = call(|| {
        let (mut booking, ask) = (clients.booking.clone(), ask.clone());
        async move { booking.confirm_reservation(ask).await }
    });
    done(answer.await)
}

/// Ends the queue token: its place goes to the next in line.
async fn complete(clients: &Clients, entry: &Entry) -> Outcome {
    let ask = CompleteTokenRequest { token: entry.token.to_string(), request_id: String::new() };
    let answer = call(|| {
        let (mut queue, ask) = (clients.queue.clone(), ask.clone());
        async move { queue.complete_token(ask).await }
    });
    done(answer.await)
}

/// Gives the hold back.
async fn release(clients: &Clients, entry: &Entry) -> Outcome {
    let ask = CancelReservationRequest {
        reservation_id: entry.checkout.reservation_id.to_string(),
        user_id: entry.checkout.user_id.clone(),
        request_id: String::new(),
    };
    let answer = call(|| {
        let (mut booking, ask) = (clients.booking.clone(), ask.clone());
        async move { booking.cancel_reservation(ask).await }
    });
    done(answer.await)
}

/// Takes the payment back, or bars it from arriving.
async fn refund(clients: &Clients, entry: &Entry, why: Reason) -> Outcome {
    let ask = CancelPaymentRequest {
        payment_id: entry.checkout.checkout_id.to_string(),
        reason: why.as_str().to_owned(),
        request_id: String::new(),
    };
    let answer = call(|| {
        let (mut wallet, ask) = (clients.wallet.clone(), ask.clone());
        async move { wallet.cancel_payment(ask).await }
    });
    match answer.await {
        Ok(answer) => {
            let reason = answer.payment.and_then(|payment| payment.reason.parse().ok());
            Outcome::TakenBack { refunded: answer.refunded, reason }
        }
        Err(fault) => refused_or_unknown(fault),
    }
}

/// Until when a reservation's hold lasts.
pub(super) fn hold_until(reservation: &Reservation) -> Option<i64> {
    reservation.expires_at.as_ref().and_then(time::micros)
}

fn done<T>(answer: Result<T, Fault>) -> Outcome {
    answer.map_or_else(refused_or_unknown, |_| Outcome::Done)
}

/// Only what the service itself said is a refusal. A bare NOT_FOUND (our services always name what they did
/// not find) or a full queue is somebody's on the way, and says nothing about the step.
fn refused_or_unknown(fault: Fault) -> Outcome {
    let unknown =
        fault.reason.leaves_outcome_unknown() || matches!(fault.reason, Reason::NotFound | Reason::QueueFull);
    if unknown { Outcome::Unknown(fault.reason) } else { Outcome::Refused(fault) }
}

const fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done | Outcome::TakenBack { .. } => "done",
        Outcome::Refused(_) => "refused",
        Outcome::Unknown(_) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_service_itself_said_is_a_refusal() {
        for reason in Reason::ALL {
            let refused = matches!(refused_or_unknown(Fault::new(*reason, "x")), Outcome::Refused(_));
            let said = !matches!(
                reason,
                Reason::NotFound
                    | Reason::QueueFull
                    | Reason::RateLimited
                    | Reason::Unavailable
                    | Reason::DeadlineExceeded
                    | Reason::Unimplemented
                    | Reason::Internal
            );
            assert_eq!(refused, said, "{reason}");
        }
    }
}
