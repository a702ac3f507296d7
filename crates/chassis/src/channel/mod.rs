//! Calling another service: balanced over its replicas, with the caller's trace and deadline, and away from
//! replicas that fail.
//!
//! A call goes to the replica with the fewest calls waiting, in turn among equals; there is one connection to
//! each. Replicas are added and removed as the target's names are looked up (see `replicas`). One that fails
//! to take or to answer a call gets no calls for a moment.
//!
//! **A call that was not sent goes to another replica by itself**, whether or not it may be repeated: when no
//! connection could be made, or when the server had announced that it goes away (GOAWAY) before the call was
//! put on the connection. The HTTP/2 client hands such a call back whole, which it never does once a byte of
//! it was written. A call that was sent and not answered is never sent again here: its outcome is unknown,
//! the caller gets UNAVAILABLE or DEADLINE_EXCEEDED, and [`retry`] is for calls that may be repeated.

mod dial;
mod replica;
mod replicas;
mod retry;
mod target;

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context as Poll_, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{Request, Response, uri::Authority};
use tokio::time::{self, Instant};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status, body::Body};
use tower::{Service, ServiceExt as _};

use self::{
    replica::{Failed, Replica},
    replicas::Replicas,
};
pub use self::{retry::retry, target::Target};
use crate::{
    context::{Context, GRPC_TIMEOUT, TRACEPARENT, TraceParent, timeout_header},
    in_process::InProcess,
    trace::{Span, SpanKind},
    tracestate::{TRACESTATE, TraceState},
};

/// How long a call may take when its caller set no deadline.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one attempt of a call may take: a replica that hangs must leave time to ask another.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// How often one call may find that its connection has just ended, before the replica counts as unreachable.
const UNSENT: u32 = 3;

/// How long a call waits for a server of this process that is not open.
const OPENING: Duration = Duration::from_secs(2);

/// A client's way to all replicas of a service. Clones share connections.
#[derive(Clone, Debug)]
pub struct Channel(Arc<ChannelParts>);

#[derive(Debug)]
struct ChannelParts {
    in_process: InProcess,
    /// Whether there is no other way to the service than within the process.
    only_in_process: bool,
    replicas: Arc<Replicas>,
    /// The first of the target's addresses, by which traces name the service.
    authority: Option<Authority>,
    /// The task that looks the target's names up while a clone of the channel exists; `None` when the target
    /// has IP addresses only.
    _follower: Option<AbortOnDropHandle<()>>,
}

impl Channel {
    /// A channel that connects when it is first used. A task of the current runtime looks the target's names
    /// up from now on; the connections live in this runtime too.
    #[must_use]
    pub fn new(target: &Target) -> Self {
        let addresses: Option<Vec<_>> =
            target.endpoints.iter().map(|one| Some((one.address()?, one.authority.clone()))).collect();
        let replicas = Arc::new(Replicas::new(addresses.is_none()));
        let follower = match addresses {
            Some(addresses) => {
                replicas.learn(addresses.into_iter(), &target.dial);
                None
            }
            None => Some(AbortOnDropHandle::new(tokio::spawn(replicas::follow(
                target.clone(),
                Arc::clone(&replicas),
            )))),
        };
        Self(Arc::new(ChannelParts {
            in_process: target.in_process.clone(),
            only_in_process: target.endpoints.is_empty(),
            replicas,
            authority: target.endpoints.first().map(|one| one.authority.clone()),
            _follower: follower,
        }))
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Poll_<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let context = Context::current().unwrap_or_else(|| Context::fresh(DEFAULT_TIMEOUT));
        let time = context.remaining().min(ATTEMPT_TIMEOUT);
        let trace = context.trace.child();
        request.headers_mut().insert(TRACEPARENT, trace.header());
        if let Some(state) = trace.state().and_then(TraceState::header) {
            request.headers_mut().insert(TRACESTATE, state);
        }
        request.headers_mut().insert(GRPC_TIMEOUT, timeout_header(time));
        // The clone keeps the names followed while the call is on its way.
        let inner = Arc::clone(&self.0);
        let mut span = inner.span(trace, request.uri().path());
        Box::pin(async move {
            let answer = inner.ask(request, time).await.unwrap_or_else(Status::into_http);
            span.answered(grpc_status(&answer).unwrap_or(Code::Ok));
            Ok(answer)
        })
    }
}

