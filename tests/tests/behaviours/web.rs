//! The edge's gRPC port as a page in a browser uses it: gRPC-Web over HTTP/1.1 and HTTP/2, in both of its
//! encodings. A whole purchase in a real browser is in `tests/clients`.

use std::time::Duration;

use boxoffice_proto::{
    Fault, Reason,
    booking::HoldSeatsResponse,
    checkout::{CheckoutStatus, PayRequest, PayResponse},
    queue::{
        IssueTokenRequest, IssueTokenResponse, LeaveQueueRequest, TokenStatus, WatchTokenRequest,
        WatchTokenResponse,
    },
    wallet::{ChargeWalletRequest, GetWalletRequest},
};
use futures::future::join_all;
use prost::{Message, bytes::Bytes};
use reqwest::{Client, Method, Response};
use serde_json::json;
use tests::{
    eventually::{eventually, holds},
    mesh::{Role, Shape},
    pages::{Page, frames},
    patience::timeout,
    requests::hold_message,
    scenarios, solos,
    suite::{Scenario, Solo},
    world::{World, unique},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{Code, Status};

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    bodies_of_pages_that_never_come_or_never_end_are_not_waited_for,
    a_seat_is_bought_over_every_kind_of_grpc_web,
    a_place_is_followed_to_its_end,
    a_refusal_says_over_grpc_web_what_it_says_over_grpc,
    only_the_edge_speaks_grpc_web_and_nothing_else_is_taken_for_it,
    a_page_of_an_unknown_origin_is_told_nothing,
];

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::SingleSqlite]; pages_of_configured_origins_may_call];

const SOON: Duration = Duration::from_secs(20);
const GET_WALLET: &str = "/boxoffice.wallet.v1.WalletService/GetWallet";

/// What a unary call was answered.
type Answered<T> = Result<T, Status>;

/// A page's client of the edge.
fn visitor(world: &World, http2: bool, text: bool) -> Page {
    Page::new(world.mesh.grpc(Role::Edge).remove(0), http2, text)
}

/// Calls `v1.Service/Method` of ours.
async fn call<T: Message + Default>(
    page: &Page,
    method: &str,
    message: &impl Message,
    headers: &[(&str, &str)],
) -> Answered<T> {
    let answer = page.call(&format!("/boxoffice.{method}"), &message.encode_to_vec(), headers).await;
    answer.map(|message| T::decode(message).unwrap())
}

/// The status in a message about a place.
fn status(message: Bytes) -> TokenStatus {
    WatchTokenResponse::decode(message).unwrap().token.unwrap().status()
}

/// Begins to follow a place.
async fn watch(page: &Page, token: &str) -> Response {
    let watch = WatchTokenRequest { token: token.to_owned() };
    page.send("/boxoffice.queue.v1.QueueService/WatchToken", &watch.encode_to_vec(), &[]).await
}

