//! Servers and channels on a network that is not the machine's: pipes in memory, whose names, partitions and
//! ends the test decides.
#![allow(clippy::unwrap_used, reason = "tests")]

mod toy;

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use chassis::{
    channel::{Channel, Target},
    health::Health,
    network::{Connection, Incoming, Network},
    probes,
    server::GrpcServer,
    testing::patience,
};
use futures::{future::BoxFuture, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::toy::{Toy, call};

/// What fits into a pipe.
const PIPE: usize = 64 * 1_024;

/// Hosts by name and address.
#[derive(Debug, Default)]
struct Pipes {
    names: Mutex<HashMap<String, Vec<SocketAddr>>>,
    hosts: Mutex<HashMap<SocketAddr, mpsc::UnboundedSender<DuplexStream>>>,
}

impl Pipes {
    /// A new host of this name, or one more address of it.
    fn host(&self, name: &str) -> (SocketAddr, Incoming) {
        let (arrivals, mut arrived) = mpsc::unbounded_channel();
        let mut hosts = self.hosts.lock().unwrap();
        let addr = SocketAddr::from(([10, 0, 0, u8::try_from(hosts.len()).unwrap()], 1));
        hosts.insert(addr, arrivals);
        self.names.lock().unwrap().entry(name.to_owned()).or_default().push(addr);
        (addr, Incoming::new(stream::poll_fn(move |cx| arrived.poll_recv(cx))))
    }

    fn cut_off(&self, addr: SocketAddr) {
        self.hosts.lock().unwrap().remove(&addr);
    }

    fn dial(&self, addr: SocketAddr) -> io::Result<DuplexStream> {
        let (ours, theirs) = duplex(PIPE);
        let hosts = self.hosts.lock().unwrap();
        let host = hosts.get(&addr).ok_or(io::ErrorKind::ConnectionRefused)?;
        host.send(theirs).map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(ours)
    }
}

impl Network for Pipes {
    fn resolve(&self, host: String, _: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let known = self.names.lock().unwrap().get(&host).cloned();
        Box::pin(async move { known.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }

    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Connection>> {
        let dialled = self.dial(to);
        Box::pin(async move { dialled.map(Connection::new) })
    }
}

#[tokio::test]
async fn a_server_and_its_callers_need_no_socket() {
    let pipes = Arc::new(Pipes::default());
    let shutdown = CancellationToken::new();
    let replicas: Vec<_> = (0..2)
        .map(|_| {
            let ((addr, incoming), toy) = (pipes.host("toy"), Toy::default());
            let server = GrpcServer::new("toy", &[], Health::new()).add_service(toy.clone());
            (addr, toy, tokio::spawn(server.serve(incoming, shutdown.clone())))
        })
        .collect();
    let target: Target = "http://toy:1".parse().unwrap();
    let target = target.on(Arc::clone(&pipes) as Arc<dyn Network>);
    let calls = |toy: &Toy| toy.calls.load(std::sync::atomic::Ordering::SeqCst);

    let channel = Channel::new(&target);
    for _ in 0..10 {
        assert_eq!(call(&channel, "Trace").await.code(), Code::NotFound);
    }
    assert_eq!((calls(&replicas[0].1), calls(&replicas[1].1)), (5, 5));

    pipes.cut_off(replicas[0].0);
    let partitioned = Channel::new(&target);
    for _ in 0..10 {
        assert_eq!(call(&partitioned, "Trace").await.code(), Code::NotFound);
    }
    assert_eq!((calls(&replicas[0].1), calls(&replicas[1].1)), (5, 15));

    shutdown.cancel();
    for (_, _, task) in replicas {
        patience::timeout(Duration::from_secs(3), task).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn http_needs_none_either() {
    let pipes = Pipes::default();
    let (addr, incoming) = pipes.host("web");
    tokio::spawn(axum::serve(incoming, probes::router(Health::new())).into_future());
    let mut link = pipes.dial(addr).unwrap();
    link.write_all(b"GET /healthz HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    link.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
