//! The configuration: typed, documented, and checked before any port opens.

mod limits;
mod telling;

use std::{str::FromStr, time::Duration};

use access::{Doors, Switch};
use chassis::{
    Error,
    channel::Target,
    db::DbConfig,
    network::Incoming,
    prune::{self, Old},
    threads::Threads,
    tls::{ClientTls, Identities},
};
use http::{HeaderValue, uri::Authority};
use tokio::net::TcpListener;
use tower_http::cors::{AllowOrigin, CorsLayer};

pub(crate) use self::limits::Allowance;
pub use self::{limits::LimitArgs, telling::TellingArgs};
use crate::store;

const A_DAY: Duration = Duration::from_secs(24 * 3_600);
/// How long a browser need not ask again whether a page may call, and how long samples are kept.
const AN_HOUR: Duration = Duration::from_secs(3_600);

/// The whole configuration of the edge.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the saga's journal is kept.
    pub database: DbConfig,
    /// How the edge behaves.
    pub policy: Policy,
    /// How long rows are kept that are not needed for good.
    pub retention: Retention,
    /// Where the three services are.
    pub upstreams: Upstreams,
    /// The doors decide who may call.
    pub doors: Doors,
}

/// How long rows are kept that are not needed for good.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Retention {
    /// How long a settled checkout's request ids are remembered, and the story of its steps kept, 1h to
    /// 3650d; the checkout itself is kept for good
    #[arg(long, env, default_value = "30d", value_parser = prune::retention)]
    pub checkout_retention: Duration,
    /// How long events are kept, whether every subscriber has taken them or not, 1h to 3650d; until then
    /// they can be replayed. A subscriber that no edge has told for so long begins anew
    #[arg(long, env, default_value = "7d", value_parser = prune::retention)]
    pub events_retention: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { checkout_retention: 30 * A_DAY, events_retention: 7 * A_DAY }
    }
}

impl Retention {
    /// The rows that are deleted, and when.
    #[must_use]
    pub fn old(&self) -> Vec<Old> {
        vec![
            Old::new("event", self.events_retention, store::forget_events),
            Old::new("subscriber", self.events_retention, store::forget_subscribers),
            Old::new("checkout", self.checkout_retention, store::forget_workings),
            Old::new("sample", AN_HOUR, store::forget_samples),
        ]
    }
}

/// Where to serve; the listeners are bound already.
#[derive(Debug)]
pub struct Listeners {
    /// The listener of REST, SSE, WebSocket, probes and metrics.
    pub rest: Incoming,
    /// The listener of gRPC and gRPC-Web.
    pub grpc: Incoming,
    /// The listener of probes and metrics alone.
    pub metrics: Option<TcpListener>,
    /// Where the connections of `rest` live. They must outlive services that are called in-process.
    pub threads: Threads,
}

/// How the edge behaves.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Policy {
    /// Whether reading dates and seats needs an admitted queue token (`token`) or not (`open`).
    #[arg(long, env, value_enum, default_value_t = Browse::Token)]
    pub browse: Browse,
    /// What becomes of a hold whose payment was refused: the seats are free at once, or stay held until the
    /// hold lapses.
    #[arg(long, env, value_enum, default_value_t = OnPaymentFailure::Release)]
    pub on_payment_failure: OnPaymentFailure,
    /// Who is told of events.
    #[command(flatten)]
    pub telling: TellingArgs,
    /// Web origins (`scheme://host[:port]`) that may call REST and gRPC-Web from a browser, comma separated;
    /// `*` is any. None by default.
    #[arg(long, env, default_value = "", hide_default_value = true)]
    pub cors_origins: Origins,
    /// Whether pages are served: for buyers what is on, the waiting room, the hall and the basket, for
    /// operators the box office and the manual.
    #[arg(long, env, value_name = "on|off", default_value_t = Switch(true))]
    pub pages: Switch,
    /// What one caller may ask for.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// The origins of the web pages that may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// No web page may call.
    None,
    /// Pages of any origin may call.
    Any,
    /// Pages of these origins may call, each as a browser writes it in `Origin`.
    Only(Vec<HeaderValue>),
}

impl Origins {
    /// The rules of CORS for pages of these origins, which each door completes with what it takes and tells;
    /// `None` where no page may call.
    pub(crate) fn cors(&self) -> Option<CorsLayer> {
        let allowed = match self {
            Self::None => return None,
            Self::Any => AllowOrigin::any(),
            Self::Only(origins) => AllowOrigin::list(origins.clone()),
        };
        Some(CorsLayer::new().allow_origin(allowed).max_age(AN_HOUR))
    }
}

impl FromStr for Origins {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        let all: Vec<&str> = list.split(',').map(str::trim).filter(|text| !text.is_empty()).collect();
        if all.contains(&"*") {
            return if all.len() == 1 {
                Ok(Self::Any)
            } else {
                Err("* is any origin: name no other beside it".to_owned())
            };
        }
        let only = all.iter().map(|text| {
            origin(text).ok_or_else(|| {
                format!("{text:?} (flag --cors-origins, variable CORS_ORIGINS) is not scheme://host[:port] without a path, nor *")
            })
        });
        let only = only.collect::<Result<Vec<_>, _>>()?;
        Ok(if only.is_empty() { Self::None } else { Self::Only(only) })
    }
}

