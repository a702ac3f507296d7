//! What happens around every request: trace in and out, one log line, metrics, bounds, deadline, panics, and
//! writing problem documents. It is one layer, since each further layer would cost every poll some time.
//!
//! The log names the route's template and never the path, since paths contain tokens. A poll that succeeds is
//! logged at DEBUG, since there are thousands a second; every other request at INFO.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header},
    response::{IntoResponse, Response},
};
use boxoffice_proto::{Fault, Reason};
use chassis::{
    arrival::Arrivals,
    context::{Context, TRACEPARENT, TraceParent},
    host::has_one_host,
    meters::Meters,
    server::panic_text,
    trace::{Span, SpanKind},
};
use futures::FutureExt;
use metrics::Counter;
use tokio::time::Instant;
use tracing::Instrument;

use super::{
    operation::POLL,
    problem::{self, Problem},
};

/// How long a request may take until its answer begins. The answer of a stream begins at once.
const DEADLINE: Duration = Duration::from_secs(10);
/// The most requests in flight on a thread. At the planned load 22 are (11,000 polls a second of 2 ms each).
/// When there are this many, something behind the edge does not answer, and further requests would only wait.
const IN_FLIGHT: usize = 8_192;
/// Bounds of what a client may send before the body. The largest sensible requests need a tenth of them.
const PATH_LIMIT: usize = 8 * 1024;
const HEADER_LIMIT: usize = 16 * 1024;
const HEADER_COUNT: usize = 64;

/// What all requests of a thread share: its bounds and its meters.
#[derive(Clone)]
pub(super) struct Bounds {
    in_flight: Arc<AtomicUsize>,
    most: usize,
    /// Places for requests whose body has not arrived yet.
    arriving: Arc<Arrivals>,
    deadline: Duration,
    meters: Arc<Meters<(&'static str, StatusCode)>>,
}

/// Counts one request as in flight until it is dropped.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The counter of such answers.
pub(super) fn answers(method: &'static str, route: &str, status: StatusCode) -> Counter {
    let (route, status) = (route.to_owned(), status.as_str().to_owned());
    metrics::counter!("http_requests_total", "method" => method, "route" => route, "status" => status)
}

/// The label of a method. Methods that clients make up share one, since each label is a series that stays.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::CONNECT => "CONNECT",
        _ => "other",
    }
}

impl Bounds {
    pub(super) fn new() -> Self {
        Self {
            in_flight: Arc::default(),
            most: IN_FLIGHT,
            arriving: Arc::default(),
            deadline: DEADLINE,
            meters: Arc::default(),
        }
    }

    /// The same bounds for another thread, with counters of its own that no other processor writes.
    pub(super) fn apart(&self) -> Self {
        Self { most: self.most, deadline: self.deadline, ..Self::new() }
    }

    /// Counts one more request as in flight; `None` when there are too many.
    fn enter(&self) -> Option<InFlight<'_>> {
        let place = InFlight(&self.in_flight);
        // A request that is refused is counted for a moment, until `place` is dropped.
        (self.in_flight.fetch_add(1, Ordering::Relaxed) < self.most).then_some(place)
    }

    /// Waits for what the client of a request in flight has not sent yet. Meanwhile the request does not
    /// count as in flight, since incomplete requests must not keep out complete ones. `None` when too many
    /// requests are waiting like this.
    pub(super) async fn outside<T>(&self, sending: impl Future<Output = T>) -> Option<T> {
        struct Back<'a>(&'a AtomicUsize);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let _back = Back(&self.in_flight);
        self.arriving.arrived(sending).await
    }
}

/// Whether such a request is a probe, which must be answered above all when nothing else is.
pub(super) fn is_probe(method: &Method, route: &str) -> bool {
    matches!(route, "/healthz" | "/readyz" | "/metrics") && matches!(*method, Method::GET | Method::HEAD)
}

/// What [`around`] needs to know of a request.
pub(super) struct Asked<'a> {
    method: &'a Method,
    uri: &'a Uri,
    route: &'a str,
    purpose: Purpose,
    context: Context,
    began: Instant,
    /// What a collector of traces is told of it.
    traced: Span,
    /// The refusal of a request that is not handled at all.
    absurd: Option<Problem>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Poll,
    Probe,
    Other,
}

impl<'a> Asked<'a> {
    pub(super) fn new(
        method: &'a Method,
        uri: &'a Uri,
        version: Version,
        route: &'a str,
        headers: &HeaderMap,
        bounds: &Bounds,
    ) -> Self {
        let began = Instant::now();
        let context =
            Context { deadline: began + bounds.deadline, ..Context::from_headers(headers, bounds.deadline) };
        let purpose = match route {
            POLL if method == Method::GET => Purpose::Poll,
            route if is_probe(method, route) => Purpose::Probe,
            _ => Purpose::Other,
        };
        let traced = traced(context.trace.clone(), method, uri, route, version, headers);
        Self { method, uri, route, purpose, context, began, traced, absurd: absurd(uri, version, headers) }
    }

