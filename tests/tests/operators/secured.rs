//! A mesh whose programs prove to each other who they are: certificates are replaced while people buy, who is
//! not let in is told apart from who is, and `boxoffice keys` makes what that needs.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use boxoffice_proto::{
    booking::{ListConcertsRequest, booking_service_client::BookingServiceClient},
    checkout::{CheckoutStatus, PayRequest, checkout_service_client::CheckoutServiceClient},
};
use chassis::{
    channel::{Channel, Target},
    tls::{ClientTls, MeshArgs, TlsArgs},
};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::bytes::Bytes;
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use serde_json::json;
use tempfile::TempDir;
use tests::{
    eventually::{eventually, holds},
    keys::Keys,
    mesh::{Mesh, Role, Shape, Wiring},
    patience::timeout,
    process::{Process, Program, Signal, binary},
    solos,
    suite::Solo,
    world::{Sale, World, text, unique},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::Code;

pub(crate) fn solos() -> Vec<Solo> {
    let cluster = solos![&[Shape::Cluster]; certificates_are_replaced_while_people_buy_and_no_call_fails];
    let apart = solos![&[Shape::ApartSqlite];
        who_is_not_let_in_is_counted_and_told_once,
        a_service_that_is_not_the_one_that_was_meant_is_not_called,
    ];
    let single = solos![&[Shape::SingleSqlite]; the_launcher_serves_by_tls_with_the_keys_that_it_makes];
    [cluster as &[Solo], apart, single].concat()
}

const BUYERS: usize = 4;
const RENEWED_EVERY: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_secs(20);

/// How long certificates are replaced for.
fn rotating() -> Duration {
    let asked = std::env::var("ROTATION_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(asked.unwrap_or(20))
}

fn channel(to: SocketAddr, tls: &ClientTls) -> Channel {
    let target: Target = format!("https://{to}").parse().unwrap();
    Channel::new(&target.secured("--url", Some(tls), None).unwrap())
}

/// From the line to the paid seat, and paid over a connection of its own. Every call is made once.
async fn purchase(world: &World, tls: &ClientTls, sale: &Sale, seat: usize) {
    let user = unique("user");
    let joined = world.rest.post(&format!("/v1/queues/{}/tokens", sale.queue), json!({"userId": user}));
    let token = text(&joined.expect(201).await["token"]);
    let charge = world.rest.post(&format!("/v1/wallets/{user}/charges"), json!({"amount": 1_500}));
    let _ = charge.expect(201).await;
    let hold = json!({"userId": user, "showId": sale.show, "seatNumbers": [seat]});
    let held = world.rest.post("/v1/reservations", hold).token(&token).expect(201).await;
    let pay = PayRequest {
        user_id: user,
        reservation_id: text(&held["reservationId"]),
        token,
        ..Default::default()
    };
    let edges = world.mesh.of(Role::Edge);
    let till = channel(edges[seat % edges.len()].grpc[0].1, tls);
    let paid = CheckoutServiceClient::new(till).pay(pay).await.unwrap().into_inner().checkout.unwrap();
    assert_eq!(paid.status(), CheckoutStatus::Completed, "{paid:?}");
}

/// A metric of a program, by its name and labels as they are written.
async fn metric(probes: SocketAddr, series: &str) -> f64 {
    let text = reqwest::get(format!("http://{probes}/metrics")).await.unwrap().text().await.unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(series));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
}

async fn certificates_are_replaced_while_people_buy_and_no_call_fails(shape: Shape) {
    let keys = Arc::new(Keys::new());
    let world = World::new(Arc::new(Mesh::start_wired(shape, &[], None, &*keys).await));
    let queue = world.queue(json!({"maxActive": 1_000, "admitPerMinute": 1_000_000})).await;
    let sale = world.sale_behind(queue, 1_000, 20_000).await;
    let tls = keys.client("edge", &keys.path("ca.crt"));
    let (over, sold) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let buyer = || {
        let (world, tls, sale, over, sold) =
            (world.clone(), tls.clone(), sale.clone(), Arc::clone(&over), Arc::clone(&sold));
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                purchase(&world, &tls, &sale, sold.fetch_add(1, Ordering::Relaxed) + 1).await;
            }
        })
    };
    let buyers: Vec<_> = (0..BUYERS).map(|_| buyer()).collect();
    let until = Instant::now() + rotating();
    // Services come and go meanwhile, so that the edges open connections to them.
    let services = world.mesh.nodes.iter().filter(|node| node.role != Role::Edge);
    for node in services.cycle() {
        if Instant::now() >= until {
            break;
        }
        for _ in 0..2 {
            keys.renew();
            sleep(RENEWED_EVERY).await;
        }
        node.process.signal(Signal::Term);
        let ended = node.process.wait(SOON).await.unwrap();
        assert!(ended.success(), "{ended}");
        node.process.restart();
        world.mesh.ready().await;
    }
    // What was written last is in use everywhere.
    let last = keys.renew();
    for node in &world.mesh.nodes {
        let file = keys.certificate(node.role);
        let series = format!("tls_certificate_expires_timestamp_seconds{{file=\"{}\"}}", file.display());
        let written = new_year(last);
        eventually(SOON, || async { holds(metric(node.http, &series).await, |seen| *seen == written) }).await;
    }
    over.store(true, Ordering::Relaxed);
    for buyer in buyers {
        buyer.await.unwrap();
    }
    assert!(sold.load(Ordering::Relaxed) >= 30, "{sold:?} were sold");
    for node in &world.mesh.nodes {
        assert_eq!(refusals(&node.process), BTreeMap::new(), "{}", node.process.name());
    }
    world.finish().await;
}

