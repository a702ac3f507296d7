//! Free dates and seats: behind the queue check, unless browsing is open.

use axum::{extract::State, http::StatusCode, response::Response};
use boxoffice_proto::{Reason, validate::Checks};

use super::{
    App,
    day::day,
    extract::{Params, Segment, Word, is_date},
    json::{self, Dates, FreeSeats, FreeSeatsOfShow, Seats},
    operation::Operation,
    problem::Problem,
};
use crate::app::{Caller, hall};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::of::<boxoffice_proto::booking::ListAvailableDatesRequest>(
        "list_dates",
        &[Reason::ConcertNotFound],
    )
    .browses(),
    Operation::of::<boxoffice_proto::booking::ListSeatsRequest>(
        "list_seats_of_date",
        &[Reason::ConcertNotFound],
    )
    .browses(),
    Operation::of::<boxoffice_proto::booking::ListSeatsRequest>(
        "list_seats_of_show",
        &[Reason::ShowNotFound],
    )
    .browses(),
];

/// List the dates on which a seat is free
#[utoipa::path(get, path = "/v1/concerts/{concertId}/dates", tag = "booking",
    params(("concertId" = i64, Path, description = "The number of the concert.", example = 1)),
    responses((status = 200, description = "The first 10,000 dates by the clock of the venue, rising.", body = Dates)))]
pub(super) async fn list_dates(
    State(edge): App,
    Segment(concert_id): Segment<i64>,
    caller: Caller,
) -> Result<Response, Problem> {
    let available_dates = hall::dates(&edge, &caller, concert_id).await?;
    json::answer(StatusCode::OK, &Dates { concert_id, available_dates })
}

/// List the free seats of a date
///
/// However large the day is, the answer is whole: it is sent show by show as it is read. A show's seats are
/// those of a version at most a tenth of a second old, each by itself. An answer that breaks off was not
/// finished: ask again.
#[utoipa::path(get, path = "/v1/concerts/{concertId}/seats", tag = "booking",
    params(
        ("concertId" = i64, Path, description = "The number of the concert.", example = 1),
        ("date" = String, Query, description = "The date of the shows by the clock of the venue.", example = "2026-12-24", format = Date),
    ),
    responses((status = 200, description = "The free seats of each show on that date.", body = FreeSeats)))]
pub(super) async fn list_seats_of_date(
    State(edge): App,
    Segment(concert_id): Segment<i64>,
    caller: Caller,
    params: Params,
) -> Result<Response, Problem> {
    let Date(date) = params.need("date")?;
    let maps = hall::seats_of_date(&edge, &caller, concert_id, date.clone()).await?;
    let one = |map| serde_json::to_vec(&FreeSeatsOfShow::try_from(map)?).map_err(Problem::internal);
    day(maps, &FreeSeats { concert_id, date, shows: Vec::new() }, one).await
}

/// A date of the calendar.
pub(super) struct Date(pub(super) String);

impl Word for Date {
    fn read(checks: &mut Checks, name: &str, raw: &str) -> Self {
        if !is_date(raw) {
            checks.refuse(name, "must be a date as YYYY-MM-DD, such as 2026-12-24");
        }
        Self(raw.to_owned())
    }
}

/// List the seats of a show
#[utoipa::path(get, path = "/v1/shows/{showId}/seats", tag = "booking",
    params(("showId" = i64, Path, description = "The number of the show.", example = 1)),
    responses((status = 200, description = "Every seat of the show, rising.", body = Seats)))]
pub(super) async fn list_seats_of_show(
    State(edge): App,
    Segment(show_id): Segment<i64>,
    caller: Caller,
) -> Result<Response, Problem> {
    let seats = hall::seats(&edge, &caller, show_id).await?;
    json::answer(StatusCode::OK, &Seats::try_from(seats)?)
}

#[cfg(test)]
mod tests {
    use super::is_date;

    #[test]
    fn a_date_is_one_of_the_calendar() {
        assert!(is_date("2026-12-24") && is_date("2028-02-29"));
        for bad in
            ["", "2026-2-3", "2026-02-30", "20261224", "0000-01-01", "2026-12-24T00:00:00Z", "２026-1-01"]
        {
            assert!(!is_date(bad), "{bad}");
        }
    }
}
