//! Joining a line, polling a place, leaving.
//!
//! The poll is the hottest path of the whole: one coalesced read, one serialisation, and its hash as `ETag`.

use std::hash::{DefaultHasher, Hasher};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use boxoffice_proto::{
    Reason,
    queue::{IssueTokenRequest, LeaveQueueRequest},
};
use uuid::Uuid;

use super::{
    App, ask,
    extract::{Body, QueueId, RequestId, Segment},
    json::{self, NewToken, Token, whole},
    openapi::Operation,
    problem::Problem,
};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("issue_token", &[Reason::QueueNotFound, Reason::QueueFull, Reason::RequestIdReused]).takes_key(),
    Operation::new("get_token", &[Reason::TokenNotFound]),
    Operation::new("leave_queue", &[Reason::TokenNotFound]),
];

/// Join a line
///
/// A user has at most one live token in a queue: joining again finds the same place (200 instead of 201), also from another tab
/// or device. When a place is free and nobody waits, the token is ACTIVE at once.
#[utoipa::path(post, path = "/v1/queues/{queueId}/tokens", tag = "queue",
    params(("queueId" = String, Path, description = "The line; `default` always exists", example = "default",
        min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9._-]{1,64}$")),
    request_body = NewToken,
    responses(
        (status = 201, description = "A new place", body = Token,
            headers(("Location" = String, description = "The token's address"))),
        (status = 200, description = "The place that the user had already", body = Token,
            headers(("Location" = String, description = "The token's address"))),
    ))]
pub(super) async fn issue_token(
    State(api): App,
    Segment(QueueId(queue_id)): Segment<QueueId>,
    RequestId(request_id): RequestId,
    Body(new): Body<NewToken>,
) -> Result<Response, Problem> {
    let request = IssueTokenRequest { queue_id, user_id: new.user_id, priority: new.priority, request_id };
    let answer = ask!(api.clients.queue, issue_token, request)?;
    let token = Token::try_from(whole(answer.token)?)?;
    let status = if answer.created { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = json::answer(status, &token)?;
    json::locate(&mut response, &format!("/v1/tokens/{}", token.token));
    Ok(response)
}

/// Ask for a place
///
/// Cheap: ask again after `Retry-After` (about 1 s near the front, 5 s and more further back), with `If-None-Match`.
#[utoipa::path(get, path = "/v1/tokens/{token}", tag = "queue",
    params(
        ("token" = Uuid, Path, description = "The token", example = "3fa85f64-5717-4562-b3fc-2c963f66afa6"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the answer before"),
    ),
    responses(
        (status = 200, description = "The token as it is now", body = Token, headers(
            ("ETag" = String, description = "Changes when the answer does"),
            ("Retry-After" = i64, description = "When to ask again, in seconds; not sent once the token is final"))),
        (status = 304, description = "Nothing has changed", headers(
            ("ETag" = String, description = "As it was"),
            ("Retry-After" = i64, description = "When to ask again, in seconds"))),
    ))]
pub(super) async fn get_token(State(api): App, Segment(token): Segment<Uuid>, headers: HeaderMap) -> Result<Response, Problem> {
    let token = Token::try_from(api.polls.get(token).await?)?;
    let body = serde_json::to_vec(&token).map_err(|_| Problem::internal())?;
    let mut response = tagged(body, &headers);
    let out = response.headers_mut();
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if token.poll_after_seconds > 0 {
        out.insert(header::RETRY_AFTER, HeaderValue::from(token.poll_after_seconds));
    }
    Ok(response)
}

/// Leave a line
///
/// Waiting or admitted. Leaving with a token that has ended already changes nothing.
#[utoipa::path(delete, path = "/v1/tokens/{token}", tag = "queue",
    params(("token" = Uuid, Path, description = "The token", example = "3fa85f64-5717-4562-b3fc-2c963f66afa6")),
    responses((status = 204, description = "Left")))]
pub(super) async fn leave_queue(State(api): App, Segment(token): Segment<Uuid>) -> Result<StatusCode, Problem> {
    let request = LeaveQueueRequest { token: token.to_string(), request_id: Uuid::new_v4().to_string() };
    ask!(api.clients.queue, leave_queue, request)?;
    Ok(StatusCode::NO_CONTENT)
}

/// JSON with its `ETag`; 304 when the client has it already.
pub(super) fn tagged(body: Vec<u8>, headers: &HeaderMap) -> Response {
    let tag = etag(&body);
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|known| matches(known, &tag));
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { json::raw(StatusCode::OK, body) };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// A hash of what the client sees, the same on every replica.
pub(super) fn etag(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    format!("\"{:016x}\"", hasher.finish())
}

/// Does `If-None-Match` name this tag? Compared weakly, as RFC 9110 says.
fn matches(header: &HeaderValue, tag: &str) -> bool {
    let Ok(known) = header.to_str() else { return false };
    known.split(',').map(str::trim).any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_body_is_not_sent_again() {
        let body = b"{}".to_vec();
        let mut headers = HeaderMap::new();
        assert_eq!(tagged(body.clone(), &headers).status(), StatusCode::OK);
        let tag = etag(&body);
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(&known).unwrap_or(HeaderValue::from_static("")));
            let response = tagged(body.clone(), &headers);
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(response.headers()[header::ETAG], tag.as_str());
        }
        assert_eq!(tagged(b"{\"a\":1}".to_vec(), &HeaderMap::new()).status(), StatusCode::OK);
        assert_ne!(etag(b"a"), etag(b"b"));
    }
}
