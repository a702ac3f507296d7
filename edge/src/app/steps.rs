//! The saga's steps as calls, each idempotent by the checkout's id; and the only place where what a service
//! answers becomes one of the saga's outcomes.

use std::time::Duration;

use boxoffice_proto::{
    Fault, Reason,
    booking::{
        CancelReservationRequest, ConfirmReservationRequest, ExtendHoldRequest, RefundReservationRequest,
        Reservation,
    },
    queue::CompleteTokenRequest,
    time,
    wallet::{CancelPaymentRequest, CreatePaymentRequest, Payment, PaymentStatus},
};
use chassis::context::{Context, TraceParent};

use crate::{
    clients::{Clients, ask, hollow},
    domain::{
        checkout::RecordedCheckout,
        saga::{EXTEND_BY, Outcome, Saga},
    },
};

/// How long one step may take, with its retries on other replicas, before its outcome counts as unknown.
const STEP_TIMEOUT: Duration = Duration::from_secs(4);

/// Why the wallet takes the payment of a sale back that is undone, as it is kept there.
const REFUNDED: &str = "REFUNDED";

/// What is known after a step.
pub(super) struct Taken {
    /// The outcome of the step.
    pub(super) outcome: Outcome,
    /// Until when the hold lasts, in microseconds, if the answer said so.
    pub(super) hold_until: Option<i64>,
}

impl From<Outcome> for Taken {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, hold_until: None }
    }
}

/// Takes a step, as part of this trace.
pub(super) async fn take(
    clients: &Clients,
    trace: &TraceParent,
    entry: &RecordedCheckout,
    saga: &Saga,
) -> Taken {
    let context = Context::of(trace.clone(), STEP_TIMEOUT);
    let step = async {
        match saga {
            Saga::Extend => extend(clients, entry).await,
            Saga::Debit => debit(clients, entry).await.into(),
            Saga::Confirm => confirm(clients, entry).await.into(),
            Saga::Complete => complete(clients, entry).await.into(),
            Saga::Release(_) => release(clients, entry).await.into(),
            Saga::Refund(why) => take_back(clients, entry, why.reason.as_str()).await.into(),
            Saga::Unsell => unsell(clients, entry).await.into(),
            Saga::Repay => take_back(clients, entry, REFUNDED).await.into(),
        }
    };
    let taken = context.scope(step).await;
    let (tried, _) = taken.outcome.tried();
    metrics::counter!("checkout_steps_total", "step" => saga.name(), "outcome" => tried.as_str())
        .increment(1);
    taken
}

/// Keeps the hold alive. A reservation that this checkout has confirmed already is answered as it is, which
/// is done as well.
async fn extend(clients: &Clients, entry: &RecordedCheckout) -> Taken {
    let request = ExtendHoldRequest {
        reservation_id: entry.checkout.reservation_id.to_string(),
        user_id: entry.checkout.user_id.clone(),
        payment_id: entry.checkout.checkout_id.to_string(),
        extend_by: Some(time::duration(EXTEND_BY)),
        request_id: String::new(),
    };
    match ask!(clients.booking, extend_hold(request)) {
        Ok(extended) => {
            Taken { outcome: Outcome::Done, hold_until: extended.reservation.as_ref().and_then(hold_until) }
        }
        Err(fault) => not_done(fault).into(),
    }
}

/// Debits the wallet.
async fn debit(clients: &Clients, entry: &RecordedCheckout) -> Outcome {
    let request = CreatePaymentRequest {
        payment_id: entry.checkout.checkout_id.to_string(),
        user_id: entry.checkout.user_id.clone(),
        reservation_id: entry.checkout.reservation_id.to_string(),
        amount: entry.checkout.amount,
        request_id: String::new(),
    };
    let created = ask!(clients.wallet, create_payment(request));
    let fault = match created.map(|answer| answer.payment.as_ref().map(Payment::status)) {
        Ok(Some(PaymentStatus::Completed)) => return Outcome::Done,
        Ok(Some(PaymentStatus::Failed)) => refusal(Reason::InsufficientFunds),
        Ok(Some(PaymentStatus::Cancelled)) => refusal(Reason::ReservationCancelled),
        Ok(Some(PaymentStatus::Unspecified) | None) => hollow("create_payment"),
        Err(fault) => fault,
    };
    // This is how the wallet refuses a payment that was taken back, also one that had not arrived by then.
    if fault.reason == Reason::ReservationCancelled { Outcome::Barred(fault) } else { not_done(fault) }
}

