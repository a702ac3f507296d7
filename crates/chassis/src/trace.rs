//! Spans: what is told of a request to a collector of traces, in the data model of OpenTelemetry.
//!
//! Which trace a request belongs to is known without any of this ([`crate::context`]), whether or not anybody
//! collects. A span is made only when the trace is sampled and this process sends its spans somewhere
//! ([`crate::telemetry`]); otherwise it costs the look at one flag. The names of attributes are those of the
//! semantic conventions of OpenTelemetry 1.45 for HTTP, RPC and databases.
//!
//! Work that is done for many requests at once, such as a group commit, is a span of the first of them that
//! is sampled, linked to every other one ([`Span::shared`]).

use std::{borrow::Cow, str::FromStr, time::SystemTime};

use opentelemetry::{
    InstrumentationScope, KeyValue, Value,
    trace::{Link, SpanContext, SpanId, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tonic::Code;

pub use opentelemetry::trace::SpanKind;

use crate::{context::TraceParent, exporter};

/// The most links of a span: as many as requests share the largest batch.
const MAX_LINKS: usize = 1_000;

/// A piece of work that is under way. It is told to the collector when it is dropped.
#[derive(Debug, Default)]
#[must_use = "the span ends when this is dropped"]
pub struct Span(Option<Box<SpanData>>);

impl Span {
    /// Begins the span of this place in a trace, if anybody is to hear of it; `name` is asked for only then.
    pub fn begin(at: TraceParent, kind: SpanKind, name: impl FnOnce() -> Cow<'static, str>) -> Self {
        if !at.is_sampled() || !exporter::are_sent() {
            return Self(None);
        }
        let began = now();
        Self(Some(Box::new(SpanData {
            span_context: span_context(&at, false),
            parent_span_id: at.parent().map_or(SpanId::INVALID, SpanId::from),
            parent_span_is_remote: kind == SpanKind::Server,
            span_kind: kind,
            name: name(),
            start_time: began,
            end_time: began,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::builder("boxoffice").build(),
        })))
    }

    /// Begins the span of work that is done at once for requests of these traces. It is a child of the first
    /// one that is sampled, and linked to the others. Also answers its place in that trace; without a sampled
    /// request it is one in a trace that is not sampled.
    pub fn shared(
        requests: impl IntoIterator<Item = TraceParent>,
        name: impl FnOnce() -> Cow<'static, str>,
    ) -> (TraceParent, Self) {
        let mut sampled = requests.into_iter().filter(TraceParent::is_sampled);
        let Some(first) = sampled.next() else { return (TraceParent::not_sampled(), Self(None)) };
        let at = first.child();
        let mut span = Self::begin(at.clone(), SpanKind::Internal, name);
        sampled.for_each(|other| span.link(other));
        (at, span)
    }

    /// Whether somebody will hear of it: what is said of it is not for nothing.
    #[must_use]
    pub const fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Says an attribute, which is computed only if somebody will hear of it.
    pub fn set<V: Into<Value>>(&mut self, name: &'static str, value: impl FnOnce() -> V) {
        if let Some(span) = &mut self.0 {
            span.attributes.push(KeyValue::new(name, value()));
        }
    }

    /// Links it to another span.
    pub fn link(&mut self, to: TraceParent) {
        let Some(span) = &mut self.0 else { return };
        if span.links.links.len() < MAX_LINKS {
            span.links.links.push(Link::new(span_context(&to, true), Vec::new(), 0));
        } else {
            span.links.dropped_count += 1;
        }
    }

    /// Marks it as failed, by this type of error.
    pub fn fail<V: Into<Value>>(&mut self, error_type: impl FnOnce() -> V) {
        self.set("error.type", error_type);
        if let Some(span) = &mut self.0 {
            span.status = Status::error("");
        }
    }

    /// Says what a gRPC call ended with, and marks the span as failed where the convention does. A server
    /// fails by what is its own fault, a client by whatever is no answer.
    pub fn answered(&mut self, code: Code) {
        let Some(span) = &self.0 else { return };
        let failed = match code {
            Code::Ok => false,
            Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => true,
            Code::Cancelled
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unauthenticated => span.span_kind == SpanKind::Client,
        };
        self.set("rpc.response.status_code", || code_name(code));
        if failed {
            self.fail(|| code_name(code));
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(mut span) = self.0.take() {
            // A clock that was set back meanwhile makes no span that ends before it begins.
            span.end_time = now().max(span.start_time);
            exporter::tell(*span);
        }
    }
}

fn span_context(at: &TraceParent, is_remote: bool) -> SpanContext {
    let (trace, span) = at.ids();
    SpanContext::new(
        TraceId::from(trace),
        SpanId::from(span),
        TraceFlags::SAMPLED,
        is_remote,
        at.state().and_then(|state| TraceState::from_str(state.as_str()).ok()).unwrap_or_default(),
    )
}

#[expect(clippy::disallowed_methods, reason = "nothing is decided by the times of a span")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// A status code by the name that the specification of gRPC gives it, such as `NOT_FOUND`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_official_names() {
        let names = [Code::Ok, Code::NotFound, Code::DataLoss, Code::Unauthenticated].map(code_name);
        assert_eq!(names, ["OK", "NOT_FOUND", "DATA_LOSS", "UNAUTHENTICATED"]);
    }
}