    fn span(&self) -> tracing::Span {
        let Self { method, route, context: Context { trace, .. }, .. } = self;
        tracing::info_span!("http", %method, route, trace_id = trace.trace_id(), span_id = trace.span_id())
    }

    /// The span of a request; that of a poll is made only where DEBUG is on.
    fn span_if_told(&self) -> tracing::Span {
        let Self { method, route, context: Context { trace, .. }, .. } = self;
        match self.purpose {
            Purpose::Poll => {
                tracing::debug_span!("http", %method, route, trace_id = trace.trace_id(), span_id = trace.span_id())
            }
            Purpose::Probe | Purpose::Other => self.span(),
        }
    }
}

/// Begins the span of a request, by the conventions for HTTP servers. The path is the route's template: a
/// path as it came may hold a place in line, which is for its user alone.
fn traced(
    trace: TraceParent,
    method: &Method,
    uri: &Uri,
    route: &str,
    version: Version,
    headers: &HeaderMap,
) -> Span {
    let label = match method_label(method) {
        "other" => "_OTHER",
        known => known,
    };
    let mut span = Span::begin(trace, SpanKind::Server, || match label {
        "_OTHER" => format!("HTTP {route}").into(),
        known => format!("{known} {route}").into(),
    });
    if span.is_recorded() {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        span.set("http.request.method", || label);
        span.set("http.route", || route.to_owned());
        span.set("url.path", || route.to_owned());
        span.set("url.scheme", || uri.scheme_str().unwrap_or("http").to_owned());
        span.set("network.protocol.version", || if version == Version::HTTP_2 { "2" } else { "1.1" });
        for (attribute, name) in
            [("server.address", header::HOST), ("user_agent.original", header::USER_AGENT)]
        {
            if let Some(value) = text(name) {
                span.set(attribute, || value);
            }
        }
    }
    span
}

/// Does it for a request of the router, whose handler is `work`.
pub(super) async fn observe<F: Future<Output = Response>>(
    bounds: Bounds,
    mut request: Request,
    work: impl FnOnce(Request) -> F,
) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let asked = Asked::new(&method, &uri, request.version(), route, request.headers(), &bounds);
    request.extensions_mut().insert(bounds.clone());
    around(&bounds, asked, work(request)).await
}

/// Does what every request needs besides its handler, which is `work`.
pub(super) async fn around(
    bounds: &Bounds,
    mut asked: Asked<'_>,
    work: impl Future<Output = Response>,
) -> Response {
    let span = asked.span_if_told();
    let absurd = asked.absurd.take();
    let answering = asked.context.clone().scope(answer(bounds, &asked, absurd, work));
    let mut response = answering.instrument(span.clone()).await;
    let mut code = None;
    let mut traced = std::mem::take(&mut asked.traced);
    let Asked { method, uri, route, purpose, ref context, began, .. } = asked;
    let problem = match problem::of(&mut response) {
        // A probe's 503 is an answer, and stays as it is.
        None if purpose != Purpose::Probe && is_error(response.status()) => {
            Some(problem::made_of(&mut response).instrument(span.clone()).await)
        }
        told => told,
    };
    if let Some(problem) = problem {
        code = Some(problem.code());
        response = problem::render(&problem, uri.path(), &context.trace.trace_id(), response);
    }
    finish_headers(response.headers_mut(), &context.trace);

    let (status, took) = (response.status(), began.elapsed());
    traced.set("http.response.status_code", || i64::from(status.as_u16()));
    if status.is_server_error() {
        traced.fail(|| status.as_str().to_owned());
    }
    drop(traced);
    let label = method_label(method);
    bounds.meters.record(route, (label, status), took, || {
        let seconds =
            metrics::histogram!("http_request_seconds", "method" => label, "route" => route.to_owned());
        (answers(label, route, status), seconds)
    });
    // A poll that failed is logged like any other request.
    let span = if purpose == Purpose::Poll && code.is_some() { asked.span() } else { span };
    let (status, duration_ms) = (status.as_u16(), took.as_secs_f64() * 1_000.0);
    span.in_scope(|| match code {
        None if purpose == Purpose::Other => tracing::info!(status, duration_ms, "answered"),
        None => tracing::debug!(status, duration_ms, "answered"),
        Some(code) if status >= 500 => tracing::warn!(status, duration_ms, code, "failed"),
        Some(code) => tracing::info!(status, duration_ms, code, "refused"),
    });
    response
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// The handler's answer, or the problem because of which there is none.
async fn answer(
    bounds: &Bounds,
    asked: &Asked<'_>,
    absurd: Option<Problem>,
    work: impl Future<Output = Response>,
) -> Response {
    if let Some(problem) = absurd {
        return problem.into_response();
    }
    // Probes have no bound: they must be answered above all when nothing else is.
    let place = if asked.purpose == Purpose::Probe { None } else { bounds.enter() };
    if place.is_none() && asked.purpose != Purpose::Probe {
        let fault = Fault::new(Reason::Unavailable, "The server has as much to do as it can at this moment.");
        return Problem::from(fault.retry_after(Duration::from_secs(1))).into_response();
    }
    match tokio::time::timeout_at(asked.context.deadline, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            metrics::counter!("http_panics_total").increment(1);
            Problem::internal(format_args!("a handler panicked: {}", panic_text(panic.as_ref())))
                .into_response()
        }
        Err(_elapsed) => {
            let detail = "The answer took longer than 10 seconds. What was asked for may have happened: \
                          repeat it with the same Idempotency-Key.";
            Problem::from(Fault::new(Reason::DeadlineExceeded, detail)).into_response()
        }
    }
}

