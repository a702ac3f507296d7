//! The seats of a whole day as one JSON answer of any size, sent show by show as it is read from the service.
//!
//! At any moment one page of the service and one show's JSON are in memory, and the next page is read when
//! the client has received the last one. The first page was read before the answer begins, so a refusal has
//! its status. When a later page fails, the answer breaks off and the client knows that it is not whole: the
//! chunked body (HTTP/1.1) or the stream (HTTP/2) has no end.

use std::{io, mem};

use axum::{body::Body, http::StatusCode, response::Response};
use boxoffice_proto::{Fault, booking::SeatMap};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tracing::Span;

use super::{json, problem::Problem};

/// How the JSON of a frame ends: its last member is the list that is filled.
const END: &[u8] = b"]}";

/// Answers with `frame`, whose last member is an empty list, filled with what `items` makes of each show's
/// seats: no, one or several items of JSON with commas in between. `is_all`: no page is left to be read.
pub(super) async fn day(
    (is_all, maps): (bool, impl Stream<Item = Result<SeatMap, Fault>> + Send + 'static),
    frame: &impl Serialize,
    items: impl Fn(SeatMap) -> Result<Vec<u8>, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let mut head = serde_json::to_vec(frame).map_err(Problem::internal)?;
    head.truncate(head.len().saturating_sub(END.len()));

    let mut begun = false;
    let shows = maps.map(move |map| items(map?)).try_filter(|items| {
        let any = !items.is_empty();
        async move { any }
    });
    let listed = shows
        .map_ok(move |items| if mem::replace(&mut begun, true) { [b",", &*items].concat() } else { items });
    let parts = stream::iter([Ok(head)]).chain(listed).chain(stream::iter([Ok(END.to_vec())]));
    if is_all {
        return Ok(json::raw(StatusCode::OK, parts.try_concat().await?));
    }
    let span = Span::current();
    let broken = move |problem: Problem| {
        span.in_scope(|| tracing::warn!(code = problem.code(), "the seats of a day broke off"));
        io::Error::other(problem.code())
    };
    let mut response = json::raw(StatusCode::OK, Vec::new());
    *response.body_mut() = Body::from_stream(parts.map_err(broken));
    Ok(response)
}
