//! The settings of this service.

use std::time::Duration;

use chassis::{
    clock::micros,
    db::DbConfig,
    idempotency,
    prune::{self, Old},
};

use http::Uri;

use crate::{
    domain::{Hash, OnExpiry, Opening, QueuePolicy, opened::KEPT},
    relay::Relay,
    store,
};

/// A day, in seconds.
const DAY: u64 = 24 * 3_600;

/// Makes the flags of a policy from the table of its knobs.
macro_rules! flags {
    (
        counts { $($count:ident [$_json:tt $least:tt $most:tt $default:tt $is:tt];)+ }
        spans { $($span:ident [$_span_json:tt $from:tt $to:tt $seconds:tt $text:tt $span_is:tt];)+ }
    ) => {
        /// The policy that the `default` queue gets when it is created, which is at the very first start.
        /// UpdateQueue changes it later.
        #[derive(clap::Args, Clone, Debug)]
        #[group(skip)]
        pub struct Policy {
            $(
                #[doc = $is]
                #[arg(long, env, default_value_t = $default, help = first($is),
                    value_parser = clap::value_parser!(i64).range($least..=$most))]
                pub $count: i64,
            )+
            $(
                #[doc = $span_is]
                #[arg(long, env, default_value = $text, help = first_span($span_is, $from, $to),
                    value_parser = |text: &str| span(text, $from, $to))]
                pub $span: Duration,
            )+
            /// What becomes of an admission that was not used: back to the tail, or expired (the `default`
            /// queue's, when it is first made)
            #[arg(long, env, value_enum, default_value_t = Expiry::Requeue)]
            pub on_expiry: Expiry,
        }

        impl Default for Policy {
            fn default() -> Self {
                Self {
                    $($count: $default,)+
                    $($span: Duration::from_secs($seconds),)+
                    on_expiry: Expiry::Requeue,
                }
            }
        }

        impl Policy {
            pub(crate) fn queue_policy(&self) -> QueuePolicy {
                QueuePolicy {
                    $($count: self.$count,)+
                    $($span: micros(self.$span),)+
                    on_expiry: match self.on_expiry {
                        Expiry::Requeue => OnExpiry::Requeue,
                        Expiry::Expire => OnExpiry::Expire,
                    },
                    paused: false,
                    opens_at: None,
                    opening: Opening::Fifo,
                    message: None,
                    without_beacon: false,
                }
            }
        }
    };
}

boxoffice_proto::knobs!(flags);

/// The help of a count's flag: what the knob is, and that it is for the `default` queue alone.
fn first(is: &str) -> String {
    format!("{} (the `default` queue's, when it is first made)", is.trim_end_matches('.'))
}

fn first_span(is: &str, least: u64, most: u64) -> String {
    let most = humantime::format_duration(Duration::from_secs(most));
    format!("{} ({least}s to {most}; the `default` queue's, when it is first made)", is.trim_end_matches('.'))
}

/// What becomes of an admission that was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Expiry {
    /// The token goes back to the tail of its lane with a new ticket
    Requeue,
    /// The token ends as EXPIRED
    Expire,
}

/// All settings of the service.
#[derive(Clone, Debug)]
pub struct Config {
    /// The database of this service.
    pub database: DbConfig,
    /// The policy that the `default` queue is created with.
    pub policy: Policy,
    /// Where the beacon of draws is read.
    pub relay: Option<Relay>,
    /// How long the recorded answers to requests are kept.
    pub requests: idempotency::RequestRetention,
    /// How long tokens are kept that have ended.
    pub retention: Retention,
    /// The doors decide who may call the service.
    pub doors: access::Doors,
}

/// Flags about the beacon of draws.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct BeaconArgs {
    /// Draws that are set have a beacon, a round of a public randomness network that nobody can know before:
    /// the address of a chain of drand at one of its relays, which ends with the hash of the chain, such as
    /// <https://api.drand.sh/52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971>
    #[arg(long, env, value_name = "URL", value_parser = beacon_url)]
    pub beacon_url: Option<BeaconUrl>,
}

/// The address of a chain at a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeaconUrl {
    address: Uri,
    hash: Hash,
}

