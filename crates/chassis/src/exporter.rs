//! Where the spans of this process go: which traces are sampled, and the queue to the collector.
//!
//! The batching is the SDK's. Its queue is bounded, and what does not fit is dropped: a collector that is
//! slow or away costs nothing but the spans. What is sampled is decided once a trace, where it begins, and
//! otherwise by whoever called ([`Sampler`]).

use std::{sync::OnceLock, time::Duration};

use opentelemetry_sdk::{
    Resource,
    trace::{BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor},
};

/// How long the end of the process waits for the last spans to be sent.
const LAST_SPANS: Duration = Duration::from_secs(2);
/// The ratio of sampled traces is a share of this many: of the ids that the lower 63 bits can be.
const IDS: f64 = 9_223_372_036_854_775_808.0;

static SENT: OnceLock<Sent> = OnceLock::new();

struct Sent {
    sampler: Sampler,
    processor: BatchSpanProcessor,
}

/// Which traces are sampled, by the names and meanings that the specification of OpenTelemetry gives to
/// `OTEL_TRACES_SAMPLER` and its argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampler {
    /// Whether a trace that began elsewhere is sampled when it was there.
    follows_the_parent: bool,
    /// The share of all other traces: 0 to 1.
    ratio: f64,
}

impl Sampler {
    /// Reads the two variables; what they name wrongly is said, and taken as the specification wants.
    pub(crate) fn of(name: Option<&str>, ratio: Option<&str>) -> (Self, Option<String>) {
        let share = |ratio: Option<&str>| match ratio.map(str::parse::<f64>) {
            Some(Ok(share)) if (0.0..=1.0).contains(&share) => (share, None),
            other => {
                let why = "OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1; every trace is sampled";
                (1.0, other.map(|_| why.to_owned()))
            }
        };
        let (follows_the_parent, (ratio, misread)) = match name.unwrap_or("parentbased_always_on") {
            "parentbased_always_on" => (true, (1.0, None)),
            "parentbased_always_off" => (true, (0.0, None)),
            "parentbased_traceidratio" => (true, share(ratio)),
            "always_on" => (false, (1.0, None)),
            "always_off" => (false, (0.0, None)),
            "traceidratio" => (false, share(ratio)),
            other => {
                let why = format!(
                    "OTEL_TRACES_SAMPLER is {other}, which is not known here; every trace is sampled"
                );
                (true, (1.0, Some(why)))
            }
        };
        (Self { follows_the_parent, ratio }, misread)
    }

    /// Whether a trace is sampled. Every process that has the same ratio decides alike.
    fn samples(self, trace: u128, parent: Option<bool>) -> bool {
        if let (true, Some(parent)) = (self.follows_the_parent, parent) {
            return parent;
        }
        #[expect(clippy::cast_possible_truncation, reason = "the lower half of the id is what is looked at")]
        let id = (trace as u64) >> 1;
        #[expect(clippy::cast_precision_loss, reason = "a share of all ids")]
        let place = id as f64;
        place < self.ratio * IDS
    }
}

/// Whether a trace is sampled that begins here (`parent` is `None`), or that came with this flag.
pub(crate) fn samples(trace: u128, parent: Option<bool>) -> bool {
    match SENT.get() {
        Some(sent) => sent.sampler.samples(trace, parent),
        None => parent.unwrap_or(false),
    }
}

/// Whether spans of this process are sent anywhere.
pub(crate) fn are_sent() -> bool {
    SENT.get().is_some()
}

/// Hands over a span that has ended.
pub(crate) fn tell(span: SpanData) {
    if let Some(sent) = SENT.get() {
        metrics::counter!("trace_spans_ended_total").increment(1);
        sent.processor.on_end(span);
    }
}

/// Sends what was handed over, for a bounded time.
pub(crate) fn end() {
    if let Some(sent) = SENT.get() {
        drop(sent.processor.shutdown_with_timeout(LAST_SPANS));
    }
}

/// Begins to send spans. A second call leaves the first exporter in place. Must be called in the runtime in
/// which the connection to the collector lives.
pub(crate) fn begin(exporter: impl SpanExporter + 'static, resource: &Resource, sampler: Sampler) {
    let mut processor = BatchSpanProcessor::builder(exporter).build();
    processor.set_resource(resource);
    drop(SENT.set(Sent { sampler, processor }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samplers_are_what_their_names_say() {
        let of = |name, ratio| Sampler::of(Some(name), ratio);
        for (name, ratio, begun, followed, refused) in [
            ("parentbased_always_on", None, true, true, false),
            ("parentbased_always_off", None, false, true, false),
            ("parentbased_traceidratio", Some("0"), false, true, false),
            ("always_on", None, true, true, true),
            ("always_off", None, false, false, false),
            ("traceidratio", Some("1"), true, true, true),
        ] {
            let (sampler, misread) = of(name, ratio);
            let decided = [None, Some(true), Some(false)].map(|parent| sampler.samples(7, parent));
            assert_eq!((decided, misread), ([begun, followed, refused], None), "{name}");
        }
        assert_eq!(Sampler::of(None, None), of("parentbased_always_on", None));
        for (name, ratio) in [("sometimes", None), ("traceidratio", Some("2")), ("traceidratio", Some("x"))] {
            let (sampler, misread) = of(name, ratio);
            assert!(sampler.samples(7, None) && misread.is_some(), "{name} {ratio:?}");
        }
    }

    #[test]
    fn a_ratio_is_a_share_of_all_ids_and_the_same_in_every_process() {
        let (sampler, _) = Sampler::of(Some("traceidratio"), Some("0.25"));
        let ids = (0..4_096_u128).map(|id| id << 52 | id << 100);
        assert_eq!(ids.filter(|id| sampler.samples(*id, None)).count(), 1_024);
    }
}
