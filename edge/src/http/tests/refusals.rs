//! What a client can send wrongly: every answer is a problem document that says what is wrong, and none is a
//! 500.

use serde_json::json;

use super::*;

/// A request that holds a seat.
const HOLD: &str = r#"{"userId": "ann", "showId": 1, "seatNumbers": [1]}"#;

/// The code of the problem, and the fields it names.
async fn refusal(front: &Front, request: Request<Body>) -> (u16, String, Vec<String>) {
    let path = request.uri().path().to_owned();
    let (status, headers, body) = send(front, request).await;
    assert_eq!(headers["content-type"], "application/problem+json", "{path}: {body}");
    assert_eq!((&body["status"], &body["instance"]), (&status.as_u16().into(), &path.as_str().into()));
    for member in ["type", "title", "detail"] {
        assert!(body[member].is_string(), "{path}: {member}");
    }
    let fields =
        body["violations"].as_array().into_iter().flatten().map(|v| v["field"].as_str().unwrap().to_owned());
    (status.as_u16(), body["code"].as_str().unwrap().to_owned(), fields.collect())
}

#[tokio::test]
async fn what_http_alone_refuses_is_a_problem_document_too() {
    let (front, _folder) = alone(Browse::Token, "").await;
    let not_found = refusal(&front, request(Method::GET, "/v1/nothing", "")).await;
    assert_eq!((not_found.0, not_found.1.as_str()), (404, "NOT_FOUND"));

    let (status, headers, body) = send(&front, request(Method::PATCH, "/v1/concerts", "{}")).await;
    assert_eq!((status.as_u16(), body["code"].as_str()), (405, Some("METHOD_NOT_ALLOWED")));
    let allow = headers["allow"].to_str().unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");

    let large = request(Method::POST, "/v1/concerts", format!("{{\"title\": \"{}\"}}", "x".repeat(70_000)));
    assert_eq!(refusal(&front, large).await.1, "PAYLOAD_TOO_LARGE");

    let mut text = request(Method::POST, "/v1/concerts", "{}");
    text.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(refusal(&front, text).await.0, 415);

    let long = request(Method::GET, &format!("/v1/concerts/{}", "1".repeat(9_000)), "");
    assert_eq!(refusal(&front, long).await.0, 414);

    let mut stuffed = request(Method::GET, "/v1/concerts", "");
    stuffed.headers_mut().insert("x-stuff", "x".repeat(17_000).parse().unwrap());
    assert_eq!(refusal(&front, stuffed).await.0, 431);

    for path in ["/healthz", "/readyz", "/metrics"] {
        let (status, headers, body) = send(&front, request(Method::POST, path, "")).await;
        assert_eq!((status.as_u16(), body["code"].as_str()), (405, Some("METHOD_NOT_ALLOWED")), "{path}");
        assert_eq!(headers["allow"], "GET,HEAD", "{path}");
        let long = request(Method::GET, &format!("{path}?{}", "1".repeat(9_000)), "");
        assert_eq!(refusal(&front, long).await.0, 414);
    }

    let plain = request(Method::GET, &format!("/v1/tokens/{TOKEN}/ws"), "");
    assert_eq!(refusal(&front, plain).await.0, 426);
}

#[tokio::test]
async fn of_two_headers_or_parameters_of_one_name_none_is_chosen() {
    let (front, _folder) = alone(Browse::Token, "").await;
    for (name, value) in [
        ("Idempotency-Key", "k"),
        ("X-Queue-Token", TOKEN),
        ("Content-Type", "application/json"),
        ("Content-Encoding", "identity"),
    ] {
        let mut twice = request(Method::POST, "/v1/reservations", HOLD);
        twice.headers_mut().remove(name);
        for _ in 0..2 {
            twice.headers_mut().append(name, value.parse().unwrap());
        }
        assert_eq!(
            refusal(&front, twice).await,
            (400, "INVALID_ARGUMENT".to_owned(), vec![name.to_owned()]),
            "{name}"
        );
    }
    for (path, name) in [
        ("/v1/concerts?pageSize=1&pageSize=2", "pageSize"),
        ("/v1/concerts?pageToken=a&pageToken=", "pageToken"),
        ("/v1/concerts/1/seats?date=2026-12-24&date=2026-12-24", "date"),
    ] {
        assert_eq!(refusal(&front, request(Method::GET, path, "")).await.2, [name], "{path}");
    }
}

