//! Following a place over SSE and WebSocket.
//!
//! Both send what the queue's follower finds and hold only the latest of it. A stream has no task, timer or
//! call of its own (a WebSocket has the task that took over its connection). The JSON is written when the
//! client can receive it.
//!
//! A client that does not read is not waited for: states that it missed are replaced by the latest one. Once
//! its own buffers have been full for [`STALLED`] the connection ends: the kernel sees to it, and a
//! WebSocket's send gives up after the same time.

use std::{
    convert::Infallible,
    io::Write,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{
        Extension, State,
        ws::{
            CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code,
            rejection::WebSocketUpgradeRejection,
        },
    },
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use boxoffice_proto::Reason;
use chassis::network::STALLED;
use futures::{Stream, StreamExt, future::poll_fn};
use rand::Rng;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{
    App, extract::Segment, json::Token, operation::Operation, origin::NoForeignPage, problem::Problem,
};
use crate::{
    app::{Following, News, Polls, SeenPlace, StreamEnd, queue, standing},
    domain::pace::EventId,
};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::of::<boxoffice_proto::queue::WatchTokenRequest>("token_events", &[Reason::TokenNotFound]),
    Operation::of::<boxoffice_proto::queue::WatchTokenRequest>(
        "token_socket",
        &[Reason::TokenNotFound, Reason::NotAllowed],
    ),
];

/// After how many milliseconds a client whose stream was cut connects again: spread over some seconds, since
/// an edge that shuts down cuts all its streams at once.
const COME_BACK_MILLIS: std::ops::RangeInclusive<u32> = 1_000..=5_000;
/// After how many milliseconds a client connects again whose stream was displaced by newer streams of its
/// token: late, or the two would displace each other in turn.
pub(super) const COME_BACK_LATE: u32 = 30_000;
/// Bytes that are reserved for an event, so that writing it needs no second allocation.
const EVENT: usize = 768;
/// The largest message a WebSocket client may send; none is expected.
const MESSAGE_LIMIT: usize = 4 * 1_024;
/// The most messages that it may send in [`WINDOW`]; pongs and the like are a few.
const MESSAGES: u32 = 100;
/// The time in which a client's messages are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// The most reads from a WebSocket in [`WINDOW`]: one for each message and each piece of news, and some more.
/// They are counted because a message of empty fragments never ends and never counts as one. A read takes
/// some tens of KiB at most.
const LOOKS: u32 = 500;
/// The reason with which a client that sends more is closed.
const TOO_MUCH: &str = "too much was sent";
/// The most pings that may be unanswered; instead of another one the connection ends.
const UNANSWERED: u32 = 2;
/// How long a client may take to answer the closing of its WebSocket.
const GOODBYE: Duration = Duration::from_secs(1);

/// Follow a place as server-sent events
///
/// Event `token`, data = the token's JSON: its state at once, then changes until a final status, after which
/// the stream ends. The first ten in the queue hear of each step at once, the next thousand about once a
/// second, those behind when their place has changed by 1 %, or after some seconds of silence. A comment
/// about every 15 s keeps the connection open. `retry:` says when to come back after the stream was cut;
/// `Last-Event-ID` continues it: what the client knows is not sent again, and when there will be nothing
/// more, 204 tells it to stay away. A client that does not read gets the latest state when it does, and is
/// cut off after half a minute. A token has eight streams at most, of either kind: a ninth ends the oldest,
/// with `retry:` of half a minute.
#[utoipa::path(get, path = "/v1/tokens/{token}/events", tag = "queue",
    params(
        ("token" = Uuid, Path, description = "The id of the token.", example = "3fa85f64-5717-4562-b3fc-2c963f66afa6"),
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that arrived."),
    ),
    responses(
        (status = 200, description = "The stream of events.", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The token is final, and the client knows that."),
    ))]
pub(super) async fn token_events(
    State(edge): App,
    Extension(polls): Extension<Polls>,
    Segment(token): Segment<Uuid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known: Option<EventId> = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let Some(following) = queue::follow(&edge, &polls, token, known).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let events = Events { following, opening: Some(come_back()) };
    Ok(opened(Body::from_stream(events)))
}

/// The answer that is a stream of events.
pub(super) fn opened(events: Body) -> Response {
    let mut response = Response::new(events);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // This tells a proxy (nginx) to pass events on as they come.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// The body of a stream of events.
struct Events {
    following: Following,
    /// The `retry:` that comes before everything else.
    opening: Option<u32>,
}

impl Stream for Events {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let news = this.following.poll_next_unpin(cx);
        let opening = this.opening.take();
        let part = match (news, opening) {
            (Poll::Ready(Some(News::Place(place))), opening) => event(opening, *place),
            (Poll::Ready(Some(News::Heartbeat)), None) => Some(Bytes::from_static(b":\n\n")),
            (Poll::Ready(Some(News::End(StreamEnd::Restart))), _) => {
                Some(format!("retry: {}\n: come back\n\n", come_back()).into())
            }
            (Poll::Ready(Some(News::End(StreamEnd::Displaced))), _) => {
                Some(format!("retry: {COME_BACK_LATE}\n: this token has newer streams\n\n").into())
            }
            (Poll::Ready(Some(News::End(StreamEnd::Final | StreamEnd::Unknown)) | None), _) => None,
            // A client that continues a stream may have missed nothing yet.
            (Poll::Ready(Some(News::Heartbeat)) | Poll::Pending, Some(retry)) => {
                Some(format!("retry: {retry}\n\n").into())
            }
            (Poll::Pending, None) => return Poll::Pending,
        };
        Poll::Ready(part.map(Ok))
    }
}

