//! Free dates and seats: behind the queue check, unless browsing is open.

use axum::{extract::State, http::StatusCode, response::Response};
use boxoffice_proto::{
    Reason,
    booking::{ListAvailableDatesRequest, ListSeatsRequest},
    validate::Checks,
};
use chrono::NaiveDate;

use super::{
    Api, App, ask,
    day::day,
    extract::{Params, QueueToken, Segment, Word},
    json::{self, Dates, FreeSeats, FreeSeatsOfShow, Seats, whole},
    openapi::Operation,
    present,
    problem::Problem,
};
use crate::config::Browse;

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("list_dates", &[Reason::ConcertNotFound]).browses(),
    Operation::new("list_seats_of_date", &[Reason::ConcertNotFound]).browses(),
    Operation::new("list_seats_of_show", &[Reason::ShowNotFound]).browses(),
];

/// List the dates on which a seat is free
#[utoipa::path(get, path = "/v1/concerts/{concertId}/dates", tag = "booking",
    params(("concertId" = i64, Path, description = "The concert", example = 1)),
    responses((status = 200, description = "The first 10,000 dates (UTC), rising", body = Dates)))]
pub(super) async fn list_dates(
    State(api): App,
    Segment(concert_id): Segment<i64>,
    QueueToken(token): QueueToken,
) -> Result<Response, Problem> {
    api.admit_browsing(token.as_deref(), concert_id).await?;
    json::answer(StatusCode::OK, &dates(&api, concert_id).await?)
}

/// The dates of a concert.
pub(super) async fn dates(api: &Api, concert_id: i64) -> Result<Dates, Problem> {
    let answer = ask!(api.clients.booking, list_available_dates, ListAvailableDatesRequest { concert_id })?;
    Ok(Dates { concert_id, available_dates: answer.available_dates })
}

/// List the free seats of a date
///
/// However large the day is, the answer is whole: it is sent show by show as it is read. A show's seats may
/// be a quarter of a second old, each by itself. An answer that breaks off was not finished: ask again.
#[utoipa::path(get, path = "/v1/concerts/{concertId}/seats", tag = "booking",
    params(
        ("concertId" = i64, Path, description = "The concert", example = 1),
        ("date" = String, Query, description = "A UTC date", example = "2026-12-24", format = Date),
    ),
    responses((status = 200, description = "The free seats of each show on that date", body = FreeSeats)))]
pub(super) async fn list_seats_of_date(
    State(api): App,
    Segment(concert_id): Segment<i64>,
    QueueToken(token): QueueToken,
    params: Params,
) -> Result<Response, Problem> {
    let Date(date) = params.need("date")?;
    api.admit_browsing(token.as_deref(), concert_id).await?;
    let request = ListSeatsRequest { concert_id, date: date.clone(), ..ListSeatsRequest::default() };
    let one = |map| serde_json::to_vec(&FreeSeatsOfShow::try_from(map)?).map_err(Problem::internal);
    day(api, request, &FreeSeats { concert_id, date, shows: Vec::new() }, one).await
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

/// Is this a date of the calendar, written as `YYYY-MM-DD`?
fn is_date(text: &str) -> bool {
    let shaped = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    shaped && !text.starts_with("0000") && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

/// List the seats of a show
#[utoipa::path(get, path = "/v1/shows/{showId}/seats", tag = "booking",
    params(("showId" = i64, Path, description = "The show", example = 1)),
    responses((status = 200, description = "Every seat, rising", body = Seats)))]
pub(super) async fn list_seats_of_show(
    State(api): App,
    Segment(show_id): Segment<i64>,
    QueueToken(token): QueueToken,
) -> Result<Response, Problem> {
    if api.browse == Browse::Token {
        let token = present(token.as_deref())?;
        api.admit(Some(token), &api.gate.queue_of_show(show_id).await?, None).await?;
    }
    if show_id <= 0 {
        // On the wire 0 means "by concert and date".
        return Err(boxoffice_proto::Fault::new(Reason::ShowNotFound, Reason::ShowNotFound.title()).into());
    }
    let request = ListSeatsRequest { show_id, ..ListSeatsRequest::default() };
    let answer = ask!(api.clients.booking, list_seats, request)?;
    let map = whole(answer.seat_maps.into_iter().next())?;
    json::answer(StatusCode::OK, &Seats::try_from(map)?)
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
