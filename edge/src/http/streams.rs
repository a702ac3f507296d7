//! A place that tells of itself: SSE and WebSocket.
//!
//! Both follow a token through the same coalesced reads as polls: ask again when the token says so, send only what has changed.
//! A stream ends after a final status, on shutdown (the client comes back to another replica), or when the queue cannot be
//! reached for long. How many there are is bounded.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use boxoffice_proto::{Fault, Reason, queue as proto, time};
use chassis::context::Context;
use futures::stream;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, interval, sleep_until, timeout},
};
use uuid::Uuid;

use super::{Api, App, extract::Segment, json::Token, openapi::Operation, problem::Problem, tokens::etag};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] =
    &[Operation::new("token_events", &[Reason::TokenNotFound]), Operation::new("token_socket", &[Reason::TokenNotFound])];

/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A WebSocket from which nothing was heard for so long is gone: two heartbeats went unanswered.
const SILENCE: Duration = Duration::from_secs(40);
/// A client that takes nothing for so long is dropped; its next message would only wait behind this one.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Bounds of what a token says about when to ask again.
const SOONEST: Duration = Duration::from_millis(250);
const LATEST: Duration = Duration::from_secs(10);
/// Reads that may fail in a row, a second apart, before the client is sent away to come back.
const FAILURES: u32 = 30;
/// How long one read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// What a client is told.
struct Update {
    json: String,
    id: String,
}

/// Follows one token.
struct Follower {
    api: Arc<Api>,
    token: Uuid,
    context: Context,
    due: Instant,
    told: Option<String>,
    failures: u32,
    ended: bool,
    first: Option<proto::Token>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// Begins to follow a token that exists.
    async fn new(api: Arc<Api>, token: Uuid, told: Option<String>) -> Result<Self, Problem> {
        let place = Arc::clone(&api.streams).try_acquire_owned().map_err(|_| {
            let detail = "As many streams are open as there may be: poll GET /v1/tokens/{token} instead.";
            Fault::new(Reason::Unavailable, detail).retry_after(Duration::from_secs(10))
        })?;
        let first = api.polls.get(token).await?;
        let context = Context::current().unwrap_or_else(|| Context::fresh(READ_TIMEOUT));
        let due = Instant::now();
        Ok(Self { api, token, context, due, told, failures: 0, ended: false, first: Some(first), _place: place })
    }

    /// Would there never be anything to tell: is the token final, and the client knows it already?
    fn is_over(&self) -> bool {
        let token = self.first.clone().and_then(|token| Token::try_from(token).ok());
        token.is_some_and(|token| token.is_final() && self.told == update(&token).map(|update| update.id))
    }

    /// Waits for the next thing to tell; `None` at the end. May be dropped and called again.
    async fn next(&mut self) -> Option<Update> {
        while !self.ended {
            let shutdown = self.api.shutdown.clone();
            tokio::select! {
                () = shutdown.cancelled() => return None,
                () = sleep_until(self.due) => {}
            }
            let read = match self.first.take() {
                Some(token) => Ok(token),
                None => {
                    let context = Context { deadline: Instant::now() + READ_TIMEOUT, ..self.context };
                    context.scope(self.api.polls.get(self.token)).await
                }
            };
            match read {
                Ok(token) => {
                    self.failures = 0;
                    let wait =
                        token.poll_after.as_ref().and_then(time::span_micros).and_then(|micros| u64::try_from(micros).ok());
                    self.due = Instant::now() + Duration::from_micros(wait.unwrap_or(0)).clamp(SOONEST, LATEST);
                    let token = Token::try_from(token).ok()?;
                    self.ended = token.is_final();
                    let update = update(&token)?;
                    if self.told.as_ref() != Some(&update.id) {
                        self.told = Some(update.id.clone());
                        return Some(update);
                    }
                }
                Err(fault) if fault.reason.leaves_outcome_unknown() && self.failures < FAILURES => {
                    self.failures += 1;
                    self.due = Instant::now() + Duration::from_secs(1);
                }
                Err(_) => return None,
            }
        }
        None
    }
}

fn update(token: &Token) -> Option<Update> {
    let json = serde_json::to_string(token).ok()?;
    let id = etag(json.as_bytes()).trim_matches('"').to_owned();
    Some(Update { json, id })
}

/// Follow a place as server-sent events
///
/// Event `token`, data = the token's JSON: its state at once, then every change, until a final status. A comment every 15 s keeps
/// the line open. `Last-Event-ID` resumes: what the client knows is not sent again; when there will be nothing more, 204 tells it
/// to stay away.
#[utoipa::path(get, path = "/v1/tokens/{token}/events", tag = "queue",
    params(
        ("token" = Uuid, Path, description = "The token", example = "3fa85f64-5717-4562-b3fc-2c963f66afa6"),
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that arrived"),
    ),
    responses(
        (status = 200, description = "The stream", body = String, content_type = "text/event-stream",
            example = "event: token\nid: 9f2d5c1e0a7b4d38\ndata: {\"status\":\"WAITING\",\"position\":17}\n\n"),
        (status = 204, description = "The token is final, and the client knows it"),
    ))]
pub(super) async fn token_events(
    State(api): App,
    Segment(token): Segment<Uuid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let told = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let follower = Follower::new(api, token, told).await?;
    if follower.is_over() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let events = stream::unfold(follower, |mut follower| async move {
        let update = follower.next().await?;
        Some((Ok::<_, Infallible>(Event::default().event("token").id(update.id).data(update.json)), follower))
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    // A proxy must pass events on as they come.
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// Follow a place over a WebSocket
///
/// Text messages with the token's JSON: its state at once, then every change; closed with 1000 after a final status. What the
/// client sends is ignored.
#[utoipa::path(get, path = "/v1/tokens/{token}/ws", tag = "queue",
    params(("token" = Uuid, Path, description = "The token", example = "3fa85f64-5717-4562-b3fc-2c963f66afa6")),
    responses((status = 101, description = "The connection is a WebSocket now")))]
pub(super) async fn token_socket(
    State(api): App,
    Segment(token): Segment<Uuid>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|_| {
        Problem::http(StatusCode::UPGRADE_REQUIRED, "Open this address as a WebSocket (HTTP/1.1 upgrade, version 13).")
            .with_header(header::UPGRADE, HeaderValue::from_static("websocket"))
    })?;
    let follower = Follower::new(api, token, None).await?;
    Ok(upgrade.max_message_size(4 * 1_024).on_upgrade(move |socket| talk(socket, follower)))
}

/// Until the end of the token, of the client, or of the edge.
async fn talk(mut socket: WebSocket, mut follower: Follower) {
    let mut heartbeat = interval(HEARTBEAT);
    let mut heard = Instant::now();
    loop {
        let message = tokio::select! {
            update = follower.next() => match update {
                Some(update) => Message::Text(update.json.into()),
                None => break,
            },
            _ = heartbeat.tick() => {
                if heard.elapsed() > SILENCE {
                    return;
                }
                Message::Ping(Vec::new().into())
            }
            received = socket.recv() => match received {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => {
                    heard = Instant::now();
                    continue;
                }
            },
        };
        if !matches!(timeout(SEND_TIMEOUT, socket.send(message)).await, Ok(Ok(()))) {
            return;
        }
    }
    let (code, reason) = if follower.ended { (close_code::NORMAL, "final") } else { (close_code::AWAY, "come back") };
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    // Whether it arrives or not, this is the end.
    let _ = timeout(SEND_TIMEOUT, socket.send(close)).await;
}