/// The refusal of an address or of headers that no client of this API has a reason to send.
fn absurd(uri: &Uri, version: Version, headers: &HeaderMap) -> Option<Problem> {
    let address = uri.path().len() + uri.query().map_or(0, str::len);
    if address > PATH_LIMIT {
        return Some(Problem::http(StatusCode::URI_TOO_LONG, "The address must not be longer than 8 KiB."));
    }
    if !has_one_host(version, headers) {
        return Some(Problem::field("Host", "must be sent once, as host[:port]"));
    }
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    (size > HEADER_LIMIT || headers.len() > HEADER_COUNT).then(|| {
        Problem::http(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "Send at most 64 headers of at most 16 KiB together.",
        )
    })
}

/// Adds `no-store` where the handler has declared nothing about caching, and the trace, unless the answer may
/// be cached for other clients.
fn finish_headers(headers: &mut HeaderMap, trace: &TraceParent) {
    let kept = headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if !kept.as_bytes().starts_with(b"public") {
        headers.insert(TRACEPARENT, trace.header());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use axum::{Router, body::Body, extract::State, middleware::Next, routing::get};
    use tower::ServiceExt;

    use super::*;

    async fn answered(router: Router, bounds: Bounds) -> (StatusCode, serde_json::Value) {
        let around = |State(bounds): State<Bounds>, request: Request, next: Next| {
            observe(bounds, request, |request| next.run(request))
        };
        let router = router.layer(axum::middleware::from_fn_with_state(bounds, around));
        let request = Request::builder().uri("/x").header("host", "x").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert!(response.headers().contains_key(TRACEPARENT));
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn broken() -> StatusCode {
        panic!("hunter2")
    }

    async fn failed() -> (StatusCode, &'static str) {
        (StatusCode::INTERNAL_SERVER_ERROR, "Missing request extension: hunter2")
    }

    /// A log to be read.
    #[derive(Clone, Default)]
    struct Log(Arc<parking_lot::Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_failure_of_ours_is_a_500_that_shows_nothing_and_its_cause_is_logged_with_the_trace() {
        // For the whole process: what one thread's subscriber is told depends on who met a line of the code
        // first, and other tests meet these at the same time.
        let log = Log::default();
        let written = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_writer(move || written.clone()).with_ansi(false).finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        for route in [get(broken), get(failed)] {
            let (status, body) = answered(Router::new().route("/x", route), Bounds::new()).await;
            assert_eq!((status.as_u16(), &body["code"]), (500, &"INTERNAL".into()));
            assert!(!body.to_string().contains("hunter2"));
            let (trace, log) =
                (body["traceId"].as_str().unwrap(), String::from_utf8(log.0.lock().clone()).unwrap());
            let cause =
                |line: &str| [trace, "ERROR", "alert=true", "hunter2"].iter().all(|word| line.contains(word));
            assert!(log.lines().any(cause), "{log}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_stays_out_is_a_504() {
        let slow = get(|| tokio::time::sleep(Duration::from_secs(60)));
        let (status, body) = answered(
            Router::new().route("/x", slow),
            Bounds { deadline: Duration::from_millis(50), ..Bounds::new() },
        )
        .await;
        assert_eq!((status.as_u16(), &body["code"]), (504, &"DEADLINE_EXCEEDED".into()));
    }

    #[tokio::test]
    async fn what_waits_for_its_body_takes_no_place() {
        let bounds = Bounds { most: 1, ..Bounds::new() };
        let half = bounds.enter().unwrap();
        assert!(bounds.enter().is_none());
        let mut waits = Box::pin(bounds.outside(std::future::pending::<()>()));
        assert!(waits.as_mut().now_or_never().is_none());
        let other = bounds.enter().unwrap();
        // Also one that goes away in the middle gives back no more than its own.
        drop((waits, half));
        assert!(bounds.enter().is_none());
        drop(other);
        assert!(bounds.enter().is_some());
    }

    #[tokio::test]
    async fn what_is_too_much_is_refused_at_once() {
        let (status, body) = answered(Router::new(), Bounds { most: 0, ..Bounds::new() }).await;
        assert_eq!((status.as_u16(), &body["code"]), (503, &"UNAVAILABLE".into()));
    }
}
