//! What every call gets: a trace, a deadline, one log line, metrics and a bounded share of the server; and
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
    refusal::{no_grpc, panic_text, told},
};
use crate::{
    arrival::Arrivals,
    channel::grpc_status,
    context::Context,
    meters::Meters,
    trace::{Span, SpanKind},
};

/// The deadline of a call whose caller set none, and the longest that any caller gets.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The most calls in flight; further calls are refused at once instead of queued without end.
const MAX_IN_FLIGHT: u32 = 8_192;
/// The longest method name in logs and metrics; ours have at most half of it.
const METHOD_LENGTH: usize = 48;
/// Stands for the name of a method that does not exist here.
const UNKNOWN: &str = "unknown";

/// The layer for the calls of one kind of caller. Clones share the bounds.
#[derive(Clone)]
pub(super) struct CallLayer(Arc<Bounds>);

struct Bounds {
    identity: Identity,
    /// One permit a call in flight; a call that gets none is refused.
    share: Semaphore,
    /// Places for calls from outside whose first message has not come yet; `None` for callers inside the
    /// process, who have it at hand.
    arriving: Option<Arrivals>,
    /// Who may make which call; without one, as for callers inside the process, everybody may.
    guard: Option<Guard>,
    meters: Arc<Meters<Code>>,
}

/// What a server is called, and what is peculiar to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    /// The name in logs and metrics.
    pub(super) name: &'static str,
    /// The `domain` of the `ErrorInfo` in refusals that the server itself makes.
    pub(super) domain: &'static str,
    /// Methods that are called by the thousand: see [`super::GrpcServer::frequent`].
    pub(super) frequent: &'static [&'static str],
}

impl Identity {
    /// Whether the calls of a method are logged at DEBUG; so are those of the health service, which every
    /// orchestrator and client calls again and again.
    fn is_frequent(&self, method: &str) -> bool {
        matches!(method, "Check" | "Watch") || self.frequent.contains(&method)
    }
}

impl CallLayer {
    /// The layer for calls over connections.
    pub(super) fn outside(identity: Identity, meters: Arc<Meters<Code>>, guard: Option<Guard>) -> Self {
        Self::new(identity, meters, Some(Arrivals::default()), guard)
    }

    /// The layer for calls from within the process, which outside calls cannot keep out.
    pub(super) fn inside(identity: Identity, meters: Arc<Meters<Code>>) -> Self {
        Self::new(identity, meters, None, None)
    }

    fn new(
        identity: Identity,
        meters: Arc<Meters<Code>>,
        arriving: Option<Arrivals>,
        guard: Option<Guard>,
    ) -> Self {
        let share = Semaphore::new(MAX_IN_FLIGHT as usize);
        Self(Arc::new(Bounds { identity, share, arriving, guard, meters }))
    }

    /// Whether no call is in flight.
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
        // The service that was polled ready is used; a clone of it takes its place.
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
                            return Ok(told(status.into_http(), bounds.identity.domain));
                        }
                    }
                }
            };
            let Ok(_permit) = bounds.share.try_acquire() else {
                bounds.turn_away("too many");
                return Ok(told(
                    Status::unavailable("too many calls in flight").into_http(),
                    bounds.identity.domain,
                ));
            };
            bounds.answer(ready, request, context).await
        })
    }
}

impl Bounds {
    /// Counts a call that is refused before it is looked at. It is not logged, because there may be any
    /// number of them.
    fn turn_away(&self, why: &'static str) {
        metrics::counter!("grpc_shed_total", "server" => self.identity.name, "why" => why).increment(1);
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
        let Identity { name: server, domain, .. } = self.identity;
        let path = request.uri().path();
        let method = method(path).to_owned();
        let mut told_of = Span::begin(context.trace.clone(), SpanKind::Server, || full_name(path).into());
        told_of.set("rpc.system.name", || "grpc");
        told_of.set("rpc.method", || full_name(path));
        let frequent = self.identity.is_frequent(&method);
        let (trace, deadline) = (&context.trace, context.deadline);
        macro_rules! span {
            ($of_level:ident) => {
                tracing::$of_level!(
                    "grpc",
                    server,
                    method,
                    trace_id = trace.trace_id(),
                    span_id = trace.span_id()
                )
            };
        }
        let span = if frequent { span!(debug_span) } else { span!(info_span) };
        let answering = async move {
            let began = time::Instant::now();
            let call = AssertUnwindSafe(context.scope(ready.call(request))).catch_unwind();
            let response = match time::timeout_at(deadline, call).await {
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
            let code = grpc_status(&response).unwrap_or(Code::Ok);
            told_of.answered(code);
            self.finished(&method, frequent, code, began.elapsed());
            Ok(response)
        };
        answering.instrument(span).await
    }

    /// Writes the one log line of a call, and its metrics.
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other code is an ordinary answer")]
    fn finished(&self, method: &str, frequent: bool, code: Code, took: Duration) {
        let duration_ms = took.as_secs_f64() * 1e3;
        match code {
            Code::Internal | Code::Unknown | Code::DataLoss => {
                tracing::error!(?code, duration_ms, "failed");
            }
            Code::Unavailable | Code::DeadlineExceeded => tracing::warn!(?code, duration_ms, "unavailable"),
            Code::Ok if frequent => tracing::debug!(?code, duration_ms, "answered"),
            _ => tracing::info!(?code, duration_ms, "answered"),
        }
        // A caller may make names up, and each would be a series for as long as the process runs.
        let method = if code == Code::Unimplemented { UNKNOWN } else { method };
        self.meters.record(method, code, took, || {
            let (server, method, code) = (self.identity.name, method.to_owned(), format!("{code:?}"));
            let seconds = metrics::histogram!("grpc_request_seconds", "server" => server, "method" => method.clone());
            (metrics::counter!("grpc_requests_total", "server" => server, "method" => method, "code" => code), seconds)
        });
    }
}

/// The name of the method as logs show it. The path is whatever the caller wrote; what cannot be the name of
/// a method here is not repeated.
fn method(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let plain = (1..=METHOD_LENGTH).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if plain { name } else { UNKNOWN }
}

/// The name of the method with that of its service, as traces show it.
fn full_name(path: &str) -> String {
    let known = method(path) != UNKNOWN && path.len() <= 3 * METHOD_LENGTH;
    let plain = known && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"./_".contains(&b));
    if plain { path.trim_start_matches('/').to_owned() } else { "_OTHER".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nobody_gave_a_method_is_not_repeated() {
        assert_eq!(method("/toy.v1.ToyService/GetToy"), "GetToy");
        assert_eq!(method("/grpc.health.v1.Health/Check"), "Check");
        assert_eq!(full_name("/toy.v1.ToyService/GetToy"), "toy.v1.ToyService/GetToy");
        for made_up in
            ["", "/", "/a/", "/a/b c", "/a/%0a", "/a/\u{1b}[31m", &format!("/a/{}", "x".repeat(49))]
        {
            assert_eq!((method(made_up), full_name(made_up)), (UNKNOWN, "_OTHER".to_owned()), "{made_up}");
        }
    }
}
