//! What goes wrong before there is a request, or around it: bytes that are no HTTP, headers sent twice,
//! methods and messages that are none, page tokens of another list, names that do not show. Whatever it is,
//! the client is told, nothing changes, and nothing is a 5xx.

use std::collections::BTreeMap;

use boxoffice_proto::{Fault, Reason, checkout, queue, wallet};
use prost::Message;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    client::{Answer, violated},
    grpc::{Replicas, refused},
    mesh::Role,
    raw,
    requests::hold_message,
    scenarios,
    suite::Scenario,
    world::{World, text, unique},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{Code, Status};
use uuid::Uuid;

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    bytes_that_are_no_request_get_a_problem_document,
    no_route_answers_garbage_with_a_5xx,
    what_is_sent_twice_is_refused_and_nothing_changes,
    a_page_token_of_another_list_is_refused,
    a_name_that_does_not_show_is_refused,
    no_method_answers_a_broken_message_with_an_internal_error,
    what_is_no_call_of_ours_is_refused_as_such,
    what_is_no_grpc_is_not_done,
    a_request_says_once_whom_it_is_for,
    a_name_that_stands_twice_in_a_body_is_refused,
];

/// A refusal as the contract has it: 4xx, a problem document, `violations` where a field is wrong.
fn refusal(answer: &Answer) -> &str {
    let Answer { what, status, text, body, .. } = answer;
    assert!((400..500).contains(status), "{what}: {status} {text}");
    if what.starts_with("HEAD") {
        return "";
    }
    assert_eq!(answer.header("content-type"), "application/problem+json", "{what}: {text}");
    assert_eq!(body["status"], *status, "{what}: {text}");
    for member in ["type", "title", "detail", "instance", "code"] {
        assert!(
            body[member].as_str().is_some_and(|word| !word.is_empty()),
            "{what}: {member} is missing in {text}"
        );
    }
    assert_eq!(body["violations"].is_array(), answer.code() == "INVALID_ARGUMENT", "{what}: {text}");
    answer.code()
}

async fn bytes_that_are_no_request_get_a_problem_document(world: World) {
    let far = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(66_000));
    let many: String = (0..101).map(|n| format!("x-{n}: y\r\n")).collect();
    let many = format!("GET /healthz HTTP/1.1\r\n{many}\r\n");
    let large = format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1_000_000));
    let cases: [(&str, &[u8]); 7] = [
        ("400 Bad Request", b"\x16\x03\x01\x02\x00 this is TLS\r\n\r\n"),
        ("400 Bad Request", b"GET /v1/conc\0erts HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("400 Bad Request", b"GET /v1/wallets/\xe2\x82 HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("400 Bad Request", b"POST /v1/concerts HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n"),
        ("414 URI Too Long", far.as_bytes()),
        ("431 Request Header Fields Too Large", many.as_bytes()),
        ("431 Request Header Fields Too Large", large.as_bytes()),
    ];
    for base in world.mesh.rest() {
        let address = base.trim_start_matches("http://");
        for (expected, sent) in &cases {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            let (head, body) =
                answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{expected}: {answer:?}"));
            assert!(head.starts_with(&format!("HTTP/1.1 {expected}\r\n")), "{expected}: {head}");
            assert!(head.contains("content-type: application/problem+json\r\n"), "{expected}: {head}");
            let body: Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["status"].to_string(), expected[..3], "{body}");
            assert_eq!(violated(&body).is_empty(), !expected.starts_with("400"), "{body}");
        }
    }
}

