//! Joining a queue, polling a place, leaving.
//!
//! A poll is by far the most frequent request: it makes one coalesced read, hashes what can change into the
//! `ETag`, and writes the JSON only for clients that do not have it yet.

use std::{
    convert::Infallible,
    hash::{DefaultHasher, Hash, Hasher},
};

use axum::{
    extract::{Extension, FromRequestParts, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use boxoffice_proto::{
    Reason,
    queue::{IssueTokenRequest, LeaveQueueRequest},
};
use chassis::hex;
use uuid::Uuid;

use super::{
    App,
    extract::{Body, IdempotencyKey, QueueId, Segment},
    json::{self, NewToken, Token},
    limited::refused_poll,
    operation::Operation,
    problem::Problem,
};
use crate::app::{Caller, Edge, Polls, queue};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::of::<boxoffice_proto::queue::IssueTokenRequest>(
        "issue_token",
        &[Reason::QueueNotFound, Reason::QueueFull, Reason::RequestIdReused],
    )
    .takes_key(),
    Operation::of::<boxoffice_proto::queue::BatchGetTokensRequest>("get_token", &[Reason::TokenNotFound]),
    Operation::of::<boxoffice_proto::queue::LeaveQueueRequest>("leave_queue", &[Reason::TokenNotFound]),
];

/// Join a queue
///
/// A user has at most one live token in a queue: joining again finds the same place (200 instead of 201),
/// also from another tab or device. When a place is free and nobody waits, the token is ACTIVE at once.
#[utoipa::path(post, path = "/v1/queues/{queueId}/tokens", tag = "queue",
    params(("queueId" = String, Path, description = "The id of the queue; `default` always exists.", example = "default",
        min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9._-]{1,64}$")),
    request_body = NewToken,
    responses(
        (status = 201, description = "The user has a new place.", body = Token,
            headers(("Location" = String, description = "The address of the token."))),
        (status = 200, description = "The user had this place already.", body = Token,
            headers(("Location" = String, description = "The address of the token."))),
    ))]
pub(super) async fn issue_token(
    State(edge): App,
    Segment(QueueId(queue_id)): Segment<QueueId>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<NewToken>,
) -> Result<Response, Problem> {
    let (user_id, priority, request_id) = (new.user_id, new.priority, key.unwrap_or_default());
    let request = IssueTokenRequest { queue_id, user_id, priority, request_id };
    let (token, created) = queue::join(&edge, &caller, request).await?;
    let token = Token::try_from(token)?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = json::answer(status, &token)?;
    json::locate(&mut response, &format!("/v1/tokens/{}", token.token));
    Ok(response)
}

/// Bytes that are reserved for a token's JSON, so that writing it needs no second allocation.
const TOKEN_JSON: usize = 640;

/// Ask for a place
///
/// Cheap: ask again after `Retry-After` (about 1 s near the front, 5 s and more further back), with
/// `If-None-Match`.
#[utoipa::path(get, path = "/v1/tokens/{token}", tag = "queue",
    params(
        ("token" = Uuid, Path, description = "The id of the token.", example = "3fa85f64-5717-4562-b3fc-2c963f66afa6"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the previous answer."),
    ),
    responses(
        (status = 200, description = "The token as it is now.", body = Token, headers(
            ("ETag" = String, description = "The tag changes when the answer does."),
            ("Retry-After" = i64, description = "When to ask again, in seconds. It is not sent once the token is final."))),
        (status = 304, description = "Nothing has changed since then.", headers(
            ("ETag" = String, description = "The tag is the one that was sent."),
            ("Retry-After" = i64, description = "When to ask again, in seconds."))),
    ))]
pub(super) async fn get_token(
    State(edge): App,
    Extension(polls): Extension<Polls>,
    Segment(token): Segment<Uuid>,
    known: Known,
) -> Result<Response, Problem> {
    poll(&edge, &polls, token, known).await
}

/// Answers a poll.
pub(super) async fn poll(edge: &Edge, polls: &Polls, token: Uuid, known: Known) -> Result<Response, Problem> {
    let place = match queue::place(edge, polls, token).await {
        Ok(place) => place,
        Err(fault) => return Ok(refused_poll(fault)),
    };
    let token = Token::try_from(place)?;
    let tag = token_tag(&token);
    let mut response = if known.has(&tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut body = Vec::with_capacity(TOKEN_JSON);
        serde_json::to_writer(&mut body, &token).map_err(Problem::internal)?;
        json::raw(StatusCode::OK, body)
    };
    let out = response.headers_mut();
    out.insert(header::ETAG, tag);
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if token.poll_after_seconds > 0 {
        out.insert(header::RETRY_AFTER, HeaderValue::from(token.poll_after_seconds));
    }
    Ok(response)
}

/// Leave a queue
///
/// Waiting or admitted. Leaving with a token that has ended already changes nothing.
#[utoipa::path(delete, path = "/v1/tokens/{token}", tag = "queue",
    params(("token" = Uuid, Path, description = "The id of the token.", example = "3fa85f64-5717-4562-b3fc-2c963f66afa6")),
    responses((status = 204, description = "The user has left the queue.")))]
