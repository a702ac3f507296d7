//! What every call gets: a trace, a deadline, one log line, measures, a bounded share of the server; and refusals that explain themselves.

use std::{
    any::Any,
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context as Poll_, Poll},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use tokio::{sync::Semaphore, time};
use tonic::{Code, Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt};
use tower::{Layer, Service};
use tracing::Instrument;

use super::meters::Meters;
use crate::{channel::grpc_status, context::Context};

/// Until when a call is answered whose caller set no deadline, and the most that any caller gets.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// When to ask again where the server itself refused for the moment.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The longest method name that is written into logs and measures; ours have at most half of it.
const METHOD_LENGTH: usize = 48;
/// What the caller is told of a mistake of ours.
const SHOULD_NOT: &str = "something went wrong that should not";
/// Stands for a method that is not ours.
const UNKNOWN: &str = "unknown";

#[derive(Clone)]
pub(super) struct CallLayer {
    pub(super) server: &'static str,
    pub(super) domain: &'static str,
    /// A permit a call; without one left a call is refused.
    pub(super) share: Arc<Semaphore>,
    pub(super) meters: Meters,
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
        let Ok(permit) = Arc::clone(&self.layer.share).try_acquire_owned() else {
            metrics::counter!("grpc_shed_total", "server" => self.layer.server).increment(1);
            let refusal = explained(Status::unavailable("too many calls in flight"), self.layer.domain);
            return Box::pin(async { Ok(refusal.into_http()) });
        };
        let context = Context::from_headers(request.headers(), DEFAULT_TIMEOUT);
        let method = method(request.uri().path()).to_owned();
        let CallLayer { server, domain, .. } = self.layer;
        let meters = self.layer.meters.clone();
        let trace = context.trace;
        let span = if comes_often(&method) {
            tracing::debug_span!("grpc", server, method, trace_id = trace.trace_id())
        } else {
            tracing::info_span!("grpc", server, method, trace_id = trace.trace_id())
        };
        // The clone takes the place of the service that was polled ready.
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        let answering = async move {
            let began = time::Instant::now();
            let call = AssertUnwindSafe(context.scope(ready.call(request))).catch_unwind();
            let response = match time::timeout_at(context.deadline, call).await {
                Ok(Ok(answer)) => answer?,
                Ok(Err(panic)) => Status::internal(format!("a handler panicked: {}", panic_text(panic.as_ref()))).into_http(),
                Err(_late) => Status::deadline_exceeded("the answer took longer than the caller would wait").into_http(),
            };
            let response = match Status::from_header_map(response.headers()) {
                Some(bare) if bare.code() != Code::Ok && bare.details().is_empty() => explained(bare, domain).into_http(),
                _ => response,
            };
            finished(&meters, &method, grpc_status(&response).unwrap_or(Code::Ok), began.elapsed());
            drop(permit);
            Ok(response)
        };
        Box::pin(answering.instrument(span))
    }
}

/// Gives a refusal that comes from the server itself (no such method, a late answer, a malformed message, a panic) the `ErrorInfo` that
/// every error carries. Where it is a mistake of ours, the cause goes to the log and not to the caller.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other code tells the caller what is wrong")]
fn explained(bare: Status, domain: &'static str) -> Status {
    // tonic answers INTERNAL to a message that is missing or no protobuf of the right kind, and OUT_OF_RANGE to one that is too large; these
    // are the caller's mistakes, which asking again does not mend.
    let decoding = ["failed to decode", "protocol error", "Unexpected EOF decoding", "Missing request message"];
    let malformed = bare.code() == Code::Internal && decoding.iter().any(|words| bare.message().starts_with(words));
    let size =
        bare.message().strip_prefix("Error, decoded message length too large: ").filter(|_| bare.code() == Code::OutOfRange);
    // What tonic answers to a message that was cut off with its connection. Nobody hears it, and nobody here is at fault.
    let cut_off = bare.code() == Code::Unknown && bare.message().starts_with("h2 protocol error: error reading a body");
    let code = if malformed || size.is_some() {
        Code::InvalidArgument
    } else if cut_off {
        Code::Cancelled
    } else {
        bare.code()
    };
    let message = match code {
        // Whatever answered so did not say why to anybody else.
        Code::Internal | Code::Unknown | Code::DataLoss => {
            tracing::error!(alert = true, ?code, cause = bare.message(), "something went wrong that should not");
            SHOULD_NOT.to_owned()
        }
        _ => size.map_or_else(|| bare.message().to_owned(), |size| format!("the message is too large: {size}")),
    };
    let mut details = ErrorDetails::with_error_info(word(code), domain, HashMap::new());
    if code == Code::InvalidArgument {
        details.add_bad_request_violation("message", &message);
    }
    if matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted) {
        details.set_retry_info(Some(RETRY_AFTER));
    }
    Status::with_error_details(code, message, details)
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

/// What a panic said.
#[must_use]
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    said.unwrap_or("without a text")
}

/// The method's name as logs show it. The path is whatever the caller wrote; what cannot be a name of ours is not repeated.
fn method(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let plain = (1..=METHOD_LENGTH).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if plain { name } else { UNKNOWN }
}

/// Probes and polls come by the thousand and say nothing new: they are logged at debug.
fn comes_often(method: &str) -> bool {
    matches!(method, "BatchGetTokens" | "Check" | "Watch")
}

/// The one log line of a call, and its measures.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other code is an ordinary answer")]
fn finished(meters: &Meters, method: &str, code: Code, took: Duration) {
    let millis = took.as_secs_f64() * 1e3;
    match code {
        Code::Internal | Code::Unknown | Code::DataLoss => tracing::error!(?code, millis, "failed"),
        Code::Unavailable | Code::DeadlineExceeded => tracing::warn!(?code, millis, "unavailable"),
        Code::Ok if comes_often(method) => tracing::debug!(?code, millis, "answered"),
        _ => tracing::info!(?code, millis, "answered"),
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
        for made_up in ["", "/", "/a/", "/a/b c", "/a/%0a", "/a/\u{1b}[31m", &format!("/a/{}", "x".repeat(49))] {
            assert_eq!(method(made_up), UNKNOWN, "{made_up}");
        }
    }
}