#[tokio::test]
async fn a_compressed_body_is_refused_as_such() {
    let (front, _folder) = alone(Browse::Token, "").await;
    for encoding in ["gzip", "br", "x", "gzip, identity"] {
        let mut compressed = request(Method::POST, "/v1/concerts", vec![0x1f, 0x8b, 8, 0]);
        compressed.headers_mut().insert("content-encoding", encoding.parse().unwrap());
        let (status, headers, body) = send(&front, compressed).await;
        assert_eq!(
            (status.as_u16(), body["code"].as_str()),
            (415, Some("UNSUPPORTED_MEDIA_TYPE")),
            "{encoding}"
        );
        assert!(body["detail"].as_str().unwrap().contains("Content-Encoding"), "{body}");
        assert_eq!(headers["accept-encoding"], "identity");
    }
    let mut plain = request(Method::POST, "/v1/concerts", "[]");
    plain.headers_mut().insert("content-encoding", "Identity".parse().unwrap());
    assert_eq!(refusal(&front, plain).await.2, ["body"], "read as it is");
}

#[tokio::test]
async fn a_malformed_body_is_refused_by_name() {
    let (front, _folder) = alone(Browse::Token, "").await;
    for malformed in
        ["", "{", "[]", "7", "null", "\"x\"", "{\"title\": 1e999}", "{\"title\": \"\\ud800\"}", "\u{feff}{}"]
    {
        let (status, code, fields) = refusal(&front, request(Method::POST, "/v1/concerts", malformed)).await;
        assert_eq!(
            (status, code.as_str(), fields),
            (400, "INVALID_ARGUMENT", vec!["body".to_owned()]),
            "{malformed}"
        );
    }
    let deep = "[".repeat(5_000);
    assert_eq!(refusal(&front, request(Method::POST, "/v1/concerts", deep)).await.0, 400);
    let invalid_utf8 = request(Method::POST, "/v1/concerts", vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}']);
    assert_eq!(refusal(&front, invalid_utf8).await.0, 400);
}

#[tokio::test]
async fn wrong_fields_are_named_as_the_client_wrote_them() {
    let (front, _folder) = alone(Browse::Token, "").await;
    let cases: &[(&str, Value, &[&str])] = &[
        ("/v1/queues/default/tokens", json!({}), &["userId"]),
        ("/v1/queues/default/tokens", json!({"userId": "ann", "priority": 10}), &["priority"]),
        ("/v1/concerts", json!({"title": "", "queueId": "a b"}), &["title", "queueId"]),
        ("/v1/concerts/1/shows", json!({}), &["startsAt", "durationMinutes", "title", "price"]),
        (
            "/v1/reservations",
            json!({"userId": true, "showId": "1", "seatNumbers": [1, 1]}),
            &["userId", "showId", "seatNumbers"],
        ),
        ("/v1/wallets/ann/charges", json!({"amount": 9_223_372_036_854_775_808_u64}), &["amount"]),
        ("/v1/wallets/ann/charges", json!({"amount": 0.5}), &["amount"]),
        ("/v1/payments", json!({"userId": " ", "reservationId": "x"}), &["userId", "reservationId"]),
        ("/queue-management/api/token", json!({"requestedTime": 7}), &["userId"]),
        ("/api-orchestration/api/balance/charge", json!({"userId": 1, "amount": "100.50"}), &["amount"]),
        (
            "/api-orchestration/api/reservations/reserve-seat",
            json!({"date": "tomorrow"}),
            &["userId", "concertOptionId", "seatId", "date"],
        ),
    ];
    for (path, body, expected) in cases {
        let (status, code, fields) = refusal(&front, request(Method::POST, path, body.to_string())).await;
        assert_eq!((status, code.as_str()), (400, "INVALID_ARGUMENT"), "{path} {body}");
        assert_eq!(fields, *expected, "{path} {body}");
    }
    let (_, _, fields) = refusal(
        &front,
        request(
            Method::PUT,
            "/v1/queues/vip",
            json!({"maxActive": -1, "activeTtlSeconds": 0, "onExpiry": "X", "paused": 1}).to_string(),
        ),
    )
    .await;
    assert_eq!(fields, ["maxActive", "activeTtlSeconds", "onExpiry", "paused"]);
}