/// When a year begins, in seconds since 1970.
fn new_year(year: i32) -> f64 {
    let leap_days = |before: i32| before / 4 - before / 100 + before / 400;
    let days = 365 * (year - 1970) + leap_days(year - 1) - leap_days(1969);
    f64::from(days) * 86_400.0
}

/// How often each reason for a refusal was logged.
fn refusals(process: &Process) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for line in process.log().lines().filter(|line| line.contains("a TLS connection was refused")) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        *told.entry(text(&line["why"])).or_default() += 1;
    }
    told
}

/// TLS as somebody speaks it who has no certificate.
async fn bare(
    to: SocketAddr,
    ca: &Path,
    alpn: &str,
    version: &'static SupportedProtocolVersion,
) -> Option<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.into()];
    let link = TcpStream::connect(to).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    timeout(SOON, TlsConnector::from(Arc::new(config)).connect(name, link)).await.unwrap().ok()
}

/// Whether a service answers who calls it so.
async fn answers(to: SocketAddr, tls: &ClientTls) -> bool {
    let ask = BookingServiceClient::new(channel(to, tls)).list_concerts(ListConcertsRequest::default()).await;
    match ask.map_err(|status| status.code()) {
        // Only booking-svc has such a method; the others have let the call in.
        Ok(_) | Err(Code::Unimplemented) => true,
        Err(Code::Unavailable) => false,
        Err(other) => panic!("{other}"),
    }
}

async fn who_is_not_let_in_is_counted_and_told_once(shape: Shape) {
    let (keys, strangers) = (Keys::new(), Keys::new());
    keys.issue("late", "edge", 2020);
    let world = World::new(Arc::new(Mesh::start_wired(shape, &[], None, &keys).await));
    let ca = keys.path("ca.crt");
    let client = |name: &str| keys.client(name, &ca);
    for node in &world.mesh.nodes {
        let at = node.grpc[0].1;
        assert!(answers(at, &client("edge")).await);
        let is_edge = node.role == Role::Edge;
        let other = if node.role == Role::Wallet { "booking" } else { "wallet" };
        assert_eq!(answers(at, &client(other)).await, is_edge, "anybody of the mesh may call the edge");
        for _ in 0..3 {
            assert!(!answers(at, &strangers.client("edge", &ca)).await);
            assert!(!answers(at, &client("late")).await);
            let mut nobody = bare(at, &ca, "h2", &TLS13).await.unwrap();
            let _sent = nobody.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
            assert!(timeout(SOON, nobody.read_u8()).await.unwrap().is_err(), "told only now, and closed");
            assert!(bare(at, &ca, "h2", &TLS12).await.is_none());
            let mut plain = TcpStream::connect(at).await.unwrap();
            plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let _alert = timeout(SOON, plain.read_to_end(&mut Vec::new())).await.unwrap();
        }
        let mut whys = vec!["unknown authority", "expired", "no certificate", "nothing in common", "no TLS"];
        if !is_edge {
            whys.push("another identity");
        }
        for why in &whys {
            let series = format!("tls_refused_total{{peer=\"client\",why=\"{why}\"}}");
            let seen = metric(node.http, &series).await;
            assert!(seen >= if *why == "another identity" { 1.0 } else { 3.0 }, "{why}: {seen}");
        }
        let told: BTreeMap<String, usize> = whys.iter().map(|why| ((*why).to_owned(), 1)).collect();
        assert_eq!(refusals(&node.process), told, "{}", node.process.name());
        assert!(answers(at, &client("edge")).await, "and it goes on");
    }
    world.finish().await;
}

/// Certificates that are right, and an edge that is told that the wallets are where the line is.
struct Misled<'a> {
    keys: &'a Keys,
    line: Mutex<Option<SocketAddr>>,
}

impl Wiring for Misled<'_> {
    fn service(&self, service: Role, at: SocketAddr) -> SocketAddr {
        let mut line = self.line.lock().unwrap();
        if service == Role::Queue {
            *line = Some(at);
        }
        line.filter(|_| service == Role::Wallet).unwrap_or(at)
    }

    fn scheme(&self) -> &'static str {
        self.keys.scheme()
    }

    fn flags(&self, role: Role) -> Vec<String> {
        self.keys.flags(role)
    }
}