/// Every operation that the document names, with every kind of garbage in its path and body, and every other
/// method.
async fn no_route_answers_garbage_with_a_5xx(world: World) {
    let api = world.rest.get("/openapi.json").expect(200).await;
    let words = [
        "%00",
        "%ff%fe",
        "a%2Fb",
        "..%2f..",
        "%F0%9F%8E%9F%EF%B8%8F",
        "+1",
        "-9223372036854775809",
        "1e3",
        "null",
        "%25",
        "''--",
    ];
    let bodies: [&[u8]; 8] = [
        b"[]",
        b"{\"a\":",
        b"\xef\xbb\xbf{}",
        b"{\"userId\":\"\\ud800\"}",
        b"1e999",
        b"\"x\"",
        b"{} {}",
        b"\xff\xfe{\0}\0",
    ];
    for (path, operations) in api["paths"].as_object().unwrap() {
        let filled = |word: &str| {
            path.split('/')
                .map(|part| if part.starts_with('{') { word } else { part })
                .collect::<Vec<_>>()
                .join("/")
        };
        let plain = filled(&Uuid::nil().to_string());
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW"] {
            let call = |path: &str| world.rest.call(Method::from_bytes(method.as_bytes()).unwrap(), path);
            let there = operations.get(method.to_lowercase()).is_some()
                || (method == "HEAD" && operations.get("get").is_some());
            if !there {
                let answer = call(&plain).send().await;
                assert_eq!(answer.status, 405, "{}: {}", answer.what, answer.text);
                refusal(&answer);
            } else if operations[method.to_lowercase()].get("requestBody").is_some() {
                for body in bodies {
                    let code = call(&plain).raw("application/json", body).send().await;
                    assert_eq!(refusal(&code), "INVALID_ARGUMENT", "{} {body:?}", code.what);
                }
            }
            for word in words.iter().filter(|_| there && path.contains('{')) {
                let answer = call(&filled(word)).raw("application/json", "[]").send().await;
                // Some are a name of somebody who has nothing.
                assert!(
                    answer.status < 300 || !refusal(&answer).starts_with("INTERNAL"),
                    "{}: {}",
                    answer.what,
                    answer.text
                );
            }
        }
    }
}

async fn what_is_sent_twice_is_refused_and_nothing_changes(world: World) {
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 5_000).await;
    let charge = || world.rest.call(Method::POST, &format!("/v1/wallets/{}/charges", buyer.user));
    let json = || charge().raw("application/json", "{\"amount\": 5}");
    for (name, call) in [
        ("Idempotency-Key", json().header("idempotency-key", "one").key("two")),
        ("Content-Type", json().header("content-type", "text/plain")),
        (
            "Content-Encoding",
            json().header("content-encoding", "identity").header("content-encoding", "gzip"),
        ),
        ("X-Queue-Token", world.holding(&buyer, sale.show, &[1]).token(&Uuid::nil().to_string())),
    ] {
        let problem = call.send().await.problem(400, "INVALID_ARGUMENT");
        assert_eq!(violated(&problem), [name]);
    }
    let packed = json().header("content-encoding", "gzip").send().await;
    assert!(packed.text.contains("Content-Encoding"), "{}", packed.text);
    let _ = packed.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    for path in [
        "/v1/concerts?pageSize=1&pageSize=2".to_owned(),
        format!("/v1/concerts/{}/seats?date=2031-05-01&date=", sale.concert),
    ] {
        let _ = world.rest.get(&path).token(&buyer.token).send().await.problem(400, "INVALID_ARGUMENT");
    }
    assert_eq!(world.balance(&buyer.user).await, 5_000);
    world.seat_until(&buyer, sale.show, 1, "AVAILABLE").await;
    let poll = world.rest.get(&format!("/v1/tokens/{}", buyer.token));
    // A list may be several.
    let _ = poll.header("if-none-match", "\"a\"").header("if-none-match", "garbage, \"").expect(200).await;
}

