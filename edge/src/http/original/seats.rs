//! The original's dates, seats and reservations.

use axum::{extract::State, http::StatusCode, response::Response};
use boxoffice_proto::{
    Fault, Reason,
    booking::{HoldSeatsRequest, Seat, SeatMap, SeatStatus},
    time,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{
    App,
    day::day,
    extract::{Body, IdempotencyKey, Params, Segment, Word},
    fields::{Fields, FromFields},
    json::{self, Dates, Instant, UserIdText, whole},
    operation::{GATE_OF_USER, Operation},
    problem::Problem,
    reservations::HOLD,
    seats::Date,
};
use crate::app::{Caller, hall, programme};

/// What each operation may be refused with.
pub(in crate::http) const OPERATIONS: &[Operation] = &[
    Operation::of::<boxoffice_proto::booking::ListAvailableDatesRequest>(
        "original_list_dates",
        &[Reason::ConcertNotFound],
    )
    .browses(),
    Operation::of::<boxoffice_proto::booking::ListSeatsRequest>(
        "original_list_seats",
        &[Reason::ConcertNotFound],
    )
    .browses(),
    Operation::of::<boxoffice_proto::booking::HoldSeatsRequest>("original_reserve_seat", HOLD)
        .takes_token(GATE_OF_USER)
        .takes_key(),
];

/// The free seats of a date.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct OriginalSeats {
    /// The number of the concert.
    #[schema(example = 1)]
    concert_id: i64,
    /// The date by the clock of the venue.
    #[schema(format = Date, example = "2026-12-24")]
    date: String,
    /// The free seats of all shows of the date.
    available_seats: Vec<OriginalSeat>,
}

/// A seat that is free.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct OriginalSeat {
    /// What to send to reserve it.
    #[schema(minimum = 1, example = 7)]
    seat_id: i32,
    /// The number of the seat.
    #[schema(minimum = 1, example = 7)]
    seat_number: i32,
    /// Its show, should the date have several.
    #[schema(example = 1)]
    concert_option_id: i64,
}

/// Which seat to reserve.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"userId": 1, "concertOptionId": 1, "seatId": 7}))]
pub(in crate::http) struct OriginalNewReservation {
    /// The user who reserves.
    #[schema(value_type = UserIdText)]
    user_id: String,
    /// The number of the show.
    #[schema(minimum = 1)]
    concert_option_id: i64,
    /// The seat's number.
    #[schema(minimum = 1)]
    seat_id: i32,
    /// The show's date by the clock of its venue; checked when it is sent.
    #[schema(format = Date)]
    date: Option<String>,
}

impl FromFields for OriginalNewReservation {
    fn read(fields: &mut Fields) -> Self {
        Self {
            user_id: fields.user_id("userId"),
            concert_option_id: fields.integer("concertOptionId", 1..=i64::MAX),
            seat_id: fields.small("seatId", 1..=i32::MAX),
            date: fields
                .optional_text("date", 0..=64)
                .map(|date| Date::read(&mut fields.checks, "date", &date).0),
        }
    }
}

/// A seat that is held.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct OriginalReservation {
    /// The id of the reservation.
    #[schema(format = Uuid)]
    reservation_id: String,
    /// The user for whom the seat is held.
    #[schema(example = "1")]
    user_id: String,
    /// The number of the show.
    #[schema(example = 1)]
    concert_option_id: i64,
    /// The number of the seat.
    #[schema(example = 7)]
    seat_id: i32,
    /// It is always TEMPORARY_RESERVED.
    #[schema(value_type = String, example = "TEMPORARY_RESERVED")]
    status: &'static str,
    /// Until when to pay.
    #[schema(example = "The seat is yours until 2026-12-24T19:30:00.000000Z; pay before.")]
    message: String,
}

/// List the dates on which a seat is free
#[utoipa::path(get, path = "/api-orchestration/api/reservations/available-dates/{concertId}", tag = "original",
    params(("concertId" = i64, Path, description = "The number of the concert.", example = 1)),
    responses((status = 200, description = "The first 10,000 dates by the clock of the venue, rising.", body = Dates)))]
pub(in crate::http) async fn original_list_dates(
    State(edge): App,
    Segment(concert_id): Segment<i64>,
    caller: Caller,
) -> Result<Response, Problem> {
    let available_dates = hall::dates(&edge, &caller, concert_id).await?;
    json::answer(StatusCode::OK, &Dates { concert_id, available_dates })
}

/// List the free seats of a date
#[utoipa::path(get, path = "/api-orchestration/api/reservations/available-seats", tag = "original",
    params(
        ("concertId" = i64, Query, description = "The number of the concert.", example = 1),
        ("date" = String, Query, description = "The date of the shows by the clock of the venue.", example = "2026-12-24", format = Date),
    ),
    responses((status = 200, description = "The free seats of the date.", body = OriginalSeats)))]
pub(in crate::http) async fn original_list_seats(
    State(edge): App,
    caller: Caller,
    params: Params,
) -> Result<Response, Problem> {
    let concert_id = params.need("concertId")?;
    let Date(date) = params.need("date")?;
    let maps = hall::seats_of_date(&edge, &caller, concert_id, date.clone()).await?;
    day(maps, &OriginalSeats { concert_id, date, available_seats: Vec::new() }, free).await
}

/// A show's free seats as items of the one list that all shows of the date share.
fn free(map: SeatMap) -> Result<Vec<u8>, Problem> {
    let concert_option_id = whole(map.show)?.show_id;
    let free = map.seats.into_iter().filter(|seat| seat.status() == SeatStatus::Available);
    let seat = |seat: Seat| OriginalSeat {
        seat_id: seat.seat_number,
        seat_number: seat.seat_number,
        concert_option_id,
    };
    let mut list = serde_json::to_vec(&free.map(seat).collect::<Vec<_>>()).map_err(Problem::internal)?;
    // The list's own brackets are left out.
    list.pop();
    Ok(list.split_off(1))
}

/// Reserve a seat for a while
#[utoipa::path(post, path = "/api-orchestration/api/reservations/reserve-seat", tag = "original",
    request_body = OriginalNewReservation,
    responses((status = 200, description = "The seats are held.", body = OriginalReservation)))]
pub(in crate::http) async fn original_reserve_seat(
    State(edge): App,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<OriginalNewReservation>,
) -> Result<Response, Problem> {
    let fits = async {
        let Some(date) = &new.date else { return Ok(()) };
        let show = programme::show(&edge, new.concert_option_id).await?;
        if show.local_date == *date {
            Ok(())
        } else {
            Err(Fault::invalid_field("date", "is not the date of this show"))
        }
    };
    let request = HoldSeatsRequest {
        user_id: new.user_id,
        show_id: new.concert_option_id,
        seat_numbers: vec![new.seat_id],
        request_id: key.unwrap_or_default(),
        ..HoldSeatsRequest::default()
    };
    let held = hall::hold_if(fits, &edge, &caller, request).await?;
    let until = whole(held.expires_at.as_ref().and_then(time::micros))?;
    let reservation = OriginalReservation {
        reservation_id: held.reservation_id,
        user_id: held.user_id,
        concert_option_id: held.show_id,
        seat_id: new.seat_id,
        status: "TEMPORARY_RESERVED",
        message: format!("The seat is yours until {}; pay before.", Instant(until).text()),
    };
    json::answer(StatusCode::OK, &reservation)
}
