//! Live streams that are cut, left alone, misused, or outlive a replica: they go on where they were, and cost
//! nobody anything.

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt, future::join_all};
use serde_json::{Value, json};
use tests::{
    client::Rest,
    eventually::{eventually, holds},
    mesh::{Role, Shape},
    patience::{self, is_prompt, timeout},
    process::Signal,
    scenarios, solos,
    suite::{Scenario, Solo},
    world::{World, int, text, unique},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};

use crate::live::leave;

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    last_event_id_continues_a_stream,
    a_heartbeat_keeps_a_quiet_stream_open,
    every_final_status_is_told_and_ends_the_stream,
    every_edge_tells_the_same,
    a_client_that_does_not_read_is_dropped,
    a_websocket_that_talks_too_much_is_closed,
    a_websocket_message_that_never_ends_is_not_read_for_ever,
    the_newest_streams_of_a_token_stay_and_the_oldest_gives_way,
];

pub(crate) const SOLOS: &[Solo] = &[
    solos![&[Shape::Cluster]; streams_outlive_queue_replicas][0],
    solos![&[Shape::SingleSqlite]; at_shutdown_streams_are_told_to_come_back][0],
];

const SOON: Duration = Duration::from_secs(10);

/// What makes a request one for a WebSocket.
const UPGRADE: &str = "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A stream of events, as a browser would read it.
pub(crate) struct Events {
    parts: std::pin::Pin<Box<dyn futures::Stream<Item = String> + Send>>,
    text: String,
}

/// One block of a stream.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) retry: Option<u32>,
    /// `Null` where the block has no data: a comment, or `retry:` alone.
    pub(crate) token: Value,
}

impl Event {
    pub(crate) fn state(&self) -> (String, i64) {
        (text(&self.token["status"]), int(&self.token["position"]))
    }
}

impl Events {
    pub(crate) async fn open(rest: &Rest, token: &str, last: Option<&str>) -> Self {
        let call = rest.get(&format!("/v1/tokens/{token}/events"));
        let call = if let Some(last) = last { call.header("last-event-id", last) } else { call };
        let response = call.stream().await;
        assert_eq!(response.status(), 200);
        let parts =
            response.bytes_stream().take_while(|part| std::future::ready(part.is_ok())).filter_map(|part| {
                std::future::ready(part.ok().map(|part| String::from_utf8_lossy(&part).into_owned()))
            });
        Self { parts: Box::pin(parts), text: String::new() }
    }

    /// The next block; `None` when the stream has ended.
    pub(crate) async fn block(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let line = |name: &str| {
                    block.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
                };
                let event = Event {
                    id: line("id:").unwrap_or_default(),
                    retry: line("retry:").map(|millis| millis.parse().unwrap()),
                    token: line("data:").map(|data| serde_json::from_str(&data).unwrap()).unwrap_or_default(),
                };
                self.text = rest.to_owned();
                return Some(event);
            }
            let part = self.parts.next().await?;
            self.text.push_str(&part);
        }
    }

    /// The next event with data, in time; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        let next = async {
            loop {
                let event = self.block().await?;
                if !event.token.is_null() {
                    return Some(event);
                }
            }
        };
        timeout(SOON, next).await.expect("an event in time")
    }

    /// Reads on until this state; others may come before.
    pub(crate) async fn until(&mut self, status: &str, position: i64) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.state() == (status.to_owned(), position) {
                return event;
            }
        }
    }
}

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) async fn socket(base: &str, token: &str) -> Socket {
    let url = format!("{}/v1/tokens/{token}/ws", base.replace("http://", "ws://"));
    tokio_tungstenite::connect_async(url).await.unwrap().0
}

