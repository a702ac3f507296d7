//! What an operator may choose.

use boxoffice_proto::Currency;
use chassis::{db::DbConfig, idempotency, network::Incoming};
use tokio::net::TcpListener;

/// The wallets' policy.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Policy {
    /// The currency of every wallet, an ISO 4217 code with a minor unit; amounts are whole numbers of that
    /// (KRW 1 = ₩1, EUR 1 = €0.01). The same at booking-svc
    #[arg(long, env, default_value = "KRW")]
    pub currency: Currency,
}

/// Everything the service needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the ledger is kept.
    pub database: DbConfig,
    /// The wallets' policy.
    pub policy: Policy,
    /// How long answers to requests are kept.
    pub requests: idempotency::RequestRetention,
}

/// The sockets to serve on, already bound.
#[derive(Debug)]
pub struct Listeners {
    /// For gRPC.
    pub grpc: Incoming,
    /// For `/healthz`, `/readyz` and `/metrics`; `None` where another service of the process answers them.
    pub http: Option<TcpListener>,
}