pub(super) async fn leave_queue(
    State(edge): App,
    Segment(token): Segment<Uuid>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    let request = LeaveQueueRequest { token: token.to_string(), ..LeaveQueueRequest::default() };
    let _token = queue::leave(&edge, &caller, request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The tags that the client knows, from `If-None-Match`. No other header is copied: to copy all of them would
/// cost a poll more than its answer.
pub(super) struct Known(Vec<HeaderValue>);

impl<S: Sync> FromRequestParts<S> for Known {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

impl Known {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self(headers.get_all(header::IF_NONE_MATCH).iter().cloned().collect())
    }

    pub(super) fn has(&self, tag: &HeaderValue) -> bool {
        self.0.iter().any(|known| matches(known, tag))
    }
}

/// JSON with its `ETag`; 304 when the client has it already.
pub(super) fn tagged(body: Vec<u8>, headers: &HeaderMap) -> Response {
    let mut hasher = DefaultHasher::new();
    hasher.write(&body);
    let tag = tag(hasher.finish());
    let known = Known::of(headers).has(&tag);
    let mut response =
        if known { StatusCode::NOT_MODIFIED.into_response() } else { json::raw(StatusCode::OK, body) };
    response.headers_mut().insert(header::ETAG, tag);
    response
}

/// The tag of a token's answer, the same on every replica: a hash of all that can change in it, except when
/// to poll again, which `Retry-After` tells with a 304 as well.
fn token_tag(token: &Token) -> HeaderValue {
    // All fields are named, so that a new one has to be decided about here.
    let Token {
        status,
        priority,
        ticket,
        position,
        waiting_behind,
        estimated_wait_seconds,
        estimated_wait_seconds_low,
        estimated_wait_seconds_high,
        delay_reason,
        active_until,
        valid_until,
        opens_at,
        message,
        requeues,
        token: _,
        queue_id: _,
        user_id: _,
        entered_at: _,
        poll_after_seconds: _,
    } = token;
    let mut hasher = DefaultHasher::new();
    let [active_until, opens_at] = [active_until, opens_at].map(|at| at.map_or(0, |at| at.0));
    let place = [*ticket, *position, *waiting_behind, valid_until.0, active_until, opens_at];
    let wait = [*estimated_wait_seconds, *estimated_wait_seconds_low, *estimated_wait_seconds_high];
    let reason = delay_reason.map_or(0, |reason| reason as u8 + 1);
    (place, wait, reason, *status as u8, priority, requeues).hash(&mut hasher);
    if let Some(message) = message {
        message.mark().hash(&mut hasher);
    }
    tag(hasher.finish())
}

/// A hash as a tag: sixteen hex digits in quotes.
fn tag(hash: u64) -> HeaderValue {
    let mut text = *b"\"................\"";
    hex::write(&mut text[1..17], &hash.to_be_bytes());
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether `If-None-Match` names this tag, by the weak comparison of RFC 9110.
fn matches(header: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(known), Ok(tag)) = (header.to_str(), tag.to_str()) else { return false };
    known
        .split(',')
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use boxoffice_proto::{queue as proto, time::timestamp};

    use super::*;

    #[test]
    fn a_known_body_is_not_sent_again() {
        let body = b"{}".to_vec();
        let mut headers = HeaderMap::new();
        let first = tagged(body.clone(), &headers);
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers()[header::ETAG].to_str().unwrap();
        for known in [tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            headers.insert(header::IF_NONE_MATCH, known.parse().unwrap());
            let response = tagged(body.clone(), &headers);
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(response.headers()[header::ETAG], tag);
        }
        assert_eq!(tagged(b"{\"a\":1}".to_vec(), &headers).headers()[header::ETAG].len(), 18);
        assert_ne!(tagged(b"{\"a\":1}".to_vec(), &headers).headers()[header::ETAG], tag);
    }

    #[test]
    fn a_token_s_tag_changes_with_all_that_can_change_but_the_advice() {
        let base = proto::Token {
            status: proto::TokenStatus::Waiting.into(),
            position: 7,
            entered_at: Some(timestamp(1)),
            valid_until: Some(timestamp(2)),
            ..proto::Token::default()
        };
        let tag = |change: &dyn Fn(&mut proto::Token)| {
            let mut token = base.clone();
            change(&mut token);
            token_tag(&Token::try_from(token).unwrap())
        };
        let same = tag(&|_| ());
        let second = |seconds: i64| Some(boxoffice_proto::time::duration(seconds * 1_000_000));
        assert_eq!(tag(&|token| token.poll_after = second(9)), same);
        let say = |en: &str| Some(proto::QueueMessage { en: en.into(), ..Default::default() });
        let changes: [&dyn Fn(&mut proto::Token); 12] = [
            &|token| token.status = proto::TokenStatus::Active.into(),
            &|token| token.position = 6,
            &|token| token.ticket = 1,
            &|token| token.waiting_behind = 1,
            &|token| token.estimated_wait = second(3),
            &|token| token.estimated_wait_high = second(3),
            &|token| token.delay_reason = proto::DelayReason::Paused.into(),
            &|token| token.valid_until = Some(timestamp(3)),
            &|token| token.requeues = 1,
            &|token| token.opens_at = Some(timestamp(3)),
            &|token| token.message = say("a"),
            &|token| token.message = say("b"),
        ];
        let mut tags: Vec<_> = changes.iter().map(|change| tag(*change)).chain([same]).collect();
        tags.sort_unstable_by_key(|tag| tag.as_bytes().to_vec());
        tags.dedup();
        assert_eq!(tags.len(), 13);
    }
}
