//! Holding seats, reading reservations, giving holds back.

use axum::{extract::State, http::StatusCode, response::Response};
use boxoffice_proto::{
    Fault, Reason,
    booking::{CancelReservationRequest, GetReservationRequest, ListReservationsRequest},
};
use uuid::Uuid;

use super::{
    App,
    extract::{Body, IdempotencyKey, Page, Segment, UserId},
    json::{self, NewReservation, Reservation, Reservations},
    operation::{GATE_OF_USER, Operation},
    problem::Problem,
};
use crate::app::{Caller, hall};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::of::<boxoffice_proto::booking::HoldSeatsRequest>("hold_seats", HOLD_OR_CHOOSE)
        .takes_token(GATE_OF_USER)
        .takes_key(),
    Operation::of::<boxoffice_proto::booking::GetReservationRequest>(
        "get_reservation",
        &[Reason::ReservationNotFound],
    ),
    Operation::of::<boxoffice_proto::booking::CancelReservationRequest>(
        "cancel_reservation",
        &[Reason::ReservationNotFound, Reason::AlreadyPaid],
    )
    .takes_token(GATE_OF_USER),
    Operation::of::<boxoffice_proto::booking::ListReservationsRequest>("list_reservations", &[]),
];

/// What holding may be refused with where the seats may be left to the service.
const HOLD_OR_CHOOSE: &[Reason] = &[
    Reason::ShowNotFound,
    Reason::SeatNotFound,
    Reason::SeatTaken,
    Reason::SeatsUnavailable,
    Reason::SalesNotOpen,
    Reason::SalesClosed,
    Reason::ShowCancelled,
    Reason::HoldLimit,
    Reason::RequestIdReused,
];

/// What holding may be refused with.
pub(super) const HOLD: &[Reason] = &[
    Reason::ShowNotFound,
    Reason::SeatNotFound,
    Reason::SeatTaken,
    Reason::SalesNotOpen,
    Reason::SalesClosed,
    Reason::ShowCancelled,
    Reason::HoldLimit,
    Reason::RequestIdReused,
];

/// Hold seats
///
/// All of them or none, for a while (`expiresAt`), at the price of this moment. Of any number of concurrent
/// requests for one seat exactly one wins; the others are told SEAT_TAKEN with `seatNumbers`. Who let three
/// holds of a show end unpaid within ten minutes may have to wait before the next one: HOLD_LIMIT with
/// `Retry-After`. A show may have rules of its own: when its sale opens (SALES_NOT_OPEN with `opensAt` and
/// `Retry-After`) and closes, and how many seats one user may have, held and bought together (HOLD_LIMIT).
///
/// With `count` instead of `seatNumbers` the best seats are chosen that are free: side by side (`together`),
/// leaving no single seat between others if that can be had, in the lowest row, and there the nearest to its
/// middle. However many people ask at once, no two get the same seats. When there are none like that, the
/// answer is SEATS_UNAVAILABLE with what there is.
#[utoipa::path(post, path = "/v1/reservations", tag = "booking", request_body = NewReservation,
    responses((status = 201, description = "The seats are held.", body = Reservation,
        headers(("Location" = String, description = "The address of the reservation.")))))]
pub(super) async fn hold_seats(
    State(edge): App,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<NewReservation>,
) -> Result<Response, Problem> {
    let request = new.into_request(key.unwrap_or_default());
    let held = hall::hold(&edge, &caller, request).await.map_err(with_our_names)?;
    let reservation = Reservation::try_from(held)?;
    json::created(&format!("/v1/reservations/{}", reservation.reservation_id), &reservation)
}

/// What is wrong with a wish, under the names that its fields have here: they stand beside `showId`.
fn with_our_names(mut fault: Fault) -> Fault {
    for violation in &mut fault.violations {
        if let Some(name) = violation.field.strip_prefix("best_available.") {
            violation.field = name.to_owned();
        }
    }
    fault
}

/// Read a reservation
///
/// Its id is unguessable, and is all that is needed where nobody is asked who they are.
#[utoipa::path(get, path = "/v1/reservations/{reservationId}", tag = "booking",
    params(("reservationId" = Uuid, Path, description = "The id of the reservation.")),
    responses((status = 200, description = "The reservation as it is now.", body = Reservation)))]
pub(super) async fn get_reservation(
    State(edge): App,
    Segment(id): Segment<Uuid>,
    caller: Caller,
) -> Result<Response, Problem> {
    let request =
        GetReservationRequest { reservation_id: id.to_string(), ..GetReservationRequest::default() };
    json::answer(StatusCode::OK, &Reservation::try_from(hall::reservation(&edge, &caller, request).await?)?)
}

/// Give a hold back
///
/// The seats are free at once. A confirmed reservation is not given back; one that has ended already stays as
/// it is.
#[utoipa::path(delete, path = "/v1/reservations/{reservationId}", tag = "booking",
    params(("reservationId" = Uuid, Path, description = "The id of the reservation.")),
    responses((status = 204, description = "The hold was given back.")))]
pub(super) async fn cancel_reservation(
    State(edge): App,
    Segment(id): Segment<Uuid>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    let (reservation_id, rest) = (id.to_string(), CancelReservationRequest::default());
    let _ended = hall::release(&edge, &caller, CancelReservationRequest { reservation_id, ..rest }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List a user's reservations, newest first
#[utoipa::path(get, path = "/v1/users/{userId}/reservations", tag = "booking",
    params(("userId" = String, Path, description = "The id of the user.", example = "ann"), Page),
    responses((status = 200, description = "One page of reservations.", body = Reservations)))]
pub(super) async fn list_reservations(
    State(edge): App,
    Segment(UserId(user_id)): Segment<UserId>,
    caller: Caller,
    page: Page,
) -> Result<Response, Problem> {
    let request = ListReservationsRequest { user_id, page_size: page.page_size, page_token: page.page_token };
    let answer = hall::reservations(&edge, &caller, request).await?;
    let reservations =
        answer.reservations.into_iter().map(Reservation::try_from).collect::<Result<_, _>>()?;
    json::answer(StatusCode::OK, &Reservations { reservations, next_page_token: answer.next_page_token })
}
