//! The manners of the REST side: what a cache, a browser, a tracer or a thrifty client relies on, besides the
//! answer itself.

use std::time::Duration;

use boxoffice_proto::{Fault, Reason, queue};
use futures::StreamExt;
use reqwest::{Client, Method, Version};
use serde_json::{Value, json};
use tests::{
    client::{Answer, Rest, violated},
    eventually::{eventually, holds},
    grpc::refused,
    mesh::Shape,
    patience::timeout,
    requests::{hold_body, hold_message, show_body},
    scenarios, solos,
    suite::{Scenario, Solo},
    world::{World, int, text, unique},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};
use uuid::Uuid;

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    every_refusal_is_a_problem_document,
    the_details_of_a_grpc_refusal_survive_into_the_json,
    every_creation_says_where_the_thing_is,
    caches_are_told_what_they_may_keep,
    a_trace_comes_in_and_goes_out,
    large_answers_are_compressed_as_the_client_likes,
    small_answers_and_streams_are_not_compressed,
    http_1_and_http_2_are_spoken,
    whoever_is_told_to_wait_is_told_in_every_way,
    a_compressed_call_is_told_what_is_taken,
    the_pages_load_nothing_from_elsewhere_and_show_in_nobodys_frame,
    without_configuration_no_other_origin_may_call,
    a_refusal_before_the_body_has_come_says_whether_the_connection_goes_on,
];
pub(crate) const SOLOS: &[Solo] = solos![&[Shape::SingleSqlite]; configured_origins_may_call_from_a_browser];

const SOON: Duration = Duration::from_secs(10);

async fn every_refusal_is_a_problem_document(world: World) {
    let charges = format!("/v1/wallets/{}/charges", unique("user"));
    let too_large = json!({"amount": 5, "padding": "x".repeat(65 * 1_024)});
    for (call, status, code) in [
        (world.rest.get("/v1/nowhere"), 404, "NOT_FOUND"),
        (world.rest.get("/nowhere/at/all"), 404, "NOT_FOUND"),
        (world.rest.call(Method::PATCH, "/v1/concerts"), 405, "METHOD_NOT_ALLOWED"),
        // A client of its own: after a body that it will not read, a server closes the connection.
        (Rest::new(world.mesh.rest()).post(&charges, too_large), 413, "PAYLOAD_TOO_LARGE"),
        (world.rest.call(Method::POST, &charges).raw("text/plain", "5"), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (
            world.rest.call(Method::POST, &charges).raw("application/json", "{\"amount\": }"),
            400,
            "INVALID_ARGUMENT",
        ),
        (world.rest.get(&format!("/v1/payments/{}", Uuid::new_v4())), 404, "PAYMENT_NOT_FOUND"),
    ] {
        let answer = call.send().await;
        assert_eq!(answer.header("cache-control"), "no-store", "{}", answer.what);
        assert_eq!(
            answer.header("allow").contains("POST"),
            status == 405,
            "{}: {:?}",
            answer.what,
            answer.headers
        );
        let path = answer.what.split(' ').nth(1).unwrap_or_default().to_owned();
        let problem = answer.problem(status, code);
        assert_eq!(problem["instance"], path);
        assert_eq!(problem["type"], format!("urn:boxoffice:problem:{code}"));
    }
}

async fn the_details_of_a_grpc_refusal_survive_into_the_json(world: World) {
    let sale = world.sale(1_000, 5).await;
    let (ann, bob) = (world.buyer(&sale).await, world.buyer(&sale).await);
    world.hold(&ann, sale.show, &[2, 3]).await;
    let hold = |seats: &[i32], user: &str| hold_message(user, sale.show, seats);
    let fault =
        refused(world.grpc.booking().hold_seats(hold(&[1, 2, 3], &bob.user)).await, Reason::SeatTaken);
    let problem = world.holding(&bob, sale.show, &[1, 2, 3]).send().await.problem(409, "SEAT_TAKEN");
    assert_eq!((&problem["seatNumbers"], &problem["detail"]), (&json!([2, 3]), &json!(fault.detail)));

    let fault = refused(world.grpc.booking().hold_seats(hold(&[1, 1], " ")).await, Reason::InvalidArgument);
    let body = hold_body(" ", sale.show, [1, 1]);
    let problem = world
        .rest
        .post("/v1/reservations", body)
        .token(&bob.token)
        .send()
        .await
        .problem(400, "INVALID_ARGUMENT");
    assert_eq!(
        (fault.violations.len(), violated(&problem)),
        (2, vec!["userId".to_owned(), "seatNumbers".to_owned()])
    );

    let full = world.queue(json!({"maxActive": 0, "maxWaiting": 0})).await;
    let join =
        queue::IssueTokenRequest { queue_id: full.clone(), user_id: unique("user"), ..Default::default() };
    assert!(refused(world.grpc.queue().issue_token(join).await, Reason::QueueFull).retry_after.is_some());
    let answer =
        world.rest.post(&format!("/v1/queues/{full}/tokens"), json!({"userId": unique("user")})).send().await;
    assert!(
        answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1),
        "{:?}",
        answer.headers
    );
    let _ = answer.problem(429, "QUEUE_FULL");
}