async fn a_service_that_is_not_the_one_that_was_meant_is_not_called(shape: Shape) {
    let keys = Keys::new();
    let misled = Misled { keys: &keys, line: Mutex::default() };
    let world = World::new(Arc::new(Mesh::start_wired(shape, &[], None, &misled).await));
    let edge = world.mesh.of(Role::Edge)[0];
    assert_eq!(world.rest.get("/v1/queues/default").once().await.status, 200);
    for _ in 0..3 {
        assert_eq!(world.rest.get("/v1/wallets/ann").once().await.status, 503);
    }
    let refused = metric(edge.http, "tls_refused_total{peer=\"server\",why=\"another identity\"}").await;
    assert!(refused >= 1.0, "{refused}");
    assert_eq!(refusals(&edge.process), BTreeMap::from([("another identity".to_owned(), 1)]));
    world.finish().await;
}

async fn the_launcher_serves_by_tls_with_the_keys_that_it_makes(_: Shape) {
    let dir = TempDir::with_prefix("tls-").unwrap();
    let made = |more: &[&str]| {
        let made = Command::new(binary("boxoffice"))
            .args(["keys", "--out", "keys"])
            .args(more)
            .current_dir(dir.path())
            .output();
        made.unwrap().status.code()
    };
    assert_eq!((made(&["--keep"]), made(&[])), (Some(0), Some(1)), "nothing is overwritten");
    let authority = fs::read(dir.path().join("keys/ca.crt")).unwrap();
    assert_eq!(made(&["--keep"]), Some(0));
    assert_eq!(fs::read(dir.path().join("keys/ca.crt")).unwrap(), authority, "they are kept");
    let key = |file: &str| dir.path().join("keys").join(file).display().to_string();
    let addresses = ["--rest-addr", "--grpc-addr", "--queue-addr", "--booking-addr", "--wallet-addr"];
    let mut args =
        vec!["--data-dir".to_owned(), "data".to_owned(), "--log-format".to_owned(), "json".to_owned()];
    args.extend(addresses.into_iter().flat_map(|flag| [flag.to_owned(), "127.0.0.1:0".to_owned()]));
    for (flag, file) in [
        ("--tls-cert", "edge/tls.crt"),
        ("--tls-key", "edge/tls.key"),
        ("--tls-client-ca", "ca.crt"),
        ("--rest-tls-cert", "edge/tls.crt"),
        ("--rest-tls-key", "edge/tls.key"),
    ] {
        args.extend([flag.to_owned(), key(file)]);
    }
    let program =
        Program { name: "boxoffice".to_owned(), path: binary("boxoffice"), args, dir: dir.path().to_owned() };
    let mesh = Process::start(program);
    let open = eventually(SOON, || async {
        let log = mesh.log();
        let line = log.lines().find(|line| line.contains("boxoffice is open")).map(str::to_owned);
        line.ok_or(log)
    })
    .await;
    let open: serde_json::Value = serde_json::from_str(&open).unwrap();
    let at = |name: &str| -> SocketAddr { text(&open[name]).parse().unwrap() };
    let ca = dir.path().join("keys/ca.crt");
    assert_eq!(one(at("rest_addr"), &ca).await, "HTTP/1.1 200 OK");
    assert_eq!(two(at("rest_addr"), &ca).await, 200);
    assert!(bare(at("rest_addr"), &ca, "h2", &TLS12).await.is_none(), "TLS 1.3 alone");
    // The parts of the process call each other, and need no certificate for it.
    let client = TlsArgs {
        tls_cert: Some(key("queue/tls.crt").into()),
        tls_key: Some(key("queue/tls.key").into()),
        tls_client_ca: None,
    };
    let client = client.client(&MeshArgs { mesh_ca: Some(ca.clone()) }).unwrap().unwrap();
    for name in ["grpc_addr", "queue_addr", "booking_addr", "wallet_addr"] {
        assert!(answers(at(name), &client).await, "{name}");
    }
    mesh.terminate().await.unwrap();
    assert_eq!(refusals(&mesh).into_keys().collect::<Vec<_>>(), ["nothing in common"], "{}", mesh.log());
    assert!(!mesh.log().contains("PRIVATE"));
    assert_eq!(fs::read_dir(dir.path().join("keys")).unwrap().count(), 7);
}

/// The status line of an answer by HTTP/1.1. The edge asked its services for it.
async fn one(to: SocketAddr, ca: &Path) -> String {
    let mut link = bare(to, ca, "http/1.1", &TLS13).await.unwrap();
    link.write_all(b"GET /v1/concerts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    timeout(SOON, link.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap().lines().next().unwrap_or_default().to_owned()
}

/// The status of an answer by HTTP/2.
async fn two(to: SocketAddr, ca: &Path) -> u16 {
    let link = bare(to, ca, "h2", &TLS13).await.unwrap();
    assert_eq!(link.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(link)).await.unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get("https://localhost/v1/concerts").body(Empty::<Bytes>::new()).unwrap();
    let answer = timeout(SOON, client.send_request(request)).await.unwrap().unwrap();
    let status = answer.status().as_u16();
    timeout(SOON, answer.into_body().collect()).await.unwrap().unwrap();
    status
}
