//! Joining, polling and following, over a queue service that says what it is told to.

use std::{pin::Pin, sync::Arc, time::Duration};

use boxoffice_proto::{
    Fault, Reason,
    queue::{queue_service_server::*, *},
    time::{duration, timestamp},
};
use chassis::testing::patience::{pause, timeout};
use futures::StreamExt;
use parking_lot::Mutex;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_tungstenite::tungstenite;
use tonic::{Request as Ask, Response as Reply, Status};

use super::*;
use crate::http::serve;

/// The one token and the one queue there are.
#[derive(Clone)]
pub(super) struct Script(pub(super) Arc<Mutex<(Token, Option<Queue>, bool)>>);

impl Script {
    fn tell(&self, change: impl FnOnce(&mut Token)) {
        change(&mut self.0.lock().0);
    }
}

/// The REST side over the script, also on a port.
async fn scripted() -> (Front, Script, String, CancellationToken, tempfile::TempDir) {
    scripted_within(LimitArgs::default()).await
}

/// The same, with limits on its callers.
pub(super) async fn scripted_within(
    limits: LimitArgs,
) -> (Front, Script, String, CancellationToken, tempfile::TempDir) {
    let token = Token {
        token: TOKEN.into(),
        queue_id: "default".into(),
        user_id: "ann".into(),
        status: TokenStatus::Waiting.into(),
        priority: 5,
        ticket: 42,
        position: 2,
        estimated_wait: Some(duration(1_500_000)),
        entered_at: Some(timestamp(1_000_000)),
        valid_until: Some(timestamp(9_000_000)),
        poll_after: Some(duration(300_000)),
        ..Token::default()
    };
    let script = Script(Arc::new(Mutex::new((token, None, true))));
    let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", grpc.local_addr().unwrap());
    let server = tonic::transport::Server::builder().add_service(QueueServiceServer::new(script.clone()));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(grpc)));
    let shutdown = CancellationToken::new();
    let (front, folder) = build(&url, Browse::Token, "", limits, shutdown.clone()).await;
    let rest = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = rest.local_addr().unwrap().to_string();
    tokio::spawn(serve(rest.into(), vec![(Handle::current(), front.clone())], shutdown.clone()));
    (front, script, address, shutdown, folder)
}

#[tokio::test]
async fn a_first_join_is_201_and_a_second_200_with_the_same_address() {
    let (front, script, ..) = scripted().await;
    for (created, expected) in [(true, 201), (false, 200)] {
        script.0.lock().2 = created;
        let join =
            request(Method::POST, "/v1/queues/default/tokens", json!({"userId": 42, "more": 1}).to_string());
        let (status, headers, body) = send(&front, join).await;
        assert_eq!(status.as_u16(), expected, "{body}");
        assert_eq!(headers["location"], format!("/v1/tokens/{TOKEN}"));
        let told = json!({
            "token": TOKEN, "queueId": "default", "userId": "42", "status": "WAITING", "priority": 5, "ticket": 42, "position": 2,
            "waitingBehind": 0, "estimatedWaitSeconds": 2, "estimatedWaitSecondsLow": 0, "estimatedWaitSecondsHigh": 0,
            "delayReason": null, "enteredAt": "1970-01-01T00:00:01.000000Z", "activeUntil": null,
            "validUntil": "1970-01-01T00:00:09.000000Z", "opensAt": null, "message": null, "pollAfterSeconds": 1, "requeues": 0,
        });
        assert_eq!(body, told);
    }
}

