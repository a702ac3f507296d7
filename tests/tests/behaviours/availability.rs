//! What can be had of a show, as seat maps read and follow it.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use boxoffice_proto::{
    Reason,
    booking::{
        WatchAvailabilityRequest, booking_service_client::BookingServiceClient,
        watch_availability_response::Message,
    },
};
use futures::{Stream, StreamExt};
use serde_json::{Value, json};
use tests::{
    eventually::{eventually, holds},
    grpc::refused,
    patience::timeout,
    scenarios,
    suite::Scenario,
    world::{Buyer, Sale, World, int},
};
use tonic::{Request, Response, transport::Channel};

use crate::halls::{sale, theatre};

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    a_map_tells_what_can_be_had_and_a_known_one_is_not_sent_again,
    a_map_is_for_whoever_may_read_seats,
    events_tell_all_at_once_then_changes_and_go_on_where_they_were_cut,
    a_grpc_stream_tells_the_same,
];

const SOON: Duration = Duration::from_secs(10);

/// The seats that cannot be had, of a map as REST tells it.
fn taken(map: &Value) -> Vec<usize> {
    let bytes = STANDARD.decode(map["taken"].as_str().unwrap()).unwrap();
    (0..bytes.len() * 8).filter(|bit| bytes[bit / 8] >> (bit % 8) & 1 == 1).map(|bit| bit + 1).collect()
}

/// The booking service as the public reaches it.
fn at_edge(world: &World) -> BookingServiceClient<Channel> {
    BookingServiceClient::new(world.grpc.checkout.next())
}

fn path(sale: &Sale) -> String {
    format!("/v1/shows/{}/availability", sale.show)
}

async fn a_map_tells_what_can_be_had_and_a_known_one_is_not_sent_again(world: World) {
    let (sale, _) = sale(&world, &theatre(), json!({})).await;
    let ann = world.buyer(&sale).await;
    let read = || world.rest.get(&path(&sale)).token(&ann.token);
    let first = read().send().await;
    let map = first.body.clone();
    assert_eq!((int(&map["seatCount"]), int(&map["available"]), taken(&map)), (10, 10, vec![]), "{map}");
    let sections = |stalls: i32, floor: i32| {
        let each = [("Stalls", stalls), ("Floor", floor), ("Balcony", 2)];
        json!(each.map(|(name, available)| json!({"name": name, "available": available})))
    };
    assert_eq!(map["sections"], sections(5, 3));
    assert_eq!(first.header("etag"), format!("\"{}\"", map["version"]));
    assert_eq!(first.header("cache-control"), "private, max-age=1");
    // Whichever replica is asked: what is known is not sent again, and what was held meanwhile is told.
    let known = eventually(SOON, || async {
        holds(read().header("if-none-match", first.header("etag")).once().await, |told| told.status == 304)
    })
    .await;
    assert_eq!((known.text.as_str(), known.header("etag")), ("", first.header("etag")));
    let held = world.hold(&ann, sale.show, &[2, 7]).await;
    let now = eventually(SOON, || async {
        holds(read().header("if-none-match", first.header("etag")).once().await, |told| told.status == 200)
    })
    .await
    .body;
    assert_eq!((taken(&now), int(&now["available"])), (vec![2, 7], 8));
    assert_eq!(now["sections"], sections(4, 2));
    assert!(int(&now["version"]) > int(&map["version"]));
    let _gone = world.rest.delete(&format!("/v1/reservations/{held}")).token(&ann.token).expect(204).await;
    eventually(SOON, || async { holds(taken(&read().expect(200).await), Vec::is_empty) }).await;
}

async fn a_map_is_for_whoever_may_read_seats(world: World) {
    let sale = world.sale(1_000, 5).await;
    let ann = world.buyer(&sale).await;
    for path in [path(&sale), format!("{}/events", path(&sale))] {
        let _problem = world.rest.get(&path).once().await.problem(401, "TOKEN_MISSING");
        let elsewhere = world.sale(1_000, 5).await;
        let bob = world.buyer(&elsewhere).await;
        let _problem = world.rest.get(&path).token(&bob.token).once().await.problem(403, "TOKEN_WRONG_QUEUE");
    }
    let nowhere = world.rest.get("/v1/shows/9999999/availability").token(&ann.token).send().await;
    let _problem = nowhere.problem(404, "SHOW_NOT_FOUND");
    let watch = WatchAvailabilityRequest { show_id: sale.show, known_version: None };
    let told = at_edge(&world).watch_availability(watch).await;
    refused(told.map(|_| Response::new(())), Reason::TokenMissing);
}

