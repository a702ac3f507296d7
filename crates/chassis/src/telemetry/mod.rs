//! The logs, metrics and traces of a process, installed once by [`lifecycle::run`](crate::lifecycle::run).
//!
//! Logging never blocks a request: lines go to bounded memory, from which a thread writes them ([`writer`]),
//! and are dropped and counted when it is full.

mod filter;
mod json;
mod measures;
mod process;
pub(crate) mod seldom;
mod traces;
pub(crate) use traces::begin as send_traces;
mod writer;

use std::{fmt, io, sync::OnceLock, thread, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_forest::{ForestLayer, PrettyPrinter, printer::Printer};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use self::{
    filter::Filter,
    json::Json,
    writer::{Lines, Thread},
};
use crate::{
    alerts::{AlertArgs, layer::Pick},
    flags,
};

/// Logs that something in the background failed: as a warning when the failure is a passing one, and
/// otherwise as an alert, since an operator must look. After the condition come the fields and the text of
/// the line.
#[macro_export]
macro_rules! warn_or_alert {
    ($is_passing:expr, $($line:tt)+) => {
        if $is_passing {
            ::tracing::warn!($($line)+);
        } else {
            ::tracing::error!(alert = true, $($line)+);
        }
    };
}

/// Histogram buckets in seconds: from a memory read to the longest deadline.
pub const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];
/// Histogram buckets of batch sizes (`…_size`): from one to more than any batch takes.
const SIZES: [f64; 12] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 4_096.0];
/// The filter without `RUST_LOG`: our own lines from INFO on, those of libraries from WARN on. What rustls
/// warns of is what strangers send; whom we refuse we say ourselves, once a minute.
const DEFAULT_FILTER: &str = "info,async_nats=warn,sqlx=warn,h2=warn,hyper=warn,tower=warn,rustls=error";

/// How often recorded values are put into their buckets; until then each of them is kept.
const COUNT_EVERY: Duration = Duration::from_secs(5);

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A tree a request, with arguments and timings, for people.
    Pretty,
    /// One JSON object a line, for machines.
    Json,
}

/// Flags about logs and traces.
#[derive(clap::Args, Clone, Debug)]
pub struct LogArgs {
    /// How log lines look: a tree a request for people, or a JSON object a line. What is logged: RUST_LOG,
    /// such as `debug`
    #[arg(long, env, value_enum, default_value_t = LogFormat::Pretty)]
    pub log_format: LogFormat,
    /// Where spans are sent, by OTLP over gRPC, such as http://127.0.0.1:4317; without it, where
    /// OTEL_EXPORTER_OTLP_ENDPOINT says, or nowhere. What is sampled: OTEL_TRACES_SAMPLER
    #[arg(long, env, hide_env_values = true, value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// A PEM file of authorities that are trusted besides the machine's, where spans are sent by TLS; without
    /// it, what OTEL_EXPORTER_OTLP_CERTIFICATE says
    #[arg(long, env, value_name = "FILE")]
    pub otlp_ca: Option<std::path::PathBuf>,
    /// Who is told of alerts besides.
    #[command(flatten)]
    pub alerts: AlertArgs,
}

/// Keeps the log's thread; dropping it writes what is still queued.
pub struct Guard(#[expect(dead_code, reason = "held for its drop")] Thread);

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// The name of a metric and its help text.
pub type Described = (&'static str, &'static str);

/// Registers the help texts of metrics for `/metrics`. Each crate has a table of its own.
pub fn describe(measures: &[Described]) {
    for (name, meaning) in measures {
        // The recorder keeps one text a name, whatever the kind of metric.
        metrics::describe_gauge!(*name, *meaning);
    }
}

/// Installs the log subscriber and the metrics recorder of this process. A second call leaves the first in
/// place. `version` is what `--version` tells.
#[must_use]
pub fn init(args: &LogArgs, version: &'static str) -> Guard {
    let (lines, thread) = writer::start(io::stderr());
    let asked =
        flags::environment(EnvFilter::DEFAULT_ENV).map(|asked| EnvFilter::try_new(asked.to_string_lossy()));
    let (filter, misread) = match asked {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(DEFAULT_FILTER), Some(error)),
        None => (EnvFilter::new(DEFAULT_FILTER), None),
    };
    let installed = tracing_subscriber::registry()
        .with(Filter::new(filter))
        .with(layer(args.log_format, lines))
        .with(Pick)
        .try_init();
    if installed.is_ok() {
        install_metrics();
        describe(measures::MEASURES);
        process::tell_build(version);
        if let Some(error) = misread {
            tracing::warn!("RUST_LOG is not understood ({error}); logging as if it were not set");
        }
    }
    Guard(thread)
}

fn layer<S>(format: LogFormat, lines: Lines) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    match format {
        LogFormat::Pretty => {
            let printer: Printer<_, _> = PrettyPrinter::new().writer(move || lines.clone());
            Box::new(ForestLayer::new(printer, tracing_forest::tag::NoTag))
        }
        LogFormat::Json => Box::new(Json::new(lines)),
    }
}

fn install_metrics() {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &SIZES));
    match builder.map(PrometheusBuilder::install_recorder) {
        Ok(Ok(handle)) => {
            let counted = handle.clone();
            let counting = thread::Builder::new().name("metrics".to_owned()).spawn(move || {
                loop {
                    thread::park_timeout(COUNT_EVERY);
                    counted.run_upkeep();
                }
            });
            if let Err(error) = counting {
                tracing::warn!(%error, "what is measured is counted only when it is asked for");
            }
            drop(METRICS.set(handle));
        }
        Ok(Err(error)) | Err(error) => {
            tracing::warn!(%error, "no metrics: the recorder could not be installed")
        }
    }
}

/// Whether this process keeps its metrics: [`init`] was called.
#[must_use]
pub fn has_metrics() -> bool {
    METRICS.get().is_some()
}

/// The name of this machine; of a pod, where the process is in one.
#[must_use]
pub fn host() -> String {
    process::host()
}

/// All metrics in the text format of Prometheus; empty where no recorder was installed.
#[must_use]
pub fn metrics_text() -> String {
    METRICS
        .get()
        .map(|handle| {
            handle.run_upkeep();
            let mut text = handle.render();
            process::tell(&mut text);
            text
        })
        .unwrap_or_default()
}
