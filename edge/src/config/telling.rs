//! The flags that say who is told of events.

use std::{fmt, path::PathBuf};

/// Where events go.
#[derive(clap::Args, Clone, Default)]
#[group(skip)]
pub struct TellingArgs {
    /// Where events are sent as CloudEvents (HTTP POST), http:// or https://; several: comma separated, or
    /// the flag again. Each is told by itself. Without any, each event is one log line (target
    /// `boxoffice::events`)
    #[arg(long, env, hide_env_values = true)]
    pub events_url: Vec<String>,
    /// What events are signed with (Standard Webhooks): `whsec_…`; one for all, or one for each of
    /// --events-url in the same order
    #[arg(long, env, hide_env_values = true)]
    pub events_secret: Vec<String>,
    /// NATS servers with JetStream, nats:// or tls://, to which events are published too, on the subject
    /// `boxoffice.events.` and the type; several of one cluster: comma separated
    #[arg(long, env, hide_env_values = true)]
    pub nats_url: Option<String>,
    /// A PEM file of authorities that are trusted, beside the machine's, where events are sent by TLS
    #[arg(long, env, value_name = "FILE")]
    pub events_ca: Option<PathBuf>,
}

impl fmt::Debug for TellingArgs {
    // All of it may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TellingArgs")
    }
}
