//! The flags of queue-svc and what they configure.

use std::time::Duration;

use chassis::{
    db::DbConfig,
    idempotency,
    network::Incoming,
    prune::{self, Old},
};
use tokio::net::TcpListener;

use crate::{
    domain::{OnExpiry, QueuePolicy},
    store,
};

/// In seconds.
const DAY: u64 = 24 * 3_600;

/// The policy of the `default` queue. It counts when that queue is made, at the very first start; later it is
/// changed by UpdateQueue.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Policy {
    /// How many people may be admitted at once (the `default` queue's, when it is first made)
    #[arg(long, env, default_value_t = 6_000, value_parser = clap::value_parser!(i64).range(0..=1_000_000))]
    pub max_active: i64,
    /// How many may wait; beyond it joining is refused (likewise)
    #[arg(long, env, default_value_t = 100_000, value_parser = clap::value_parser!(i64).range(0..=10_000_000))]
    pub max_waiting: i64,
    /// How long an admission lasts, 1s to 24h (likewise)
    #[arg(long, env, default_value = "5m", value_parser = active_ttl)]
    pub active_ttl: Duration,
    /// How long after it was issued a token may still wait, 1s to 7d (likewise)
    #[arg(long, env, default_value = "24h", value_parser = waiting_ttl)]
    pub waiting_ttl: Duration,
    /// How many are admitted in any 60 seconds at most (likewise)
    #[arg(long, env, default_value_t = 6_000, value_parser = clap::value_parser!(i64).range(1..=10_000_000))]
    pub admit_per_minute: i64,
    /// What becomes of an admission that was not used: back to the tail, or expired (likewise)
    #[arg(long, env, value_enum, default_value_t = Expiry::Requeue)]
    pub on_expiry: Expiry,
    /// After how long without a word (a poll, a stream, any call) a waiter leaves the queue, 1s to 7d, or 0s
    /// for never (likewise)
    #[arg(long, env, default_value = "10m", value_parser = waiting_grace)]
    pub waiting_grace: Duration,
    /// How long an admitted one may take to be heard of before the next gets the place, 1s to 24h, or 0s for
    /// as long as the admission lasts (likewise)
    #[arg(long, env, default_value = "90s", value_parser = show_up_within)]
    pub show_up_within: Duration,
}

/// What becomes of an admission that was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Expiry {
    /// The token goes back to the tail of its lane with a new ticket
    Requeue,
    /// The token ends as EXPIRED
    Expire,
}

/// What queue-svc is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The database.
    pub database: DbConfig,
    /// The `default` queue's policy.
    pub policy: Policy,
    /// How long answers to requests are kept.
    pub requests: idempotency::RequestRetention,
    /// How long the rest is.
    pub retention: Retention,
}

/// How long rows are kept that nobody needs for good.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Retention {
    /// How long a token is kept after it has ended, 1h to 3650d (and up to eight days longer: by when it
    /// could have been valid at most)
    #[arg(long, env, default_value = "30d", value_parser = prune::retention)]
    pub token_retention: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { token_retention: Duration::from_secs(30 * DAY) }
    }
}

impl Retention {
    /// How long a token is kept after its `valid_until`: somebody who was admitted at its last moment may
    /// stay in for a day.
    #[must_use]
    pub const fn past_validity(&self) -> Duration {
        self.token_retention.saturating_add(Duration::from_secs(DAY))
    }
}

impl Config {
    /// What this service forgets.
    #[must_use]
    pub fn old(&self) -> Vec<Old> {
        let mut old = self.requests.old().to_vec();
        old.push(Old::new("token", self.retention.past_validity(), store::token::forget));
        old
    }
}

/// Bound before the service starts.
#[derive(Debug)]
pub struct Listeners {
    /// For gRPC.
    pub grpc: Incoming,
    /// For healthz, readyz and metrics.
    pub http: Option<TcpListener>,
}

impl Policy {
    pub(crate) fn queue_policy(&self) -> QueuePolicy {
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        QueuePolicy {
            max_active: self.max_active,
            max_waiting: self.max_waiting,
            active_ttl: micros(self.active_ttl),
            waiting_ttl: micros(self.waiting_ttl),
            admit_per_minute: self.admit_per_minute,
            on_expiry: match self.on_expiry {
                Expiry::Requeue => OnExpiry::Requeue,
                Expiry::Expire => OnExpiry::Expire,
            },
            paused: false,
            waiting_grace: micros(self.waiting_grace),
            show_up_within: micros(self.show_up_within),
        }
    }
}

fn active_ttl(text: &str) -> Result<Duration, String> {
    span(text, 1, DAY)
}

fn waiting_ttl(text: &str) -> Result<Duration, String> {
    span(text, 1, 7 * DAY)
}

fn waiting_grace(text: &str) -> Result<Duration, String> {
    span(text, 0, 7 * DAY)
}

fn show_up_within(text: &str) -> Result<Duration, String> {
    span(text, 0, DAY)
}

fn span(text: &str, least: u64, most: u64) -> Result<Duration, String> {
    let span =
        humantime::parse_duration(text).map_err(|error| format!("{error}; write such as 90s, 5m or 24h"))?;
    let whole = span.subsec_nanos() == 0 && (least..=most).contains(&span.as_secs());
    if whole {
        Ok(span)
    } else {
        Err(format!(
            "must be whole seconds, {least} s to {}",
            humantime::format_duration(Duration::from_secs(most))
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_whole_seconds_within_their_bounds() {
        assert_eq!(active_ttl("5m"), Ok(Duration::from_secs(300)));
        for bad in ["", "0s", "1500ms", "25h", "5", "-1s"] {
            assert!(active_ttl(bad).is_err(), "{bad}");
        }
        assert_eq!(waiting_grace("0s"), Ok(Duration::ZERO), "never");
    }
}
