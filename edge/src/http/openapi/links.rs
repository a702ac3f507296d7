//! Links: which member of an answer is a parameter of which call that may follow, so that readers and
//! programs can walk through an on-sale.

use serde_json::{Value, json};

/// The operation that answers, the call that may follow, its parameter, and the member of the answer to use.
const LINKS: [(&str, &str, &str, &str); 40] = [
    ("put_queue", "get_queue", "queueId", "queueId"),
    ("put_queue", "get_draw", "queueId", "queueId"),
    ("put_queue", "issue_token", "queueId", "queueId"),
    ("issue_token", "get_token", "token", "token"),
    ("issue_token", "token_events", "token", "token"),
    ("issue_token", "get_token_draw", "token", "token"),
    ("issue_token", "leave_queue", "token", "token"),
    ("issue_token", "list_dates", "X-Queue-Token", "token"),
    ("issue_token", "list_seats_of_date", "X-Queue-Token", "token"),
    ("issue_token", "list_seats_of_show", "X-Queue-Token", "token"),
    ("issue_token", "get_availability", "X-Queue-Token", "token"),
    ("issue_token", "availability_events", "X-Queue-Token", "token"),
    ("issue_token", "hold_seats", "X-Queue-Token", "token"),
    ("issue_token", "pay", "X-Queue-Token", "token"),
    ("issue_token", "cancel_reservation", "X-Queue-Token", "token"),
    ("issue_token", "list_reservations", "userId", "userId"),
    ("issue_token", "list_payments", "userId", "userId"),
    ("create_concert", "get_concert", "concertId", "concertId"),
    ("create_concert", "create_show", "concertId", "concertId"),
    ("create_concert", "list_shows", "concertId", "concertId"),
    ("create_concert", "list_dates", "concertId", "concertId"),
    ("create_concert", "list_seats_of_date", "concertId", "concertId"),
    ("create_show", "get_show", "showId", "showId"),
    ("create_show", "get_seat_plan", "showId", "showId"),
    ("create_show", "list_seats_of_show", "showId", "showId"),
    ("create_show", "get_availability", "showId", "showId"),
    ("create_show", "availability_events", "showId", "showId"),
    ("create_show", "list_shows", "concertId", "concertId"),
    ("hold_seats", "get_reservation", "reservationId", "reservationId"),
    ("hold_seats", "cancel_reservation", "reservationId", "reservationId"),
    ("charge_wallet", "get_wallet", "userId", "userId"),
    ("charge_wallet", "list_entries", "userId", "userId"),
    ("pay", "get_payment", "paymentId", "paymentId"),
    ("list_concerts", "list_concerts", "pageToken", "nextPageToken"),
    ("original_issue_token", "original_get_token", "userId", "userId"),
    ("original_issue_token", "original_list_dates", "X-Queue-Token", "tokenValue"),
    ("original_issue_token", "original_list_seats", "X-Queue-Token", "tokenValue"),
    ("original_issue_token", "original_reserve_seat", "X-Queue-Token", "tokenValue"),
    ("original_issue_token", "original_pay", "X-Queue-Token", "tokenValue"),
    ("original_charge", "original_get_balance", "userId", "userId"),
];

/// Adds the links of an operation to its answer.
pub(super) fn add(operation: &str, response: &mut Value) {
    for (_, next, parameter, member) in LINKS.iter().filter(|(from, ..)| *from == operation) {
        let expression = format!("$response.body#/{member}");
        response["links"][next] = json!({"operationId": next, "parameters": {*parameter: expression}});
    }
}
