//! The events for other systems, as CloudEvents 1.0: of a settled checkout one about the payment and one
//! about the reservation, and one about its refund if it is refunded later; of a show that it is called
//! off, or has moved; of a reservation that its seats are held, or released; of a queue that it has opened.
//!
//! An event's id is derived from that of what happened, so that a receiver recognises an event that is sent
//! again.

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
    let subject = checkout.checkout_id.to_string();
    let refunded_at = checkout.refund.as_ref().and_then(|refund| refund.done_at);
    let at = refunded_at.or(checkout.settled_at).unwrap_or(checkout.created_at);
    cloud_event(&format!("{subject}/{about}"), kind, &subject, at, data)
}

/// What is told of a show.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ShowFacts<'a> {
    /// The number of the show.
    pub(crate) show_id: i64,
    /// The number of its concert.
    pub(crate) concert_id: i64,
    /// The title of the show.
    pub(crate) title: &'a str,
    /// When it begins, or was to begin, in microseconds.
    pub(crate) starts_at: i64,
    /// The time zone of its venue; empty, as the next two, where an older booking-svc does not tell it.
    pub(crate) time_zone: &'a str,
    /// The date on which that is by the clock there.
    pub(crate) local_date: &'a str,
    /// The time of day at which that is by the clock there.
    pub(crate) local_time: &'a str,
}

impl ShowFacts<'_> {
    /// The members that each event of a show has.
    fn data(&self) -> Value {
        let Self { show_id, concert_id, title, starts_at, time_zone, local_date, local_time } = *self;
        let mut data = json!({
            "showId": show_id, "concertId": concert_id, "title": title, "startsAt": instant(starts_at),
        });
        for (name, there) in [("timeZone", time_zone), ("localDate", local_date), ("localTime", local_time)] {
            if !there.is_empty() {
                data[name] = there.into();
            }
        }
        data
    }
}

/// The event of a show that is called off.
pub(crate) fn show_cancelled(show: &ShowFacts<'_>, at: i64) -> Value {
    let (id, subject) = (format!("show/{}/cancelled", show.show_id), show.show_id.to_string());
    cloud_event(&id, "boxoffice.show.cancelled", &subject, at, &show.data())
}

/// The event of a show that begins at another time than before.
pub(crate) fn show_moved(show: &ShowFacts<'_>, before: i64, move_id: &str, at: i64) -> Value {
    let mut data = show.data();
    data["previousStartsAt"] = instant(before).into();
    let (id, subject) = (format!("show/{}/{move_id}", show.show_id), show.show_id.to_string());
    cloud_event(&id, "boxoffice.show.changed", &subject, at, &data)
}

/// What is told of a reservation whose seats are held, or released.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HoldFacts<'a> {
    /// The id of the reservation.
    pub(crate) reservation_id: &'a str,
    /// The user for whom the seats are held.
    pub(crate) user_id: &'a str,
    /// The number of the show's concert.
    pub(crate) concert_id: i64,
    /// The number of the show.
    pub(crate) show_id: i64,
    /// The numbers of the seats.
    pub(crate) seats: &'a [i32],
    /// The price of all seats together.
    pub(crate) amount: i64,
    /// Until when the seats were promised when they were held, in microseconds.
    pub(crate) promised_until: i64,
}

/// The event of seats that are held, or with a reason that of seats that are released.
pub(crate) fn reservation_changed(hold: &HoldFacts<'_>, released: Option<&str>, at: i64) -> Value {
    let HoldFacts { reservation_id, user_id, concert_id, show_id, seats, amount, promised_until } = *hold;
    let mut data = json!({
        "reservationId": reservation_id, "userId": user_id, "concertId": concert_id, "showId": show_id,
        "seatNumbers": seats, "amount": amount,
    });
    let (about, kind) = match released {
        None => {
            data["expiresAt"] = instant(promised_until).into();
            ("held", "boxoffice.reservation.held")
        }
        Some(reason) => {
            data["reason"] = reason.into();
            ("released", "boxoffice.reservation.released")
        }
    };
    cloud_event(&format!("reservation/{reservation_id}/{about}"), kind, reservation_id, at, &data)
}

