//! What the model finds wrong with what the office is told: of refunds, of changes of the show, and of what
//! is said to all who wait.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use super::*;
use crate::history;

/// An answer to what was sent at this second, which was there half a second later.
fn answer(status: u16, body: Value, sent: u64) -> Answer {
    let (sent, tag) = (Duration::from_secs(sent), text(&body, "tag").to_owned());
    Answer { status, body, tag, sent, received: sent + Duration::from_millis(500) }
}

fn model() -> Model {
    let _before = history::take();
    Model::new(&Rc::new(Plan { called_off: None, ..Plan::of(1) }))
}

/// The rules that were broken since this was asked last.
fn broken() -> Vec<String> {
    history::take().violations.into_iter().map(|violation| violation.rule).collect()
}

/// A payment whose refund was asked for, for this reason.
fn undone(reason: &str, status: &str) -> Value {
    let back = (status == "CANCELLED").then_some("2026-06-01T00:00:09Z");
    json!({"paymentId": "one", "reservationId": "seats", "amount": 10, "status": status,
        "refundAskedAt": "2026-06-01T00:00:08Z", "refundReason": reason, "refundedAt": back})
}

#[test]
fn a_refund_is_refused_for_what_is_not_complete_and_told_the_same_again() {
    let payment = json!({"paymentId": "one", "reservationId": "seats"});
    let refused = || answer(409, json!({"code": "REFUND_NOT_POSSIBLE"}), 3);
    let request = Request::post("/v1/payments/one/refund", json!({}));
    let complete = answer(200, json!({"paymentId": "one", "status": "COMPLETED"}), 2);

    let mut model = model();
    model.refunding(&payment, "rain");
    model.refund_answered("clerk", &payment, &request, Some(&refused()));
    assert!(broken().is_empty(), "it may not have been complete");
    model.settled("ann", "seats", "COMPLETED", &complete);
    model.refund_answered("clerk", &payment, &request, Some(&refused()));
    assert_eq!(broken(), ["REFUND"]);

    let told = |model: &mut Model, reason: &str, status: u16, sent| {
        let body = undone(reason, if status == 200 { "CANCELLED" } else { "COMPLETED" });
        model.refund_answered("clerk", &payment, &request, Some(&answer(status, body, sent)));
        broken()
    };
    assert!(told(&mut model, "rain", 202, 4).is_empty());
    assert!(told(&mut model, "rain", 200, 5).is_empty());
    assert!(told(&mut model, "rain", 200, 6).is_empty());
    assert_eq!(told(&mut model, "snow", 200, 6), ["REFUND", "ONE-ANSWER", "ONE-ANSWER"]);
    assert_eq!(told(&mut model, "rain", 202, 7), ["ONE-ANSWER"], "it was done");
    model.settled("ann", "seats", "COMPLETED", &answer(200, complete.body, 8));
    assert_eq!(broken(), ["ONE-OUTCOME"]);
}

#[test]
fn the_money_of_a_sale_is_back_exactly_if_its_seats_are_free() {
    let judged = |status: &str, entries: Value, taken: u16| {
        let mut model = model();
        let payment = undone("rain", "CANCELLED");
        model.refunding(&payment, "rain");
        let request = Request::post("/v1/payments/one/refund", json!({}));
        let told = if taken == 200 { payment.clone() } else { json!({"code": "REFUND_NOT_POSSIBLE"}) };
        model.refund_answered("clerk", &payment, &request, Some(&answer(taken, told, 9)));
        let reservation = json!({"reservationId": "seats", "status": status, "paymentId": "one"});
        model.refunds.judge(&Affairs {
            user: "ann".to_owned(),
            balance: None,
            entries: entries.as_array().unwrap().clone(),
            payments: vec![payment],
            reservations: vec![reservation],
        });
        broken()
    };
    let entry = json!({"kind": "REFUND", "paymentId": "one", "amount": 10});
    let back = json!([entry]);
    assert!(judged("REFUNDED", back.clone(), 200).is_empty());
    assert_eq!(judged("CONFIRMED", back.clone(), 200), ["BACK-IFF-FREE"]);
    assert_eq!(judged("REFUNDED", json!([]), 200), ["BACK-IFF-FREE"]);
    assert_eq!(judged("REFUNDED", json!([entry, entry]), 200), ["BACK-IFF-FREE"]);
    assert_eq!(judged("REFUNDED", back, 409), ["REFUND"], "nobody was granted it");
}

/// The show as it is told by this title.
fn show(title: &str) -> Value {
    json!({"tag": title, "title": title, "startsAt": "2031-05-01T19:00:00Z", "price": 5, "status": "SCHEDULED"})
}

#[test]
fn of_changes_of_one_state_one_is_made_and_it_stays() {
    let slower = || answer(412, json!({"code": "PRECONDITION_FAILED"}), 3);
    let mut model = model();
    model.show.read(&answer(200, show("A"), 1));
    let change = |title: &str| json!({"title": title});
    let (first, second) = (model.show.changing("A", &change("B")), model.show.changing("A", &change("C")));
    model.show.changed(first, Some(&answer(200, show("B"), 2)));
    model.show.changed(second, Some(&slower()));
    model.show.judge();
    model.show.read(&answer(200, show("A"), 2));
    model.show.read(&answer(200, show("B"), 4));
    assert!(broken().is_empty());
    model.show.read(&answer(200, show("A"), 4));
    assert_eq!(broken(), ["CHANGED"], "it has ended");
    model.show.read(&answer(200, show("D"), 4));
    assert_eq!(broken(), ["CHANGED"], "nobody made it");
    let third = model.show.changing("A", &change("E"));
    model.show.changed(third, Some(&answer(200, show("E"), 5)));
    assert_eq!(broken(), ["FASTER"]);
    let fourth = model.show.changing("B", &change("F"));
    model.show.changed(fourth, Some(&slower()));
    model.show.judge();
    assert_eq!(broken(), ["FASTER"], "nobody was faster");
    let lost = model.show.changing("B", &change("G"));
    model.show.changed(lost, None);
    model.show.judge();
    model.show.read(&answer(200, show("G"), 9));
    assert!(broken().is_empty(), "it was made, and nobody was told");
}

#[test]
fn what_is_said_is_told_by_every_later_answer() {
    let line = |message: Value| json!({"token": "one", "status": "WAITING", "message": message});
    let mut model = model();
    let hello = json!({"ko": null, "en": "Hello"});
    model.line.said.saying(&hello);
    model.line.said.seen("ann", &answer(200, line(Value::Null), 1));
    model.line.said.heard(Some(&answer(200, json!({"message": hello}), 2)));
    model.line.said.seen("ann", &answer(200, line(Value::Null), 3));
    model.line.said.seen("ann", &answer(200, line(hello), 4));
    assert!(broken().is_empty());
    model.line.said.seen("ann", &answer(200, line(Value::Null), 4));
    model.line.said.seen("ann", &answer(200, line(json!({"ko": null, "en": "Bye"})), 4));
    assert_eq!(broken(), ["SAID", "SAID"]);
    model.line.said.heard(Some(&answer(409, json!({"code": "FAILED_PRECONDITION"}), 5)));
    assert_eq!(broken(), ["SAID"]);
}