/// The thing at the address that an answer names is the thing that was answered.
async fn leads_to_it(world: &World, answer: Answer) -> Value {
    let (what, location) = (answer.what.clone(), answer.header("location"));
    let body = answer.expect(201);
    assert!(location.starts_with("/v1/"), "{what}: {location:?}");
    let there = world.rest.get(&location).expect(200).await;
    for (name, value) in
        body.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("Id") || *name == "token")
    {
        assert_eq!(&there[name], value, "{what}: {location}");
    }
    body
}

async fn every_creation_says_where_the_thing_is(world: World) {
    let line = unique("line");
    leads_to_it(&world, world.rest.put(&format!("/v1/queues/{line}"), json!({"maxActive": 10})).send().await)
        .await;
    let new = json!({"title": "Located", "queueId": line});
    let concert =
        int(&leads_to_it(&world, world.rest.post("/v1/concerts", new).send().await).await["concertId"]);
    let show = world.rest.post(&format!("/v1/concerts/{concert}/shows"), show_body(json!({}))).send().await;
    let show = int(&leads_to_it(&world, show).await["showId"]);
    let user = unique("üser/with?signs");
    let charged = format!("/v1/wallets/{}/charges", user.replace('/', "%2F").replace('?', "%3F"));
    leads_to_it(&world, world.rest.post(&charged, json!({"amount": 500})).send().await).await;
    let joined = world.rest.post(&format!("/v1/queues/{line}/tokens"), json!({"userId": user})).send().await;
    let token = text(&leads_to_it(&world, joined).await["token"]);
    world.until(&token, "ACTIVE").await;
    let new = hold_body(&user, show, [1]);
    let held = leads_to_it(&world, world.rest.post("/v1/reservations", new).token(&token).send().await).await;
    let new = json!({"userId": user, "reservationId": held["reservationId"]});
    leads_to_it(&world, world.rest.post("/v1/payments", new).token(&token).send().await).await;
}

/// What a cache may give to everybody, and for how long: to the end of that second and not a moment longer.
const SHARED: &str = "public, max-age=1, stale-while-revalidate=0";

async fn caches_are_told_what_they_may_keep(world: World) {
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 100).await;
    let line = format!("/v1/queues/{}", sale.queue);
    for (path, kept) in [
        (line.clone(), SHARED),
        (format!("/v1/tokens/{}", buyer.token), "private, no-cache"),
        (format!("/v1/wallets/{}", buyer.user), "no-store"),
        (format!("/v1/concerts/{}", sale.concert), "no-store"),
        (format!("/api-orchestration/api/balance/{}", buyer.user), "no-store"),
        ("/openapi.json".to_owned(), "no-store"),
        ("/docs/".to_owned(), "no-store"),
        ("/".to_owned(), "no-cache"),
    ] {
        let answer = world.rest.get(&path).send().await;
        assert_eq!((answer.status, answer.header("cache-control").as_str()), (200, kept), "{path}");
        let head = world.rest.call(Method::HEAD, &path).send().await;
        assert_eq!(
            (head.status, head.text.as_str(), head.header("cache-control").as_str()),
            (200, "", kept),
            "{path}"
        );
        assert_eq!(answer.header("traceparent").is_empty(), kept == SHARED, "{path}");
    }
    // Another replica may follow a moment later, and until then tell the line as it was.
    let ask = |tag: String| world.rest.get(&line).header("if-none-match", tag).send();
    let same = eventually(SOON, || async {
        let tag = world.rest.get(&line).send().await.header("etag");
        holds((ask(tag.clone()).await, tag), |(answer, _)| answer.status == 304)
    });
    let (same, tag) = same.await;
    assert_eq!(
        (same.text.as_str(), same.header("etag"), same.header("cache-control").as_str()),
        ("", tag.clone(), SHARED)
    );
    let varies = same.headers.get_all("vary").iter().any(|by| by == "accept-encoding");
    assert!(varies, "what has content varies by it");
    assert_eq!(same.header("traceparent"), "", "a cache would hand one asker's trace to all");
    let _ = world.rest.put(&line, json!({"maxActive": 999})).expect(200).await;
    let changed =
        eventually(SOON, || async { holds(ask(tag.clone()).await, |answer| answer.status == 200) }).await;
    assert_ne!(changed.header("etag"), tag);
}

