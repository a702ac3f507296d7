//! Spans to a collector, over OTLP/gRPC: what the flags and the variables of OpenTelemetry say about it.

use std::{
    fmt,
    future::Future,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter as Otlp, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};
use tonic::transport::ClientTlsConfig;

use super::LogArgs;
use crate::{
    Error,
    exporter::{self, Sampler},
    flags,
    web::trusted,
};

/// Begins to send spans, if a collector is named by `--otlp-endpoint` or by the variables of OpenTelemetry.
/// Must be called in the runtime, in which the connection to the collector lives.
///
/// # Errors
/// The collector's address is none, or the file of authorities cannot be read.
pub(crate) fn begin(args: &LogArgs, name: &'static str, version: &'static str) -> Result<(), Error> {
    let said = |variable| flags::environment(variable).map(|value| value.to_string_lossy().into_owned());
    let endpoint = args
        .otlp_endpoint
        .clone()
        .or_else(|| said("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
        .or_else(|| said("OTEL_EXPORTER_OTLP_ENDPOINT"));
    let is_off = said("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || said("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    let authorities = args
        .otlp_ca
        .clone()
        .or_else(|| said("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE").map(PathBuf::from))
        .or_else(|| said("OTEL_EXPORTER_OTLP_CERTIFICATE").map(PathBuf::from));
    let endpoint = endpoint.filter(|_| !is_off);
    if endpoint.is_none() && authorities.is_none() {
        return Ok(());
    }
    // Left to itself the library trusts nobody. A file is read also where nothing is sent, so that a wrong
    // one is told at once.
    let trusted = trusted(authorities.as_deref())
        .map_err(|why| Error::Config(format!("--otlp-ca (OTLP_CA): {why}")))?;
    let Some(endpoint) = endpoint else { return Ok(()) };
    let wrong = |why: String| Error::Config(format!("--otlp-endpoint (OTLP_ENDPOINT): {why}"));
    if !["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
        return Err(wrong("a collector's address begins with http:// or https://".to_owned()));
    }
    let otlp = Otlp::builder()
        .with_tonic()
        .with_tls_config(ClientTlsConfig::new().trust_anchors(trusted.roots))
        .with_endpoint(endpoint)
        .build()
        .map_err(|error| wrong(error.to_string()))?;
    let (sampler, misread) =
        Sampler::of(said("OTEL_TRACES_SAMPLER").as_deref(), said("OTEL_TRACES_SAMPLER_ARG").as_deref());
    if let Some(why) = misread {
        tracing::warn!("{why}");
    }
    exporter::begin(Counted { otlp, is_away: AtomicBool::new(false) }, &resource(name, version), sampler);
    Ok(())
}

/// What these spans are of, as `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say, and the program's own
/// name where they do not.
fn resource(name: &'static str, version: &'static str) -> Resource {
    let said = Resource::builder().build();
    let is_named = |key: &'static str| said.iter().any(|(known, _)| known.as_str() == key);
    let has_name = said
        .iter()
        .any(|(key, value)| key.as_str() == "service.name" && !value.as_str().starts_with("unknown_service"));
    let mut resource = Resource::builder();
    if !has_name {
        resource = resource.with_service_name(name);
    }
    for (key, value) in
        [("service.version", version.to_owned()), ("service.instance.id", uuid::Uuid::new_v4().to_string())]
    {
        if !is_named(key) {
            resource = resource.with_attribute(KeyValue::new(key, value));
        }
    }
    resource.build()
}

/// An exporter whose successes and failures are counted, and said when they begin.
struct Counted {
    otlp: Otlp,
    is_away: AtomicBool,
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}

impl SpanExporter for Counted {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let spans = batch.len() as u64;
        async move {
            let result = self.otlp.export(batch).await;
            let outcome = if result.is_ok() { "sent" } else { "failed" };
            metrics::counter!("trace_spans_total", "outcome" => outcome).increment(spans);
            match (&result, self.is_away.swap(result.is_err(), Ordering::Relaxed)) {
                (Err(error), false) => {
                    tracing::warn!(%error, "the collector of traces takes no spans; they are dropped until it does");
                }
                (Ok(()), true) => tracing::info!("the collector of traces takes spans again"),
                (Ok(()), false) | (Err(_), true) => {}
            }
            result
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.otlp.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}
