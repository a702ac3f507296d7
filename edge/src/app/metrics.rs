//! The metrics of this process, for operators.

use boxoffice_proto::{Fault, checkout::GetMetricsRequest};
use chassis::telemetry::metrics_text;

use super::caller::Caller;

/// All metrics, in the text format of Prometheus.
pub(crate) fn metrics(caller: &Caller) -> Result<String, Fault> {
    caller.allow(GetMetricsRequest {})?;
    Ok(metrics_text())
}
