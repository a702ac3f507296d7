//! The table of the routes.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ALL, Ann, READERS};

/// Each route: the request, and who may make it with ann's ACTIVE queue token in the header.
pub(super) fn routes(ann: &Ann) -> Vec<(Method, String, &'static str, Value, &'static str)> {
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let Ann { concert_id, show_id, used, token, paid, held, payment } = ann;
    let show = json!({"title": "x", "startsAt": "2099-12-24T19:30:00Z", "durationMinutes": 1, "price": 1, "seatCount": 1});
    let hold = |seat: i32| json!({"userId": "ann", "showId": show_id, "seatNumbers": [seat]});
    let row = |method: &Method, path: String, template: &'static str, body: Value, may: &'static str| {
        (method.clone(), path, template, body, may)
    };
    let original = "/api-orchestration/api";
    vec![
        row(&get, "/v1/queues".into(), "/v1/queues", json!(null), "operator"),
        row(&get, "/v1/operator/metrics".into(), "/v1/operator/metrics", json!(null), "operator"),
        row(&get, "/v1/operator/alerts".into(), "/v1/operator/alerts", json!(null), "operator"),
        row(&get, "/v1/operator/history".into(), "/v1/operator/history", json!(null), "operator"),
        row(&get, "/v1/queues/default".into(), "/v1/queues/{queueId}", json!(null), ALL),
        row(&get, "/v1/queues/default/draw".into(), "/v1/queues/{queueId}/draw", json!(null), ALL),
        row(&get, format!("/v1/tokens/{token}/draw"), "/v1/tokens/{token}/draw", json!(null), ALL),
        row(&put, "/v1/queues/other".into(), "/v1/queues/{queueId}", json!({"maxActive": 7}), "operator"),
        row(
            &post,
            "/v1/queues/default/tokens".into(),
            "/v1/queues/{queueId}/tokens",
            json!({"userId": "ann"}),
            "operator owner",
        ),
        row(&get, format!("/v1/tokens/{token}"), "/v1/tokens/{token}", json!(null), ALL),
        row(&get, format!("/v1/tokens/{used}/events"), "/v1/tokens/{token}/events", json!(null), ALL),
        row(&get, format!("/v1/tokens/{used}/ws"), "/v1/tokens/{token}/ws", json!(null), ALL),
        row(&post, "/v1/concerts".into(), "/v1/concerts", json!({"title": "x"}), "operator"),
        row(&get, "/v1/concerts".into(), "/v1/concerts", json!(null), ALL),
        row(&get, format!("/v1/concerts/{concert_id}"), "/v1/concerts/{concertId}", json!(null), ALL),
        row(
            &post,
            format!("/v1/concerts/{concert_id}/shows"),
            "/v1/concerts/{concertId}/shows",
            show,
            "operator",
        ),
        row(
            &get,
            format!("/v1/concerts/{concert_id}/shows"),
            "/v1/concerts/{concertId}/shows",
            json!(null),
            ALL,
        ),
        row(&get, format!("/v1/shows/{show_id}"), "/v1/shows/{showId}", json!(null), ALL),
        row(
            &Method::PATCH,
            format!("/v1/concerts/{concert_id}"),
            "/v1/concerts/{concertId}",
            json!({}),
            "operator",
        ),
        row(&Method::PATCH, format!("/v1/shows/{show_id}"), "/v1/shows/{showId}", json!({}), "operator"),
        row(&get, format!("/v1/shows/{show_id}/sales"), "/v1/shows/{showId}/sales", json!(null), "operator"),
        row(
            &get,
            format!("/v1/shows/{show_id}/reservations"),
            "/v1/shows/{showId}/reservations",
            json!(null),
            "operator",
        ),
        // Of no show, since that of the others must take place.
        row(&post, "/v1/shows/0/cancel".into(), "/v1/shows/{showId}/cancel", json!(null), "operator"),
        row(&get, format!("/v1/shows/{show_id}/plan"), "/v1/shows/{showId}/plan", json!(null), ALL),
        row(
            &get,
            format!("/v1/concerts/{concert_id}/dates"),
            "/v1/concerts/{concertId}/dates",
            json!(null),
            "owner",
        ),
        row(
            &get,
            format!("/v1/concerts/{concert_id}/seats?date=2099-12-24"),
            "/v1/concerts/{concertId}/seats",
            json!(null),
            "owner",
        ),
        row(&get, format!("/v1/shows/{show_id}/seats"), "/v1/shows/{showId}/seats", json!(null), "owner"),
        row(
            &get,
            format!("/v1/shows/{show_id}/availability"),
            "/v1/shows/{showId}/availability",
            json!(null),
            "owner",
        ),
        row(
            &get,
            format!("/v1/shows/{show_id}/availability/events"),
            "/v1/shows/{showId}/availability/events",
            json!(null),
            "owner",
        ),
        row(&post, "/v1/reservations".into(), "/v1/reservations", hold(5), "owner"),
        row(
            &get,
            format!("/v1/reservations/{held}"),
            "/v1/reservations/{reservationId}",
            json!(null),
            READERS,
        ),
        row(
            &get,
            "/v1/users/ann/reservations".into(),
            "/v1/users/{userId}/reservations",
            json!(null),
            READERS,
        ),
        row(
            &post,
            "/v1/wallets/ann/charges".into(),
            "/v1/wallets/{userId}/charges",
            json!({"amount": 5}),
            "cashier owner",
        ),
        row(&get, "/v1/wallets/ann".into(), "/v1/wallets/{userId}", json!(null), READERS),
        row(&get, "/v1/wallets/ann/entries".into(), "/v1/wallets/{userId}/entries", json!(null), READERS),
        row(
            &post,
            "/v1/payments".into(),
            "/v1/payments",
            json!({"userId": "ann", "reservationId": paid}),
            "owner",
        ),
        row(&get, format!("/v1/payments/{payment}"), "/v1/payments/{paymentId}", json!(null), READERS),
        row(
            &get,
            "/v1/payments?parked=true".into(),
            "/v1/payments",
            json!(null),
            "user cashier operator support owner",
        ),
        row(
            &get,
            format!("/v1/payments/{payment}/story"),
            "/v1/payments/{paymentId}/story",
            json!(null),
            READERS,
        ),
        row(
            &post,
            format!("/v1/payments/{payment}/retry"),
            "/v1/payments/{paymentId}/retry",
            json!(null),
            "operator support",
        ),
        // Of no payment, since that of the others must not be undone.
        row(
            &post,
            format!("/v1/payments/{}/refund", uuid::Uuid::from_u128(7)),
            "/v1/payments/{paymentId}/refund",
            json!({}),
            "operator support",
        ),
        row(&get, "/v1/users/ann/payments".into(), "/v1/users/{userId}/payments", json!(null), READERS),
        row(
            &post,
            "/queue-management/api/token".into(),
            "/queue-management/api/token",
            json!({"userId": "ann"}),
            "operator owner",
        ),
        row(
            &get,
            "/queue-management/api/token/ann".into(),
            "/queue-management/api/token/{userId}",
            json!(null),
            "operator owner",
        ),
        row(
            &get,
            format!("{original}/reservations/available-dates/{concert_id}"),
            "/api-orchestration/api/reservations/available-dates/{concertId}",
            json!(null),
            "owner",
        ),
        row(
            &get,
            format!("{original}/reservations/available-seats?concertId={concert_id}&date=2099-12-24"),
            "/api-orchestration/api/reservations/available-seats",
            json!(null),
            "owner",
        ),
        row(
            &post,
            format!("{original}/reservations/reserve-seat"),
            "/api-orchestration/api/reservations/reserve-seat",
            json!({"userId": "ann", "concertOptionId": show_id, "seatId": 6}),
            "owner",
        ),
        row(
            &post,
            format!("{original}/balance/charge"),
            "/api-orchestration/api/balance/charge",
            json!({"userId": "ann", "amount": 5}),
            "cashier owner",
        ),
        row(
            &get,
            format!("{original}/balance/ann"),
            "/api-orchestration/api/balance/{userId}",
            json!(null),
            READERS,
        ),
        row(
            &post,
            format!("{original}/balance/payment"),
            "/api-orchestration/api/balance/payment",
            json!({"userId": "ann", "reservationId": paid, "amount": 1_000}),
            "owner",
        ),
        row(&get, "/v1/operator/journal".into(), "/v1/operator/journal", json!(null), "operator"),
        // These end what the others need.
        row(
            &delete,
            format!("/v1/reservations/{held}"),
            "/v1/reservations/{reservationId}",
            json!(null),
            "support owner",
        ),
        row(&delete, format!("/v1/tokens/{token}"), "/v1/tokens/{token}", json!(null), "operator owner"),
    ]
}
