//! A server with one service that does as it is told, and a way to call it.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

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
    channel::{Channel, Target},
    context::Context,
    health::Health,
    in_process::InProcess,
    network::Incoming,
    server::GrpcServer,
    testing::patience::Patience,
};
use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body, server::NamedService};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

/// So many calls must be there before one of them is answered that waits for the others.
pub(crate) const GATHERED: u32 = 1_000;

/// Answers with what it is asked to do: the method's name decides.
#[derive(Clone, Default)]
pub(crate) struct Toy {
    pub(crate) calls: Arc<AtomicU32>,
    /// Until this is cancelled whoever was asked to stands.
    pub(crate) gate: CancellationToken,
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
        let gate = self.gate.clone();
        let calls = Arc::clone(&self.calls);
        Box::pin(async move {
            let context = Context::current().unwrap();
            let status = match request.uri().path() {
                "/toy.Toy/Trace" => Status::not_found(context.trace.trace_id()),
                "/toy.Toy/TimeLeft" => Status::not_found(context.remaining().as_millis().to_string()),
                "/toy.Toy/Swallow" => {
                    let mut grpc = tonic::server::Grpc::new(ProstCodec::<(), Vec<u8>>::default());
                    let swallow = service_fn(async |_: tonic::Request<Vec<u8>>| {
                        Ok::<_, Status>(tonic::Response::new(()))
                    });
                    return Ok(grpc.unary(swallow, request).await);
                }
                "/toy.Toy/Nap" => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    Status::not_found("slept")
                }
                "/toy.Toy/Sleep" => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    Status::not_found("slept")
                }
                "/toy.Toy/Stand" => {
                    gate.cancelled().await;
                    Status::not_found("stood")
                }
                "/toy.Toy/Gather" => {
                    while calls.load(Ordering::SeqCst) < GATHERED {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    Status::not_found("all here")
                }
                "/toy.Toy/Panic" => panic!("as asked"),
                _ => Status::unavailable("not now"),
            };
            Ok(status.into_http())
        })
    }
}

pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    in_process: InProcess,
    pub(crate) toy: Toy,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<std::io::Result<()>>,
}

impl Running {
    pub(crate) fn calls(&self) -> u32 {
        self.toy.calls.load(Ordering::SeqCst)
    }

    /// Over a connection, and without one: there is nobody at the port.
    pub(crate) fn both_ways(&self) -> [Channel; 2] {
        let nobody: Target = "http://127.0.0.1:1".parse().unwrap();
        [channel(&[self.addr]), Channel::new(&nobody.in_process(self.in_process.clone()))]
    }
}

pub(crate) async fn serve() -> Running {
    serve_at("127.0.0.1:0").await
}

pub(crate) async fn serve_at(addr: &str) -> Running {
    let listener = TcpListener::bind(addr).await.unwrap();
    let (addr, toy, shutdown) = (listener.local_addr().unwrap(), Toy::default(), CancellationToken::new());
    let server = GrpcServer::new("toy", &[], Health::new()).add_service(toy.clone());
    let in_process = InProcess::default();
    let incoming = Incoming::from(listener).in_process(in_process.clone());
    let task = tokio::spawn(server.serve(incoming, shutdown.clone()));
    Running { addr, in_process, toy, shutdown, task }
}

pub(crate) fn channel(addrs: &[SocketAddr]) -> Channel {
    let list: Vec<String> = addrs.iter().map(|addr| format!("http://{addr}")).collect();
    Channel::new(&list.join(",").parse().unwrap())
}

/// Waits until something is so.
pub(crate) async fn until(is_so: impl AsyncFn() -> bool) {
    let patience = Patience::new(Duration::from_secs(20));
    while !is_so().await {
        assert!(!patience.is_over(), "it never came true {patience}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn call(channel: &Channel, method: &str) -> Status {
    let mut client = tonic::client::Grpc::new(channel.clone());
    let path = format!("/toy.Toy/{method}").parse().unwrap();
    client.unary::<(), (), _>(tonic::Request::new(()), path, ProstCodec::default()).await.unwrap_err()
}