/// Reads a socket to its end: what it told, and the code it was closed with.
async fn to_the_end(mut socket: Socket) -> (Vec<String>, Option<u16>) {
    let (mut told, mut code) = (Vec::new(), None);
    while let Some(Ok(message)) = timeout(SOON, socket.next()).await.expect("a message in time") {
        match message {
            Message::Text(json) => told.push(text(&serde_json::from_str::<Value>(&json).unwrap()["status"])),
            Message::Close(frame) => code = frame.map(|frame| frame.code.into()),
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
    (told, code)
}

/// A line of one place, with so many tokens: the first is ACTIVE, the others wait.
async fn line(world: &World, tokens: usize, policy: Value) -> Vec<String> {
    let mut policy = policy;
    policy["maxActive"] = json!(1);
    let queue = world.queue(policy).await;
    let mut all = Vec::new();
    for _ in 0..tokens {
        all.push(text(&world.join(&queue, &unique("user")).await["token"]));
    }
    all
}

async fn last_event_id_continues_a_stream(world: World) {
    let tokens = line(&world, 3, json!({})).await;
    let mut events = Events::open(&world.rest, &tokens[2], None).await;
    let first = events.until("WAITING", 2).await;
    drop(events);

    // Nothing has changed: nothing is repeated, only when to come back.
    let mut events = Events::open(&world.rest, &tokens[2], Some(&first.id)).await;
    let opening = timeout(SOON, events.block()).await.expect("the opening").unwrap();
    assert!(
        opening.token.is_null() && opening.retry.is_some_and(|millis| (1_000..=5_000).contains(&millis)),
        "{opening:?}"
    );
    assert!(patience::nothing_comes(Duration::from_secs(1), events.block()).await, "nothing to tell");
    leave(&world, &tokens[0]).await;
    let second = events.next().await.unwrap();
    assert_eq!(second.state(), ("WAITING".to_owned(), 1));
    drop(events);

    // Something was missed: the present state at once. What is no id of ours is as none.
    for stale in [first.id.as_str(), "rubbish"] {
        let mut events = Events::open(&world.rest, &tokens[2], Some(stale)).await;
        events.until("WAITING", 1).await;
    }
    leave(&world, &tokens[1]).await;
    let mut events = Events::open(&world.rest, &tokens[2], Some(&second.id)).await;
    events.until("ACTIVE", 0).await;
    leave(&world, &tokens[2]).await;
    let last = events.until("LEFT", 0).await;
    assert!(events.block().await.is_none());

    // Who knows the end is told to stay away. (A replica may follow a moment later.)
    eventually(SOON, || async {
        let again =
            world.rest.get(&format!("/v1/tokens/{}/events", tokens[2])).header("last-event-id", &last.id);
        holds(timeout(SOON, again.send()).await.expect("an answer").status, |status| *status == 204)
    })
    .await;
}

async fn a_heartbeat_keeps_a_quiet_stream_open(world: World) {
    let tokens = line(&world, 2, json!({})).await;
    let mut events = Events::open(&world.rest, &tokens[1], None).await;
    let mut socket = socket(&world.rest.base(), &tokens[1]).await;
    events.until("WAITING", 1).await;
    let comment = async {
        while let Some(event) = events.block().await {
            if event.token.is_null() && event.retry.is_none() {
                return;
            }
        }
        panic!("the stream ended");
    };
    let ping = async {
        while let Some(message) = socket.next().await {
            if matches!(message.unwrap(), Message::Ping(_)) {
                return;
            }
        }
        panic!("the socket ended");
    };
    // An estimate that moves is told instead of a heartbeat: there is more than one chance.
    timeout(Duration::from_secs(60), async { tokio::join!(comment, ping) }).await.expect("signs of life");
}

async fn every_final_status_is_told_and_ends_the_stream(world: World) {
    let endings = ["COMPLETED", "LEFT", "EXPIRED"].map(|status| {
        let world = &world;
        async move {
            let policy = if status == "EXPIRED" {
                json!({"activeTtlSeconds": 5, "onExpiry": "EXPIRE"})
            } else {
                json!({})
            };
            let token = line(world, 1, policy).await.remove(0);
            let mut events = Events::open(&world.rest, &token, None).await;
            let socket = socket(&world.rest.base(), &token).await;
            assert_eq!(events.next().await.unwrap().state().0, "ACTIVE");
            match status {
                "LEFT" => leave(world, &token).await,
                "COMPLETED" => {
                    let request = boxoffice_proto::queue::CompleteTokenRequest {
                        token: token.clone(),
                        request_id: unique("key"),
                    };
                    world.grpc.queue().complete_token(request).await.unwrap();
                }
                _ => {}
            }
            assert_eq!(events.until(status, 0).await.state().0, status);
            assert!(timeout(SOON, events.block()).await.expect("an end").is_none());
            let (told, code) = to_the_end(socket).await;
            assert_eq!((told.last().map(String::as_str), code), (Some(status), Some(1000)));
        }
    });
    join_all(endings).await;
}

async fn every_edge_tells_the_same(world: World) {
    let tokens = line(&world, 4, json!({})).await;
    let edges: Vec<Rest> = world.mesh.rest().into_iter().map(|base| Rest::new(vec![base])).collect();
    let mut streams = Vec::new();
    for edge in &edges {
        streams.push(Events::open(edge, &tokens[3], None).await);
    }
    for (position, ahead) in [(3, 0), (2, 1), (1, 2)] {
        for stream in &mut streams {
            stream.until("WAITING", position).await;
        }
        leave(&world, &tokens[ahead]).await;
    }
    let mut ids = Vec::new();
    for stream in &mut streams {
        ids.push(stream.until("ACTIVE", 0).await.id);
    }
    // What one edge told, another one continues.
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

/// Whether a server still has the connection open of the client that has this port. (Reading would show it as
/// well, and keep it open.)
fn is_served(client: u16) -> bool {
    const ESTABLISHED: &str = "01";
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let peer = format!(":{client:04X}");
    sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|socket| {
        socket.get(2).is_some_and(|remote| remote.ends_with(&peer)) && socket.get(3) == Some(&ESTABLISHED)
    })
}

async fn a_client_that_does_not_read_is_dropped(world: World) {
    let tokens = line(&world, 12, json!({})).await;
    let address = world.rest.base().replace("http://", "");
    let mut idle = Vec::new();
    for (what, more) in [("events", ""), ("ws", UPGRADE)] {
        let socket = TcpSocket::new_v4().unwrap();
        // The least there is: a handful of events fills it.
        socket.set_recv_buffer_size(1).unwrap();
        let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
        let request =
            format!("GET /v1/tokens/{}/{what} HTTP/1.1\r\nhost: {address}\r\n{more}\r\n", tokens[11]);
        stream.write_all(request.as_bytes()).await.unwrap();
        idle.push((what, stream));
    }
    let mut beside = Events::open(&world.rest, &tokens[11], None).await;
    for (gone, token) in (1_i64..).zip(&tokens[..10]) {
        beside.until("WAITING", 12 - gone).await;
        leave(&world, token).await;
    }
    // Somebody who does read is not held up by it.
    beside.until("WAITING", 1).await;
    for (_, idle) in &idle {
        let client = idle.local_addr().unwrap().port();
        eventually(Duration::from_secs(45), || async move { holds(is_served(client), |served| !served) })
            .await;
    }
    // The connections are gone: what is sent to them is refused, and what had arrived ends.
    for (what, mut idle) in idle {
        let _ = idle.write_all(b"x").await;
        let mut rest = Vec::new();
        let ended = timeout(Duration::from_secs(5), idle.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{what}: still open, {} bytes read", rest.len());
    }
    leave(&world, &tokens[10]).await;
    beside.until("ACTIVE", 0).await;
}

async fn a_websocket_that_talks_too_much_is_closed(world: World) {
    let tokens = line(&world, 2, json!({})).await;
    let base = world.rest.base();
    let mut large = socket(&base, &tokens[1]).await;
    large.send(Message::text("x".repeat(5_000))).await.unwrap();
    assert_eq!(to_the_end(large).await.1, Some(1008));

    let mut many = socket(&base, &tokens[1]).await;
    for _ in 0..200 {
        if many.send(Message::text("hello")).await.is_err() {
            break;
        }
    }
    assert!(matches!(to_the_end(many).await.1, Some(1008) | None));

    // A few are ignored, and a goodbye is answered.
    let mut polite = socket(&base, &tokens[1]).await;
    for _ in 0..10 {
        polite.send(Message::text("hello")).await.unwrap();
    }
    leave(&world, &tokens[0]).await;
    let active = async {
        while let Some(Ok(message)) = polite.next().await {
            if message.to_text().is_ok_and(|json| json.contains("\"ACTIVE\"")) {
                return;
            }
        }
        panic!("closed");
    };
    timeout(SOON, active).await.expect("the admission");
    polite.close(None).await.unwrap();
    let goodbye = timeout(SOON, polite.next()).await.expect("a goodbye");
    assert!(matches!(goodbye, None | Some(Ok(Message::Close(_)))), "{goodbye:?}");
}

async fn a_websocket_message_that_never_ends_is_not_read_for_ever(world: World) {
    let tokens = line(&world, 2, json!({})).await;
    let (mut read, mut write) = socket_by_hand(&world, &tokens[1]).await.into_split();
    let (begun, more) = (&[0x01, 0x80, 0, 0, 0, 0][..], [0x00, 0x80, 0, 0, 0, 0].repeat(10_000));
    let sending = tokio::spawn(async move {
        write.write_all(begun).await?;
        loop {
            write.write_all(&more).await?;
        }
        #[expect(unreachable_code, reason = "names the type")]
        std::io::Result::Ok(())
    });
    let mut rest = Vec::new();
    let _cut = timeout(Duration::from_secs(100), read.read_to_end(&mut rest)).await.expect("an end");
    drop(read);
    assert!(sending.await.unwrap().is_err(), "nobody reads on");
}

/// A connection that has just become a WebSocket.
async fn socket_by_hand(world: &World, token: &str) -> TcpStream {
    let address = world.rest.base().replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = format!("GET /v1/tokens/{token}/ws HTTP/1.1\r\nhost: {address}\r\n{UPGRADE}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 101");
    stream
}

/// Eight are a person with many tabs; whoever opens more loses the oldest, not the newest.
async fn the_newest_streams_of_a_token_stay_and_the_oldest_gives_way(world: World) {
    let tokens = line(&world, 3, json!({})).await;
    // Each edge counts its own.
    let edge = Rest::new(vec![world.rest.base()]);
    let mut oldest = Events::open(&edge, &tokens[2], None).await;
    oldest.until("WAITING", 2).await;
    let second = socket(&edge.base(), &tokens[2]).await;
    let (mut streams, mut sockets) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let mut events = Events::open(&edge, &tokens[2], None).await;
        events.until("WAITING", 2).await;
        streams.push(events);
    }
    for _ in 0..2 {
        sockets.push(socket(&edge.base(), &tokens[2]).await);
    }
    let mut beside = Events::open(&edge, &tokens[1], None).await;
    beside.until("WAITING", 1).await;
    for _ in 0..2 {
        sockets.push(socket(&edge.base(), &tokens[2]).await);
    }
    let mut goodbye = None;
    while let Some(event) = timeout(SOON, oldest.block()).await.expect("an end in time") {
        goodbye = event.retry;
    }
    assert_eq!(goodbye, Some(30_000), "it comes back, and not at once");
    assert_eq!(to_the_end(second).await.1, Some(1013));
    leave(&world, &tokens[0]).await;
    for stream in &mut streams {
        stream.until("WAITING", 1).await;
    }
    beside.until("ACTIVE", 0).await;
    // Who has gone makes room, so the older streams stay. The edge frees the place before it ends the
    // connection: a client that has read to the end knows that there is room.
    for mut socket in sockets {
        socket.close(None).await.unwrap();
        assert_eq!(to_the_end(socket).await.1, None, "it was not told to go");
    }
    for _ in 0..4 {
        let mut events = Events::open(&edge, &tokens[2], None).await;
        events.until("WAITING", 1).await;
        streams.push(events);
    }
    leave(&world, &tokens[1]).await;
    for stream in &mut streams {
        stream.until("ACTIVE", 0).await;
    }
}

async fn streams_outlive_queue_replicas(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let tokens = line(&world, 5, json!({})).await;
    let edges: Vec<Rest> = world.mesh.rest().into_iter().map(|base| Rest::new(vec![base])).collect();
    let mut streams = Vec::new();
    for edge in &edges {
        let mut stream = Events::open(edge, &tokens[4], None).await;
        stream.until("WAITING", 4).await;
        streams.push(stream);
    }
    // One replica dies: nobody notices.
    world.mesh.of(Role::Queue)[0].process.kill();
    eventually(SOON, || async {
        let gone = world.rest.delete(&format!("/v1/tokens/{}", tokens[0])).try_send().await;
        gone.and_then(|answer| holds(answer.status, |status| *status == 204))
    })
    .await;
    for stream in &mut streams {
        stream.until("WAITING", 3).await;
    }
    // Both are dead: the streams stay open, and go on when one is back.
    world.mesh.of(Role::Queue)[1].process.kill();
    for stream in &mut streams {
        assert!(patience::nothing_comes(Duration::from_secs(2), stream.block()).await, "the stream goes on");
    }
    world.mesh.restart_ended().await;
    eventually(SOON, || async {
        let gone = world.rest.delete(&format!("/v1/tokens/{}", tokens[1])).try_send().await;
        gone.and_then(|answer| holds(answer.status, |status| *status == 204))
    })
    .await;
    for stream in &mut streams {
        stream.until("WAITING", 2).await;
    }
    drop(streams);
    world.finish().await;
}

async fn at_shutdown_streams_are_told_to_come_back(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let tokens = line(&world, 2, json!({})).await;
    let mut events = Events::open(&world.rest, &tokens[1], None).await;
    events.until("WAITING", 1).await;
    let socket = socket(&world.rest.base(), &tokens[1]).await;
    let begun = Instant::now();
    world.mesh.nodes[0].process.signal(Signal::Term);
    let mut last = None;
    while let Some(event) = timeout(SOON, events.block()).await.expect("an end in time") {
        last = Some(event);
    }
    let last = last.expect("a goodbye");
    assert!(last.token.is_null() && last.retry.is_some(), "{last:?}");
    assert_eq!(to_the_end(socket).await.1, Some(1012));
    assert!(world.mesh.nodes[0].process.wait(SOON).await.unwrap().success());
    assert!(is_prompt(begun.elapsed(), Duration::from_secs(5)), "{:?}", begun.elapsed());
    world.finish().await;
}
