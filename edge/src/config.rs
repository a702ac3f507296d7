//! What can be set: typed, documented, and checked before any port opens.

use chassis::{channel::Target, db::DbConfig};
use tokio::net::TcpListener;

/// Everything the edge must be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the saga's journal is kept.
    pub database: DbConfig,
    /// The knobs.
    pub policy: Policy,
    /// The three services.
    pub upstreams: Upstreams,
}

/// Where to serve. Binding happens before.
#[derive(Debug)]
pub struct Listeners {
    /// REST, SSE, WebSocket, probes and metrics.
    pub rest: TcpListener,
    /// gRPC: `CheckoutService`.
    pub grpc: TcpListener,
}

/// How the edge behaves.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Policy {
    /// Whether reading dates and seats needs an admitted queue token (`token`) or not (`open`).
    #[arg(long, env, value_enum, default_value_t = Browse::Token)]
    pub browse: Browse,
    /// What becomes of a hold whose payment was refused: the seats are free at once, or stay held until the hold lapses.
    #[arg(long, env, value_enum, default_value_t = OnPaymentFailure::Release)]
    pub on_payment_failure: OnPaymentFailure,
    /// Where outcomes are sent as CloudEvents (HTTP POST). Without it each is one log line of target `boxoffice::events`.
    #[arg(long, env)]
    pub events_url: Option<String>,
    /// Web origins that may call the REST API from a browser, comma separated; `*` is any. None by default.
    #[arg(long, env, value_delimiter = ',')]
    pub cors_origins: Vec<String>,
}

/// Whether browsing passes the queue check.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browse {
    /// Dates and seats need an admitted token.
    Token,
    /// Dates and seats are open to everyone.
    Open,
}

/// What becomes of the hold when the wallet refuses.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPaymentFailure {
    /// The seats are free at once.
    Release,
    /// The hold stays until it lapses: top up and pay again.
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