async fn a_page_token_of_another_list_is_refused(world: World) {
    let sale = world.sale(0, 9).await;
    let (ann, bob) = (world.buyer_with(&sale, 5).await, world.buyer_with(&sale, 5).await);
    let concert =
        world.rest.post("/v1/concerts", json!({"title": "x"})).expect(201).await["concertId"].clone();
    for (who, seats) in [(&ann, [1, 2, 3]), (&bob, [4, 5, 6])] {
        for seat in seats {
            // Paying uses a token up.
            let buyer = world.admitted(&sale.queue, &who.user).await;
            let reservation = world.hold(&buyer, sale.show, &[seat]).await;
            let _ = world.paying(&buyer, &reservation).expect(201).await;
        }
        world.charge(&who.user, 5).await;
    }
    world.show(sale.concert, 1, 1).await;
    let lists: Vec<String> = [
        "/v1/concerts".to_owned(),
        format!("/v1/concerts/{}/shows", sale.concert),
        format!("/v1/concerts/{concert}/shows"),
    ]
    .into_iter()
    .chain([&ann, &bob].into_iter().flat_map(|who| {
        ["users/{}/reservations", "users/{}/payments", "wallets/{}/entries"]
            .map(|list| format!("/v1/{}", list.replace("{}", &who.user)))
    }))
    .collect();
    let mut tokens = BTreeMap::new();
    for list in &lists {
        let page = world.rest.get(&format!("{list}?pageSize=1")).expect(200).await;
        tokens.insert(list, text(&page["nextPageToken"]));
    }
    tokens.retain(|_, token| !token.is_empty());
    assert_eq!(
        tokens.len(),
        lists.len() - 1,
        "every list but the shows of the second concert has a next page"
    );
    for (from, token) in &tokens {
        for list in &lists {
            let answer = world.rest.get(&format!("{list}?pageSize=1&pageToken={token}")).send().await;
            if list == *from {
                let _ = answer.expect(200);
            } else {
                assert_eq!(
                    violated(&answer.problem(400, "INVALID_ARGUMENT")),
                    ["pageToken"],
                    "{from} -> {list}"
                );
            }
        }
    }
    let narrowed =
        checkout::ListCheckoutsRequest { user_id: ann.user.clone(), page_size: 1, ..Default::default() };
    let page = world.grpc.checkout().list_checkouts(narrowed.clone()).await.unwrap().into_inner();
    let wider = checkout::ListCheckoutsRequest {
        user_id: String::new(),
        page_token: page.next_page_token.clone(),
        ..narrowed.clone()
    };
    refused(world.grpc.checkout().list_checkouts(wider).await, Reason::InvalidArgument);
    let next = checkout::ListCheckoutsRequest { page_token: page.next_page_token, ..narrowed };
    assert_eq!(world.grpc.checkout().list_checkouts(next).await.unwrap().into_inner().checkouts.len(), 1);
}

async fn a_name_that_does_not_show_is_refused(world: World) {
    for hidden in
        ["ann\u{200b}", "\u{202e}ann", "\u{3164}", "ann\u{2028}", "a\u{ad}nn", "\u{e0041}", "ann\u{a0}"]
    {
        let join = world.rest.post("/v1/queues/default/tokens", json!({"userId": hidden})).send().await;
        assert_eq!(violated(&join.problem(400, "INVALID_ARGUMENT")), ["userId"], "{hidden:?}");
        let encoded: String = hidden.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let charge =
            world.rest.post(&format!("/v1/wallets/{encoded}/charges"), json!({"amount": 5})).send().await;
        assert_eq!(violated(&charge.problem(400, "INVALID_ARGUMENT")), ["userId"], "{hidden:?}");

        let user_id = hidden.to_owned();
        let hold = hold_message(hidden, 1, &[1]);
        refused(world.grpc.booking().hold_seats(hold).await, Reason::InvalidArgument);
        let issue = queue::IssueTokenRequest { user_id: user_id.clone(), ..Default::default() };
        refused(world.grpc.queue().issue_token(issue).await, Reason::InvalidArgument);
        let pay = checkout::PayRequest {
            user_id: user_id.clone(),
            reservation_id: Uuid::nil().into(),
            ..Default::default()
        };
        refused(world.grpc.checkout().pay(pay).await, Reason::InvalidArgument);
        let charge = wallet::ChargeWalletRequest { user_id, amount: 5, request_id: String::new() };
        refused(world.grpc.wallet().charge_wallet(charge).await, Reason::InvalidArgument);
    }
    for name in ["김하늘", "हिन्दी", "Zoë", "محمد"] {
        let user = unique(name);
        let charge =
            wallet::ChargeWalletRequest { user_id: user.clone(), amount: 5, request_id: String::new() };
        let charged = world.grpc.wallet().charge_wallet(charge).await.unwrap().into_inner();
        assert_eq!(charged.wallet.unwrap().user_id, user);
    }
}