impl ChannelParts {
    /// The span of a call; its path is one of ours.
    fn span(&self, trace: TraceParent, path: &str) -> Span {
        let method = || path.trim_start_matches('/').to_owned();
        let mut span = Span::begin(trace, SpanKind::Client, || method().into());
        span.set("rpc.system.name", || "grpc");
        span.set("rpc.method", method);
        if let Some(authority) = &self.authority {
            span.set("server.address", || authority.host().to_owned());
            if let Some(port) = authority.port_u16() {
                span.set("server.port", || i64::from(port));
            }
        }
        span
    }

    async fn ask(&self, request: Request<Body>, time: Duration) -> Result<Response<Body>, Status> {
        let until = Instant::now() + time;
        let server = match self.in_process.server() {
            Some(server) => server,
            None if self.only_in_process => {
                time::timeout(time.min(OPENING), self.in_process.opened()).await.map_err(|_| unreachable())?
            }
            None => return self.replicas.ask(request, time).await,
        };
        time::timeout_at(until, server.oneshot(request)).await.map(|Ok(answer)| answer).map_err(|_| late())
    }
}

impl Replicas {
    /// Sends a call to a replica, and on to another one as long as it was not sent.
    async fn ask(&self, mut request: Request<Body>, time: Duration) -> Result<Response<Body>, Status> {
        let until = Instant::now() + time;
        let mut all = time::timeout_at(until, self.all()).await.map_err(|_| late())?;
        let (mut tried, mut unsent) = (Vec::new(), 0);
        loop {
            let Some(replica) = self.pick(&all, &tried) else {
                self.look_again();
                match time::timeout_at(until, self.beside(&tried)).await {
                    Ok(Some(moved)) => all = moved,
                    Ok(None) | Err(_) => return Err(unreachable()),
                }
                continue;
            };
            let Ok(answer) = time::timeout_at(until, replica.send(request)).await else {
                // With less time than a whole attempt, the lateness may be due to the caller and not to the
                // replica.
                if time == ATTEMPT_TIMEOUT {
                    replica.leave_out();
                }
                return Err(late());
            };
            match answer {
                Ok(response) => return Ok(judged(replica, response)),
                Err(Failed::Unsent(back)) if unsent < UNSENT => {
                    unsent += 1;
                    request = *back;
                }
                Err(Failed::Unsent(back) | Failed::Unreachable(back)) => {
                    replica.leave_out();
                    self.look_again();
                    tried.push(replica.addr);
                    request = *back;
                }
                Err(Failed::Broken(error)) => {
                    tracing::debug!(addr = %replica.addr, %error, "a connection broke under a call");
                    replica.leave_out();
                    self.look_again();
                    return Err(Status::unavailable("the connection to the service broke"));
                }
            }
        }
    }
}

fn unreachable() -> Status {
    Status::unavailable("the service could not be reached")
}

fn late() -> Status {
    Status::deadline_exceeded("the service did not answer in time")
}

/// Notes what an answer says about its replica: UNAVAILABLE leaves the replica out, any other answer shows
/// that it works.
fn judged(replica: &Replica, response: Response<Body>) -> Response<Body> {
    if grpc_status(&response) == Some(Code::Unavailable) {
        replica.leave_out();
    } else {
        replica.praise();
    }
    response
}

/// The gRPC status of an answer without messages; `None` when the status follows later, behind the messages.
pub(crate) fn grpc_status<B>(response: &Response<B>) -> Option<Code> {
    response.headers().get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
}
