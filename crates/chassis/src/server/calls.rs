//! What every call gets: a trace, a deadline, one log line, measures, a bounded share of the server; and
//! refusals that explain themselves.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context as Poll_, Poll},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use tokio::{sync::Semaphore, time};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument;

use super::{
    message::{self, Guard},
    meters::Meters,
    refusal::{no_grpc, panic_text, told},
};
use crate::{arrival, channel::grpc_status, context::Context};

/// Until when a call is answered whose caller set no deadline, and the most that any caller gets.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls in flight at once; beyond it a call is refused rather than queued without end.
const MAX_IN_FLIGHT: u32 = 8_192;
/// The longest method name that is written into logs and measures; ours have at most half of it.
const METHOD_LENGTH: usize = 48;
/// Stands for a method that is not ours.
const UNKNOWN: &str = "unknown";

/// The layer for the calls of one kind of caller; clones share what is bounded.
#[derive(Clone)]
pub(super) struct CallLayer(Arc<Bounds>);

struct Bounds {
    server: &'static str,
    domain: &'static str,
    /// A permit a call; without one left a call is refused.
    share: Semaphore,
    /// Places for calls from outside whose message has yet to come; a caller inside the process has it at
    /// hand.
    arriving: Option<Semaphore>,
    /// Who may make which call; without one, as for callers inside the process, everybody may.
    guard: Option<Guard>,
    meters: Meters,
}

impl CallLayer {
    /// For calls that come in over connections.
    pub(super) fn outside(
        server: &'static str,
        domain: &'static str,
        meters: Meters,
        guard: Option<Guard>,
    ) -> Self {
        Self::new(server, domain, meters, Some(Semaphore::new(arrival::PLACES)), guard)
    }

    /// For calls from within the process, which no crowd at the door keeps out.
    pub(super) fn inside(server: &'static str, domain: &'static str, meters: Meters) -> Self {
        Self::new(server, domain, meters, None, None)
    }

    fn new(
        server: &'static str,
        domain: &'static str,
        meters: Meters,
        arriving: Option<Semaphore>,
        guard: Option<Guard>,
    ) -> Self {
        let share = Semaphore::new(MAX_IN_FLIGHT as usize);
        Self(Arc::new(Bounds { server, domain, share, arriving, guard, meters }))
    }

    /// Is no call in flight?
    pub(super) fn is_idle(&self) -> bool {
        self.0.share.available_permits() == MAX_IN_FLIGHT as usize
    }

    /// Waits until no call is in flight.
    pub(super) async fn idle(&self) {
        let _all = self.0.share.acquire_many(MAX_IN_FLIGHT).await;
    }
}

#[derive(Clone)]
pub(super) struct Calls<S> {
    inner: S,
    layer: CallLayer,
}

impl<S> Layer<S> for CallLayer {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls { inner, layer: self.clone() }
    }
}

impl<S> Service<Request<Body>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Poll_<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let bounds = Arc::clone(&self.layer.0);
        let context = Context::from_headers(request.headers(), DEFAULT_TIMEOUT);
        // The clone takes the place of the service that was polled ready.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let request = match &bounds.arriving {
                None => request,
                Some(places) => {
                    if let Some(refused) = no_grpc(request.headers()) {
                        bounds.turn_away("no gRPC");
                        return Ok(refused);
                    }
                    match message::first(request, places, context.deadline, bounds.guard.as_ref()).await {
                        Ok(request) => request,
                        Err(status) => {
                            let refused =
                                matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied);
                            bounds.turn_away(if refused { "not allowed" } else { "no message" });
                            return Ok(told(status.into_http(), bounds.domain));
                        }
                    }
                }
            };
            let Ok(_permit) = bounds.share.try_acquire() else {
                bounds.turn_away("too many");
                return Ok(told(Status::unavailable("too many calls in flight").into_http(), bounds.domain));
            };
            bounds.answer(ready, request, context).await
        })
    }
}

impl Bounds {
    /// A call is refused that is not even looked at. There may be any number of them: they are counted, not
    /// logged.
    fn turn_away(&self, why: &'static str) {
        metrics::counter!("grpc_shed_total", "server" => self.server, "why" => why).increment(1);
    }

    async fn answer<S>(
        &self,
        mut ready: S,
        request: Request<Body>,
        context: Context,
    ) -> Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let Self { server, domain, .. } = *self;
        let method = method(request.uri().path()).to_owned();
        let trace = context.trace;
        let span = if comes_often(&method) {
            tracing::debug_span!(
                "grpc",
                server,
                method,
                trace_id = trace.trace_id(),
                span_id = trace.span_id()
            )
        } else {
            tracing::info_span!(
                "grpc",
                server,
                method,
                trace_id = trace.trace_id(),
                span_id = trace.span_id()
            )
        };
        let answering = async move {
            let began = time::Instant::now();
            let call = AssertUnwindSafe(context.scope(ready.call(request))).catch_unwind();
            let response = match time::timeout_at(context.deadline, call).await {
                Ok(Ok(answer)) => answer?,
                Ok(Err(panic)) => {
                    Status::internal(format!("a handler panicked: {}", panic_text(panic.as_ref())))
                        .into_http()
                }
                Err(_late) => {
                    Status::deadline_exceeded("the answer took longer than the caller would wait").into_http()
                }
            };
            let response = told(response, domain);
            finished(&self.meters, &method, grpc_status(&response).unwrap_or(Code::Ok), began.elapsed());
            Ok(response)
        };
        answering.instrument(span).await
    }
}

/// The method's name as logs show it. The path is whatever the caller wrote; what cannot be a name of ours is
/// not repeated.
fn method(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let plain = (1..=METHOD_LENGTH).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if plain { name } else { UNKNOWN }
}

/// Probes and polls come by the thousand and say nothing new: they are logged at debug.
fn comes_often(method: &str) -> bool {
    matches!(method, "BatchGetTokens" | "Check" | "Watch")
}

/// The one log line of a call, and its measures.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other code is an ordinary answer")]
fn finished(meters: &Meters, method: &str, code: Code, took: Duration) {
    let duration_ms = took.as_secs_f64() * 1e3;
    match code {
        Code::Internal | Code::Unknown | Code::DataLoss => tracing::error!(?code, duration_ms, "failed"),
        Code::Unavailable | Code::DeadlineExceeded => tracing::warn!(?code, duration_ms, "unavailable"),
        Code::Ok if comes_often(method) => tracing::debug!(?code, duration_ms, "answered"),
        _ => tracing::info!(?code, duration_ms, "answered"),
    }
    // A caller may make names up, and each would be a series for good.
    let method = if code == Code::Unimplemented { UNKNOWN } else { method };
    meters.record(method, code, took);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nobody_gave_a_method_is_not_repeated() {
        assert_eq!(method("/boxoffice.queue.v1.QueueService/BatchGetTokens"), "BatchGetTokens");
        assert_eq!(method("/grpc.health.v1.Health/Check"), "Check");
        for made_up in
            ["", "/", "/a/", "/a/b c", "/a/%0a", "/a/\u{1b}[31m", &format!("/a/{}", "x".repeat(49))]
        {
            assert_eq!(method(made_up), UNKNOWN, "{made_up}");
        }
    }
}
