//! Concerts and their shows.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use boxoffice_proto::{
    Reason,
    booking::{ListConcertsRequest, ListShowsRequest},
};

use super::{
    App,
    extract::{Body, IdempotencyKey, Order, Page, Segment, ToCome},
    json::{self, Concert, Concerts, NewConcert, NewShow, SeatPlan, Show, Shows},
    mending,
    operation::Operation,
    problem::Problem,
    tokens::tagged,
};
use crate::app::{Caller, programme};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::of::<boxoffice_proto::booking::CreateConcertRequest>(
        "create_concert",
        &[Reason::RequestIdReused],
    )
    .takes_key(),
    Operation::of::<boxoffice_proto::booking::ListConcertsRequest>("list_concerts", &[]),
    Operation::of::<boxoffice_proto::booking::GetConcertRequest>("get_concert", &[Reason::ConcertNotFound]),
    Operation::of::<boxoffice_proto::booking::CreateShowRequest>(
        "create_show",
        &[Reason::ConcertNotFound, Reason::RequestIdReused],
    )
    .takes_key(),
    Operation::of::<boxoffice_proto::booking::GetShowRequest>("get_show", &[Reason::ShowNotFound]),
    Operation::of::<boxoffice_proto::booking::GetSeatPlanRequest>("get_seat_plan", &[Reason::ShowNotFound]),
    Operation::of::<boxoffice_proto::booking::ListShowsRequest>("list_shows", &[Reason::ConcertNotFound]),
];

/// Create a concert
#[utoipa::path(post, path = "/v1/concerts", tag = "booking", request_body = NewConcert,
    responses((status = 201, description = "The concert was created.", body = Concert,
        headers(("Location" = String, description = "The address of the concert.")))))]
pub(super) async fn create_concert(
    State(edge): App,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<NewConcert>,
) -> Result<Response, Problem> {
    let request = new.into_request(key.unwrap_or_default());
    let concert = Concert::try_from(programme::create_concert(&edge, &caller, request).await?)?;
    json::created(&format!("/v1/concerts/{}", concert.concert_id), &concert)
}

/// List concerts, newest first
///
/// With `from` those that have a show from then on, in the order of their next show.
#[utoipa::path(get, path = "/v1/concerts", tag = "booking", params(Page, ToCome),
    responses((status = 200, description = "One page of concerts.", body = Concerts)))]
pub(super) async fn list_concerts(
    State(edge): App,
    page: Page,
    to_come: ToCome,
) -> Result<Response, Problem> {
    let (from, from_date) = to_come.read()?;
    let Page { page_size, page_token } = page;
    let request = ListConcertsRequest { page_size, page_token, from, from_date };
    let answer = programme::concerts(&edge, request).await?;
    let concerts = answer.concerts.into_iter().map(Concert::try_from).collect::<Result<_, _>>()?;
    json::answer(StatusCode::OK, &Concerts { concerts, next_page_token: answer.next_page_token })
}

/// Read a concert
#[utoipa::path(get, path = "/v1/concerts/{concertId}", tag = "booking",
    params(
        ("concertId" = i64, Path, description = "The number of the concert.", example = 1),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the previous answer."),
    ),
    responses(
        (status = 200, description = "The concert as it is now.", body = Concert, headers(
            ("ETag" = String, description = "The tag changes when the concert does."))),
        (status = 304, description = "Nothing has changed since then."),
    ))]
pub(super) async fn get_concert(
    State(edge): App,
    Segment(concert_id): Segment<i64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let concert = programme::concert(&edge, concert_id).await?;
    let etag = concert.etag.clone();
    mending::read(json::answer(StatusCode::OK, &Concert::try_from(concert)?)?, &etag, &headers)
}

/// Create a show and its seats
///
/// Either all seats have one price (`price`, `seatCount`), or the hall has `sections`, each of rows or of
/// standing room and with its price. The body may have 1 MiB.
#[utoipa::path(post, path = "/v1/concerts/{concertId}/shows", tag = "booking", request_body = NewShow,
    params(("concertId" = i64, Path, description = "The number of the concert.", example = 1)),
    responses((status = 201, description = "The show was created, with seats 1..seatCount.", body = Show,
        headers(("Location" = String, description = "The address of the show.")))))]
pub(super) async fn create_show(
    State(edge): App,
    Segment(concert_id): Segment<i64>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<NewShow>,
) -> Result<Response, Problem> {
    let request = new.into_request(concert_id, key.unwrap_or_default());
    let show = Show::try_from(programme::create_show(&edge, &caller, request).await?)?;
    json::created(&format!("/v1/shows/{}", show.show_id), &show)
}

/// Read a show
#[utoipa::path(get, path = "/v1/shows/{showId}", tag = "booking",
    params(
        ("showId" = i64, Path, description = "The number of the show.", example = 1),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the previous answer."),
    ),
    responses(
        (status = 200, description = "The show as it is now.", body = Show, headers(
            ("ETag" = String, description = "The tag changes when the show does."))),
        (status = 304, description = "Nothing has changed since then."),
    ))]
pub(super) async fn get_show(
    State(edge): App,
    Segment(show_id): Segment<i64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let show = programme::show(&edge, show_id).await?;
    let etag = mending::tag_of(&show);
    mending::read(json::answer(StatusCode::OK, &Show::try_from(show)?)?, &etag, &headers)
}

/// Read the plan of a show's hall
///
/// Its sections and rows, the numbers of their seats, what stands on their tickets, and what they cost. The
/// same answer for everyone, cacheable for a minute.
#[utoipa::path(get, path = "/v1/shows/{showId}/plan", tag = "booking",
    params(
        ("showId" = i64, Path, description = "The number of the show.", example = 1),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the previous answer."),
    ),
    responses(
        (status = 200, description = "The plan of the hall.", body = SeatPlan, headers(
            ("ETag" = String, description = "The tag changes when the answer does."),
            ("Cache-Control" = String, description = "It is always `public, max-age=60`."))),
        (status = 304, description = "Nothing has changed since then.", headers(
            ("Cache-Control" = String, description = "It is always `public, max-age=60`."))),
    ))]
pub(super) async fn get_seat_plan(
    State(edge): App,
    Segment(show_id): Segment<i64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let plan = SeatPlan::from(programme::plan(&edge, show_id).await?);
    let mut response = tagged(serde_json::to_vec(&plan).map_err(Problem::internal)?, &headers);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    Ok(response)
}

/// List a concert's shows, newest first
///
/// With `order=startsAt` in the order in which they begin, and with `from` only those that begin then or
/// later.
#[utoipa::path(get, path = "/v1/concerts/{concertId}/shows", tag = "booking",
    params(("concertId" = i64, Path, description = "The number of the concert.", example = 1), Page, ToCome, Order),
    responses((status = 200, description = "One page of shows.", body = Shows)))]
pub(super) async fn list_shows(
    State(edge): App,
    Segment(concert_id): Segment<i64>,
    page: Page,
    to_come: ToCome,
    order: Order,
) -> Result<Response, Problem> {
    let ((from, from_date), order) = (to_come.read()?, order.order);
    let Page { page_size, page_token } = page;
    let request = ListShowsRequest { concert_id, page_size, page_token, from, order, from_date };
    let answer = programme::shows(&edge, request).await?;
    let shows = answer.shows.into_iter().map(Show::try_from).collect::<Result<_, _>>()?;
    json::answer(StatusCode::OK, &Shows { shows, next_page_token: answer.next_page_token })
}
