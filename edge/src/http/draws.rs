//! The draw of a queue that opens by lot, and what was drawn for a token.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use boxoffice_proto::{
    Reason,
    queue::{GetDrawRequest, GetTokenDrawRequest},
};
use uuid::Uuid;

use super::{
    App,
    extract::{QueueId, Segment},
    json::{self, Draw, TokenDraw},
    operation::Operation,
    problem::Problem,
    tokens::tagged,
};
use crate::app::queue;

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::of::<GetDrawRequest>("get_draw", &[Reason::QueueNotFound, Reason::NotFound]),
    Operation::of::<GetTokenDrawRequest>(
        "get_token_draw",
        &[Reason::TokenNotFound, Reason::NotFound, Reason::FailedPrecondition],
    ),
];

/// Read a draw
///
/// The commitment is there from the moment the draw is set, before anybody registers; the secret, the root
/// and the seed follow at the opening.
#[utoipa::path(get, path = "/v1/queues/{queueId}/draw", tag = "queue",
    params(
        ("queueId" = String, Path, description = "The id of the queue.", example = "fair",
            min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9._-]{1,64}$"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the previous answer."),
    ),
    responses(
        (status = 200, description = "The draw as it is now.", body = Draw,
            headers(("ETag" = String, description = "The tag changes when the answer does."))),
        (status = 304, description = "Nothing has changed since then."),
    ))]
pub(super) async fn get_draw(
    State(edge): App,
    Segment(QueueId(queue_id)): Segment<QueueId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let draw = Draw::try_from(queue::draw(&edge, GetDrawRequest { queue_id }).await?)?;
    Ok(tagged(serde_json::to_vec(&draw).map_err(Problem::internal)?, &headers))
}

/// Read a token's number
///
/// With the proof that the token took part in the draw. It stays as it is whatever becomes of the token;
/// before the draw it is refused.
#[utoipa::path(get, path = "/v1/tokens/{token}/draw", tag = "queue",
    params(("token" = Uuid, Path, description = "The id of the token.", example = "3fa85f64-5717-4562-b3fc-2c963f66afa6")),
    responses((status = 200, description = "What was drawn for the token.", body = TokenDraw)))]
pub(super) async fn get_token_draw(
    State(edge): App,
    Segment(token): Segment<Uuid>,
) -> Result<Response, Problem> {
    let request = GetTokenDrawRequest { token: token.to_string() };
    json::answer(StatusCode::OK, &TokenDraw::try_from(queue::token_draw(&edge, request).await?)?)
}