async fn a_trace_comes_in_and_goes_out(world: World) {
    let trace = |answer: &Answer| {
        let header = answer.header("traceparent");
        let parts: Vec<_> = header.split('-').map(str::to_owned).collect();
        let lengths: Vec<_> = parts.iter().map(String::len).collect();
        assert_eq!(lengths, [2, 32, 16, 2], "{}: {header:?}", answer.what);
        (parts[1].clone(), parts[2].clone())
    };
    let mine = Uuid::new_v4().simple().to_string();
    for path in ["/v1/concerts", "/v1/nowhere", "/healthz", "/openapi.json"] {
        let parent = format!("00-{mine}-00f067aa0ba902b7-01");
        let (id, span) = trace(&world.rest.get(path).header("traceparent", &parent).send().await);
        assert_eq!(id, mine, "{path}");
        assert_ne!(span, "00f067aa0ba902b7", "{path}: the span is the edge's own");
    }
    let later = format!("01-{mine}-00f067aa0ba902b7-01-what-is-to-come");
    assert_eq!(
        trace(&world.rest.get("/v1/concerts").header("traceparent", &later).send().await).0,
        mine,
        "a version to come"
    );
    let broken = ["", "00-0-0-0", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "garbage"];
    for parent in broken {
        let (id, _) = trace(&world.rest.get("/v1/concerts").header("traceparent", parent).send().await);
        assert!(id != mine && id.bytes().any(|b| b != b'0'), "{parent:?}: {id}");
    }
}

async fn large_answers_are_compressed_as_the_client_likes(world: World) {
    let sale = world.sale(1_000, 2_000).await;
    let buyer = world.buyer(&sale).await;
    let path = format!("/v1/shows/{}/seats", sale.show);
    let client = Client::builder().no_proxy().build().unwrap();
    let read = |accepted: &'static str| {
        let request =
            client.get(format!("{}{path}", world.rest.base())).header("x-queue-token", &buyer.token);
        async move {
            let response = request.header("accept-encoding", accepted).send().await.unwrap();
            assert_eq!(response.status(), 200);
            let header = |name| {
                response
                    .headers()
                    .get(name)
                    .map(|value| value.to_str().unwrap().to_owned())
                    .unwrap_or_default()
            };
            let (encoding, vary) = (header("content-encoding"), header("vary"));
            assert_eq!(vary, "accept-encoding", "{accepted}");
            (encoding, response.bytes().await.unwrap())
        }
    };
    let (encoding, plain) = read("identity").await;
    assert!(encoding.is_empty() && serde_json::from_slice::<Value>(&plain).is_ok(), "{encoding}");
    for (accepted, expected) in [
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip, br", "br"),
        ("br;q=0.5, gzip;q=0.9", "gzip"),
        ("zstd, x", ""),
    ] {
        let (encoding, body) = read(accepted).await;
        assert_eq!(encoding, expected, "{accepted}");
        assert_eq!(body.starts_with(&[0x1f, 0x8b]), expected == "gzip", "{accepted}");
        let smaller = body.len() * 5 < plain.len();
        assert_eq!(smaller, !expected.is_empty(), "{accepted}: {} of {} bytes", body.len(), plain.len());
    }
}

