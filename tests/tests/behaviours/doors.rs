//! Clients that come and want nothing, or begin what they never finish, by the hundred and the thousand:
//! whoever comes beside them is answered as ever.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures::future::join_all;
use serde_json::json;
use tests::{
    eventually::{eventually, holds},
    frames::{PREFACE, SETTINGS, empty_message, frame, greeted, half_a_call, kind, taken},
    mesh::{Mesh, Role, Shape},
    patience::timeout,
    scenarios, solos,
    suite::{Scenario, Solo},
    world::{World, text, unique},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    time::sleep,
};

pub(crate) const TOGETHER: &[Scenario] =
    scenarios![who_asks_for_nothing_is_let_go_at_every_door, bodies_that_never_come_keep_nobody_out];
pub(crate) const ALONE: &[Scenario] = scenarios![
    calls_whose_message_never_comes_keep_nobody_out,
    a_call_is_waited_for_among_half_calls_over_many_connections,
];
pub(crate) const SOLOS: &[Solo] = &[
    solos![&[Shape::SingleSqlite]; in_a_full_house_the_silent_make_room][0],
    solos![&[Shape::SingleSqlite]; in_a_house_full_of_talkers_a_probe_is_answered][0],
];

/// Far beyond every bound that is looked at here.
const PATIENCE: Duration = Duration::from_secs(20);

/// Every address that a mesh listens on.
fn doors(mesh: &Mesh) -> Vec<SocketAddr> {
    mesh.nodes
        .iter()
        .flat_map(|node| node.grpc.iter().map(|(_, address)| *address).chain([node.http]))
        .collect()
}

/// Reads a connection to its end.
async fn ends(mut link: TcpStream, what: &str) {
    let mut rest = Vec::new();
    let _cut =
        timeout(PATIENCE, link.read_to_end(&mut rest)).await.unwrap_or_else(|_| panic!("{what}: still open"));
}

async fn who_asks_for_nothing_is_let_go_at_every_door(world: World) {
    let mut kept = Vec::new();
    for role in [Role::Queue, Role::Booking, Role::Wallet, Role::Edge] {
        kept.push((role, greeted(world.mesh.grpc(role)[0].trim_start_matches("http://")).await));
    }
    let mut silent = Vec::new();
    for door in doors(&world.mesh) {
        for half in [
            &b""[..],
            b"PRI * HT",
            PREFACE,
            &[PREFACE, &SETTINGS[..8]].concat(),
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
        ] {
            let mut link = TcpStream::connect(door).await.unwrap();
            link.write_all(half).await.unwrap();
            silent.push((door, String::from_utf8_lossy(half).into_owned(), link));
        }
    }
    for (door, half, link) in silent {
        ends(link, &format!("{door} {half:?}")).await;
    }
    // Whoever has said what it speaks may think about what to ask.
    for (role, mut link) in kept {
        link.write_all(&half_a_call(1, "/grpc.health.v1.Health/Check")).await.unwrap();
        let answered = async { while frame(&mut link).await.expect("an open connection").stream != 1 {} };
        timeout(PATIENCE, answered).await.unwrap_or_else(|_| panic!("{role:?}: no answer"));
    }
}

/// Somebody else, on a connection of their own, polls so often; every poll is answered.
async fn polls(world: &World, token: &str, times: usize) {
    let client = reqwest::Client::builder().no_proxy().timeout(3 * PATIENCE).build().unwrap();
    for _ in 0..times {
        for base in world.mesh.rest() {
            let answer = client.get(format!("{base}/v1/tokens/{token}")).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 200, "a poll beside it: {:?}", answer.text().await);
        }
    }
}

async fn waiting(world: &World) -> String {
    let queue = world.queue(json!({"maxActive": 0})).await;
    text(&world.join(&queue, &unique("user")).await["token"])
}

async fn calls_whose_message_never_comes_keep_nobody_out(world: World) {
    const CALLS: u32 = 9_000;
    let token = waiting(&world).await;
    let path = "/boxoffice.queue.v1.QueueService/BatchGetTokens";
    for base in world.mesh.grpc(Role::Queue) {
        let (mut read, mut write) = greeted(base.trim_start_matches("http://")).await.into_split();
        // All at once; a server may end the connection before it has read them.
        let sending = tokio::spawn(async move {
            for call in 0..CALLS {
                if write.write_all(&half_a_call(2 * call + 1, path)).await.is_err() {
                    break;
                }
            }
            write
        });
        polls(&world, &token, 50).await;
        // Those that it takes are not waited for: each is answered, or the connection ends.
        let mut over = HashSet::new();
        let answered = async {
            while over.len() < 256 {
                match frame(&mut read).await {
                    Some(frame) if matches!(frame.kind, kind::HEADERS | kind::RESET) => {
                        over.insert(frame.stream);
                    }
                    Some(frame) if frame.kind != kind::GOAWAY => {}
                    _ => break,
                }
            }
        };
        timeout(PATIENCE, answered).await.unwrap_or_else(|_| panic!("{base}: half calls are waited for"));
        polls(&world, &token, 10).await;
        drop(sending.await.unwrap());
    }
}

/// Waits until those of 9,000 half calls who came last have made those who came first give up their places,
/// of which there are 8,192. Calls of several connections come in any order.
async fn all_have_come(half: &mut [TcpStream]) {
    let (displaced, all) = (AtomicUsize::new(0), Notify::new());
    let reading = half.iter_mut().map(async |link| {
        while let Some(frame) = frame(link).await {
            if frame.kind == kind::HEADERS && displaced.fetch_add(1, Ordering::Relaxed) + 1 == 9_000 - 8_192 {
                all.notify_one();
            }
        }
    });
    tokio::select! {
        () = all.notified() => {}
        _ = timeout(PATIENCE, join_all(reading)) => panic!("half calls are waited for"),
    }
}

