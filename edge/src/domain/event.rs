//! The events of a settled checkout for other systems: one about the payment and one about the reservation,
//! and one about its refund if it is refunded later; as CloudEvents 1.0.
//!
//! An event's id is derived from the checkout's, so that a receiver recognises an event that is sent again.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::checkout::{Checkout, Refund, Status};

/// The events of a checkout, in the order in which they are sent; none while it is pending.
pub(crate) fn outcome(checkout: &Checkout) -> Vec<Value> {
    if let Some(Refund { reason, done_at: Some(_), .. }) = &checkout.refund {
        let data = json!({
            "paymentId": checkout.checkout_id,
            "reservationId": checkout.reservation_id,
            "userId": checkout.user_id,
            "amount": checkout.amount,
            "reason": reason,
        });
        return vec![event(checkout, "refund", "boxoffice.payment.refunded", &data)];
    }
    let (payment, reservation) = match checkout.status {
        Status::Pending => return Vec::new(),
        Status::Completed => ("boxoffice.payment.completed", "boxoffice.reservation.confirmed"),
        Status::Failed | Status::Compensated => ("boxoffice.payment.failed", "boxoffice.reservation.failed"),
    };
    let common = json!({
        "paymentId": checkout.checkout_id,
        "reservationId": checkout.reservation_id,
        "userId": checkout.user_id,
        "amount": checkout.amount,
        "reason": checkout.reason,
        "refunded": checkout.status == Status::Compensated,
    });
    vec![event(checkout, "payment", payment, &common), event(checkout, "reservation", reservation, &common)]
}

fn event(checkout: &Checkout, about: &str, kind: &'static str, data: &Value) -> Value {
    let id = format!("{}/{about}", checkout.checkout_id);
    let refunded_at = checkout.refund.as_ref().and_then(|refund| refund.done_at);
    let at = refunded_at.or(checkout.settled_at).unwrap_or(checkout.created_at);
    let time = DateTime::from_timestamp_micros(at).unwrap_or_default();
    json!({
        "specversion": "1.0",
        "id": id,
        "source": "boxoffice/edge",
        "type": kind,
        "subject": checkout.checkout_id,
        "time": time.to_rfc3339_opts(SecondsFormat::Micros, true),
        "datacontenttype": "application/json",
        "data": data,
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn settled(status: Status, reason: Option<&str>) -> Checkout {
        Checkout {
            status,
            reason: reason.map(str::to_owned),
            settled_at: (status != Status::Pending).then_some(2_500_000),
            ..Checkout::begun(Uuid::from_u128(7), "ann".into(), Uuid::from_u128(8), 50, 1_000_000)
        }
    }

    #[test]
    fn a_sale_is_told_as_payment_completed_then_reservation_confirmed() {
        let events = outcome(&settled(Status::Completed, None));
        let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["boxoffice.payment.completed", "boxoffice.reservation.confirmed"]);
        let body = &events[0];
        assert_eq!(body["time"], "1970-01-01T00:00:02.500000Z");
        assert_eq!(body["data"]["amount"], 50);
    }

    #[test]
    fn a_compensated_checkout_is_told_as_failed_and_refunded() {
        let events = outcome(&settled(Status::Compensated, Some("HOLD_EXPIRED")));
        let body = &events[0];
        assert_eq!(
            (body["type"].as_str(), body["data"]["refunded"].as_bool()),
            (Some("boxoffice.payment.failed"), Some(true))
        );
    }

    #[test]
    fn a_sale_that_was_undone_is_told_once_more_with_why() {
        let refund = Refund { asked_at: 3_000_000, reason: "rain".into(), done_at: Some(3_500_000) };
        let undone = Checkout { refund: Some(refund), ..settled(Status::Compensated, Some("REFUNDED")) };
        let events = outcome(&undone);
        let told: Vec<_> = events.iter().map(|e| (&e["type"], &e["time"], &e["data"]["reason"])).collect();
        let (kind, time) = (json!("boxoffice.payment.refunded"), json!("1970-01-01T00:00:03.500000Z"));
        assert_eq!(told, [(&kind, &time, &json!("rain"))]);
        assert_ne!(events[0]["id"], outcome(&settled(Status::Completed, None))[0]["id"]);
    }

    #[test]
    fn a_pending_checkout_is_no_news() {
        assert!(outcome(&settled(Status::Pending, None)).is_empty());
    }
}