async fn small_answers_and_streams_are_not_compressed(world: World) {
    let queue = world.queue(json!({"maxActive": 0})).await;
    let token = text(&world.join(&queue, &unique("user")).await["token"]);
    for path in [format!("/v1/tokens/{token}"), format!("/v1/queues/{queue}"), "/v1/nowhere".to_owned()] {
        let answer = world.rest.get(&path).header("accept-encoding", "br, gzip").send().await;
        assert!(
            answer.header("content-encoding").is_empty() && !answer.body.is_null(),
            "{path}: {:?}",
            answer.headers
        );
    }
    let events = world
        .rest
        .get(&format!("/v1/tokens/{token}/events"))
        .header("accept-encoding", "br, gzip")
        .stream()
        .await;
    assert!(!events.headers().contains_key("content-encoding"), "{:?}", events.headers());
    // The token waits for ever: its one event comes although the stream goes on.
    let first =
        timeout(SOON, events.bytes_stream().next()).await.expect("an event at once").unwrap().unwrap();
    assert!(String::from_utf8_lossy(&first).contains(&token));
}

async fn http_1_and_http_2_are_spoken(world: World) {
    let queue = world.queue(json!({"maxActive": 0})).await;
    let client = || Client::builder().no_proxy();
    for (client, version) in [
        (client().http1_only().build().unwrap(), Version::HTTP_11),
        (client().http2_prior_knowledge().build().unwrap(), Version::HTTP_2),
    ] {
        let base = world.rest.base();
        let join =
            client.post(format!("{base}/v1/queues/{queue}/tokens")).json(&json!({"userId": unique("user")}));
        let joined = join.send().await.unwrap();
        assert_eq!((joined.version(), joined.status().as_u16()), (version, 201));
        let token = text(&joined.json::<Value>().await.unwrap()["token"]);
        let events = client.get(format!("{base}/v1/tokens/{token}/events")).send().await.unwrap();
        assert_eq!(events.version(), version);
        let first =
            timeout(SOON, events.bytes_stream().next()).await.expect("an event at once").unwrap().unwrap();
        assert!(String::from_utf8_lossy(&first).contains("WAITING"), "{version:?}");
        let refused = client.get(format!("{base}/v1/nowhere")).send().await.unwrap();
        assert_eq!(
            (refused.status().as_u16(), refused.headers()["content-type"].as_bytes()),
            (404, &b"application/problem+json"[..])
        );
    }
}

async fn whoever_is_told_to_wait_is_told_in_every_way(world: World) {
    let full = world.queue(json!({"maxActive": 0, "maxWaiting": 0})).await;
    let join = queue::IssueTokenRequest { queue_id: full, user_id: unique("user"), ..Default::default() };
    let status = world.grpc.queue().issue_token(join).await.unwrap_err();
    let told = Fault::from(&status).retry_after.expect("RetryInfo").as_millis().to_string();
    let pushback = status.metadata().get("grpc-retry-pushback-ms").expect("what channels obey");
    assert_eq!(pushback.to_str().unwrap(), told);
    let for_good = world
        .grpc
        .queue()
        .get_queue(queue::GetQueueRequest { queue_id: unique("nowhere") })
        .await
        .unwrap_err();
    assert!(!for_good.metadata().contains_key("grpc-retry-pushback-ms"), "{for_good:?}");
}

async fn a_compressed_call_is_told_what_is_taken(world: World) {
    // The encoding is refused by its name, before a byte of the message is read.
    let mut call = tonic::Request::new(queue::GetQueueRequest { queue_id: "default".to_owned() });
    call.metadata_mut().insert("grpc-encoding", tonic::metadata::MetadataValue::from_static("gzip"));
    let refused = world.grpc.queue().get_queue(call).await.unwrap_err();
    assert_eq!(Fault::from(&refused).reason, Reason::Unimplemented, "{refused:?}");
    assert_eq!(
        refused.metadata().get("grpc-accept-encoding").map(|taken| taken.to_str().unwrap()),
        Some("identity")
    );
}

async fn the_pages_load_nothing_from_elsewhere_and_show_in_nobodys_frame(world: World) {
    for page in ["/", "/me", "/shows/1", "/line/x", "/docs/", "/docs/swagger-ui-bundle.js", "/openapi.json"] {
        let answer = world.rest.get(page).send().await;
        assert_eq!(answer.status, 200, "{page}");
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{page}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{page}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{page}");
        // The form of a show has to say whose it is.
        let told = if page.starts_with("/shows/") { "same-origin" } else { "no-referrer" };
        assert_eq!(answer.header("referrer-policy"), told, "{page}");
    }
}

