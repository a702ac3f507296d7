//! Logs and metrics of a process: installed once, by [`lifecycle::run`](crate::lifecycle::run).
//!
//! Writing never blocks a request: lines go to a bounded queue with a thread of its own behind it, and are dropped (and counted)
//! when it is full.

use std::{fmt, io, sync::OnceLock};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_forest::{ForestLayer, PrettyPrinter, printer::Printer};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// Histogram buckets in seconds: from a memory read to the longest deadline.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];
/// Without `RUST_LOG`: our own lines from info on, a library's only when it complains.
const DEFAULT_FILTER: &str = "info,sqlx=warn,h2=warn,hyper=warn,tower=warn";

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A tree a request, with arguments and timings, for people.
    Pretty,
    /// One JSON object a line, for machines.
    Json,
}

/// Flags about logs.
#[derive(clap::Args, Clone, Debug)]
pub struct LogArgs {
    /// How log lines look: a tree a request for people, or a JSON object a line. What is logged: RUST_LOG, such as `debug`
    #[arg(long, env, value_enum, default_value_t = LogFormat::Pretty)]
    pub log_format: LogFormat,
}

/// Keeps the log's thread; dropping it writes what is still queued.
pub struct Guard(#[expect(dead_code, reason = "held for its drop")] WorkerGuard);

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// Installs the log subscriber and the metrics recorder of this process. A second call leaves the first in place.
#[must_use]
pub fn init(args: &LogArgs) -> Guard {
    let (writer, guard) = tracing_appender::non_blocking(io::stderr());
    let asked = EnvFilter::try_from_default_env();
    let misread = std::env::var_os(EnvFilter::DEFAULT_ENV).and(asked.as_ref().err().map(ToString::to_string));
    let filter = asked.unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let installed = tracing_subscriber::registry().with(layer(args.log_format, writer).with_filter(filter)).try_init();
    if installed.is_ok() {
        install_metrics();
        if let Some(error) = misread {
            tracing::warn!("RUST_LOG is not understood ({error}); logging as if it were not set");
        }
    }
    Guard(guard)
}

fn layer<S>(format: LogFormat, writer: NonBlocking) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    match format {
        LogFormat::Pretty => {
            let printer: Printer<_, _> = PrettyPrinter::new().writer(writer);
            Box::new(ForestLayer::new(printer, tracing_forest::tag::NoTag))
        }
        LogFormat::Json => {
            let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(false);
            Box::new(lines.with_writer(writer))
        }
    }
}

fn install_metrics() {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
    match builder.map(PrometheusBuilder::install_recorder) {
        Ok(Ok(handle)) => drop(METRICS.set(handle)),
        Ok(Err(error)) | Err(error) => tracing::warn!(%error, "no metrics: the recorder could not be installed"),
    }
}

/// Everything measured so far, in Prometheus' text format; empty where no recorder was installed.
#[must_use]
pub fn metrics_text() -> String {
    METRICS
        .get()
        .map(|handle| {
            handle.run_upkeep();
            handle.render()
        })
        .unwrap_or_default()
}