async fn a_seat_is_bought_over_every_kind_of_grpc_web(world: World) {
    let sale = world.sale(1_000, 4).await;
    let kinds = [(false, false), (false, true), (true, false), (true, true)];
    for ((http2, text), seat) in kinds.into_iter().zip(1..) {
        let page = visitor(&world, http2, text);
        let user = unique("user");
        world.charge(&user, 1_000).await;
        let join =
            IssueTokenRequest { queue_id: sale.queue.clone(), user_id: user.clone(), ..Default::default() };
        let joined: IssueTokenResponse =
            call(&page, "queue.v1.QueueService/IssueToken", &join, &[]).await.unwrap();
        let token = joined.token.unwrap().token;
        world.until(&token, "ACTIVE").await;
        let hold = hold_message(&user, sale.show, &[seat]);
        let holding = "booking.v1.BookingService/HoldSeats";
        let early: Answered<HoldSeatsResponse> = call(&page, holding, &hold, &[]).await;
        assert_eq!(Fault::from(&early.unwrap_err()).reason, Reason::TokenMissing);
        let held: HoldSeatsResponse =
            call(&page, holding, &hold, &[("x-queue-token", &token)]).await.unwrap();
        let reservation_id = held.reservation.unwrap().reservation_id;
        let pay = PayRequest { user_id: user.clone(), reservation_id, token, ..Default::default() };
        let paid: PayResponse = call(&page, "checkout.v1.CheckoutService/Pay", &pay, &[]).await.unwrap();
        assert_eq!(paid.checkout.unwrap().status(), CheckoutStatus::Completed);
        assert_eq!(world.balance(&user).await, 0);
        let other = world.buyer(&sale).await;
        let again = hold_message(&other.user, sale.show, &[seat]);
        let taken: Answered<HoldSeatsResponse> =
            call(&page, holding, &again, &[("x-queue-token", &other.token)]).await;
        let fault = Fault::from(&taken.unwrap_err());
        assert_eq!(
            (fault.reason, fault.metadata["seat_numbers"].as_str()),
            (Reason::SeatTaken, &*seat.to_string())
        );
    }
}

async fn a_place_is_followed_to_its_end(world: World) {
    let queue = world.queue(json!({"maxActive": 0})).await;
    for http2 in [false, true] {
        let page = visitor(&world, http2, false);
        let token = tests::world::text(&world.join(&queue, &unique("user")).await["token"]);
        let mut stream = watch(&page, &token).await;
        let (mut body, mut told, mut left) = (Vec::new(), Vec::new(), false);
        let trailers = loop {
            let part =
                timeout(SOON, stream.chunk()).await.unwrap().unwrap().expect("trailers before the end");
            body.extend_from_slice(&part);
            let mut whole = Bytes::from(body);
            let (messages, trailers) = frames(&mut whole);
            body = whole.to_vec();
            told.extend(messages.into_iter().map(status));
            if let Some(trailers) = trailers {
                break trailers;
            }
            if !left && !told.is_empty() {
                left = true;
                let leave = LeaveQueueRequest { token: token.clone(), ..Default::default() };
                world.grpc.queue().leave_queue(leave).await.unwrap();
            }
        };
        assert_eq!((told.first(), told.last()), (Some(&TokenStatus::Waiting), Some(&TokenStatus::Left)));
        assert_eq!(trailers["grpc-status"], "0");
        assert!(timeout(SOON, stream.chunk()).await.unwrap().unwrap().is_none(), "and the body ends");
    }
}

async fn a_refusal_says_over_grpc_web_what_it_says_over_grpc(world: World) {
    let page = visitor(&world, false, false);
    let charge = ChargeWalletRequest { user_id: "a b".into(), amount: -1, ..Default::default() };
    let charging = "wallet.v1.WalletService/ChargeWallet";
    let wrong = call::<()>(&page, charging, &charge, &[]).await.unwrap_err();
    let fault = Fault::from(&wrong);
    assert_eq!((wrong.code(), fault.violations.len()), (Code::InvalidArgument, 2), "{fault:?}");
    // What is no message, no Base64, or no method is the caller's mistake.
    for (kind, body) in [
        ("application/grpc-web+proto", &b"\0\0\0\0\x03\xff\xff\xff"[..]),
        ("application/grpc-web+proto", b"\x80\0\0\0\x01x"),
        ("application/grpc-web+proto", b"\0\xff\xff\xff\xff"),
        ("application/grpc-web-text", b"!!!!"),
        ("application/grpc-web-text", b"AAA"),
        ("application/grpc-web-text", b""),
    ] {
        let url = format!("{}/boxoffice.{charging}", page.base);
        let answer = page.client.post(url).header("content-type", kind).body(body).send().await.unwrap();
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(Fault::from(&status).reason, Reason::InvalidArgument, "{kind} {body:?}: {status:?}");
    }
    let nowhere = call::<()>(&page, "wallet.v1.WalletService/Nowhere", &(), &[]).await.unwrap_err();
    assert_eq!(nowhere.code(), Code::Unimplemented);
}