/// The events of a stream, each as its name, its id and its data.
async fn follow(
    world: &World,
    sale: &Sale,
    buyer: &Buyer,
    last: Option<&str>,
) -> impl Stream<Item = (String, String, Value)> + use<> {
    let call = world.rest.get(&format!("{}/events", path(sale))).token(&buyer.token);
    let call = match last {
        Some(last) => call.header("last-event-id", last),
        None => call,
    };
    let response = call.stream().await;
    assert_eq!(response.status(), 200);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let bytes = Box::pin(response.bytes_stream());
    futures::stream::unfold((bytes, String::new()), |(mut bytes, mut text)| async move {
        loop {
            if let Some((event, rest)) = text.split_once("\n\n") {
                let field = |name: &str| {
                    let found = event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    found.unwrap_or_default().to_owned()
                };
                let told = (field("event"), field("id"), serde_json::from_str(&field("data")));
                text = rest.to_owned();
                if let (name, id, Ok(data)) = told {
                    return Some(((name, id, data), (bytes, text)));
                }
                continue;
            }
            text.push_str(str::from_utf8(&bytes.next().await?.unwrap()).unwrap());
        }
    })
}

/// What has changed up to where these seats cannot be had; each seat is told once.
async fn changes(
    events: &mut (impl Stream<Item = (String, String, Value)> + Unpin),
    expected: &[i64],
) -> String {
    let mut told = Vec::new();
    loop {
        let (name, id, data) = timeout(SOON, events.next()).await.expect("an event in time").unwrap();
        assert_eq!((name.as_str(), &id), ("changes", &data["version"].to_string()));
        told.extend(data["taken"].as_array().unwrap().iter().map(int));
        assert_eq!(data["freed"], json!([]));
        if told.len() >= expected.len() {
            told.sort_unstable();
            assert_eq!(told, expected);
            return id;
        }
    }
}

async fn events_tell_all_at_once_then_changes_and_go_on_where_they_were_cut(world: World) {
    let sale = world.sale(1_000, 20).await;
    let ann = world.buyer(&sale).await;
    let mut events = Box::pin(follow(&world, &sale, &ann, None).await);
    let (name, id, map) = timeout(SOON, events.next()).await.expect("an event at once").unwrap();
    assert_eq!((name.as_str(), taken(&map), &id), ("snapshot", vec![], &map["version"].to_string()));
    for seat in 1..=3 {
        world.hold(&ann, sale.show, &[seat]).await;
    }
    let last = changes(&mut events, &[1, 2, 3]).await;
    drop(events);
    world.hold(&ann, sale.show, &[9]).await;
    let mut events = Box::pin(follow(&world, &sale, &ann, Some(&last)).await);
    // An edge that had no stream of this show does not know that version, and begins anew.
    let mut known = vec![1, 2, 3];
    while known != [1, 2, 3, 9] {
        let (name, id, data) = timeout(SOON, events.next()).await.expect("an event in time").unwrap();
        assert_eq!(id, data["version"].to_string());
        if name == "snapshot" {
            known = taken(&data);
        } else {
            known.extend(
                data["taken"].as_array().unwrap().iter().map(|seat| usize::try_from(int(seat)).unwrap()),
            );
        }
    }
}

async fn a_grpc_stream_tells_the_same(world: World) {
    let sale = world.sale(1_000, 9).await;
    let ann = world.buyer(&sale).await;
    let mut watch = Request::new(WatchAvailabilityRequest { show_id: sale.show, known_version: None });
    watch.metadata_mut().insert("x-queue-token", ann.token.parse().unwrap());
    let mut public = at_edge(&world).watch_availability(watch).await.unwrap().into_inner();
    let watch = WatchAvailabilityRequest { show_id: sale.show, known_version: None };
    let mut at_service = world.grpc.booking().watch_availability(watch).await.unwrap().into_inner();
    let mut before = Vec::new();
    for stream in [&mut public, &mut at_service] {
        let first = timeout(SOON, stream.message()).await.expect("a message at once").unwrap().unwrap();
        let Some(Message::Snapshot(map)) = first.message else { panic!("{first:?}") };
        assert_eq!(
            (map.show_id, map.seat_count, map.available, &map.taken[..]),
            (sale.show, 9, 9, &[0, 0][..])
        );
        before.push(map.version);
    }
    world.hold(&ann, sale.show, &[1, 9]).await;
    let mut after = Vec::new();
    for stream in [&mut public, &mut at_service] {
        let next = timeout(SOON, stream.message()).await.expect("a message in time").unwrap().unwrap();
        let Some(Message::Changes(changes)) = next.message else { panic!("{next:?}") };
        assert_eq!((changes.taken, changes.freed), (vec![1, 9], vec![]));
        after.push(changes.version);
    }
    assert_eq!(after[0], after[1], "one version means one state");
    assert!(after[0] > before[0]);
}
