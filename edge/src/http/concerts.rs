//! Concerts and their shows.

use axum::{extract::State, http::StatusCode, response::Response};
use boxoffice_proto::{
    Reason,
    booking::{
        CreateConcertRequest, CreateShowRequest, GetConcertRequest, GetShowRequest, ListConcertsRequest,
        ListShowsRequest,
    },
    time,
};

use super::{
    App, ask,
    extract::{Body, Page, RequestId, Segment},
    json::{self, Concert, Concerts, NewConcert, NewShow, Show, Shows, whole},
    openapi::Operation,
    problem::Problem,
};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("create_concert", &[Reason::RequestIdReused]).takes_key(),
    Operation::new("list_concerts", &[]),
    Operation::new("get_concert", &[Reason::ConcertNotFound]),
    Operation::new("create_show", &[Reason::ConcertNotFound, Reason::RequestIdReused]).takes_key(),
    Operation::new("get_show", &[Reason::ShowNotFound]),
    Operation::new("list_shows", &[Reason::ConcertNotFound]),
];

/// Create a concert
#[utoipa::path(post, path = "/v1/concerts", tag = "booking", request_body = NewConcert,
    responses((status = 201, description = "Created", body = Concert,
        headers(("Location" = String, description = "The concert's address")))))]
pub(super) async fn create_concert(
    State(api): App,
    RequestId(request_id): RequestId,
    Body(new): Body<NewConcert>,
) -> Result<Response, Problem> {
    let request =
        CreateConcertRequest { title: new.title, queue_id: new.queue_id.unwrap_or_default(), request_id };
    let answer = ask!(api.clients.booking, create_concert, request)?;
    let concert = Concert::try_from(whole(answer.concert)?)?;
    json::created(&format!("/v1/concerts/{}", concert.concert_id), &concert)
}

/// List concerts, newest first
#[utoipa::path(get, path = "/v1/concerts", tag = "booking", params(Page),
    responses((status = 200, description = "A page", body = Concerts)))]
pub(super) async fn list_concerts(State(api): App, page: Page) -> Result<Response, Problem> {
    let request = ListConcertsRequest { page_size: page.page_size, page_token: page.page_token };
    let answer = ask!(api.clients.booking, list_concerts, request)?;
    let concerts = answer.concerts.into_iter().map(Concert::try_from).collect::<Result<_, _>>()?;
    json::answer(StatusCode::OK, &Concerts { concerts, next_page_token: answer.next_page_token })
}

/// Read a concert
#[utoipa::path(get, path = "/v1/concerts/{concertId}", tag = "booking",
    params(("concertId" = i64, Path, description = "The concert", example = 1)),
    responses((status = 200, description = "The concert", body = Concert)))]
pub(super) async fn get_concert(
    State(api): App,
    Segment(concert_id): Segment<i64>,
) -> Result<Response, Problem> {
    let answer = ask!(api.clients.booking, get_concert, GetConcertRequest { concert_id })?;
    json::answer(StatusCode::OK, &Concert::try_from(whole(answer.concert)?)?)
}

/// Create a show and its seats
#[utoipa::path(post, path = "/v1/concerts/{concertId}/shows", tag = "booking", request_body = NewShow,
    params(("concertId" = i64, Path, description = "The concert", example = 1)),
    responses((status = 201, description = "Created, with seats 1..seatCount", body = Show,
        headers(("Location" = String, description = "The show's address")))))]
pub(super) async fn create_show(
    State(api): App,
    Segment(concert_id): Segment<i64>,
    RequestId(request_id): RequestId,
    Body(new): Body<NewShow>,
) -> Result<Response, Problem> {
    let request = CreateShowRequest {
        concert_id,
        starts_at: Some(time::timestamp(new.starts_at)),
        duration_minutes: new.duration_minutes,
        title: new.title,
        description: new.description.unwrap_or_default(),
        price: new.price,
        seat_count: new.seat_count,
        request_id,
    };
    let answer = ask!(api.clients.booking, create_show, request)?;
    let show = Show::try_from(whole(answer.show)?)?;
    json::created(&format!("/v1/shows/{}", show.show_id), &show)
}

/// Read a show
#[utoipa::path(get, path = "/v1/shows/{showId}", tag = "booking",
    params(("showId" = i64, Path, description = "The show", example = 1)),
    responses((status = 200, description = "The show", body = Show)))]
pub(super) async fn get_show(State(api): App, Segment(show_id): Segment<i64>) -> Result<Response, Problem> {
    let answer = ask!(api.clients.booking, get_show, GetShowRequest { show_id })?;
    json::answer(StatusCode::OK, &Show::try_from(whole(answer.show)?)?)
}

/// List a concert's shows, newest first
#[utoipa::path(get, path = "/v1/concerts/{concertId}/shows", tag = "booking",
    params(("concertId" = i64, Path, description = "The concert", example = 1), Page),
    responses((status = 200, description = "A page", body = Shows)))]
pub(super) async fn list_shows(
    State(api): App,
    Segment(concert_id): Segment<i64>,
    page: Page,
) -> Result<Response, Problem> {
    let request = ListShowsRequest { concert_id, page_size: page.page_size, page_token: page.page_token };
    let answer = ask!(api.clients.booking, list_shows, request)?;
    let shows = answer.shows.into_iter().map(Show::try_from).collect::<Result<_, _>>()?;
    json::answer(StatusCode::OK, &Shows { shows, next_page_token: answer.next_page_token })
}