async fn only_the_edge_speaks_grpc_web_and_nothing_else_is_taken_for_it(world: World) {
    let (one, two) = (
        Client::builder().http1_only().no_proxy().build().unwrap(),
        Client::builder().http2_prior_knowledge().no_proxy().build().unwrap(),
    );
    for base in world.mesh.grpc(Role::Wallet) {
        let ask = |client: &Client| {
            client.post(format!("{base}{GET_WALLET}")).header("content-type", "application/grpc-web")
        };
        assert!(ask(&one).send().await.is_err(), "a service speaks HTTP/2 alone");
        assert_eq!(ask(&two).send().await.unwrap().status().as_u16(), 415);
    }
    let url = format!("{}{GET_WALLET}", world.mesh.grpc(Role::Edge)[0]);
    for (http, sent, kind, status) in [
        (&one, Method::POST, "text/plain", 415),
        (&two, Method::POST, "text/plain", 415),
        (&one, Method::POST, "application/json", 415),
        (&one, Method::POST, "application/proto", 415),
        (&one, Method::POST, "application/grpc-web+json", 415),
        (&one, Method::POST, "application/grpc", 505),
        (&one, Method::GET, "application/grpc-web", 405),
        (&two, Method::GET, "application/grpc-web", 405),
    ] {
        let answer = http.request(sent.clone(), &url).header("content-type", kind).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{sent} {kind}");
    }
    assert_eq!(one.get(&url).send().await.unwrap().status().as_u16(), 415);
}

async fn bodies_of_pages_that_never_come_or_never_end_are_not_waited_for(world: World) {
    let edge = world.mesh.grpc(Role::Edge).remove(0);
    let head = "POST /boxoffice.wallet.v1.WalletService/GetWallet HTTP/1.1\r\nhost: x\r\n\
                content-type: application/grpc-web+proto\r\n";
    let open = async |sent: &str| {
        let mut link = TcpStream::connect(edge.trim_start_matches("http://")).await.unwrap();
        link.write_all(format!("{head}{sent}").as_bytes()).await.unwrap();
        link
    };
    // No message, half a message, one that is whole without the body's end, and none within the time that
    // the page itself gives it.
    let halves = [
        "content-length: 9\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n6\r\n\0\0\0\0\x05\n\r\n",
        "transfer-encoding: chunked\r\n\r\n5\r\n\0\0\0\0\0\r\n",
        "grpc-timeout: 50m\r\ncontent-length: 9\r\n\r\n",
    ];
    let answered = halves.map(async |half| {
        let mut answer = Vec::new();
        timeout(SOON, open(half).await.read_to_end(&mut answer))
            .await
            .expect("an answer, and the end")
            .unwrap();
        let answer = String::from_utf8_lossy(&answer);
        let told = ["HTTP/1.1 200", "grpc-status: 4", "grpc-retry-pushback-ms: 1000"];
        assert!(told.iter().all(|part| answer.contains(part)), "{half:?}: {answer}");
    });
    // Messages without end: the connection is closed in spite of them.
    let endless = async {
        let (mut read, mut write) = open("transfer-encoding: chunked\r\n\r\n").await.into_split();
        let sending =
            tokio::spawn(async move { while write.write_all(b"5\r\n\0\0\0\0\0\r\n").await.is_ok() {} });
        let _reset = timeout(SOON, read.read_to_end(&mut Vec::new())).await.expect("the end of it");
        timeout(SOON, sending).await.expect("nobody takes more").unwrap();
    };
    tokio::join!(join_all(answered), endless);
    // And the port serves on.
    let page = visitor(&world, false, false);
    let unknown = GetWalletRequest { user_id: unique("user") };
    let answer = call::<()>(&page, "wallet.v1.WalletService/GetWallet", &unknown, &[]).await.unwrap_err();
    assert_eq!(Fault::from(&answer).reason, Reason::WalletNotFound);
}

