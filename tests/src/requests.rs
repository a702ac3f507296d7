//! The requests for shows and holds, over REST and gRPC: each is spelled out here once, and a test says what
//! matters to it.

use boxoffice_proto::{
    booking::{CreateShowRequest, HoldSeatsRequest},
    time,
};
use serde_json::{Value, json};

use crate::world::STARTS_AT;

/// The body that creates a show: one hour at 1 a seat, with these members changed or added.
///
/// # Panics
/// When the changes are no object.
#[must_use]
pub fn show_body(changes: Value) -> Value {
    let mut body = json!({"startsAt": STARTS_AT, "durationMinutes": 60, "title": "Evening", "price": 1});
    let Value::Object(changes) = changes else { panic!("{changes} should be an object") };
    body.as_object_mut().unwrap().extend(changes);
    body
}

/// The body that holds seats.
#[must_use]
pub fn hold_body(user: &str, show: i64, seats: impl Into<Value>) -> Value {
    json!({"userId": user, "showId": show, "seatNumbers": seats.into()})
}

/// The message that creates a show of a concert: one hour at 1 a seat.
#[must_use]
pub fn show_message(concert_id: i64) -> CreateShowRequest {
    CreateShowRequest {
        concert_id,
        starts_at: Some(time::timestamp(2_000_000_000_000_000)),
        duration_minutes: 60,
        title: "Evening".to_owned(),
        price: 1,
        ..CreateShowRequest::default()
    }
}

/// The message that holds seats, without a request id.
#[must_use]
pub fn hold_message(user: &str, show_id: i64, seats: &[i32]) -> HoldSeatsRequest {
    HoldSeatsRequest {
        user_id: user.to_owned(),
        show_id,
        seat_numbers: seats.to_vec(),
        ..HoldSeatsRequest::default()
    }
}