#[tokio::test]
async fn wrong_addresses_are_refused_by_the_parameter_s_name() {
    let (front, _folder) = alone(Browse::Token, "").await;
    let cases = [
        ("/v1/concerts/abc", "concertId"),
        ("/v1/concerts/99999999999999999999", "concertId"),
        ("/v1/concerts/+1", "concertId"),
        ("/v1/concerts/01", "concertId"),
        ("/v1/shows/-0/seats", "showId"),
        ("/v1/concerts/1%2F", "concertId"),
        ("/v1/wallets/a%E2%80%8Bb", "userId"),
        ("/v1/users/%E2%80%AEbob/payments", "userId"),
        ("/v1/tokens/3fa85f6457174562b3fc2c963f66afa6", "token"),
        ("/v1/concerts?pageSize=+5", "pageSize"),
        ("/v1/concerts?pageSize=05", "pageSize"),
        ("/api-orchestration/api/reservations/available-seats?concertId=01&date=2026-02-03", "concertId"),
        ("/v1/tokens/nope", "token"),
        ("/v1/tokens/nope/events", "token"),
        ("/v1/reservations/1", "reservationId"),
        ("/v1/payments/1", "paymentId"),
        ("/v1/wallets/a%20b", "userId"),
        ("/v1/wallets/%FF", "path"),
        ("/v1/queues/a%00b", "queueId"),
        ("/v1/concerts?pageSize=-1", "pageSize"),
        ("/v1/concerts?pageSize=x", "pageSize"),
        ("/v1/concerts/1/seats", "date"),
        ("/v1/concerts/1/seats?date=2026-02-30", "date"),
        ("/api-orchestration/api/reservations/available-seats?date=2026-02-03", "concertId"),
    ];
    for (path, field) in cases {
        let (status, code, fields) = refusal(&front, request(Method::GET, path, "")).await;
        assert_eq!(
            (status, code.as_str(), fields),
            (400, "INVALID_ARGUMENT", vec![field.to_owned()]),
            "{path}"
        );
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_booked() {
    let (front, _folder) = alone(Browse::Token, "").await;
    let (status, headers, body) = send(&front, request(Method::POST, "/v1/reservations", HOLD)).await;
    assert_eq!((status.as_u16(), body["code"].as_str()), (401, Some("TOKEN_MISSING")));
    assert!(headers.contains_key("www-authenticate"));
    for path in ["/v1/concerts/1/dates", "/v1/concerts/1/seats?date=2026-12-24", "/v1/shows/1/seats"] {
        assert_eq!(refusal(&front, request(Method::GET, path, "")).await.0, 401, "{path}");
    }
    let mut wrong = request(Method::POST, "/v1/reservations", HOLD);
    wrong.headers_mut().insert("x-queue-token", "rubbish".parse().unwrap());
    assert_eq!(refusal(&front, wrong).await.2, ["X-Queue-Token"]);

    let mut key = request(Method::POST, "/v1/concerts", json!({"title": "x"}).to_string());
    key.headers_mut().insert("idempotency-key", "a b".parse().unwrap());
    assert_eq!(refusal(&front, key).await.2, ["Idempotency-Key"]);
}

#[tokio::test]
async fn a_service_that_is_away_is_a_503_that_says_when_to_come_back() {
    let (front, _folder) = alone(Browse::Open, "").await;
    for path in [
        "/v1/concerts/1",
        "/v1/concerts/1/dates",
        "/v1/wallets/ann",
        "/v1/queues/default",
        &format!("/v1/tokens/{TOKEN}"),
    ] {
        let mut request = request(Method::GET, path, "");
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        request.headers_mut().insert("traceparent", parent.parse().unwrap());
        let (status, headers, body) = send(&front, request).await;
        assert_eq!((status.as_u16(), body["code"].as_str()), (503, Some("UNAVAILABLE")), "{path}");
        assert!(headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        assert!(headers["traceparent"].to_str().unwrap().starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
        assert_eq!(body["traceId"], "0af7651916cd43dd8448eb211c80319c");
    }
}

#[tokio::test]
async fn what_needs_a_person_is_told_while_services_are_away_and_they_are_named() {
    let (front, _folder) = alone(Browse::Token, "").await;
    let (status, _, told) = send(&front, request(Method::GET, "/v1/operator/alerts", "")).await;
    let unread = told["unread"].as_array().unwrap();
    assert_eq!((status.as_u16(), &told["alerts"], unread.len()), (200, &json!([]), 3), "{told}");
    assert_eq!(unread[0], "queue-svc");
}

#[tokio::test]
async fn the_document_and_its_page_are_served_without_the_internet() {
    let (front, _folder) = alone(Browse::Token, "").await;
    let (status, _, document) = send(&front, request(Method::GET, "/openapi.json", "")).await;
    assert_eq!((status.as_u16(), document["openapi"].as_str()), (200, Some("3.1.0")));
    let response = front.clone().answer(super::HERE, request(Method::GET, "/docs/", "")).await;
    assert_eq!(response.status(), 200);
    let page = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let page = String::from_utf8_lossy(&page);
    assert!(page.contains("swagger-ui") && !page.contains("https://"), "{page}");
    assert!(
        page.contains("name=\"viewport\" content=\"width=device-width"),
        "a phone shows it at its own width: {page}"
    );
    for file in ["swagger-ui.css", "swagger-initializer.js", "index.html", "boxoffice.css", "nothing.js"] {
        let response =
            front.clone().answer(super::HERE, request(Method::GET, &format!("/docs/{file}"), "")).await;
        assert_eq!(response.status().as_u16(), if file == "nothing.js" { 404 } else { 200 }, "{file}");
    }
    let (status, headers, _) = send(&front, request(Method::GET, "/docs", "")).await;
    assert!(status.is_redirection() && headers["location"] == "/docs/");
    assert_eq!(send(&front, request(Method::GET, "/healthz", "")).await.0, 200);

    let mut zipped = request(Method::GET, "/openapi.json", "");
    zipped.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
    assert_eq!(front.clone().answer(super::HERE, zipped).await.headers()["content-encoding"], "gzip");
}

#[tokio::test]
async fn the_document_is_of_this_edge() {
    for (browse, needed) in [(Browse::Token, true), (Browse::Open, false)] {
        let (front, _folder) = alone(browse, "").await;
        let (_, _, document) = send(&front, request(Method::GET, "/openapi.json", "")).await;
        let operation = &document["paths"]["/v1/concerts/{concertId}/dates"]["get"];
        let parameters = operation["parameters"].as_array().unwrap();
        let token = parameters.iter().find(|parameter| parameter["name"] == "X-Queue-Token").unwrap();
        assert_eq!((&token["required"], operation["responses"]["401"].is_object()), (&needed.into(), needed));
    }
}

#[tokio::test]
async fn web_pages_may_call_only_from_configured_origins() {
    let (front, _folder) = alone(Browse::Token, "https://tickets.example").await;
    for (origin, allowed) in [("https://tickets.example", true), ("https://evil.example", false)] {
        let preflight = Request::builder()
            .method(Method::OPTIONS)
            .uri("/v1/payments")
            .header("host", "x")
            .header("origin", origin);
        let preflight =
            preflight.header("access-control-request-method", "POST").body(Body::empty()).unwrap();
        let (status, headers, _) = send(&front, preflight).await;
        assert_eq!(
            (status.as_u16(), headers.contains_key("access-control-allow-origin")),
            (200, allowed),
            "{origin}"
        );
        let may_be_sent = headers["access-control-allow-headers"].to_str().unwrap();
        for name in ["idempotency-key", "x-queue-token", "traceparent", "tracestate"] {
            assert!(may_be_sent.split(',').any(|sent| sent == name), "{name}: {may_be_sent}");
        }
    }
    let (front, _folder) = alone(Browse::Token, "").await;
    let (_, headers, _) = send(&front, request(Method::GET, "/v1/nothing", "")).await;
    assert!(!headers.contains_key("access-control-allow-origin"));
}
