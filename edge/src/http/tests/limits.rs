//! How often one caller may ask over REST: a refusal says when to come back, and others are not concerned.

use std::net::{IpAddr, Ipv4Addr};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request},
};
use boxoffice_proto::time::duration;
use serde_json::{Value, json};

use super::{HERE, TOKEN, queue::scripted_within, request};
use crate::{config::LimitArgs, http::Front};

const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const UNKNOWN: &str = "/v1/tokens/00000000-0000-0000-0000-000000000001";

fn join(path: &str) -> Request<Body> {
    request(Method::POST, path, json!({"userId": "ann"}).to_string())
}

fn get(path: &str) -> Request<Body> {
    request(Method::GET, path, "")
}

async fn send(front: &Front, from: IpAddr, request: Request<Body>) -> (u16, HeaderMap, Value) {
    let (parts, body) = front.clone().answer(from, request).await.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status.as_u16(), parts.headers, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn joins_are_counted_at_both_addresses_and_every_answer_says_what_is_left() {
    let joins = Some("2/h".parse().unwrap());
    let (front, ..) = scripted_within(LimitArgs { limit_joins: joins, ..LimitArgs::default() }).await;
    for (path, left) in [("/v1/queues/default/tokens", 1), ("/queue-management/api/token", 0)] {
        let (status, headers, body) = send(&front, HERE, join(path)).await;
        assert_eq!(status, 201, "{body}");
        assert_eq!(headers["ratelimit-policy"], "\"joins\";q=2;w=3600");
        assert_eq!(headers["ratelimit"], format!("\"joins\";r={left};t=1800"));
    }
    for path in ["/v1/queues/default/tokens", "/queue-management/api/token"] {
        let (status, headers, body) = send(&front, HERE, join(path)).await;
        assert_eq!((status, &body["code"]), (429, &json!("RATE_LIMITED")));
        assert_eq!(headers["retry-after"], "1800");
        assert_eq!(headers["ratelimit"], "\"joins\";r=0;t=1800", "no earlier than Retry-After");
    }
    assert_eq!(send(&front, ELSEWHERE, join("/v1/queues/default/tokens")).await.0, 201, "somebody else");
    let (status, headers, _) = send(&front, HERE, get("/v1/tokens/nonsense")).await;
    assert!(status == 400 && !headers.contains_key("ratelimit"), "what has no limit tells none");
}

#[tokio::test]
async fn requests_are_counted_and_probes_polls_and_parts_of_pages_are_not() {
    let requests = Some("2/h".parse().unwrap());
    let (front, ..) = scripted_within(LimitArgs { limit_requests: requests, ..LimitArgs::default() }).await;
    for left in [1, 0] {
        let (status, headers, _) = send(&front, HERE, join("/v1/queues/default/tokens")).await;
        assert_eq!(
            (status, &headers["ratelimit"]),
            (201, &format!("\"requests\";r={left};t=1800").parse().unwrap())
        );
    }
    assert_eq!(send(&front, HERE, get("/v1/concerts")).await.0, 429);
    for free in ["/healthz", "/metrics", "/assets/0/main.js", UNKNOWN] {
        assert_ne!(send(&front, HERE, get(free)).await.0, 429, "{free}");
    }
}

#[tokio::test]
async fn a_place_may_be_polled_three_times_as_often_as_was_advised() {
    let requests = Some("1000/m".parse().unwrap());
    let (front, script, ..) =
        scripted_within(LimitArgs { limit_requests: requests, ..LimitArgs::default() }).await;
    script.0.lock().0.poll_after = Some(duration(60_000_000));
    // A query sends a poll the long way, through the router.
    for path in ["", "?", ""] {
        let poll = get(&format!("/v1/tokens/{TOKEN}{path}"));
        assert_eq!(send(&front, HERE, poll).await.0, 200);
    }
    for from in [HERE, ELSEWHERE] {
        let (status, headers, body) = send(&front, from, get(&format!("/v1/tokens/{TOKEN}"))).await;
        assert_eq!((status, &body["code"]), (429, &json!("RATE_LIMITED")), "the token counts");
        let after: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=20).contains(&after), "{after}");
        assert_eq!(headers["ratelimit-policy"], "\"polls\";q=3");
        assert_eq!(headers["ratelimit"], format!("\"polls\";r=0;t={after}"));
    }
}

