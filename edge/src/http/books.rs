//! The seller's books: what a show has sold, and who has its seats.

use axum::{extract::State, http::StatusCode, response::Response};
use boxoffice_proto::{Reason, booking::ListShowReservationsRequest};

use super::{
    App,
    extract::{Page, Segment},
    json::{self, Reservation, Reservations, ShowSales},
    operation::Operation,
    problem::Problem,
};
use crate::app::{Caller, programme};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::of::<boxoffice_proto::booking::GetShowSalesRequest>("get_show_sales", &[Reason::ShowNotFound]),
    Operation::of::<boxoffice_proto::booking::ListShowReservationsRequest>(
        "list_show_reservations",
        &[Reason::ShowNotFound],
    ),
];

/// Read what a show has sold
///
/// In all and by section, at most a quarter of a second old, and the same from every replica. The money is
/// that of the ledger: `gross` is what was ever paid for seats of the show, `refunded` what went back.
#[utoipa::path(get, path = "/v1/shows/{showId}/sales", tag = "booking",
    params(("showId" = i64, Path, description = "The number of the show.", example = 1)),
    responses((status = 200, description = "The books of the show as they are now.", body = ShowSales)))]
pub(super) async fn get_show_sales(
    State(edge): App,
    Segment(show_id): Segment<i64>,
    caller: Caller,
) -> Result<Response, Problem> {
    let sales = programme::sales(&edge, &caller, show_id).await?;
    json::answer(StatusCode::OK, &ShowSales::try_from(sales)?)
}

/// List who has the seats of a show, by seat
///
/// The reservations that are HELD or CONFIRMED now, in the order of their first seats.
#[utoipa::path(get, path = "/v1/shows/{showId}/reservations", tag = "booking",
    params(("showId" = i64, Path, description = "The number of the show.", example = 1), Page),
    responses((status = 200, description = "One page of reservations.", body = Reservations)))]
pub(super) async fn list_show_reservations(
    State(edge): App,
    Segment(show_id): Segment<i64>,
    caller: Caller,
    page: Page,
) -> Result<Response, Problem> {
    let Page { page_size, page_token } = page;
    let request = ListShowReservationsRequest { show_id, page_size, page_token };
    let answer = programme::reservations(&edge, &caller, request).await?;
    let reservations =
        answer.reservations.into_iter().map(Reservation::try_from).collect::<Result<_, _>>()?;
    json::answer(StatusCode::OK, &Reservations { reservations, next_page_token: answer.next_page_token })
}