/// What a browser asks before a page may send what this API needs.
/// One answer to HTTP/1.1: its head in lower case; its body is read.
async fn answer(link: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(link.read_u8().await.expect("an answer"));
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    link.read_exact(&mut body).await.expect("a body");
    head
}

async fn a_refusal_before_the_body_has_come_says_whether_the_connection_goes_on(world: World) {
    let address = world.mesh.rest()[0].trim_start_matches("http://").to_owned();
    let head = |path: &str, kind: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: 13\r\n\r\n")
    };
    for (path, kind, status) in
        [("/v1/nowhere", "application/json", 404), ("/v1/concerts", "text/plain", 415)]
    {
        // The body comes a moment late: the next request on the connection is answered.
        let mut link = TcpStream::connect(&address).await.unwrap();
        for _ in 0..3 {
            link.write_all(head(path, kind).as_bytes()).await.unwrap();
            sleep(Duration::from_millis(20)).await;
            link.write_all(b"{\"title\":\"x\"}").await.unwrap();
            let told = timeout(SOON, answer(&mut link)).await.unwrap();
            assert!(told.starts_with(&format!("http/1.1 {status}")), "{told}");
            if told.contains("connection: close") {
                // A machine that is busy may keep us waiting for longer than the moment.
                link = TcpStream::connect(&address).await.unwrap();
                continue;
            }
            link.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let next = timeout(SOON, answer(&mut link)).await.unwrap();
            assert!(next.starts_with("http/1.1 200"), "{next}");
        }
        // It does not come, or is waited with until it is asked for: the answer says that this was the last.
        let asking = head(path, kind).replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
        for begun in [head(path, kind), asking] {
            let mut link = TcpStream::connect(&address).await.unwrap();
            link.write_all(begun.as_bytes()).await.unwrap();
            let told = timeout(SOON, answer(&mut link)).await.unwrap();
            assert!(told.starts_with(&format!("http/1.1 {status}")), "{told}");
            assert!(told.contains("\r\nconnection: close\r\n"), "{told}");
        }
    }
}

async fn preflight(world: &World, origin: &str) -> Answer {
    let call = world.rest.call(Method::OPTIONS, "/v1/reservations").header("origin", origin);
    let headers = "authorization,baggage,content-type,idempotency-key,x-queue-token,if-none-match,traceparent,tracestate";
    call.header("access-control-request-method", "POST")
        .header("access-control-request-headers", headers)
        .send()
        .await
}

async fn without_configuration_no_other_origin_may_call(world: World) {
    let answer = world.rest.get("/v1/concerts").header("origin", "https://tickets.example").send().await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin").as_str()), (200, ""));
    let asked = preflight(&world, "https://tickets.example").await;
    assert!(asked.header("access-control-allow-origin").is_empty(), "{:?}", asked.headers);
}

async fn configured_origins_may_call_from_a_browser(shape: Shape) {
    let world =
        World::start(shape, &["--cors-origins", "https://tickets.example,http://localhost:5173"]).await;
    for origin in ["https://tickets.example", "http://localhost:5173"] {
        let asked = preflight(&world, origin).await;
        assert_eq!((asked.status, asked.header("access-control-allow-origin").as_str()), (200, origin));
        let (methods, headers) =
            (asked.header("access-control-allow-methods"), asked.header("access-control-allow-headers"));
        assert!(["GET", "POST", "PUT", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
        let sent =
            ["authorization", "baggage", "idempotency-key", "x-queue-token", "traceparent", "tracestate"];
        assert!(sent.iter().all(|name| headers.contains(name)), "{headers}");
        assert!(!asked.header("access-control-max-age").is_empty());
        // A refusal too must be readable by the page.
        for (path, status) in [("/v1/concerts", 200), ("/v1/nowhere", 404)] {
            let answer = world.rest.get(path).header("origin", origin).send().await;
            assert_eq!(
                (answer.status, answer.header("access-control-allow-origin").as_str()),
                (status, origin)
            );
            let exposed = answer.header("access-control-expose-headers");
            assert!(
                ["etag", "location", "retry-after", "traceparent"].iter().all(|name| exposed.contains(name)),
                "{exposed}"
            );
        }
    }
    let stranger = preflight(&world, "https://elsewhere.example").await;
    assert_ne!(stranger.header("access-control-allow-origin"), "https://elsewhere.example");
    assert_ne!(stranger.header("access-control-allow-origin"), "*");
    world.finish().await;
}
