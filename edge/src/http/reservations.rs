//! Holding seats, reading holds, giving them back.

use axum::{extract::State, http::StatusCode, response::Response};
use boxoffice_proto::{
    Fault, Reason,
    booking::{
        self as proto, CancelReservationRequest, GetReservationRequest, HoldSeatsRequest,
        ListReservationsRequest,
    },
};
use uuid::Uuid;

use super::{
    Api, App, ask,
    extract::{Body, Page, QueueToken, RequestId, Segment, UserId},
    json::{self, NewReservation, Reservation, Reservations, whole},
    openapi::{GATE_OF_USER, Operation},
    present,
    problem::Problem,
};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("hold_seats", HOLD).takes_token(GATE_OF_USER).takes_key(),
    Operation::new("get_reservation", &[Reason::ReservationNotFound]),
    Operation::new("cancel_reservation", &[Reason::ReservationNotFound, Reason::AlreadyPaid])
        .takes_token(GATE_OF_USER),
    Operation::new("list_reservations", &[]),
];

/// What holding may be refused with.
pub(super) const HOLD: &[Reason] = &[
    Reason::ShowNotFound,
    Reason::SeatNotFound,
    Reason::SeatTaken,
    Reason::SalesClosed,
    Reason::HoldLimit,
    Reason::RequestIdReused,
];

/// Hold seats
///
/// All of them or none, for a while (`expiresAt`), at the price of this moment. Of any number of concurrent
/// requests for one seat exactly one wins; the others are told SEAT_TAKEN with `seatNumbers`.
#[utoipa::path(post, path = "/v1/reservations", tag = "booking", request_body = NewReservation,
    responses((status = 201, description = "Held", body = Reservation,
        headers(("Location" = String, description = "The reservation's address")))))]
pub(super) async fn hold_seats(
    State(api): App,
    QueueToken(token): QueueToken,
    RequestId(request_id): RequestId,
    Body(new): Body<NewReservation>,
) -> Result<Response, Problem> {
    let request = HoldSeatsRequest {
        user_id: new.user_id,
        show_id: new.show_id,
        seat_numbers: new.seat_numbers,
        request_id,
        replay_only: false,
    };
    let reservation = Reservation::try_from(hold(&api, token.as_deref(), request).await?)?;
    json::created(&format!("/v1/reservations/{}", reservation.reservation_id), &reservation)
}

/// Holds seats for the holder of an ACTIVE token of the show's queue. Who is refused may be repeating a
/// request with a token that was used up since, and then gets the first answer again.
pub(super) async fn hold(
    api: &Api,
    token: Option<&str>,
    request: HoldSeatsRequest,
) -> Result<proto::Reservation, Problem> {
    let admitted = async {
        let token = present(token)?;
        let queue_id = api.gate.queue_of_show(request.show_id).await?;
        api.admit(Some(token), &queue_id, Some(&request.user_id)).await
    };
    if let Err(refusal) = admitted.await {
        let replay = HoldSeatsRequest { replay_only: true, ..request };
        return match ask!(api.clients.booking, hold_seats, replay) {
            Ok(answer) => Ok(whole(answer.reservation)?),
            Err(reused) if reused.code() == Reason::RequestIdReused.as_str() => Err(reused),
            Err(_never_answered) => Err(refusal),
        };
    }
    let answer = ask!(api.clients.booking, hold_seats, request)?;
    Ok(whole(answer.reservation)?)
}

/// Read a reservation
///
/// Its id is unguessable, and is all that is needed.
#[utoipa::path(get, path = "/v1/reservations/{reservationId}", tag = "booking",
    params(("reservationId" = Uuid, Path, description = "The reservation")),
    responses((status = 200, description = "The reservation as it is now", body = Reservation)))]
pub(super) async fn get_reservation(
    State(api): App,
    Segment(id): Segment<Uuid>,
) -> Result<Response, Problem> {
    json::answer(StatusCode::OK, &Reservation::try_from(find(&api, id).await?)?)
}

/// Reads a reservation.
pub(super) async fn find(api: &Api, id: Uuid) -> Result<proto::Reservation, Problem> {
    let request = GetReservationRequest { reservation_id: id.to_string() };
    let answer = ask!(api.clients.booking, get_reservation, request)?;
    Ok(whole(answer.reservation)?)
}

/// Give a hold back
///
/// The seats are free at once. A confirmed reservation is not given back; one that has ended already stays as
/// it is.
#[utoipa::path(delete, path = "/v1/reservations/{reservationId}", tag = "booking",
    params(("reservationId" = Uuid, Path, description = "The reservation")),
    responses((status = 204, description = "Given back")))]
pub(super) async fn cancel_reservation(
    State(api): App,
    Segment(id): Segment<Uuid>,
    QueueToken(token): QueueToken,
) -> Result<StatusCode, Problem> {
    let token = present(token.as_deref())?;
    let reservation = find(&api, id).await?;
    let status = reservation.status();
    let request = CancelReservationRequest {
        reservation_id: reservation.reservation_id,
        user_id: reservation.user_id.clone(),
        request_id: api.brief_id(),
    };
    match api.admit(Some(token), &reservation.queue_id, Some(&reservation.user_id)).await {
        Ok(()) => {}
        // Paying has used the token up; that is not what its owner should be told when the reservation is
        // paid for.
        Err(refusal)
            if status == proto::ReservationStatus::Confirmed
                && refusal.code() == Reason::TokenNotActive.as_str() =>
        {
            return Err(
                Fault::new(Reason::AlreadyPaid, "A reservation that is paid for is not given back.").into()
            );
        }
        Err(refusal) => return Err(refusal),
    }
    ask!(api.clients.booking, cancel_reservation, request)?;
    Ok(StatusCode::NO_CONTENT)
}

/// List a user's reservations, newest first
#[utoipa::path(get, path = "/v1/users/{userId}/reservations", tag = "booking",
    params(("userId" = String, Path, description = "The user", example = "ann"), Page),
    responses((status = 200, description = "A page", body = Reservations)))]
pub(super) async fn list_reservations(
    State(api): App,
    Segment(UserId(user_id)): Segment<UserId>,
    page: Page,
) -> Result<Response, Problem> {
    let request = ListReservationsRequest { user_id, page_size: page.page_size, page_token: page.page_token };
    let answer = ask!(api.clients.booking, list_reservations, request)?;
    let reservations =
        answer.reservations.into_iter().map(Reservation::try_from).collect::<Result<_, _>>()?;
    json::answer(StatusCode::OK, &Reservations { reservations, next_page_token: answer.next_page_token })
}