/// The replicas that serve a method.
fn servers<'a>(world: &'a World, path: &str) -> &'a Replicas {
    match path.split('.').nth(1) {
        Some("queue") => &world.grpc.queue,
        Some("booking") => &world.grpc.booking,
        Some("wallet") => &world.grpc.wallet,
        Some("checkout" | "alerts") => &world.grpc.checkout,
        _ => panic!("{path} is nobody's"),
    }
}

/// The answer to what is sent on a connection of its own that the client asks to close.
async fn said(address: &str, sent: &str) -> (String, Value) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[..12].to_owned(), serde_json::from_str(body).unwrap_or_default())
}

async fn a_request_says_once_whom_it_is_for(world: World) {
    let base = world.rest.base();
    let (address, token) = (base.trim_start_matches("http://"), Uuid::nil());
    // The plain poll goes another way than the rest.
    for path in ["/v1/concerts", "/healthz", &format!("/v1/tokens/{token}")] {
        for hosts in
            ["", "host: a\r\nhost: a\r\n", "host: a\r\nHost: b\r\n", "host: a/b\r\n", "host: a b\r\n"]
        {
            let (status, body) =
                said(address, &format!("GET {path} HTTP/1.1\r\n{hosts}connection: close\r\n\r\n")).await;
            assert_eq!(
                (status.as_str(), violated(&body)),
                ("HTTP/1.1 400", vec!["Host".to_owned()]),
                "{path} {hosts:?}"
            );
        }
    }
    for (version, host) in [("1.1", "host: \r\n"), ("1.1", "host: [::1]:80\r\n"), ("1.0", "")] {
        let sent = format!("GET /healthz HTTP/{version}\r\n{host}connection: close\r\n\r\n");
        assert_eq!(&said(address, &sent).await.0[9..], "200", "{version} {host:?}");
    }
}

