//! What every call gets from the server and the channel: a trace, a deadline, another replica, an end.
#![allow(clippy::unwrap_used, reason = "tests")]

mod toy;

use std::{sync::atomic::Ordering, time::Duration};

use chassis::{
    channel::{self as calling, Channel, Target},
    context::Context,
    health::Health,
    in_process::InProcess,
    network::Incoming,
    server::GrpcServer,
    testing::patience::{is_prompt, timeout},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

use crate::toy::{GATHERED, Toy, call, channel, serve, until};

#[tokio::test]
async fn the_trace_and_the_deadline_go_along() {
    let running = serve().await;
    for channel in running.both_ways() {
        // Half of what a caller has who sets none.
        let context = Context::fresh(Duration::from_secs(5));
        let (trace, left) = context
            .clone()
            .scope(async { (call(&channel, "Trace").await, call(&channel, "TimeLeft").await) })
            .await;
        assert_eq!(trace.message(), context.trace.trace_id());
        let left: u64 = left.message().parse().unwrap();
        assert!((1..=5_000).contains(&left), "{left} ms");
    }
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_says_so() {
    let running = serve().await;
    for channel in running.both_ways() {
        let late = Context::fresh(Duration::from_millis(50)).scope(call(&channel, "Sleep")).await;
        assert_eq!(late.code(), Code::DeadlineExceeded);
    }
}

/// The programs of one process start side by side.
#[tokio::test]
async fn a_call_waits_for_a_server_of_its_process_that_is_about_to_open() {
    let door = InProcess::default();
    let channel = Channel::new(&Target::only_in_process(door.clone()));
    let early = tokio::spawn(async move { call(&channel, "Sleep").await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let incoming = Incoming::from(TcpListener::bind("127.0.0.1:0").await.unwrap()).in_process(door);
    let server = GrpcServer::new("toy", &[], Health::new()).add_service(Toy::default());
    let _serving = tokio::spawn(server.serve(incoming, CancellationToken::new()));
    assert_eq!(early.await.unwrap().message(), "slept");
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_the_server_goes_on() {
    let running = serve().await;
    for channel in running.both_ways() {
        let failed = call(&channel, "Panic").await;
        assert_eq!((failed.code(), failed.message().contains("as asked")), (Code::Internal, false));
        assert_eq!(
            failed.get_error_details().error_info().map(|info| info.reason.as_str()),
            Some("INTERNAL")
        );
        assert_eq!(call(&channel, "Sleep").await.message(), "slept");
    }
}

#[tokio::test]
async fn a_dead_replica_costs_a_retry_and_no_error() {
    let (one, two) = (serve().await, serve().await);
    let channel = channel(&[one.addr, two.addr]);
    one.shutdown.cancel();
    one.task.await.unwrap().unwrap();
    for _ in 0..20 {
        let answer = calling::retry(async || -> Result<tonic::Response<()>, Status> {
            Err(call(&channel, "Trace").await)
        })
        .await;
        assert_eq!(answer.unwrap_err().code(), Code::NotFound);
    }
    assert_eq!(two.toy.calls.load(Ordering::SeqCst), 20);
}

#[tokio::test]
async fn retries_are_bounded_and_nobody_there_is_unavailable_at_once() {
    let running = serve().await;
    let channel_ = channel(&[running.addr]);
    let answer = calling::retry(async || -> Result<tonic::Response<()>, Status> {
        Err(call(&channel_, "Unavailable").await)
    })
    .await;
    assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
    assert_eq!(running.toy.calls.load(Ordering::SeqCst), 5);

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let began = Instant::now();
    assert_eq!(call(&channel(&[nobody]), "Trace").await.code(), Code::Unavailable);
    assert!(is_prompt(began.elapsed(), Duration::from_secs(2)));
}

#[tokio::test]
async fn a_peer_that_never_speaks_does_not_hold_up_the_shutdown() {
    let running = serve().await;
    let _silent = TcpStream::connect(running.addr).await.unwrap();
    call(&channel(&[running.addr]), "Trace").await;
    running.shutdown.cancel();
    timeout(Duration::from_secs(3), running.task).await.unwrap().unwrap().unwrap();
}

/// A connection has 256 calls at most; what one replica can take is not bounded by that.
#[tokio::test]
async fn many_calls_at_once_all_reach_the_server() {
    let running = serve().await;
    let channel = channel(&[running.addr]);
    let calls: Vec<_> = (0..GATHERED)
        .map(|_| {
            let channel = channel.clone();
            tokio::spawn(async move { call(&channel, "Gather").await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().message(), "all here");
    }
}

#[tokio::test]
async fn what_is_in_flight_at_shutdown_is_finished() {
    for way in [0, 1] {
        let running = serve().await;
        let (channel, another) = (running.both_ways()[way].clone(), running.both_ways()[way].clone());
        until(async || call(&channel, "Trace").await.code() == Code::NotFound).await;
        let before = running.calls();
        let in_flight = tokio::spawn(async move { call(&channel, "Stand").await });
        until(async || running.calls() > before).await;
        running.shutdown.cancel();
        // It takes nothing new, and waits for what it has.
        until(async || call(&another, "Trace").await.code() == Code::Unavailable).await;
        assert!(!running.task.is_finished() && !in_flight.is_finished());
        running.toy.gate.cancel();
        assert_eq!(in_flight.await.unwrap().message(), "stood");
        running.task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_is_the_callers_mistake() {
    let running = serve().await;
    let swallow = async |channel: &Channel, size: usize| {
        let mut client = tonic::client::Grpc::new(channel.clone());
        let path = "/toy.Toy/Swallow".parse().unwrap();
        client.unary::<Vec<u8>, (), _>(tonic::Request::new(vec![7; size]), path, ProstCodec::default()).await
    };
    for channel in running.both_ways() {
        swallow(&channel, 1 << 20).await.unwrap();
        let refused = swallow(&channel, 5 << 20).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().starts_with("the message is too large: found 52428"), "{refused}");
        assert!(refused.message().ends_with("the limit is: 4194304 bytes"), "{refused}");
        let details = refused.get_error_details();
        assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("INVALID_ARGUMENT"));
        assert!(details.retry_info().is_none(), "asking again does not help");
    }
}

#[tokio::test]
async fn the_probes_outlive_the_drain() {
    let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (grpc, http, shutdown) = (bind().await, bind().await, CancellationToken::new());
    let (grpc_addr, http_addr) = (grpc.local_addr().unwrap(), http.local_addr().unwrap());
    let toy = Toy::default();
    let server = GrpcServer::new("toy", &[], Health::new()).add_service(toy.clone());
    let task = tokio::spawn(server.serve_with_probes(grpc, Some(http), shutdown.clone()));
    let alive = async || -> std::io::Result<bool> {
        let mut link = TcpStream::connect(http_addr).await?;
        link.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        link.read_to_string(&mut answer).await?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    let channel = channel(&[grpc_addr]);
    call(&channel, "Trace").await;
    let in_flight = tokio::spawn(async move { call(&channel, "Stand").await });
    until(async || toy.calls.load(Ordering::SeqCst) == 2).await;
    shutdown.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(alive().await.unwrap(), "while a call is being finished");
    toy.gate.cancel();
    assert_eq!(in_flight.await.unwrap().message(), "stood");
    timeout(Duration::from_secs(3), task).await.unwrap().unwrap().unwrap();
    assert!(alive().await.is_err(), "and no longer");
}

/// The type of the next HTTP/2 frame; `None` at the end of the connection.
async fn frame(link: &mut TcpStream) -> Option<u8> {
    let mut head = [0_u8; 9];
    link.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut body = vec![0; usize::try_from(length).unwrap()];
    link.read_exact(&mut body).await.ok()?;
    Some(head[3])
}

const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// An HTTP/2 connection that has been greeted.
async fn link(addr: std::net::SocketAddr) -> TcpStream {
    let mut link = TcpStream::connect(addr).await.unwrap();
    link.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    link.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(frame(&mut link).await, Some(SETTINGS));
    link
}

async fn is_told_to_go(mut link: TcpStream) {
    let mut told = Vec::new();
    while !told.contains(&GOAWAY) {
        let next = timeout(Duration::from_secs(5), frame(&mut link)).await.unwrap();
        told.push(next.unwrap_or_else(|| panic!("it ended without GOAWAY: {told:?}")));
    }
}

#[tokio::test]
async fn a_server_that_ends_says_goaway_on_every_connection() {
    let running = serve().await;
    let links = [link(running.addr).await, link(running.addr).await, link(running.addr).await];
    running.shutdown.cancel();
    for link in links {
        is_told_to_go(link).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_old_is_told_to_go_and_no_call_is_lost() {
    let (grpc, shutdown) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), CancellationToken::new());
    let addr = grpc.local_addr().unwrap();
    let server = GrpcServer::new("toy", &[], Health::new())
        .add_service(Toy::default())
        .connection_age(Duration::from_millis(200));
    let task = tokio::spawn(server.serve(grpc, shutdown.clone()));
    is_told_to_go(link(addr).await).await;
    let channel = channel(&[addr]);
    // Longer than a connection may live.
    for _ in 0..4 {
        assert_eq!(call(&channel, "Sleep").await.message(), "slept");
    }
    shutdown.cancel();
    timeout(Duration::from_secs(3), task).await.unwrap().unwrap().unwrap();
}
