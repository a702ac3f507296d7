//! What the metrics of this crate mean.

use chassis::telemetry::Described;

pub(crate) const MEASURES: &[Described] = &[(
    "auth_keys_fetched_timestamp_seconds",
    "When the keys of the tokens' issuer were last fetched, since the epoch: their age is time() minus this.",
)];