/// The event of a queue that has opened, as of this version.
pub(crate) fn queue_opened(
    queue_id: &str,
    version: i64,
    opening: &str,
    opens_at: Option<i64>,
    registered: i64,
    at: i64,
) -> Value {
    let data = json!({
        "queueId": queue_id, "opening": opening, "opensAt": opens_at.map(instant), "registered": registered,
    });
    cloud_event(&format!("queue/{queue_id}/opened/{version}"), "boxoffice.queue.opened", queue_id, at, &data)
}

fn cloud_event(id: &str, kind: &'static str, subject: &str, at: i64, data: &Value) -> Value {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": "boxoffice/edge",
        "type": kind,
        "subject": subject,
        "time": instant(at),
        "datacontenttype": "application/json",
        "data": data,
    })
}

fn instant(at: i64) -> String {
    let time = DateTime::from_timestamp_micros(at).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
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
    fn a_show_is_told_with_when_it_was_to_begin_and_each_move_by_itself() {
        let show = ShowFacts {
            show_id: 3,
            concert_id: 2,
            title: "Gala",
            starts_at: 5_000_000,
            time_zone: "Asia/Seoul",
            local_date: "1970-01-01",
            local_time: "09:00",
        };
        let off = show_cancelled(&show, 1);
        assert_eq!((&off["subject"], &off["type"]), (&json!("3"), &json!("boxoffice.show.cancelled")));
        assert_eq!(off["data"]["startsAt"], "1970-01-01T00:00:05.000000Z");
        let moved = |id: u128| show_moved(&show, 4_000_000, &Uuid::from_u128(id).to_string(), 1);
        assert_eq!(moved(7)["data"]["previousStartsAt"], "1970-01-01T00:00:04.000000Z");
        assert_ne!(moved(7)["id"], moved(8)["id"]);
        for data in [&off["data"], &moved(7)["data"]] {
            let there = ["timeZone", "localDate", "localTime"].map(|name| data[name].as_str());
            assert_eq!(there, [Some("Asia/Seoul"), Some("1970-01-01"), Some("09:00")]);
        }
    }

    #[test]
    fn what_an_older_service_does_not_say_of_a_show_is_left_out() {
        let facts = ShowFacts { show_id: 3, title: "Gala", local_date: "1970-01-01", ..ShowFacts::default() };
        let data = &show_cancelled(&facts, 1)["data"];
        let there = ["timeZone", "localDate", "localTime"].map(|name| data.get(name).is_some());
        assert_eq!(there, [false, true, false]);
    }

    #[test]
    fn a_reservation_is_told_when_it_is_held_and_when_it_is_released_with_why() {
        let hold = HoldFacts {
            reservation_id: "r-1",
            user_id: "ann",
            concert_id: 2,
            show_id: 3,
            seats: &[7, 8],
            amount: 100,
            promised_until: 5_000_000,
        };
        let held = reservation_changed(&hold, None, 1);
        assert_eq!((&held["type"], &held["subject"]), (&json!("boxoffice.reservation.held"), &json!("r-1")));
        assert_eq!(
            (&held["data"]["expiresAt"], &held["data"]["seatNumbers"]),
            (&json!("1970-01-01T00:00:05.000000Z"), &json!([7, 8]))
        );
        let released = reservation_changed(&hold, Some("EXPIRED"), 6_000_000);
        assert_eq!(
            (&released["id"], &held["id"]),
            (&json!("reservation/r-1/released"), &json!("reservation/r-1/held"))
        );
        assert_eq!(
            (&released["data"]["reason"], &released["data"]["expiresAt"]),
            (&json!("EXPIRED"), &Value::Null)
        );
    }

    #[test]
    fn each_opening_of_a_queue_is_told_by_itself() {
        let opened = |version| queue_opened("default", version, "DRAW", Some(5_000_000), 9, 6_000_000);
        let first = opened(3);
        assert_eq!(
            (&first["id"], &first["data"]["registered"]),
            (&json!("queue/default/opened/3"), &json!(9))
        );
        assert_eq!(first["data"]["opensAt"], "1970-01-01T00:00:05.000000Z");
        assert_ne!(first["id"], opened(4)["id"]);
        assert_eq!(queue_opened("q", 1, "FIFO", None, 0, 1)["data"]["opensAt"], Value::Null);
    }

    #[test]
    fn a_pending_checkout_is_no_news() {
        assert!(outcome(&settled(Status::Pending, None)).is_empty());
    }
}
