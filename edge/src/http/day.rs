//! The seats of a whole day as one JSON answer, whatever its size: read from the service page by page, sent
//! show by show.
//!
//! At any moment it has one page of the service and one show's JSON in memory, and it reads the next page
//! when the client has taken the last. The first page is there before the answer begins, so a refusal has its
//! status. When a later page fails, the answer breaks off and the client knows that it is not whole: the
//! chunked body (HTTP/1.1) or the stream (HTTP/2) has no end.

use std::{io, mem, sync::Arc, time::Duration};

use axum::{body::Body, http::StatusCode, response::Response};
use boxoffice_proto::booking::{ListSeatsRequest, ListSeatsResponse, SeatMap};
use chassis::context::Context;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tracing::{Instrument, Span};

use super::{Api, ask, json, problem::Problem};

/// How long a later page may take. The deadline of the request itself is for the beginning of its answer.
const PAGE: Duration = Duration::from_secs(10);
/// How the JSON of a frame ends: its last member is the list that is filled.
const END: &[u8] = b"]}";

/// Answers with `frame`, whose last member is an empty list, filled with what `items` makes of each show's
/// seats: no, one or several items of JSON with commas in between.
pub(super) async fn day(
    api: Arc<Api>,
    request: ListSeatsRequest,
    frame: &impl Serialize,
    items: impl Fn(SeatMap) -> Result<Vec<u8>, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let mut head = serde_json::to_vec(frame).map_err(Problem::internal)?;
    head.truncate(head.len().saturating_sub(END.len()));

    let first = page(&api, request.clone()).await?;
    let fits = first.next_page_token.is_empty();
    let mut begun = false;
    let shows = maps(api, request, first).map(move |map| items(map?)).try_filter(|items| {
        let any = !items.is_empty();
        async move { any }
    });
    let listed = shows
        .map_ok(move |items| if mem::replace(&mut begun, true) { [b",", &*items].concat() } else { items });
    let parts = stream::iter([Ok(head)]).chain(listed).chain(stream::iter([Ok(END.to_vec())]));
    if fits {
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

async fn page(api: &Api, request: ListSeatsRequest) -> Result<ListSeatsResponse, Problem> {
    ask!(api.clients.booking, list_seats, request)
}

/// The maps of the first page, then those of the pages after it, which belong to the same trace.
fn maps(
    api: Arc<Api>,
    request: ListSeatsRequest,
    first: ListSeatsResponse,
) -> impl Stream<Item = Result<SeatMap, Problem>> + Send {
    let (span, trace) = (Span::current(), Context::current().map(|context| context.trace));
    let later =
        stream::try_unfold((api, request, first.next_page_token), move |(api, mut request, token)| {
            let (span, fresh) = (span.clone(), Context::fresh(PAGE));
            let context = Context { trace: trace.unwrap_or(fresh.trace), ..fresh };
            async move {
                if token.is_empty() {
                    return Ok::<_, Problem>(None);
                }
                request.page_token = token;
                let answer = context.scope(page(&api, request.clone())).instrument(span).await?;
                Ok(Some((answer.seat_maps, (api, request, answer.next_page_token))))
            }
        });
    let pages = stream::iter([Ok(first.seat_maps)]).chain(later);
    pages.map_ok(|maps: Vec<SeatMap>| stream::iter(maps.into_iter().map(Ok::<_, Problem>))).try_flatten()
}