/// Makes the seats the user's.
async fn confirm(clients: &Clients, entry: &RecordedCheckout) -> Outcome {
    let request = ConfirmReservationRequest {
        reservation_id: entry.checkout.reservation_id.to_string(),
        user_id: entry.checkout.user_id.clone(),
        payment_id: entry.checkout.checkout_id.to_string(),
        request_id: String::new(),
    };
    done(ask!(clients.booking, confirm_reservation(request)))
}

/// Ends the queue token: its place goes to the next user in the queue.
async fn complete(clients: &Clients, entry: &RecordedCheckout) -> Outcome {
    let request = CompleteTokenRequest { token: entry.token.to_string(), request_id: String::new() };
    done(ask!(clients.queue, complete_token(request)))
}

/// Gives the hold back.
async fn release(clients: &Clients, entry: &RecordedCheckout) -> Outcome {
    let request = CancelReservationRequest {
        reservation_id: entry.checkout.reservation_id.to_string(),
        user_id: entry.checkout.user_id.clone(),
        request_id: String::new(),
    };
    done(ask!(clients.booking, cancel_reservation(request)))
}

/// Takes the payment back, or bars it when it has not arrived yet.
async fn take_back(clients: &Clients, entry: &RecordedCheckout, why: &str) -> Outcome {
    let request = CancelPaymentRequest {
        payment_id: entry.checkout.checkout_id.to_string(),
        reason: why.to_owned(),
        request_id: String::new(),
    };
    match ask!(clients.wallet, cancel_payment(request)) {
        Ok(answer) => {
            let reason = answer.payment.and_then(|payment| payment.reason.parse().ok());
            Outcome::TakenBack { refunded: answer.refunded, reason }
        }
        Err(fault) => not_done(fault),
    }
}

/// Takes the seats back that were sold for this checkout's payment.
async fn unsell(clients: &Clients, entry: &RecordedCheckout) -> Outcome {
    let request = RefundReservationRequest {
        reservation_id: entry.checkout.reservation_id.to_string(),
        user_id: entry.checkout.user_id.clone(),
        payment_id: entry.checkout.checkout_id.to_string(),
    };
    done(ask!(clients.booking, refund_reservation(request)))
}

/// Until when a reservation's hold lasts, in microseconds.
pub(super) fn hold_until(reservation: &Reservation) -> Option<i64> {
    reservation.expires_at.as_ref().and_then(time::micros)
}

fn refusal(reason: Reason) -> Fault {
    Fault::new(reason, reason.title())
}

fn done<T>(answer: Result<T, Fault>) -> Outcome {
    answer.map_or_else(not_done, |_| Outcome::Done)
}

/// The outcome of a call that was answered with a fault. Only what the service itself said is a refusal. A
/// bare NOT_FOUND (our services always name what they did not find) or a full queue was said by something on
/// the way and does not say what the step did. INTERNAL and UNIMPLEMENTED show that the service is there. So
/// does a service that does not take this edge for the edge: it has looked at nothing, and an earlier call of
/// the step, whose answer was lost, may have taken effect.
fn not_done(fault: Fault) -> Outcome {
    let reason = fault.reason;
    let is_shut_out =
        matches!(reason, Reason::CredentialsMissing | Reason::CredentialsInvalid | Reason::NotAllowed);
    if is_shut_out || matches!(reason, Reason::Internal | Reason::Unimplemented) {
        Outcome::Broken(reason)
    } else if reason.leaves_outcome_unknown() || matches!(reason, Reason::NotFound | Reason::QueueFull) {
        Outcome::Unknown(reason)
    } else {
        Outcome::Refused(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_service_itself_said_is_a_refusal() {
        for reason in Reason::ALL {
            let refused = matches!(not_done(refusal(*reason)), Outcome::Refused(_));
            let said = !matches!(
                reason,
                Reason::NotFound
                    | Reason::QueueFull
                    | Reason::RateLimited
                    | Reason::Unavailable
                    | Reason::DeadlineExceeded
                    | Reason::Unimplemented
                    | Reason::Internal
                    | Reason::CredentialsMissing
                    | Reason::CredentialsInvalid
                    | Reason::NotAllowed
            );
            assert_eq!(refused, said, "{reason}");
        }
    }
}