#[tokio::test]
async fn polls_of_a_place_that_has_ended_are_counted_too() {
    let requests = Some("1000/m".parse().unwrap());
    let (front, script, ..) =
        scripted_within(LimitArgs { limit_requests: requests, ..LimitArgs::default() }).await;
    script.0.lock().0.poll_after = None;
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(send(&front, HERE, get(&format!("/v1/tokens/{TOKEN}"))).await.0);
    }
    assert_eq!((statuses[..3].to_vec(), statuses[9]), (vec![200; 3], 429));
}

#[tokio::test]
async fn who_was_refused_too_often_is_refused_everything_but_places_that_are_known() {
    let refused = Some("3/h".parse().unwrap());
    let requests = Some("1000/s".parse().unwrap());
    let limits = LimitArgs { limit_refused: refused, limit_requests: requests, ..LimitArgs::default() };
    let (front, ..) = scripted_within(limits).await;
    let mine = format!("/v1/tokens/{TOKEN}");
    assert_eq!(send(&front, HERE, get(&mine)).await.0, 200);
    for wrong in [UNKNOWN, "/v1/nothing", &format!("{UNKNOWN}?")] {
        assert_eq!(send(&front, HERE, get(wrong)).await.0, 404, "{wrong}");
    }
    for (request, expected) in [
        (get(UNKNOWN), 429),
        (get(&format!("{UNKNOWN}?")), 429),
        (get("/v1/nothing"), 429),
        (join("/v1/queues/default/tokens"), 429),
        (get(&mine), 200),
        (get(&format!("{mine}?")), 200),
        (get("/healthz"), 200),
    ] {
        let uri = request.uri().clone();
        let (status, headers, _) = send(&front, HERE, request).await;
        assert_eq!(status, expected, "{uri}");
        let policy = headers.get("ratelimit-policy").filter(|_| status == 429);
        assert_eq!(policy.is_some_and(|policy| policy == "\"refused\";q=3;w=3600"), status == 429, "{uri}");
    }
    assert_eq!(send(&front, ELSEWHERE, get(UNKNOWN)).await.0, 404, "somebody else");
}

#[tokio::test]
async fn behind_a_trusted_proxy_its_clients_are_told_apart_and_nobody_else_says_who_they_are() {
    let joins = Some("1/h".parse().unwrap());
    let trusted_proxies = "127.0.0.0/8".parse().unwrap();
    let limits = LimitArgs { limit_joins: joins, trusted_proxies, ..LimitArgs::default() };
    let (front, ..) = scripted_within(limits).await;
    let of = |client: &str| {
        let mut request = join("/v1/queues/default/tokens");
        request.headers_mut().insert("x-forwarded-for", client.parse().unwrap());
        request
    };
    for (from, client, expected) in [
        (HERE, "198.51.100.1", 201),
        (HERE, "203.0.113.9, 198.51.100.1", 429),
        (HERE, "198.51.100.2", 201),
        (HERE, "2001:db8::1", 201),
        (HERE, "2001:db8::2", 429),
        (HERE, "2001:db8:0:1::2", 201),
        (ELSEWHERE, "198.51.100.3", 201),
        (ELSEWHERE, "198.51.100.4", 429),
    ] {
        assert_eq!(send(&front, from, of(client)).await.0, expected, "{client} by {from}");
    }
}

/// Every operation that joins or holds, also those of the original, is one for its limit.
#[test]
fn the_routes_of_the_limits_are_those_of_the_rules() {
    let document = serde_json::to_value(crate::http::router::table().into_openapi()).unwrap();
    let mut limited = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            let Some(known) = crate::http::openapi::operation_of(operation.as_object().unwrap()) else {
                continue;
            };
            let wish = crate::http::limited::wish(&verb.to_uppercase().parse().unwrap(), path);
            assert_eq!(wish, crate::app::Wish::of(known.rule.path), "{verb} {path}");
            limited += usize::from(wish != crate::app::Wish::Other);
        }
    }
    assert_eq!(limited, 4);
}