/// An origin as browsers write it: in lower case, and without the port that the scheme implies.
fn origin(text: &str) -> Option<HeaderValue> {
    let text = text.to_ascii_lowercase();
    let (scheme, rest) = text.split_once("://")?;
    let authority: Authority = rest.parse().ok()?;
    let (host, port) = (authority.host(), authority.port_u16());
    let named = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b)) && !host.is_empty();
    let schemed =
        scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) && !scheme.is_empty();
    // There must be nothing but host and port: no user before them, and no malformed port.
    let whole = rest == host || port.is_some_and(|port| rest == format!("{host}:{port}"));
    if !named || !schemed || !whole {
        return None;
    }
    let implied = matches!((scheme, port), ("http", Some(80)) | ("https", Some(443)));
    HeaderValue::from_str(&format!("{scheme}://{}", if implied { host } else { rest })).ok()
}

/// Whether reading dates and seats passes the gate.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browse {
    /// Dates and seats need an admitted token.
    Token,
    /// Dates and seats are open to everyone.
    Open,
}

/// What becomes of a hold when the wallet refuses the payment.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPaymentFailure {
    /// The seats are free at once.
    Release,
    /// The hold stays until it lapses, so that the user can charge the wallet and pay again.
    Keep,
}

/// The services behind the edge; each may be several replicas, comma separated.
#[derive(clap::Args, Clone, Debug)]
pub struct Upstreams {
    /// The queue service.
    #[arg(long, env, default_value = "http://127.0.0.1:24031")]
    pub queue_url: Target,
    /// The booking service.
    #[arg(long, env, default_value = "http://127.0.0.1:24071")]
    pub booking_url: Target,
    /// The wallet service.
    #[arg(long, env, default_value = "http://127.0.0.1:24081")]
    pub wallet_url: Target,
}

/// Who the services behind the edge are, where their certificates do not have the host names of their URLs.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct UpstreamIdentities {
    /// Who queue-svc is, by the URIs or else the DNS names of its certificate, such as
    /// spiffe://boxoffice/queue; without it its certificate must have the host name of --queue-url
    #[arg(long, env)]
    pub queue_identity: Option<Identities>,
    /// Who booking-svc is, likewise
    #[arg(long, env)]
    pub booking_identity: Option<Identities>,
    /// Who wallet-svc is, likewise
    #[arg(long, env)]
    pub wallet_identity: Option<Identities>,
}

impl Upstreams {
    /// The same services, called with this TLS if there is any.
    ///
    /// # Errors
    /// Some URL wants TLS and there is none, or the reverse.
    pub fn secured(self, tls: Option<&ClientTls>, identities: UpstreamIdentities) -> Result<Self, Error> {
        let UpstreamIdentities { queue_identity, booking_identity, wallet_identity } = identities;
        let secured = |url: Target, service: &str, identity: Option<Identities>| {
            if tls.is_none() && identity.is_some() {
                let variable = format!("{}_IDENTITY", service.to_ascii_uppercase());
                let why = "is of no use without --mesh-ca (MESH_CA)";
                return Err(Error::Config(format!("--{service}-identity ({variable}) {why}")));
            }
            url.secured(&format!("--{service}-url"), tls, identity)
        };
        Ok(Self {
            queue_url: secured(self.queue_url, "queue", queue_identity)?,
            booking_url: secured(self.booking_url, "booking", booking_identity)?,
            wallet_url: secured(self.wallet_url, "wallet", wallet_identity)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(list: &str) -> Vec<String> {
        match list.parse() {
            Ok(Origins::Only(all)) => {
                all.iter().map(|origin| String::from_utf8_lossy(origin.as_bytes()).into_owned()).collect()
            }
            other => panic!("{list}: {other:?}"),
        }
    }

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        assert_eq!("".parse(), Ok(Origins::None));
        assert_eq!(" * ".parse(), Ok(Origins::Any));
        let some = "https://Tickets.Example:443, http://localhost:5173,http://[::1]:80,capacitor://localhost";
        assert_eq!(
            only(some),
            ["https://tickets.example", "http://localhost:5173", "http://[::1]", "capacitor://localhost"]
        );
    }

    #[test]
    fn what_no_browser_would_send_is_refused_with_the_names_to_look_for() {
        for bad in [
            "tickets.example",
            "https://",
            "https://tickets.example/",
            "https://tickets.example/app",
            "https://*.example",
            "https://ann@tickets.example",
            "https://tickets.example:99999",
            "https://tickets.example:",
            "https://tic kets.example",
            "https://b\u{fc}cher.example",
            "null",
        ] {
            let why = bad.parse::<Origins>().expect_err(bad);
            assert!(
                why.contains("--cors-origins")
                    && why.contains("CORS_ORIGINS")
                    && why.contains("scheme://host"),
                "{why}"
            );
        }
        assert!("*,https://a.example".parse::<Origins>().is_err());
    }
}