async fn a_name_that_stands_twice_in_a_body_is_refused(world: World) {
    let user = unique("user");
    for (path, body, name) in [
        (format!("/v1/wallets/{user}/charges"), r#"{"amount": 5, "amount": 500}"#.to_owned(), "amount"),
        (format!("/v1/wallets/{user}/charges"), r#"{"amount": 5, "\u0061mount": 500}"#.to_owned(), "amount"),
        ("/v1/concerts".to_owned(), r#"{"title": "x", "more": {"a": 1, "a": 2}}"#.to_owned(), "a"),
        (
            "/v1/queues/default/tokens".to_owned(),
            format!(r#"{{"userId": "{user}", "userId": "b"}}"#),
            "userId",
        ),
    ] {
        let refused =
            world.rest.call(Method::POST, &path).raw("application/json", body.as_bytes()).send().await;
        assert_eq!(violated(&refused.problem(400, "INVALID_ARGUMENT")), [name], "{path}: {body}");
    }
    let _ = world.rest.get(&format!("/v1/wallets/{user}")).send().await.problem(404, "WALLET_NOT_FOUND");
}

/// Refused with this code, and with the details that every error carries.
fn told(result: Result<impl std::fmt::Debug, Status>, reason: Reason, what: &str) {
    let status = result.expect_err(what);
    assert_eq!(status.code(), reason.grpc(), "{what}: {status:?}");
    let fault = Fault::from(&status);
    assert_eq!(
        (fault.reason, fault.detail.as_str()),
        (reason, status.message()),
        "{what}: has an ErrorInfo of ours: {status:?}"
    );
    assert_eq!(fault.violations.is_empty(), reason != Reason::InvalidArgument, "{what}: {status:?}");
}

async fn no_method_answers_a_broken_message_with_an_internal_error(world: World) {
    let large = vec![0; 5 * 1024 * 1024];
    let messages: [(&str, &[u8]); 6] = [
        ("no tag", &[0xff, 0xff, 0xff]),
        ("a text that is not UTF-8, or no text at all", &[0x0a, 0x01, 0xff]),
        ("a length beyond the end", &[0x0a, 0x7f, b'x']),
        ("an end without a beginning", &[0x0c]),
        ("a number without an end", &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ("5 MiB", &large),
    ];
    let methods = raw::methods();
    assert!(methods.len() > 30, "{methods:?}");
    for method in methods {
        for (what, message) in messages {
            // A request without fields skips what it does not know, whatever it is.
            if ["GetMetrics", "ListAlerts"].contains(&&*method.name) && what.starts_with("a text") {
                continue;
            }
            let answer = raw::call(servers(&world, &method.path).next(), &method.path, message).await;
            told(answer, Reason::InvalidArgument, &format!("{}: {what}", method.path));
        }
    }
}

async fn what_is_no_call_of_ours_is_refused_as_such(world: World) {
    for path in [
        "/boxoffice.queue.v1.QueueService/Nothing",
        "/boxoffice.booking.v1.BookingService/",
        "/boxoffice.wallet.v1.Nothing/GetWallet",
        "/boxoffice.checkout.v2.CheckoutService/Pay",
    ] {
        told(raw::call(servers(&world, path).next(), path, b"").await, Reason::Unimplemented, path);
    }
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    for role in [Role::Queue, Role::Booking, Role::Wallet, Role::Edge] {
        let base = &world.mesh.grpc(role)[0];
        for (content_type, body) in [
            ("application/json", &b"{}"[..]),
            ("", b""),
            ("application/grpc+json", b"\0\0\0\0\x02{}"),
            ("application/grpc", b"\x07"),
        ] {
            let call = client
                .post(format!("{base}/grpc.health.v1.Health/Check"))
                .header("content-type", content_type);
            let Ok(answer) = call.body(body).send().await else { continue };
            assert!(answer.status().as_u16() < 500, "{content_type}: {answer:?}");
            let code = answer.headers().get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()));
            assert!(!matches!(code, Some(Code::Internal | Code::Unknown)), "{content_type}: {answer:?}");
        }
    }
}

/// `ChargeWalletRequest { user_id, amount: 5 }` in its frame.
fn charge(user: &str) -> Vec<u8> {
    let message =
        wallet::ChargeWalletRequest { user_id: user.to_owned(), amount: 5, request_id: String::new() }
            .encode_to_vec();
    [&[0, 0, 0, 0, u8::try_from(message.len()).unwrap()][..], &message].concat()
}

async fn what_is_no_grpc_is_not_done(world: World) {
    let user = unique("user");
    world.charge(&user, 100).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    for (base, before) in world.mesh.grpc(Role::Wallet).into_iter().zip([100, 110]) {
        let call = |content_type: Option<&str>| {
            let call = client
                .post(format!("{base}/boxoffice.wallet.v1.WalletService/ChargeWallet"))
                .header("te", "trailers");
            content_type
                .into_iter()
                .fold(call, |call, one| call.header("content-type", one))
                .body(charge(&user))
                .send()
        };
        for other in [
            None,
            Some("text/plain"),
            Some("application/json"),
            Some("application/grpc-web+proto"),
            Some("application/grpc+json"),
        ] {
            let answer = call(other).await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), answer.headers().get("grpc-status")),
                (415, None),
                "{other:?}"
            );
        }
        assert_eq!(world.balance(&user).await, before, "no money was moved");
        for grpc in ["application/grpc", "application/grpc+proto"] {
            let answer = call(Some(grpc)).await.unwrap();
            assert_eq!(answer.status().as_u16(), 200, "{grpc}");
            let _ = answer.bytes().await.unwrap();
        }
        assert_eq!(world.balance(&user).await, before + 10);
    }
}
