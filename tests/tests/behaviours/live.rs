//! A token followed live, by each of the three ways: its state at once, every step near the front, and an end
//! after the final status.

use std::time::Duration;

use boxoffice_proto::queue::{TokenStatus, WatchTokenRequest};
use futures::StreamExt;
use serde_json::{Value, json};
use tests::{
    eventually::{eventually, holds},
    patience::timeout,
    scenarios,
    suite::Scenario,
    world::{World, int, text, unique},
};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    server_sent_events_tell_each_step_until_the_end,
    a_websocket_tells_each_step_until_the_end,
    a_grpc_stream_tells_each_step_until_the_end,
    a_token_that_has_ended_is_told_once,
    a_websocket_for_an_unknown_token_is_refused,
];

const SOON: Duration = Duration::from_secs(10);

/// A line of one place, with two in front of the token that is followed.
async fn third_in_line(world: &World) -> (Vec<String>, String) {
    let queue = world.queue(json!({"maxActive": 1})).await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(text(&world.join(&queue, &unique("user")).await["token"]));
    }
    let followed = tokens.pop().unwrap();
    (tokens, followed)
}

pub(crate) async fn leave(world: &World, token: &str) {
    let _ = world.rest.delete(&format!("/v1/tokens/{token}")).expect(204).await;
}

fn state(token: &Value) -> (String, i64) {
    (text(&token["status"]), int(&token["position"]))
}

async fn server_sent_events_tell_each_step_until_the_end(world: World) {
    let (ahead, token) = third_in_line(&world).await;
    let response = world.rest.get(&format!("/v1/tokens/{token}/events")).stream().await;
    assert_eq!(response.status(), 200);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let mut bytes = response.bytes_stream();
    let (mut text, mut seen) = (String::new(), Vec::new());
    let mut next_step = 0;
    while let Some(part) = timeout(SOON, bytes.next()).await.expect("an event in time") {
        text.push_str(str::from_utf8(&part.unwrap()).unwrap());
        while let Some((event, rest)) =
            text.split_once("\n\n").map(|(event, rest)| (event.to_owned(), rest.to_owned()))
        {
            text = rest;
            let Some(data) = event.lines().find_map(|line| line.strip_prefix("data:")) else { continue };
            assert!(event.lines().any(|line| line.replace(' ', "") == "event:token"), "{event}");
            let token: Value = serde_json::from_str(data.trim()).unwrap();
            if seen.last() == Some(&state(&token)) {
                continue;
            }
            seen.push(state(&token));
            match next_step {
                0 => leave(&world, &ahead[0]).await,
                1 => leave(&world, &ahead[1]).await,
                2 => leave(&world, token["token"].as_str().unwrap()).await,
                _ => {}
            }
            next_step += 1;
        }
    }
    assert_eq!(seen, steps());
}

fn steps() -> Vec<(String, i64)> {
    [("WAITING", 2), ("WAITING", 1), ("ACTIVE", 0), ("LEFT", 0)]
        .map(|(status, position)| (status.to_owned(), position))
        .to_vec()
}

async fn a_websocket_tells_each_step_until_the_end(world: World) {
    let (ahead, token) = third_in_line(&world).await;
    let url = format!("{}/v1/tokens/{token}/ws", world.rest.base().replace("http://", "ws://"));
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let mut seen = Vec::new();
    while let Some(message) = timeout(SOON, socket.next()).await.expect("a message in time") {
        let json = match message.unwrap() {
            Message::Text(json) => json,
            Message::Close(_) => break,
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        let told: Value = serde_json::from_str(&json).unwrap();
        if seen.last() == Some(&state(&told)) {
            continue;
        }
        seen.push(state(&told));
        match seen.len() {
            1 => leave(&world, &ahead[0]).await,
            2 => leave(&world, &ahead[1]).await,
            3 => leave(&world, &token).await,
            _ => {}
        }
    }
    assert_eq!(seen, steps());
}

async fn a_grpc_stream_tells_each_step_until_the_end(world: World) {
    let (ahead, token) = third_in_line(&world).await;
    let mut stream = world
        .grpc
        .queue()
        .watch_token(WatchTokenRequest { token: token.clone() })
        .await
        .unwrap()
        .into_inner();
    let mut seen = Vec::new();
    while let Some(message) = timeout(SOON, stream.message()).await.expect("a message in time").unwrap() {
        let told = message.token.unwrap();
        let state = (told.status(), told.position);
        if seen.last() == Some(&state) {
            continue;
        }
        seen.push(state);
        match seen.len() {
            1 => leave(&world, &ahead[0]).await,
            2 => leave(&world, &ahead[1]).await,
            3 => leave(&world, &token).await,
            _ => {}
        }
    }
    let expected = [
        (TokenStatus::Waiting, 2),
        (TokenStatus::Waiting, 1),
        (TokenStatus::Active, 0),
        (TokenStatus::Left, 0),
    ];
    assert_eq!(seen, expected);
}

async fn a_token_that_has_ended_is_told_once(world: World) {
    let (_, token) = third_in_line(&world).await;
    leave(&world, &token).await;
    // Another replica may follow a moment later, and until then tell the place in line first.
    let told = eventually(SOON, || async {
        let answer = timeout(SOON, world.rest.get(&format!("/v1/tokens/{token}/events")).send()).await;
        holds(answer.expect("the stream ends by itself"), |answer| answer.text.matches("data:").count() == 1)
    })
    .await;
    assert_eq!(told.status, 200);
    assert!(told.text.contains("LEFT"), "{}", told.text);
}

async fn a_websocket_for_an_unknown_token_is_refused(world: World) {
    for token in [Uuid::new_v4().to_string(), "nope".to_owned()] {
        let url = format!("{}/v1/tokens/{token}/ws", world.rest.base().replace("http://", "ws://"));
        let refusal = tokio_tungstenite::connect_async(url).await.unwrap_err();
        let tokio_tungstenite::tungstenite::Error::Http(response) = refusal else { panic!("{refusal}") };
        assert!(matches!(response.status().as_u16(), 400 | 404), "{}", response.status());
    }
}
