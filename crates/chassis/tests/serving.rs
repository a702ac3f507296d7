//! What every call gets from the server and the channel: a trace, a deadline, another replica, an end.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context as Poll_, Poll},
    time::Duration,
};

use chassis::{
    channel::{self, Channel},
    context::Context,
    health::Health,
    server::GrpcServer,
};
use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, body::Body, server::NamedService};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;
use tower::Service;

/// Answers with what it is asked to do: the method's name decides.
#[derive(Clone, Default)]
struct Toy {
    calls: Arc<AtomicU32>,
}

impl NamedService for Toy {
    const NAME: &'static str = "toy.Toy";
}

impl Service<Request<Body>> for Toy {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Poll_<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let context = Context::current().unwrap();
            let status = match request.uri().path() {
                "/toy.Toy/Trace" => Status::not_found(context.trace.trace_id()),
                "/toy.Toy/TimeLeft" => Status::not_found(context.remaining().as_millis().to_string()),
                "/toy.Toy/Sleep" => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    Status::not_found("slept")
                }
                "/toy.Toy/Panic" => panic!("as asked"),
                _ => Status::unavailable("not now"),
            };
            Ok(status.into_http())
        })
    }
}

struct Running {
    addr: SocketAddr,
    toy: Toy,
    shutdown: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

async fn serve() -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, toy, shutdown) = (listener.local_addr().unwrap(), Toy::default(), CancellationToken::new());
    let server = GrpcServer::new("toy", &[], Health::new()).add_service(toy.clone());
    let task = tokio::spawn(server.serve(listener, shutdown.clone()));
    Running { addr, toy, shutdown, task }
}

fn channel(addrs: &[SocketAddr]) -> Channel {
    let list: Vec<String> = addrs.iter().map(|addr| format!("http://{addr}")).collect();
    Channel::new(&list.join(",").parse().unwrap())
}

async fn call(channel: &Channel, method: &str) -> Status {
    let mut client = tonic::client::Grpc::new(channel.clone());
    let path = format!("/toy.Toy/{method}").parse().unwrap();
    client.unary::<(), (), _>(tonic::Request::new(()), path, ProstCodec::default()).await.unwrap_err()
}

#[tokio::test]
async fn the_trace_and_the_deadline_go_along() {
    let running = serve().await;
    let channel = channel(&[running.addr]);
    let context = Context::fresh(Duration::from_millis(1_500));
    let (trace, left) = context.scope(async { (call(&channel, "Trace").await, call(&channel, "TimeLeft").await) }).await;
    assert_eq!(trace.message(), context.trace.trace_id());
    let left: u64 = left.message().parse().unwrap();
    assert!((1_000..=1_500).contains(&left), "{left} ms");
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_says_so() {
    let running = serve().await;
    let channel = channel(&[running.addr]);
    let late = Context::fresh(Duration::from_millis(50)).scope(call(&channel, "Sleep")).await;
    assert_eq!(late.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_the_server_goes_on() {
    let running = serve().await;
    let channel = channel(&[running.addr]);
    let failed = call(&channel, "Panic").await;
    assert_eq!((failed.code(), failed.message().contains("as asked")), (Code::Internal, false));
    assert_eq!(failed.get_error_details().error_info().map(|info| info.reason.as_str()), Some("INTERNAL"));
    assert_eq!(call(&channel, "Sleep").await.message(), "slept");
}

#[tokio::test]
async fn a_dead_replica_costs_a_retry_and_no_error() {
    let (one, two) = (serve().await, serve().await);
    let channel = channel(&[one.addr, two.addr]);
    one.shutdown.cancel();
    one.task.await.unwrap().unwrap();
    for _ in 0..20 {
        let answer = channel::retry(async || -> Result<tonic::Response<()>, Status> { Err(call(&channel, "Trace").await) }).await;
        assert_eq!(answer.unwrap_err().code(), Code::NotFound);
    }
    assert_eq!(two.toy.calls.load(Ordering::SeqCst), 20);
}

#[tokio::test]
async fn retries_are_bounded_and_nobody_there_is_unavailable_at_once() {
    let running = serve().await;
    let channel_ = channel(&[running.addr]);
    let answer =
        channel::retry(async || -> Result<tonic::Response<()>, Status> { Err(call(&channel_, "Unavailable").await) }).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
    assert_eq!(running.toy.calls.load(Ordering::SeqCst), 5);

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let began = Instant::now();
    assert_eq!(call(&channel(&[nobody]), "Trace").await.code(), Code::Unavailable);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_peer_that_never_speaks_does_not_hold_up_the_shutdown() {
    let running = serve().await;
    let _silent = tokio::net::TcpStream::connect(running.addr).await.unwrap();
    call(&channel(&[running.addr]), "Trace").await;
    running.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(3), running.task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn what_is_in_flight_at_shutdown_is_finished() {
    let running = serve().await;
    let channel = channel(&[running.addr]);
    call(&channel, "Trace").await;
    let in_flight = tokio::spawn(async move { call(&channel, "Sleep").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.shutdown.cancel();
    assert_eq!(in_flight.await.unwrap().message(), "slept");
    running.task.await.unwrap().unwrap();
}
