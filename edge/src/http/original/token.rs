//! The original's tokens.

use axum::{extract::State, http::StatusCode, response::Response};
use boxoffice_proto::{
    Reason,
    bounds::PRIORITY,
    queue::{self as proto, GetTokenRequest, IssueTokenRequest},
    time,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{
    App,
    extract::{Body, IdempotencyKey, Segment, UserId},
    fields::{Fields, FromFields},
    json::{self, Instant, Token, TokenStatus, UserIdText},
    operation::Operation,
    problem::Problem,
};
use crate::app::{Caller, queue};

/// What each operation may be refused with.
pub(in crate::http) const OPERATIONS: &[Operation] = &[
    Operation::of::<boxoffice_proto::queue::IssueTokenRequest>(
        "original_issue_token",
        &[Reason::QueueFull, Reason::RequestIdReused],
    )
    .takes_key(),
    Operation::of::<boxoffice_proto::queue::GetTokenRequest>("original_get_token", &[Reason::TokenNotFound]),
];

/// A user's place in the queue, as the original API tells it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct OriginalToken {
    /// Whose place this is.
    #[schema(example = "1")]
    user_id: String,
    /// The token: send it as `X-Queue-Token`.
    #[schema(format = Uuid, example = "3fa85f64-5717-4562-b3fc-2c963f66afa6")]
    token_value: String,
    /// When admission is expected: the opening, when the queue is not open yet; now, when it does not wait.
    remaining_time: Instant,
    /// Its position in the queue, 1 = next; 0 when it does not wait.
    #[schema(minimum = 0, example = 17)]
    position: i64,
    /// When the token ends if nothing happens.
    valid_until: Instant,
    /// Where it stands.
    status: TokenStatus,
}

impl OriginalToken {
    fn read(token: proto::Token, now: i64) -> Result<Self, Problem> {
        let wait = token.estimated_wait.as_ref().and_then(time::span_micros).unwrap_or(0);
        let token = Token::try_from(token)?;
        Ok(Self {
            user_id: token.user_id,
            token_value: token.token,
            remaining_time: token.opens_at.unwrap_or(Instant(now.saturating_add(wait))),
            position: token.position,
            valid_until: token.valid_until,
            status: token.status,
        })
    }
}

/// Who joins, and in which lane.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"userId": 1}))]
pub(in crate::http) struct OriginalNewToken {
    /// The user who joins.
    #[schema(value_type = UserIdText)]
    user_id: String,
    /// Accepted and not used: the order is that of arrival.
    #[schema(value_type = Option<String>)]
    #[expect(dead_code, reason = "only for the document")]
    requested_time: (),
    /// The lane, 0 (first) to 9 (last); 5 when left out.
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<i32>,
}

impl FromFields for OriginalNewToken {
    fn read(fields: &mut Fields) -> Self {
        Self {
            user_id: fields.user_id("userId"),
            requested_time: (),
            priority: fields.optional_small("priority", PRIORITY),
        }
    }
}

/// Join the queue
#[utoipa::path(post, path = "/queue-management/api/token", tag = "original", request_body = OriginalNewToken,
    responses((status = 201, description = "The user's place in the queue.", body = OriginalToken)))]
pub(in crate::http) async fn original_issue_token(
    State(edge): App,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<OriginalNewToken>,
) -> Result<Response, Problem> {
    let (user_id, priority, request_id) = (new.user_id, new.priority, key.unwrap_or_default());
    let request = IssueTokenRequest { queue_id: String::new(), user_id, priority, request_id };
    let (token, _created) = queue::join(&edge, &caller, request).await?;
    json::answer(StatusCode::CREATED, &OriginalToken::read(token, edge.now())?)
}

/// Ask for a user's place
#[utoipa::path(get, path = "/queue-management/api/token/{userId}", tag = "original",
    params(("userId" = String, Path, description = "The id of the user.", example = "1")),
    responses((status = 200, description = "The user's live token.", body = OriginalToken)))]
pub(in crate::http) async fn original_get_token(
    State(edge): App,
    Segment(UserId(user_id)): Segment<UserId>,
    caller: Caller,
) -> Result<Response, Problem> {
    let request = GetTokenRequest { user_id, ..GetTokenRequest::default() };
    let token = queue::place_of(&edge, &caller, request).await?;
    json::answer(StatusCode::OK, &OriginalToken::read(token, edge.now())?)
}