impl BeaconArgs {
    /// The relay, if there is to be one.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn relay(&self) -> Result<Option<Relay>, chassis::Error> {
        let relay = self.beacon_url.as_ref().map(|BeaconUrl { address, hash }| Relay::at(address, *hash));
        relay.transpose().map_err(chassis::Error::Config)
    }
}

fn beacon_url(text: &str) -> Result<BeaconUrl, String> {
    let address: Uri = text.parse().map_err(|_| "is no address".to_owned())?;
    let is_web = matches!(address.scheme_str(), Some("http" | "https"))
        && address.authority().is_some_and(|at| !at.host().is_empty() && !at.as_str().contains('@'))
        && address.query().is_none();
    if !is_web {
        return Err(
            "must begin with http:// or https://, name a host, and have neither user nor query".to_owned()
        );
    }
    let last = address.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let hash = chassis::hex::read(last).and_then(|bytes| Hash::try_from(bytes).ok());
    let hash =
        hash.ok_or("must end with the hash of the chain, 64 hex digits, such as https://api.drand.sh/52db…")?;
    Ok(BeaconUrl { address, hash })
}

/// How long rows are kept that are needed for a while only.
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
    /// How long a token is kept after its `valid_until`. A user who was admitted just before that time may
    /// stay admitted for a day.
    #[must_use]
    pub const fn past_validity(&self) -> Duration {
        self.token_retention.saturating_add(Duration::from_secs(DAY))
    }
}

impl Config {
    /// The kinds of rows that this service removes when they are old.
    #[must_use]
    pub fn old(&self) -> Vec<Old> {
        let mut old = self.requests.old().to_vec();
        old.push(Old::new("token", self.retention.past_validity(), store::token::forget));
        old.push(Old::new("queue_event", KEPT, store::event::forget));
        old
    }
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
    use boxoffice_proto::knobs::KNOBS;
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        policy: Policy,
    }

    #[test]
    fn without_flags_the_first_policy_is_that_of_any_new_queue() {
        let parsed = Flags::try_parse_from(["queue-svc"]).expect("no flag is needed").policy.queue_policy();
        assert_eq!(parsed, QueuePolicy::default());
        assert_eq!(Policy::default().queue_policy(), QueuePolicy::default());
    }

    #[test]
    fn each_knob_has_a_flag_with_its_bounds() {
        for knob in KNOBS {
            let unit = if knob.is_span { "s" } else { "" };
            let flag = |value: i64| format!("--{}={value}{unit}", knob.name.replace('_', "-"));
            let takes = |value| Flags::try_parse_from(["queue-svc".to_owned(), flag(value)]).is_ok();
            let (least, most) = (*knob.bounds.start(), *knob.bounds.end());
            assert!(takes(least) && takes(most), "{}", knob.name);
            assert!(!takes(least - 1) && !takes(most + 1), "{}", knob.name);
        }
    }

    #[test]
    fn the_address_of_a_beacon_ends_with_the_hash_of_its_chain() {
        let hash = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971";
        for base in ["https://api.drand.sh/", "http://127.0.0.1:8080/", "https://drand.example/v1/"] {
            for end in ["", "/"] {
                let read = beacon_url(&format!("{base}{hash}{end}")).expect("a chain's address");
                assert_eq!(chassis::hex::text(&read.hash), hash);
            }
        }
        for bad in [
            "",
            hash,
            "https://api.drand.sh/",
            &format!("https://api.drand.sh/{}", &hash[1..]),
            &format!("https://api.drand.sh/{hash}/info"),
            &format!("https://api.drand.sh/{hash}?x=1"),
            &format!("https://user:secret@api.drand.sh/{hash}"),
            &format!("ftp://api.drand.sh/{hash}"),
        ] {
            assert!(beacon_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_are_whole_seconds_within_their_bounds() {
        assert_eq!(span("5m", 1, DAY), Ok(Duration::from_secs(300)));
        for bad in ["", "0s", "1500ms", "25h", "5", "-1s"] {
            assert!(span(bad, 1, DAY).is_err(), "{bad}");
        }
        assert_eq!(span("0s", 0, DAY), Ok(Duration::ZERO), "never");
    }
}