#[tokio::test]
async fn a_join_that_is_put_off_is_told_when_to_come_back() {
    let (front, ..) = scripted().await;
    for path in ["/v1/queues/default/tokens", "/queue-management/api/token"] {
        let (status, headers, body) =
            send(&front, request(Method::POST, path, json!({"userId": "crowd"}).to_string())).await;
        assert_eq!((status.as_u16(), body["code"].as_str()), (429, Some("RATE_LIMITED")), "{path} {body}");
        assert_eq!(
            (&headers["retry-after"], &headers["content-type"]),
            (&"2".parse().unwrap(), &"application/problem+json".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn a_poll_is_answered_in_full_only_when_something_changed() {
    let (front, script, ..) = scripted().await;
    let poll = |tag: &str| {
        let mut poll = request(Method::GET, &format!("/v1/tokens/{TOKEN}"), "");
        poll.headers_mut().insert("if-none-match", tag.parse().unwrap());
        poll
    };
    let (status, headers, _) = send(&front, poll("\"x\"")).await;
    assert_eq!(
        (status.as_u16(), &headers["retry-after"], &headers["cache-control"]),
        (200, &"1".parse().unwrap(), &"private, no-cache".parse().unwrap())
    );
    let tag = headers["etag"].to_str().unwrap().to_owned();
    let (status, headers, body) = send(&front, poll(&tag)).await;
    assert_eq!((status.as_u16(), body, headers["etag"].to_str().unwrap()), (304, Value::Null, tag.as_str()));
    assert!(headers.contains_key("retry-after"));

    script.tell(|token| token.position = 1);
    let (status, headers, body) = send(&front, poll(&tag)).await;
    assert_eq!((status.as_u16(), &body["position"]), (200, &1.into()));
    assert_ne!(headers["etag"].to_str().unwrap(), tag);

    let unknown = request(Method::GET, "/v1/tokens/00000000-0000-0000-0000-000000000001", "");
    let (status, _, body) = send(&front, unknown).await;
    assert_eq!((status.as_u16(), body["code"].as_str()), (404, Some("TOKEN_NOT_FOUND")));
}

#[tokio::test]
async fn put_creates_a_queue_and_then_changes_it() {
    let (front, ..) = scripted().await;
    let put = |body: Value| request(Method::PUT, "/v1/queues/vip", body.to_string());
    let (status, headers, body) = send(&front, put(json!({"maxActive": 3, "activeTtlSeconds": 7}))).await;
    assert_eq!((status.as_u16(), &headers["location"]), (201, &"/v1/queues/vip".parse().unwrap()), "{body}");
    assert_eq!(
        (&body["maxActive"], &body["activeTtlSeconds"], &body["onExpiry"]),
        (&3.into(), &7.into(), &"REQUEUE".into())
    );
    let (status, _, body) = send(&front, put(json!({"paused": true, "onExpiry": "EXPIRE"}))).await;
    assert_eq!((status.as_u16(), &body["paused"], &body["onExpiry"]), (200, &true.into(), &"EXPIRE".into()));
    let (status, headers, _) = send(&front, request(Method::GET, "/v1/queues/vip", "")).await;
    assert_eq!(
        (status.as_u16(), &headers["cache-control"]),
        (200, &"public, max-age=1, stale-while-revalidate=0".parse().unwrap())
    );
    assert!(headers.contains_key("etag"));
}

/// Reads a stream of events until it ends.
async fn events(address: &str, last: Option<&str>) -> (u16, Vec<(String, Value)>) {
    let url = format!("http://{address}/v1/tokens/{TOKEN}/events");
    let mut ask = reqwest::Client::new().get(url);
    if let Some(last) = last {
        ask = ask.header("last-event-id", last);
    }
    let response = ask.send().await.unwrap();
    let status = response.status().as_u16();
    let text = timeout(Duration::from_secs(10), response.text()).await.unwrap().unwrap();
    let told = text.split("\n\n").filter(|event| event.contains("data:")).map(|event| {
        let line =
            |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        assert_eq!(line("event:"), "token");
        (line("id:"), serde_json::from_str(&line("data:")).unwrap())
    });
    (status, told.collect())
}

/// Lets the token become first, then final.
fn play(script: &Script) -> tokio::task::JoinHandle<()> {
    let script = script.clone();
    tokio::spawn(async move {
        pause(Duration::from_millis(700)).await;
        script.tell(|token| token.position = 1);
        pause(Duration::from_millis(700)).await;
        script.tell(|token| {
            token.position = 0;
            token.status = TokenStatus::Left.into();
            token.poll_after = None;
        });
    })
}

#[tokio::test]
async fn events_tell_each_change_once_and_end_with_the_token() {
    let (_front, script, address, ..) = scripted().await;
    let _play = play(&script);
    let (status, told) = events(&address, None).await;
    let positions: Vec<_> =
        told.iter().map(|(_, token)| (token["position"].as_i64(), token["status"].as_str())).collect();
    assert_eq!(status, 200);
    assert_eq!(positions, [(Some(2), Some("WAITING")), (Some(1), Some("WAITING")), (Some(0), Some("LEFT"))]);
    // Who comes back with what it knows is told to stay away; who knows less is told.
    assert_eq!(events(&address, Some(&told[2].0)).await, (204, vec![]));
    assert_eq!(events(&address, Some(&told[1].0)).await.1.len(), 1);
}

#[tokio::test]
async fn a_websocket_tells_the_same_and_is_closed_with_the_token() {
    let (_front, script, address, ..) = scripted().await;
    let _play = play(&script);
    let (mut socket, _) =
        tokio_tungstenite::connect_async(format!("ws://{address}/v1/tokens/{TOKEN}/ws")).await.unwrap();
    let mut positions = Vec::new();
    loop {
        match timeout(Duration::from_secs(10), socket.next()).await.unwrap().unwrap().unwrap() {
            tungstenite::Message::Text(text) => {
                let token: Value = serde_json::from_str(&text).unwrap();
                positions.push(token["position"].as_i64().unwrap());
            }
            tungstenite::Message::Close(frame) => {
                assert_eq!(u16::from(frame.unwrap().code), 1000);
                break;
            }
            tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_) => {}
            other @ (tungstenite::Message::Binary(_) | tungstenite::Message::Frame(_)) => panic!("{other:?}"),
        }
    }
    assert_eq!(positions, [2, 1, 0]);
}

#[tokio::test]
async fn streams_end_on_shutdown_and_unknown_tokens_have_none() {
    let (front, _script, address, shutdown, _folder) = scripted().await;
    tokio::spawn(async move {
        pause(Duration::from_millis(300)).await;
        shutdown.cancel();
    });
    assert_eq!(events(&address, None).await.1.len(), 1);
    let unknown = request(Method::GET, "/v1/tokens/00000000-0000-0000-0000-000000000001/events", "");
    assert_eq!(send(&front, unknown).await.0, 404);
}

type Batches = tonic::Streaming<PollTokensRequest>;

macro_rules! absent {
    ($($method:ident: $request:ident => $response:ty;)+) => {$(
        fn $method<'a, 'b>(
            &'a self,
            _: Ask<$request>,
        ) -> Pin<Box<dyn Future<Output = Result<Reply<$response>, Status>> + Send + 'b>>
        where
            'a: 'b,
            Self: 'b,
        {
            Box::pin(async { Err(Status::unimplemented("not in this script")) })
        }
    )+};
}

#[tonic::async_trait]
impl QueueService for Script {
    type WatchTokenStream = tokio_stream::Empty<Result<WatchTokenResponse, Status>>;
    type PollTokensStream = tokio_stream::Empty<Result<PollTokensResponse, Status>>;

    async fn issue_token(&self, ask: Ask<IssueTokenRequest>) -> Result<Reply<IssueTokenResponse>, Status> {
        if let "crowd" = ask.get_ref().user_id.as_str() {
            return Err(Fault::new(Reason::RateLimited, "Too many join at once.")
                .retry_after(Duration::from_millis(1_500))
                .into());
        }
        let (token, _, created) = self.0.lock().clone();
        let token = Token { user_id: ask.into_inner().user_id, ..token };
        Ok(Reply::new(IssueTokenResponse { token: Some(token), created }))
    }

    async fn batch_get_tokens(
        &self,
        ask: Ask<BatchGetTokensRequest>,
    ) -> Result<Reply<BatchGetTokensResponse>, Status> {
        let (known, not_found): (Vec<_>, Vec<_>) =
            ask.into_inner().tokens.into_iter().partition(|token| token == TOKEN);
        let tokens = known.iter().map(|_| self.0.lock().0.clone()).collect();
        Ok(Reply::new(BatchGetTokensResponse { tokens, not_found, ..BatchGetTokensResponse::default() }))
    }

    async fn update_queue(&self, ask: Ask<UpdateQueueRequest>) -> Result<Reply<UpdateQueueResponse>, Status> {
        let change = ask.into_inner().policy.unwrap();
        let mut state = self.0.lock();
        let Some(queue) = &mut state.1 else { return Err(Fault::new(Reason::QueueNotFound, "no").into()) };
        let policy = queue.policy.as_mut().unwrap();
        policy.paused = change.paused.or(policy.paused);
        policy.on_expiry = change.on_expiry;
        Ok(Reply::new(UpdateQueueResponse { queue: Some(queue.clone()) }))
    }

    async fn create_queue(&self, ask: Ask<CreateQueueRequest>) -> Result<Reply<CreateQueueResponse>, Status> {
        let ask = ask.into_inner();
        let policy = QueuePolicy { on_expiry: OnExpiry::Requeue.into(), ..ask.policy.unwrap() };
        let queue = Queue {
            queue_id: ask.queue_id,
            policy: Some(policy),
            created_at: Some(timestamp(0)),
            ..Queue::default()
        };
        self.0.lock().1 = Some(queue.clone());
        Ok(Reply::new(CreateQueueResponse { queue: Some(queue) }))
    }

    async fn get_queue(&self, _: Ask<GetQueueRequest>) -> Result<Reply<GetQueueResponse>, Status> {
        let queue = self.0.lock().1.clone();
        let queue = queue.ok_or_else(|| Status::from(Fault::new(Reason::QueueNotFound, "no")))?;
        Ok(Reply::new(GetQueueResponse { queue: Some(queue) }))
    }

    absent! {
        get_draw: GetDrawRequest => GetDrawResponse;
        get_token_draw: GetTokenDrawRequest => GetTokenDrawResponse;
        list_queues: ListQueuesRequest => ListQueuesResponse;
        get_token: GetTokenRequest => GetTokenResponse;
        watch_token: WatchTokenRequest => Self::WatchTokenStream;
        poll_tokens: Batches => Self::PollTokensStream;
        verify_token: VerifyTokenRequest => VerifyTokenResponse;
        complete_token: CompleteTokenRequest => CompleteTokenResponse;
        leave_queue: LeaveQueueRequest => LeaveQueueResponse;
        take_queue_events: TakeQueueEventsRequest => TakeQueueEventsResponse;
    }
}
