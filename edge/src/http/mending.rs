//! Changing concerts and shows, by whoever knows their state.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use boxoffice_proto::Reason;

use super::{
    App,
    extract::{Body, Segment},
    json::{self, Concert, ConcertChange, Show, ShowChange},
    operation::Operation,
    problem::Problem,
    tokens::Known,
};
use crate::app::{Caller, programme};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::of::<boxoffice_proto::booking::UpdateConcertRequest>(
        "update_concert",
        &[Reason::ConcertNotFound, Reason::PreconditionFailed],
    ),
    Operation::of::<boxoffice_proto::booking::UpdateShowRequest>(
        "update_show",
        &[Reason::ShowNotFound, Reason::PreconditionFailed],
    ),
];

/// Change a concert
///
/// What is left out stays. With `If-Match`, the `ETag` of the concert as it was read, the change is made only
/// if nobody was faster; without it the last one wins.
#[utoipa::path(patch, path = "/v1/concerts/{concertId}", tag = "booking", request_body = ConcertChange,
    params(
        ("concertId" = i64, Path, description = "The number of the concert.", example = 1),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the concert that is to be changed."),
    ),
    responses((status = 200, description = "The concert as it is now.", body = Concert, headers(
        ("ETag" = String, description = "The tag changes when the concert does.")))))]
pub(super) async fn update_concert(
    State(edge): App,
    Segment(concert_id): Segment<i64>,
    caller: Caller,
    headers: HeaderMap,
    Body(change): Body<ConcertChange>,
) -> Result<Response, Problem> {
    let request = change.into_request(concert_id);
    let concert = programme::update_concert(&edge, &caller, request, &if_match(&headers)).await?;
    let etag = concert.etag.clone();
    tagged(json::answer(StatusCode::OK, &Concert::try_from(concert)?)?, &etag)
}

/// Change a show
///
/// What is left out stays, and null takes a rule of its sale away. What is held keeps its price, and what is
/// sold stays sold. With `If-Match`, the `ETag` of the show as it was read, the change is made only if nobody
/// was faster; without it the last one wins.
#[utoipa::path(patch, path = "/v1/shows/{showId}", tag = "booking", request_body = ShowChange,
    params(
        ("showId" = i64, Path, description = "The number of the show.", example = 1),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the show that is to be changed."),
    ),
    responses((status = 200, description = "The show as it is now.", body = Show, headers(
        ("ETag" = String, description = "The tag changes when the show does.")))))]
pub(super) async fn update_show(
    State(edge): App,
    Segment(show_id): Segment<i64>,
    caller: Caller,
    headers: HeaderMap,
    Body(change): Body<ShowChange>,
) -> Result<Response, Problem> {
    let request = change.into_request(show_id);
    let show = programme::update_show(&edge, &caller, request, &if_match(&headers)).await?;
    let etag = show.etag.clone();
    tagged(json::answer(StatusCode::OK, &Show::try_from(show)?)?, &etag)
}

/// The states that `If-Match` names; none without it, and for `*`, which whatever is there matches. A tag
/// that is weak, or is not quoted, names a state that nothing ever has (RFC 9110, 13.1.1).
fn if_match(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::IF_MATCH).iter();
    let tags: Vec<&str> =
        values.flat_map(|value| value.to_str().unwrap_or_default().split(',')).map(str::trim).collect();
    if tags.contains(&"*") {
        return Vec::new();
    }
    let state = |tag: &str| match tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(state) => state.to_owned(),
        None => format!("W/{tag}"),
    };
    tags.into_iter().map(state).collect()
}

/// An answer with the tag of a state.
pub(super) fn tagged(mut response: Response, etag: &str) -> Result<Response, Problem> {
    response.headers_mut().insert(header::ETAG, tag(etag)?);
    Ok(response)
}

/// An answer to a read with the tag of a state: 304 when the client has it already.
pub(super) fn read(response: Response, etag: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let tag = tag(etag)?;
    let response =
        if Known::of(headers).has(&tag) { StatusCode::NOT_MODIFIED.into_response() } else { response };
    tagged(response, etag)
}

fn tag(etag: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::try_from(format!("\"{etag}\"")).map_err(Problem::internal)
}