/// What a browser asks before a page of this origin may call.
async fn preflight(page: &Page, origin: &str) -> Response {
    let asked = "authorization,content-type,grpc-timeout,x-grpc-web,x-queue-token,x-user-agent";
    let url = format!("{}/boxoffice.queue.v1.QueueService/IssueToken", page.base);
    let call = page.client.request(Method::OPTIONS, url).header("origin", origin);
    let call = call.header("access-control-request-method", "POST");
    call.header("access-control-request-headers", asked).send().await.unwrap()
}

fn header(answer: &Response, name: &str) -> String {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

async fn a_page_of_an_unknown_origin_is_told_nothing(world: World) {
    let page = visitor(&world, false, false);
    let origin = [("origin", "https://elsewhere.example")];
    let asked = preflight(&page, origin[0].1).await;
    let answer = page.send(GET_WALLET, &[], &origin).await;
    for answer in [asked, answer] {
        assert!(
            !answer.headers().keys().any(|name| name.as_str().starts_with("access-control-")),
            "{answer:?}"
        );
    }
}

async fn pages_of_configured_origins_may_call(shape: Shape) {
    let here = "https://tickets.example";
    let world =
        World::start(shape, &["--cors-origins", "https://tickets.example,http://localhost:5173"]).await;
    let page = visitor(&world, false, false);
    for origin in [here, "http://localhost:5173"] {
        let asked = preflight(&page, origin).await;
        assert_eq!(
            (asked.status().as_u16(), header(&asked, "access-control-allow-origin")),
            (200, origin.to_owned())
        );
        assert_eq!(header(&asked, "access-control-allow-methods"), "POST");
        let sent = header(&asked, "access-control-allow-headers");
        for name in
            ["authorization", "content-type", "grpc-timeout", "x-grpc-web", "x-queue-token", "x-user-agent"]
        {
            assert!(sent.contains(name), "{name}: {sent}");
        }
    }
    // A refusal can be read, also one in the words of HTTP.
    let ask = GetWalletRequest { user_id: "nobody".into() };
    let refused = page.send(GET_WALLET, &ask.encode_to_vec(), &[("origin", here)]).await;
    let url = format!("{}{GET_WALLET}", page.base);
    let connect = page.client.post(url).header("content-type", "application/proto").header("origin", here);
    let connect = connect.send().await.unwrap();
    assert_eq!((header(&refused, "grpc-status").as_str(), connect.status().as_u16()), ("5", 415));
    for answer in [&refused, &connect] {
        assert_eq!(header(answer, "access-control-allow-origin"), here);
        let exposed = header(answer, "access-control-expose-headers");
        for name in ["grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-retry-pushback-ms"] {
            assert!(exposed.contains(name), "{name}: {exposed}");
        }
    }
    let stranger = preflight(&page, "https://elsewhere.example").await;
    assert_eq!(header(&stranger, "access-control-allow-origin"), "");
    // Who goes away, over HTTP/1.1 or HTTP/2, leaves no stream behind.
    let queue = world.queue(json!({"maxActive": 0})).await;
    let token = tests::world::text(&world.join(&queue, &unique("user")).await["token"]);
    let open = || async {
        let metrics = world.rest.get("/metrics").send().await.text;
        metrics
            .lines()
            .find_map(|line| line.strip_prefix("streams_open ").map(str::to_owned))
            .unwrap_or_default()
    };
    for http2 in [false, true] {
        let page = visitor(&world, http2, false);
        let mut stream = watch(&page, &token).await;
        assert!(timeout(SOON, stream.chunk()).await.unwrap().unwrap().is_some());
        assert_eq!(open().await, "1");
        drop((stream, page));
        eventually(SOON, || async { holds(open().await, |open| open == "0") }).await;
    }
    world.finish().await;
}
