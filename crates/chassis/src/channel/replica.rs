//! One address of a service, the connections to it, and how it has been doing.
//!
//! A server takes a bounded number of calls on one connection. Calls beyond it would wait in the client,
//! where the server cannot refuse them. So there is one connection while there are few calls, and one more
//! for every [`CALLS`] that wait at the same time.

use std::{
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use http::{Request, Response, Uri, uri::Authority};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    runtime::Handle,
    time::{self, Instant},
};
use tonic::body::Body;

use super::dial::Dial;
use crate::back_off::BackOff;

/// How long an attempt to connect to a replica may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a connection is pinged. Without pings, calls never recover after a network partition has healed.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
/// How long the answer to a ping may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a replica that failed is left out. The cap is long, because one that hangs costs an attempt's
/// time whenever it is tried; each caller has its own moment of failure, so there is no jitter.
const LEFT_OUT: BackOff =
    BackOff { base: Duration::from_millis(500), factor: 2, cap: Duration::from_secs(16), jitter: 0.0 };

/// How many calls wait for their answer on one connection before another one is opened. Our servers take 256
/// streams a connection, and those whose answer is still being sent are among them.
const CALLS: usize = 192;
/// The most connections to one address: together they carry as many calls as one of our servers takes.
const LINKS: usize = 43;

/// A connection that is open or being made, shared by all calls that wait for it; `None` when it could not be
/// made.
type Connecting = Shared<BoxFuture<'static, Option<SendRequest<Body>>>>;

#[derive(Debug)]
pub(super) struct Replica {
    pub(super) addr: SocketAddr,
    authority: Authority,
    dial: Dial,
    /// The runtime that its connections live in, whichever task makes the first call.
    runtime: Handle,
    wires: Box<[Wire]>,
    /// Calls on all its connections that wait for the head of their answer.
    waiting: AtomicUsize,
    born: Instant,
    /// Milliseconds after `born` until which it is left out.
    left_out_until: AtomicU64,
    /// Failures since it last answered.
    failures: AtomicU32,
}

/// A slot for one connection.
#[derive(Debug, Default)]
struct Wire {
    link: Mutex<Option<Connecting>>,
    /// Calls on this connection that wait for the head of their answer.
    waiting: AtomicUsize,
}

/// Why a call got no answer.
pub(super) enum Failed {
    /// There is no connection, and none could be made. Nothing was sent.
    Unreachable(Box<Request<Body>>),
    /// The connection ended (the server is going, and said so) before the call was put on it. Nothing was
    /// sent.
    Unsent(Box<Request<Body>>),
    /// The connection broke. Whether the call was heard is not known.
    Broken(hyper::Error),
}

impl Replica {
    pub(super) fn new(addr: SocketAddr, authority: Authority, dial: Dial) -> Self {
        Self {
            addr,
            authority,
            dial,
            runtime: Handle::current(),
            wires: (0..LINKS).map(|_| Wire::default()).collect(),
            waiting: AtomicUsize::new(0),
            born: Instant::now(),
            left_out_until: AtomicU64::new(0),
            failures: AtomicU32::new(0),
        }
    }

    /// Sends a call and waits for the head of its answer.
    pub(super) async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, Failed> {
        let Some(wire) =
            self.wires.iter().find(|wire| wire.waiting.load(Ordering::Relaxed) < CALLS).or(self.wires.last())
        else {
            return Err(Failed::Unreachable(Box::new(request)));
        };
        let _waits = (Waits::new(&self.waiting), Waits::new(&wire.waiting));
        let Some(mut link) = self.link(wire).await else {
            return Err(Failed::Unreachable(Box::new(request)));
        };
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        (parts.scheme, parts.authority) = (Some(self.dial.scheme()), Some(self.authority.clone()));
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        match link.try_send_request(request).await {
            Ok(response) => Ok(response.map(Body::new)),
            Err(mut failed) => Err(match failed.take_message() {
                Some(unsent) => Failed::Unsent(Box::new(unsent)),
                None => Failed::Broken(failed.into_error()),
            }),
        }
    }

    /// The connection that is open or being made there, or else a new one.
    fn link(&self, wire: &Wire) -> Connecting {
        let mut link = wire.link.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = |link: &&Connecting| {
            link.peek().is_none_or(|made| made.as_ref().is_some_and(|open| !open.is_closed()))
        };
        if let Some(link) = link.as_ref().filter(usable) {
            return link.clone();
        }
        // In a task of its own, so that the connection is made even if the call that asked first is
        // cancelled.
        let making = self.runtime.spawn(connect(self.dial.clone(), self.addr, self.authority.clone()));
        link.insert(making.map(|made| made.ok().flatten()).boxed().shared()).clone()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether calls may be sent to it: it is not left out at this moment.
    pub(super) fn is_fit(&self) -> bool {
        self.left_out_until.load(Ordering::Relaxed) <= self.age()
    }

    /// Notes that it answered: earlier failures no longer count.
    pub(super) fn praise(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.left_out_until.store(0, Ordering::Relaxed);
    }

    /// Notes a failure: the replica is left out for a while.
    pub(super) fn leave_out(&self) {
        if !self.is_fit() {
            return; // One of several calls that failed together: one failure.
        }
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        let left_out = LEFT_OUT.longest(before.saturating_add(1));
        let until = self.age() + u64::try_from(left_out.as_millis()).unwrap_or(0);
        self.left_out_until.store(until, Ordering::Relaxed);
    }

    fn age(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

async fn connect(dial: Dial, addr: SocketAddr, authority: Authority) -> Option<SendRequest<Body>> {
    let making = async {
        let io = dial.connect(addr, &authority).await?;
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEPALIVE_EVERY)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        http2.keep_alive_while_idle(true).handshake(TokioIo::new(io)).await.map_err(std::io::Error::other)
    };
    match time::timeout(CONNECT_TIMEOUT, making).await {
        Ok(Ok((link, connection))) => {
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%addr, %error, "a connection ended");
                }
            });
            Some(link)
        }
        Ok(Err(error)) => {
            tracing::debug!(%addr, %error, "a replica could not be reached");
            None
        }
        Err(_late) => {
            tracing::debug!(%addr, "a replica could not be reached in time");
            None
        }
    }
}

/// Counts one waiting call until it is dropped.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
