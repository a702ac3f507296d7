//! Serving gRPC: health, reflection, and what every call gets: a trace, a deadline, one log line, measures, and a bounded share.

use std::{
    any::Any,
    collections::HashMap,
    convert::Infallible,
    io,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context as Poll_, Poll},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use tokio::{net::TcpListener, sync::Semaphore, time};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    body::Body,
    server::NamedService,
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::server::{HealthReporter, health_reporter};
use tonic_types::{ErrorDetails, StatusExt};
use tower::{Layer, Service};
use tracing::Instrument;

use crate::{
    channel::grpc_status,
    context::Context,
    health::{Health, State},
    lifecycle,
};

/// Until when a call is answered whose caller set no deadline, and the most that any caller gets.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls in flight at once; beyond it a call is refused rather than queued without end.
const MAX_IN_FLIGHT: usize = 8_192;
/// When to ask again where the server itself refused for the moment.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// What answers need to leave, and streams to end, once no call is in flight.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// Silent connections are asked whether they live.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// A gRPC server of one or more services.
#[derive(Debug)]
pub struct GrpcServer {
    name: &'static str,
    domain: &'static str,
    descriptors: &'static [u8],
    health: Health,
    routes: Routes,
    services: Vec<&'static str>,
}

impl GrpcServer {
    /// A server that as yet serves only its health; `descriptors` is the encoded file descriptor set for reflection.
    #[must_use]
    pub fn new(name: &'static str, descriptors: &'static [u8], health: Health) -> Self {
        Self { name, domain: name, descriptors, health, routes: Routes::default(), services: Vec::new() }
    }

    /// The `domain` of the `ErrorInfo` that refusals of the server itself carry; its name unless told.
    #[must_use]
    pub const fn error_domain(mut self, domain: &'static str) -> Self {
        self.domain = domain;
        self
    }

    /// Adds a service.
    #[must_use]
    pub fn add_service<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        self.services.push(S::NAME);
        self.routes = self.routes.add_service(service);
        self
    }

    /// Serves until the shutdown, then finishes what is in flight, bounded by [`lifecycle::SERVER_DRAIN`].
    ///
    /// # Errors
    /// The listener failed, or the descriptors make no sense.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
        let (reporter, health_service) = health_reporter();
        tokio::spawn(report(reporter, self.services.clone(), self.health.clone()));
        let reflection = || {
            let builder = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(self.descriptors)
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
            let builder = builder.with_service_name("grpc.health.v1.Health");
            self.services.iter().fold(builder, |builder, name| builder.with_service_name(*name))
        };
        let routes = self
            .routes
            .add_service(health_service)
            .add_service(reflection().build_v1().map_err(io::Error::other)?)
            .add_service(reflection().build_v1alpha().map_err(io::Error::other)?);

        let share = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        let calls = CallLayer { server: self.name, domain: self.domain, share: Arc::clone(&share) };
        // The builder's own `tcp_nodelay` does not reach a listener that is handed in: answers would wait 40 ms for an ACK.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let serving = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .layer(calls)
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned());
        // A peer that never spoke, or does not hear that it should go, is waited for only while there are calls.
        let too_long = async {
            shutdown.cancelled().await;
            let last = time::Instant::now() + lifecycle::SERVER_DRAIN;
            while time::Instant::now() < last {
                time::sleep(LAST_ANSWERS).await;
                if share.available_permits() == MAX_IN_FLIGHT {
                    return;
                }
            }
        };
        tokio::select! {
            ended = serving => ended.map_err(io::Error::other),
            () = too_long => Ok(()),
        }
    }
}

