//! What can be had of a show: the compact form that seat maps need, and the same live. Each version of it is
//! written once, whoever reads it.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use boxoffice_proto::{
    Reason,
    booking::{GetAvailabilityRequest, WatchAvailabilityRequest},
};
use futures::{Stream, stream};
use serde::Serialize;

use super::{
    App,
    extract::Segment,
    json::{Availability, AvailabilityChanges},
    operation::Operation,
    problem::Problem,
    streams::{COME_BACK_LATE, come_back, opened},
    tokens::Known,
};
use crate::app::{Caller, HallMap, HallNews, HallStream, StreamEnd, hall};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::of::<GetAvailabilityRequest>("get_availability", &[Reason::ShowNotFound]).browses(),
    Operation::of::<WatchAvailabilityRequest>("availability_events", &[Reason::ShowNotFound]).browses(),
];

/// Read what can be had of a show
///
/// A bitmap of its seats, and how many can be had in each section. It tells what was held and sold before the
/// request came; what another replica has changed in the last tenth of a second may not be in it. HoldSeats
/// decides. Send the `ETag` back as `If-None-Match`, at most about once a second, or follow the events.
#[utoipa::path(get, path = "/v1/shows/{showId}/availability", tag = "booking",
    params(
        ("showId" = i64, Path, description = "The number of the show.", example = 1),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the previous answer."),
    ),
    responses(
        (status = 200, description = "What can be had now.", body = Availability<'static>, headers(
            ("ETag" = String, description = "It is the version, in quotes."))),
        (status = 304, description = "Nothing has changed since then."),
    ))]
pub(super) async fn get_availability(
    State(edge): App,
    Segment(show_id): Segment<i64>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let request = GetAvailabilityRequest { show_id, known_version: None };
    let map = hall::availability(&edge, &caller, request).await?;
    let tag = HeaderValue::from_str(&format!("\"{}\"", map.message.version)).map_err(Problem::internal)?;
    let mut response = if Known::of(&headers).has(&tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let body = map.json(|message| written(&Availability::from(message)));
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    };
    let out = response.headers_mut();
    out.insert(header::ETAG, tag);
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=1"));
    Ok(response)
}

/// Follow what can be had of a show as server-sent events
///
/// Event `snapshot`, data = what `GET /v1/shows/{showId}/availability` answers; then, at most four times a
/// second, `changes`: the seats that can no longer be had (`taken`) and those that can be had again
/// (`freed`), and the version after that, which is also the event's `id`. `Last-Event-ID` continues a stream
/// that was cut where it was. A client that reads slowly, or comes back late, gets a new `snapshot` instead
/// of what it missed. A comment about every 15 s keeps the connection open. After five minutes the stream is
/// cut, and `retry:` says when to come back: the queue token is looked at again then. A queue token has eight
/// such streams at most: a ninth ends the oldest.
#[utoipa::path(get, path = "/v1/shows/{showId}/availability/events", tag = "booking",
    params(
        ("showId" = i64, Path, description = "The number of the show.", example = 1),
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that arrived."),
    ),
    responses((status = 200, description = "The stream of events.", body = String, content_type = "text/event-stream")))]
pub(super) async fn availability_events(
    State(edge): App,
    Segment(show_id): Segment<i64>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known_version = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let request = WatchAvailabilityRequest { show_id, known_version };
    let following = hall::watch(&edge, &caller, request).await?;
    Ok(opened(Body::from_stream(events(following))))
}

/// The body of a stream of events; the first thing in it is when to come back.
fn events(following: HallStream) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let opening = Bytes::from(format!("retry: {}\n\n", come_back()));
    stream::unfold((Some(opening), following), async |(opening, mut following)| {
        if let Some(opening) = opening {
            return Some((Ok(opening), (None, following)));
        }
        let part = match following.next().await? {
            HallNews::Map(map) => snapshot(&map),
            HallNews::Change(change) => {
                change.event(|message| event("changes", message.version, &AvailabilityChanges::from(message)))
            }
            HallNews::Heartbeat(_) => Bytes::from_static(b":\n\n"),
            HallNews::End(StreamEnd::Displaced) => {
                format!("retry: {COME_BACK_LATE}\n: this token has newer streams\n\n").into()
            }
            HallNews::End(StreamEnd::Final | StreamEnd::Restart | StreamEnd::Unknown) => {
                format!("retry: {}\n: come back\n\n", come_back()).into()
            }
        };
        Some((Ok(part), (None, following)))
    })
}

fn snapshot(map: &HallMap) -> Bytes {
    map.event(|message| event("snapshot", message.version, &Availability::from(message)))
}

fn event(name: &str, version: i64, data: &impl Serialize) -> Bytes {
    let mut event = format!("event: {name}\nid: {version}\ndata: ").into_bytes();
    event.extend_from_slice(&written(data));
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// As JSON. What is written has no maps with other keys than texts and writes to memory, so it cannot fail.
fn written(data: &impl Serialize) -> Bytes {
    serde_json::to_vec(data).unwrap_or_default().into()
}
