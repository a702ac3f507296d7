//! What travels with a request through every service: the trace that it belongs to, with what systems of
//! others say of it, and its deadline.
//!
//! The context is task-local. A spawned task starts without one, on purpose, unless it is
//! [scoped](Context::scope).

use std::{fmt, future::Future, time::Duration};

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use crate::{exporter, hex, tracestate::TraceState};

/// The header of the W3C Trace Context recommendation.
pub const TRACEPARENT: &str = "traceparent";
/// The deadline header of gRPC over HTTP/2.
pub const GRPC_TIMEOUT: &str = "grpc-timeout";

/// How much before the caller's deadline we answer that it has passed: at the deadline itself tonic's
/// transport would say CANCELLED.
const HEADSTART: Duration = Duration::from_millis(10);

tokio::task_local! {
    static CURRENT: Context;
}

/// A place in a trace: a span of it.
#[derive(Clone, PartialEq, Eq)]
pub struct TraceParent {
    trace: u128,
    span: u64,
    /// The span that this one is a part of; 0 for a trace's first one, and for one that was read.
    parent: u64,
    flags: u8,
    /// What systems of others say of the trace.
    state: Option<TraceState>,
}

/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;
/// The flag of a trace whose id is random (Trace Context, level 2).
const RANDOM: u8 = 2;

impl TraceParent {
    /// Characters of a header of version 00, which we write; headers of later versions begin alike.
    const LENGTH: usize = 55;

    /// A new trace, which is sampled if the sampler of this process says so.
    #[must_use]
    pub fn random() -> Self {
        let new = Self::not_sampled();
        Self { flags: u8::from(exporter::samples(new.trace, None)), ..new }
    }

    /// A new trace of which nothing is told.
    #[must_use]
    pub fn not_sampled() -> Self {
        let (trace, span) = (rand::random::<u128>().max(1), rand::random::<u64>().max(1));
        Self { trace, span, parent: 0, flags: 0, state: None }
    }

    /// The same trace, seen from a new span within this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span: rand::random::<u64>().max(1), parent: self.span, ..self.clone() }
    }

    /// The span of a request that came with this place of its caller, and with this.
    fn of_request(&self, state: Option<TraceState>) -> Self {
        let sampled = exporter::samples(self.trace, Some(self.is_sampled()));
        Self { flags: self.flags & !SAMPLED | u8::from(sampled), state, ..self.child() }
    }

    /// Whether its spans are recorded.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED == SAMPLED
    }

    /// Whether both belong to one trace.
    #[must_use]
    pub const fn is_same_trace(&self, other: &Self) -> bool {
        self.trace == other.trace
    }

    /// The ids of the trace and of the span.
    pub(crate) const fn ids(&self) -> (u128, u64) {
        (self.trace, self.span)
    }

    /// The id of the span that this one is a part of, if it is known.
    pub(crate) const fn parent(&self) -> Option<u64> {
        if self.parent == 0 { None } else { Some(self.parent) }
    }

    /// What systems of others say of the trace.
    pub(crate) const fn state(&self) -> Option<&TraceState> {
        self.state.as_ref()
    }

    /// The trace's id, 32 hex digits: what people search logs for.
    #[must_use]
    pub fn trace_id(&self) -> String {
        let mut text = [0; 32];
        hex::write(&mut text, &self.trace.to_be_bytes());
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The id of the span within the trace, 16 hex digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        let mut text = [0; 16];
        hex::write(&mut text, &self.span.to_be_bytes());
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Reads a `traceparent` header; `None` when it is malformed or all zero, as the recommendation demands.
    /// Of a later version only the part that version 00 defines is read.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let (known, more) = header.split_at_checked(Self::LENGTH)?;
        let mut parts = known.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lengths = version.len() == 2 && trace.len() == 32 && span.len() == 16 && flags.len() == 2;
        let digits = known.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let whole = more.is_empty() || (version != "00" && more.starts_with('-'));
        if !lengths || !digits || version == "ff" || !whole {
            return None;
        }
        let trace = u128::from_str_radix(trace, 16).ok()?;
        let span = u64::from_str_radix(span, 16).ok()?;
        // Flags that nobody has defined are not handed on (W3C Trace Context, 3.2.2.5).
        let flags = u8::from_str_radix(flags, 16).ok()? & (SAMPLED | RANDOM);
        (trace != 0 && span != 0).then_some(Self { trace, span, parent: 0, flags, state: None })
    }

    /// As a header.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.text()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    fn text(&self) -> [u8; Self::LENGTH] {
        let mut text = *b"00-................................-................-..";
        hex::write(&mut text[3..35], &self.trace.to_be_bytes());
        hex::write(&mut text[36..52], &self.span.to_be_bytes());
        hex::write(&mut text[53..55], &[self.flags]);
        text
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text()))
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The context of one request.
#[derive(Clone, Debug)]
pub struct Context {
    /// The trace that the request is part of.
    pub trace: TraceParent,
    /// When the caller stops waiting.
    pub deadline: Instant,
}

