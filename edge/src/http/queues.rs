//! A queue as everyone sees it, and its policy.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use boxoffice_proto::{Fault, Reason, queue as proto};

use super::{
    App,
    extract::{Body, Page, QueueId, Segment},
    json::{self, Queue, QueuePolicy, Queues},
    operation::Operation,
    problem::Problem,
    tokens::tagged,
};
use crate::app::{self, Caller};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::of::<boxoffice_proto::queue::ListQueuesRequest>("list_queues", &[]),
    Operation::of::<boxoffice_proto::queue::GetQueueRequest>("get_queue", &[Reason::QueueNotFound]),
    Operation::of::<boxoffice_proto::queue::UpdateQueueRequest>("put_queue", &[Reason::FailedPrecondition]),
];

/// List the queues, newest first
#[utoipa::path(get, path = "/v1/queues", tag = "operator", params(Page),
    responses((status = 200, description = "One page of queues.", body = Queues)))]
pub(super) async fn list_queues(State(edge): App, caller: Caller, page: Page) -> Result<Response, Problem> {
    let request = proto::ListQueuesRequest { page_size: page.page_size, page_token: page.page_token };
    let answer = app::queue::list(&edge, &caller, request).await?;
    let queues = answer.queues.into_iter().map(Queue::try_from).collect::<Result<_, _>>()?;
    json::answer(StatusCode::OK, &Queues { queues, next_page_token: answer.next_page_token })
}

/// Read a queue
///
/// The same small answer for everyone, cacheable for a second: whoever knows their ticket and lane finds
/// their place in `lanes`, and asks for the token once the ticket is below the lane's `nextTicket`, or a
/// third of `waitingGraceSeconds` has passed, to be heard of.
#[utoipa::path(get, path = "/v1/queues/{queueId}", tag = "queue",
    params(
        ("queueId" = String, Path, description = "The id of the queue.", example = "default",
            min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9._-]{1,64}$"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the previous answer."),
    ),
    responses(
        (status = 200, description = "The queue as it is now.", body = Queue, headers(
            ("ETag" = String, description = "The tag changes when the answer does."),
            ("Cache-Control" = String, description = "It is always `public, max-age=1, stale-while-revalidate=0`."))),
        (status = 304, description = "Nothing has changed since then.", headers(
            ("Cache-Control" = String, description = "It is always `public, max-age=1, stale-while-revalidate=0`."))),
    ))]
pub(super) async fn get_queue(
    State(edge): App,
    Segment(QueueId(queue_id)): Segment<QueueId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let queue = Queue::try_from(app::queue::get(&edge, queue_id).await?)?;
    let body = serde_json::to_vec(&queue).map_err(Problem::internal)?;
    let mut response = tagged(body, &headers);
    // Without `stale-while-revalidate=0` Varnish would serve the old answer for ten seconds more.
    let kept = HeaderValue::from_static("public, max-age=1, stale-while-revalidate=0");
    response.headers_mut().insert(header::CACHE_CONTROL, kept);
    Ok(response)
}

/// Create or change a queue
///
/// A field left out keeps its value (in a new queue it takes the default). Raising `maxActive` admits at
/// once; lowering it throws nobody out.
#[utoipa::path(put, path = "/v1/queues/{queueId}", tag = "queue",
    params(("queueId" = String, Path, description = "The id of the queue.", example = "vip",
        min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9._-]{1,64}$")),
    request_body = QueuePolicy,
    responses(
        (status = 200, description = "The queue was changed.", body = Queue),
        (status = 201, description = "The queue was created.", body = Queue,
            headers(("Location" = String, description = "The address of the queue."))),
    ))]
pub(super) async fn put_queue(
    State(edge): App,
    Segment(QueueId(queue_id)): Segment<QueueId>,
    caller: Caller,
    Body(policy): Body<QueuePolicy>,
) -> Result<Response, Problem> {
    let location = format!("/v1/queues/{queue_id}");
    let policy = proto::QueuePolicy::from(policy);
    let (queue, created) = app::queue::put(&edge, &caller, queue_id, policy).await.map_err(of_the_body)?;
    let queue = Queue::try_from(queue)?;
    if created { json::created(&location, &queue) } else { json::answer(StatusCode::OK, &queue) }
}

/// Names a policy's fields as they stand in the body, which is the policy alone.
fn of_the_body(fault: Fault) -> Fault {
    if fault.reason != Reason::InvalidArgument {
        return fault;
    }
    let mut violations = fault.violations;
    for violation in &mut violations {
        if let Some(member) = violation.field.strip_prefix("policy.") {
            violation.field = member.to_owned();
        }
    }
    Fault::invalid(violations)
}