/// A place as an event.
fn event(retry: Option<u32>, place: SeenPlace) -> Option<Bytes> {
    let id = EventId::of(&standing(&place));
    let token = Token::try_from(place).ok()?;
    let mut event = Vec::with_capacity(EVENT);
    if let Some(retry) = retry {
        writeln!(event, "retry: {retry}").ok()?;
    }
    write!(event, "event: token\nid: {id}\ndata: ").ok()?;
    serde_json::to_writer(&mut event, &token).ok()?;
    event.extend_from_slice(b"\n\n");
    Some(event.into())
}

/// After how many milliseconds a client whose stream was cut is to connect again.
pub(super) fn come_back() -> u32 {
    rand::rng().random_range(COME_BACK_MILLIS)
}

/// Follow a place over a WebSocket
///
/// Text messages with the token's JSON: its state at once, then changes as in the stream of events. Closed
/// with 1000 after a final status, with 1012 when the server restarts: come back. A ping about every 15 s
/// must be answered. What the client sends is ignored, within bounds (100 messages of 4 KiB in 10 s): beyond
/// them it is closed with 1008. A browser's page of another origin than this host's and those of
/// `--cors-origins` is refused. A token has eight streams at most, of either kind: a ninth ends the oldest, a
/// WebSocket with 1013: come back later.
#[utoipa::path(get, path = "/v1/tokens/{token}/ws", tag = "queue",
    params(("token" = Uuid, Path, description = "The id of the token.", example = "3fa85f64-5717-4562-b3fc-2c963f66afa6")),
    responses((status = 101, description = "The connection is a WebSocket now.")))]
pub(super) async fn token_socket(
    State(edge): App,
    Extension(polls): Extension<Polls>,
    _: NoForeignPage,
    Segment(token): Segment<Uuid>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|_| {
        Problem::http(
            StatusCode::UPGRADE_REQUIRED,
            "Open this address as a WebSocket (HTTP/1.1 upgrade, version 13).",
        )
        .with_header(header::UPGRADE, HeaderValue::from_static("websocket"))
    })?;
    let Some(following) = queue::follow(&edge, &polls, token, None).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    // The buffers stay as long as the stream is open, so they are small: what is sent is flushed at once, and
    // clients send little.
    let upgrade = upgrade.max_message_size(MESSAGE_LIMIT).max_frame_size(MESSAGE_LIMIT).read_buffer_size(512);
    let upgrade = upgrade.write_buffer_size(0).max_write_buffer_size(64 * 1_024);
    Ok(upgrade.on_upgrade(move |socket| talk(socket, following)))
}

/// Serves a WebSocket until the token ends, the client goes or the edge shuts down.
async fn talk(mut socket: WebSocket, mut following: Following) {
    let (mut unanswered, mut received, mut looks, mut window) = (0, 0, 0, Instant::now());
    let goodbye = loop {
        tokio::select! {
            news = following.next() => {
                let message = match news {
                    Some(News::Place(place)) => text(*place),
                    Some(News::Heartbeat) if unanswered < UNANSWERED => {
                        unanswered += 1;
                        Some(Message::Ping(Bytes::new()))
                    }
                    Some(News::Heartbeat) => return,
                    Some(News::End(StreamEnd::Final)) => break (close_code::NORMAL, "final"),
                    Some(News::End(StreamEnd::Restart)) => break (close_code::RESTART, "come back"),
                    Some(News::End(StreamEnd::Displaced)) => break (close_code::AGAIN, "this token has newer streams"),
                    Some(News::End(StreamEnd::Unknown)) | None => break (close_code::NORMAL, "unknown"),
                };
                let Some(message) = message else { break (close_code::ERROR, "internal") };
                if !matches!(timeout(STALLED, socket.send(message)).await, Ok(Ok(()))) {
                    return;
                }
            }
            message = next(&mut socket, &mut looks) => match message {
                // The library answers the client's closing while the rest is read.
                Some(Ok(Message::Close(_))) => return listen(&mut socket).await,
                Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => {
                    unanswered = 0;
                    received += 1;
                }
                Some(Err(why)) => break (close_code::POLICY, why),
                None => return,
            },
        }
        if window.elapsed() >= WINDOW {
            (received, looks, window) = (0, 0, Instant::now());
        }
        if received > MESSAGES {
            break (close_code::POLICY, TOO_MUCH);
        }
    };
    drop(following);
    let (code, reason) = goodbye;
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    if matches!(timeout(GOODBYE, socket.send(close)).await, Ok(Ok(()))) {
        listen(&mut socket).await;
    }
}

/// The next message, or why no more are read. Every read is counted.
async fn next(socket: &mut WebSocket, looks: &mut u32) -> Option<Result<Message, &'static str>> {
    poll_fn(|cx| {
        *looks += 1;
        if *looks > LOOKS {
            return Poll::Ready(Some(Err(TOO_MUCH)));
        }
        socket
            .poll_next_unpin(cx)
            .map(|next| next.map(|message| message.map_err(|_| "too large or malformed")))
    })
    .await
}

/// Gives the client a moment to answer the closing; with or without an answer, this is the end.
async fn listen(socket: &mut WebSocket) {
    let rest = async { while let Some(Ok(_)) = socket.recv().await {} };
    let _ = timeout(GOODBYE, rest).await;
}

fn text(place: SeenPlace) -> Option<Message> {
    let token = Token::try_from(place).ok()?;
    Some(Message::Text(serde_json::to_string(&token).ok()?.into()))
}