impl Context {
    /// A new trace, with a deadline this far from now.
    #[must_use]
    pub fn fresh(timeout: Duration) -> Self {
        Self::of(TraceParent::random(), timeout)
    }

    /// This place in a trace, with a deadline this far from now.
    #[must_use]
    pub fn of(trace: TraceParent, timeout: Duration) -> Self {
        Self { trace, deadline: Instant::now() + timeout }
    }

    /// What the caller sent along; a missing or malformed trace is replaced by a new one, and the caller's
    /// deadline counts only where it is shorter than `default_timeout`.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap, default_timeout: Duration) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let trace = text(TRACEPARENT)
            .and_then(TraceParent::parse)
            .map_or_else(TraceParent::random, |caller| caller.of_request(TraceState::of(headers)));
        let asked = text(GRPC_TIMEOUT)
            .and_then(parse_timeout)
            .map_or(default_timeout, |asked| asked - HEADSTART.min(asked / 10));
        Self { trace, deadline: Instant::now() + asked.min(default_timeout) }
    }

    /// The context of the task that asks.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// The time left until the deadline.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Runs a future in this context.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }
}

/// `grpc-timeout`: at most eight digits and a unit.
fn parse_timeout(header: &str) -> Option<Duration> {
    let (digits, unit) = header.split_at_checked(header.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3_600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// A span as `grpc-timeout`: whole microseconds where they fit eight digits, else milliseconds.
pub(crate) fn timeout_header(span: Duration) -> HeaderValue {
    let micros = span.as_micros();
    let text = if micros < 100_000_000 {
        format!("{micros}u")
    } else {
        format!("{}m", span.as_millis().min(99_999_999))
    };
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("1S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_as_the_recommendation_says() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(TraceParent::parse(good).map(|t| t.to_string()).as_deref(), Some(good));
        let unknown = good.replace("-01", "-fd");
        assert_eq!(TraceParent::parse(&unknown).map(|t| t.to_string()).as_deref(), Some(good));
        let ids = TraceParent::parse(good).map(|t| format!("{}-{}", t.trace_id(), t.span_id()));
        assert_eq!(ids.as_deref(), good.get(3..52));
        for bad in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0\u{e9}",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
        for later in [good.replacen("00", "01", 1), format!("cc{}-What, more? \u{e9}", &good[2..])] {
            assert_eq!(TraceParent::parse(&later).map(|t| t.to_string()).as_deref(), Some(good), "{later}");
        }
    }

    #[test]
    fn a_deadline_survives_its_header() {
        for span in [Duration::from_micros(1), Duration::from_millis(1_500), Duration::from_secs(3_600)] {
            assert_eq!(timeout_header(span).to_str().ok().and_then(parse_timeout), Some(span));
        }
        for bad in ["", "S", "123456789S", "-1S", "1x", "é"] {
            assert_eq!(parse_timeout(bad), None, "{bad}");
        }
    }
}
