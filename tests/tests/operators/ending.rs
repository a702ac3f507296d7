//! How programs end: GOAWAY on every connection at the first signal, at once at the second.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use tests::{
    eventually::{eventually, holds},
    mesh::Shape,
    patience::{pause, timeout},
    process::Signal,
    solos,
    suite::Solo,
    world::{World, unique},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::SingleSqlite, Shape::Cluster];
    every_port_that_speaks_http_2_says_goaway_when_its_program_ends,
    a_second_signal_ends_at_once_with_exit_code_1,
];

const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const SOON: Duration = Duration::from_secs(10);

/// A connection that has said hello and nothing else.
async fn connected(to: SocketAddr) -> TcpStream {
    let mut link = TcpStream::connect(to).await.unwrap();
    link.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    link.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(frame(&mut link).await, Some(SETTINGS), "{to}");
    link
}

/// The type of the next frame; `None` at the connection's end.
async fn frame(link: &mut TcpStream) -> Option<u8> {
    let mut head = [0_u8; 9];
    timeout(SOON, link.read_exact(&mut head)).await.unwrap().ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut body = vec![0; usize::try_from(length).unwrap()];
    timeout(SOON, link.read_exact(&mut body)).await.unwrap().ok()?;
    Some(head[3])
}

async fn every_port_that_speaks_http_2_says_goaway_when_its_program_ends(shape: Shape) {
    let world = World::start(shape, &[]).await;
    for node in world.mesh.nodes.iter().rev() {
        let rest = world.mesh.rest().contains(&format!("http://{}", node.http)).then_some(node.http);
        let mut links = Vec::new();
        for to in node.grpc.iter().map(|(_, at)| *at).chain(rest) {
            links.push((to, connected(to).await));
        }
        node.process.signal(Signal::Term);
        for (to, mut link) in links {
            let mut told = Vec::new();
            while !told.contains(&GOAWAY) {
                let next = frame(&mut link).await;
                told.push(next.unwrap_or_else(|| {
                    panic!("{} at {to} ended without GOAWAY: {told:?}", node.process.name())
                }));
            }
        }
        let ended = node.process.wait(SOON).await.unwrap();
        assert!(ended.success(), "{}: {ended}", node.process.name());
    }
    world.mesh.restart().await;
    world.finish().await;
}

async fn a_second_signal_ends_at_once_with_exit_code_1(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let user = unique("user");
    world.charge(&user, 100).await;
    let lock = world.mesh.databases.hold_up("wallet").await;
    let in_flight = tokio::spawn(
        world.rest.post(&format!("/v1/wallets/{user}/charges"), json!({"amount": 5})).try_send(),
    );
    pause(Duration::from_millis(500)).await;
    // One of them has the charge in flight.
    let of_wallets = |name: &str| name.starts_with("wallet-svc") || name.starts_with("boxoffice");
    let nodes: Vec<_> = world.mesh.nodes.iter().filter(|node| of_wallets(node.process.name())).collect();
    for node in &nodes {
        node.process.signal(Signal::Term);
    }
    let busy = || nodes.iter().copied().filter(|node| node.process.ended().is_none()).collect::<Vec<_>>();
    eventually(Duration::from_secs(3), || async { holds(busy().len(), |busy| *busy <= 1) }).await;
    let busy = busy();
    assert_eq!(busy.len(), 1, "one finishes what is in flight\n{}", world.mesh.logs(10));
    // Two signals that come before the first is looked at are one.
    let first = || async { holds(busy[0].process.log(), |log| log.contains("a second signal ends at once")) };
    eventually(Duration::from_secs(3), first).await;
    busy[0].process.signal(Signal::Term);
    let ended = busy[0].process.wait(Duration::from_secs(3)).await.unwrap();
    assert_eq!(ended.code(), Some(1));
    lock.release().await;
    drop(in_flight.await.unwrap());
    world.mesh.restart_ended().await;
    world.finish().await;
}