/// As many half calls as are waited for, over so many connections that none of them has more than it may.
async fn a_call_is_waited_for_among_half_calls_over_many_connections(world: World) {
    const CONNECTIONS: usize = 36;
    for base in [Role::Queue, Role::Edge].map(|role| world.mesh.grpc(role)).concat() {
        let address = base.trim_start_matches("http://");
        let flood: Vec<u8> =
            (0..250).flat_map(|call| half_a_call(2 * call + 1, "/grpc.health.v1.Health/Check")).collect();
        let mut half = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut link = greeted(address).await;
            link.write_all(&flood).await.unwrap();
            taken(&mut link).await;
            half.push(link);
        }
        all_have_come(&mut half).await;
        let mut link = greeted(address).await;
        link.write_all(&half_a_call(1, "/grpc.health.v1.Health/Check")).await.unwrap();
        sleep(Duration::from_millis(100)).await;
        link.write_all(&empty_message(1)).await.unwrap();
        let mut kinds = Vec::new();
        let answered = async {
            while let Some(frame) = frame(&mut link).await {
                kinds.push(frame.kind);
                if frame.kind == kind::DATA {
                    return true;
                }
            }
            false
        };
        let is_answered = timeout(PATIENCE, answered).await.unwrap_or(false);
        assert!(is_answered, "{base}: a call that came a little late: {kinds:?}");
    }
}

async fn bodies_that_never_come_keep_nobody_out(world: World) {
    let token = waiting(&world).await;
    let head = "POST /v1/concerts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n";
    let mut half = Vec::new();
    for base in world.mesh.rest() {
        for _ in 0..300 {
            let mut link = TcpStream::connect(base.trim_start_matches("http://")).await.unwrap();
            link.write_all(head.as_bytes()).await.unwrap();
            half.push(link);
        }
    }
    polls(&world, &token, 20).await;
    for mut link in half {
        let mut answer = [0; 12];
        timeout(PATIENCE, link.read_exact(&mut answer)).await.expect("an answer in time").unwrap();
        assert_eq!(&answer, b"HTTP/1.1 408");
    }
}

/// Asks on a new connection, which stays open.
async fn asked(address: SocketAddr, path: &str) -> std::io::Result<(String, TcpStream)> {
    let mut link = TcpStream::connect(address).await?;
    link.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await?;
    let mut status = [0; 12];
    link.read_exact(&mut status).await?;
    Ok((String::from_utf8_lossy(&status).into_owned(), link))
}

/// What the meshes of a full house are told: so many connections, of which these tests' own clients need
/// some.
const HOUSE: usize = 64;

async fn in_a_full_house_the_silent_make_room(shape: Shape) {
    let world = World::start(shape, &["--max-connections", "64"]).await;
    let token = waiting(&world).await;
    let (rest, queue) = (world.mesh.nodes[0].http, world.mesh.nodes[0].grpc[1].1);
    let mut silent = Vec::new();
    for number in 0..4 * HOUSE {
        silent.push(TcpStream::connect(if number % 2 == 0 { rest } else { queue }).await.unwrap());
    }
    // New people, each on a connection of their own, while all these are there.
    let mut people = Vec::new();
    for _ in 0..HOUSE / 2 {
        // In the crowd of that very moment a connection may go before its request is read; its client comes
        // again.
        let path = format!("/v1/tokens/{token}");
        let ask = || async { holds(asked(rest, &path).await.ok(), Option::is_some) };
        let (status, link) = eventually(PATIENCE, ask).await.unwrap();
        assert_eq!(status, "HTTP/1.1 200");
        people.push(link);
    }
    // Those who have asked are not displaced by others who do not.
    for _ in 0..2 * HOUSE {
        silent.push(TcpStream::connect(rest).await.unwrap());
    }
    for link in &mut people {
        let mut rest_of_it = vec![0; 4_096];
        assert!(link.read(&mut rest_of_it).await.unwrap() > 0);
        link.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, link.read_to_string(&mut answer)).await.expect("an answer").unwrap();
        assert!(answer.contains("HTTP/1.1 200"), "{answer}");
    }
    drop((silent, people));
    world.finish().await;
}

async fn in_a_house_full_of_talkers_a_probe_is_answered(shape: Shape) {
    let world = World::start(shape, &["--max-connections", "64"]).await;
    let rest = world.mesh.nodes[0].http;
    // As many as get in, each with a request answered; they stay.
    let mut talkers = Vec::new();
    for _ in 0..4 * HOUSE {
        if let Ok((_, link)) =
            timeout(PATIENCE, asked(rest, "/v1/queues/default")).await.expect("an answer, or the end")
        {
            talkers.push(link);
        }
    }
    assert!(talkers.len() >= HOUSE / 2, "{} got in", talkers.len());
    // The places beyond the most are for a moment: one becomes free, a probe gets it, and does not stay.
    let probe = || async {
        holds(asked(rest, "/readyz").await.ok(), |probe| {
            probe.as_ref().is_some_and(|(status, _)| status == "HTTP/1.1 200")
        })
    };
    let (_, link) = eventually(PATIENCE, probe).await.unwrap();
    ends(link, "the probe").await;
    drop(talkers);
    world.finish().await;
}
