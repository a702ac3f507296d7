//! A line as everyone sees it, and its policy.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use boxoffice_proto::{
    Reason,
    queue::{self as proto, CreateQueueRequest, GetQueueRequest, UpdateQueueRequest},
};

use super::{
    Api, App,
    extract::{Body, QueueId, Segment},
    json::{self, Queue, QueuePolicy, whole},
    openapi::Operation,
    problem::Problem,
    tokens::tagged,
};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] =
    &[Operation::new("get_queue", &[Reason::QueueNotFound]), Operation::new("put_queue", &[])];

/// Read a line
///
/// The same small answer for everyone, cacheable for a second: whoever knows their ticket and lane finds
/// their place in `lanes`, and asks for the token once the ticket is below the lane's `nextTicket`, or a
/// third of `waitingGraceSeconds` has passed, to be heard of.
#[utoipa::path(get, path = "/v1/queues/{queueId}", tag = "queue",
    params(
        ("queueId" = String, Path, description = "The line", example = "default",
            min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9._-]{1,64}$"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the answer before"),
    ),
    responses(
        (status = 200, description = "The line as it is now", body = Queue, headers(
            ("ETag" = String, description = "Changes when the answer does"),
            ("Cache-Control" = String, description = "public, max-age=1, stale-while-revalidate=0"))),
        (status = 304, description = "Nothing has changed", headers(
            ("Cache-Control" = String, description = "public, max-age=1, stale-while-revalidate=0"))),
    ))]
pub(super) async fn get_queue(
    State(api): App,
    Segment(QueueId(queue_id)): Segment<QueueId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let answer = super::ask!(api.clients.queue, get_queue, GetQueueRequest { queue_id })?;
    let queue = Queue::try_from(whole(answer.queue)?)?;
    let body = serde_json::to_vec(&queue).map_err(Problem::internal)?;
    let mut response = tagged(body, &headers);
    // A cache that is told no other (Varnish) would go on with the old answer for ten seconds more.
    let kept = HeaderValue::from_static("public, max-age=1, stale-while-revalidate=0");
    response.headers_mut().insert(header::CACHE_CONTROL, kept);
    Ok(response)
}

/// Create or change a line
///
/// A field left out keeps its value (in a new line: takes the default). Raising `maxActive` admits at once;
/// lowering it throws nobody out.
#[utoipa::path(put, path = "/v1/queues/{queueId}", tag = "queue",
    params(("queueId" = String, Path, description = "The line", example = "vip",
        min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9._-]{1,64}$")),
    request_body = QueuePolicy,
    responses(
        (status = 200, description = "Changed", body = Queue),
        (status = 201, description = "Created", body = Queue,
            headers(("Location" = String, description = "The queue's address"))),
    ))]
pub(super) async fn put_queue(
    State(api): App,
    Segment(QueueId(queue_id)): Segment<QueueId>,
    Body(policy): Body<QueuePolicy>,
) -> Result<Response, Problem> {
    let policy = proto::QueuePolicy::from(policy);
    let updated = update(&api, &queue_id, &policy).await;
    if !is(&updated, Reason::QueueNotFound) {
        return json::answer(StatusCode::OK, &Queue::try_from(updated?)?);
    }
    let request =
        CreateQueueRequest { queue_id: queue_id.clone(), policy: Some(policy), request_id: api.brief_id() };
    match super::ask!(api.clients.queue, create_queue, request) {
        Ok(answer) => {
            json::created(&format!("/v1/queues/{queue_id}"), &Queue::try_from(whole(answer.queue)?)?)
        }
        // Somebody else created it in between: then this is a change after all.
        Err(refusal) if refusal.code() == Reason::InvalidArgument.as_str() => {
            match update(&api, &queue_id, &policy).await {
                Ok(queue) => json::answer(StatusCode::OK, &Queue::try_from(queue)?),
                Err(_) => Err(refusal),
            }
        }
        Err(refusal) => Err(refusal),
    }
}

async fn update(api: &Api, queue_id: &str, policy: &proto::QueuePolicy) -> Result<proto::Queue, Problem> {
    let request = UpdateQueueRequest {
        queue_id: queue_id.to_owned(),
        policy: Some(*policy),
        request_id: api.brief_id(),
    };
    let answer = super::ask!(api.clients.queue, update_queue, request)?;
    Ok(whole(answer.queue)?)
}

fn is<T>(result: &Result<T, Problem>, reason: Reason) -> bool {
    result.as_ref().err().is_some_and(|problem| problem.code() == reason.as_str())
}