/// Tells `grpc.health.v1` what [`Health`] says, for the server as a whole ("") and for each service.
async fn report(reporter: HealthReporter, services: Vec<&'static str>, health: Health) {
    let mut changes = health.changes();
    loop {
        let serving = match *changes.borrow_and_update() {
            State::Ready => tonic_health::ServingStatus::Serving,
            State::Starting | State::Failing | State::Draining => tonic_health::ServingStatus::NotServing,
        };
        for name in services.iter().copied().chain([""]) {
            reporter.set_service_status(name, serving).await;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

#[derive(Clone)]
struct CallLayer {
    server: &'static str,
    domain: &'static str,
    share: Arc<Semaphore>,
}

#[derive(Clone)]
struct Calls<S> {
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
        let Ok(permit) = Arc::clone(&self.layer.share).try_acquire_owned() else {
            metrics::counter!("grpc_shed_total", "server" => self.layer.server).increment(1);
            let refusal = explained(Status::unavailable("too many calls in flight"), self.layer.domain);
            return Box::pin(async { Ok(refusal.into_http()) });
        };
        let context = Context::from_headers(request.headers(), DEFAULT_TIMEOUT);
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let CallLayer { server, domain, .. } = self.layer;
        let trace_id = context.trace.trace_id();
        let span = if comes_often(&method) {
            tracing::debug_span!("grpc", server, method, trace_id)
        } else {
            tracing::info_span!("grpc", server, method, trace_id)
        };
        // The clone takes the place of the service that was polled ready.
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        let answering = async move {
            let began = time::Instant::now();
            let call = AssertUnwindSafe(context.scope(ready.call(request))).catch_unwind();
            let response = match time::timeout_at(context.deadline, call).await {
                Ok(Ok(answer)) => answer?,
                Ok(Err(panic)) => panicked(panic.as_ref()),
                Err(_late) => Status::deadline_exceeded("the answer took longer than the caller would wait").into_http(),
            };
            let response = match Status::from_header_map(response.headers()) {
                Some(bare) if bare.code() != Code::Ok && bare.details().is_empty() => explained(bare, domain).into_http(),
                _ => response,
            };
            finished(server, &method, grpc_status(&response).unwrap_or(Code::Ok), began.elapsed());
            drop(permit);
            Ok(response)
        };
        Box::pin(answering.instrument(span))
    }
}

/// Gives a refusal that comes from the server itself (no such method, a late answer, a malformed message) the `ErrorInfo` that every
/// error carries.
fn explained(bare: Status, domain: &'static str) -> Status {
    // tonic answers INTERNAL to a message that is no protobuf of the right kind; that is the caller's mistake, not ours.
    let decoding = ["failed to decode", "protocol error", "Unexpected EOF decoding"];
    let malformed = bare.code() == Code::Internal && decoding.iter().any(|words| bare.message().starts_with(words));
    let code = if malformed { Code::InvalidArgument } else { bare.code() };
    let mut details = ErrorDetails::with_error_info(word(code), domain, HashMap::new());
    if matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted) {
        details.set_retry_info(Some(RETRY_AFTER));
    }
    Status::with_error_details(code, bare.message(), details)
}

/// The code as it is written in the specification.
const fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Response<Body> {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(alert = true, "a handler panicked: {}", said.unwrap_or("without a text"));
    Status::internal("something went wrong that should not").into_http()
}

/// Probes and polls come by the thousand and say nothing new: they are logged at debug.
fn comes_often(method: &str) -> bool {
    matches!(method, "BatchGetTokens" | "Check" | "Watch")
}

/// The one log line of a call, and its measures.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other code is an ordinary answer")]
fn finished(server: &'static str, method: &str, code: Code, took: Duration) {
    let millis = took.as_secs_f64() * 1e3;
    match code {
        Code::Internal | Code::Unknown | Code::DataLoss => tracing::error!(?code, millis, "failed"),
        Code::Unavailable | Code::DeadlineExceeded => tracing::warn!(?code, millis, "unavailable"),
        Code::Ok if comes_often(method) => tracing::debug!(?code, millis, "answered"),
        _ => tracing::info!(?code, millis, "answered"),
    }
    // A caller may make names up, and each would be a series for good.
    let method = if code == Code::Unimplemented { "unknown" } else { method };
    let labels = [("server", server.to_owned()), ("method", method.to_owned()), ("code", format!("{code:?}"))];
    metrics::counter!("grpc_requests_total", &labels).increment(1);
    metrics::histogram!("grpc_request_seconds", "server" => server).record(took);
}
