//! Changing concerts and shows, by whoever knows their state, and calling shows off.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use boxoffice_proto::{
    Reason,
    booking::{CancelShowRequest, ShowRefunds},
};

use super::{
    App,
    extract::{Body, IdempotencyKey, Segment},
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
        &[Reason::ShowNotFound, Reason::ShowCancelled, Reason::PreconditionFailed],
    ),
    Operation::of::<CancelShowRequest>("cancel_show", &[Reason::ShowNotFound]).needs_no_key(),
];

/// Change a concert
///
/// What is left out stays. With `If-Match`, the `ETag` of the concert as it was read, the change is made
/// only if nobody was faster; without it the last one wins. It takes no `Idempotency-Key`: a repetition
/// sets the same values once more or, with `If-Match`, is told 412 when the first one was made.
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
/// What is left out stays, and null takes a rule of its sale away. What is held keeps its price, and what
/// is sold stays sold. With `If-Match`, the `ETag` of the show as it was read, the change is made only if
/// nobody was faster; without it the last one wins. It takes no `Idempotency-Key`: a repetition sets the
/// same values once more or, with `If-Match`, is told 412 when the first one was made.
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
        Some(state) if !state.is_empty() => state.to_owned(),
        _ => format!("W/{tag}"),
    };
    tags.into_iter().map(state).collect()
}

/// Call a show off
///
/// For good, whether or not it has begun. From this moment on nobody gets its seats, and its holds end.
/// Each of its sales is refunded, exactly once, by itself: the show is CANCELLING, and `refunds` tells how
/// far that is, until it is CANCELLED. Calling it off again changes nothing, and is answered with the show
/// as it is.
#[utoipa::path(post, path = "/v1/shows/{showId}/cancel", tag = "booking",
    params(("showId" = i64, Path, description = "The number of the show.", example = 1)),
    responses((status = 202, description = "The show is called off; its refunds go on by themselves: ask at `Location`.", body = Show, headers(
        ("Location" = String, description = "The address of the show."),
        ("Retry-After" = i64, description = "When to ask, in seconds.")),
        example = json!(json::called_off_show()))))]
pub(super) async fn cancel_show(
    State(edge): App,
    Segment(show_id): Segment<i64>,
    caller: Caller,
    IdempotencyKey(_key): IdempotencyKey,
) -> Result<Response, Problem> {
    let show = Show::try_from(programme::cancel_show(&edge, &caller, CancelShowRequest { show_id }).await?)?;
    let mut response = json::answer(StatusCode::ACCEPTED, &show)?;
    json::locate(&mut response, &format!("/v1/shows/{show_id}"));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    Ok(response)
}

/// An answer with the tag of a state.
pub(super) fn tagged(mut response: Response, etag: &str) -> Result<Response, Problem> {
    response.headers_mut().insert(header::ETAG, tag(etag)?);
    Ok(response)
}

/// What a show as it is read is known by: it changes when the show does, and while it is called off with
/// each count of its refunds.
pub(super) fn tag_of(show: &boxoffice_proto::booking::Show) -> String {
    match show.refunds {
        Some(ShowRefunds { total, done, parked }) => format!("{}-{total}-{done}-{parked}", show.etag),
        None => show.etag.clone(),
    }
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
