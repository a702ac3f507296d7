//! The settings of this service.

use boxoffice_proto::Currency;
use chassis::{db::DbConfig, idempotency};

/// The rules about wallets that an operator may set.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Policy {
    /// The currency of every wallet, an ISO 4217 code with a minor unit; amounts are whole numbers of that
    /// (KRW 1 = ₩1, EUR 1 = €0.01). The same at booking-svc
    #[arg(long, env, default_value = "KRW")]
    pub currency: Currency,
}

/// All settings of the service.
#[derive(Clone, Debug)]
pub struct Config {
    /// The database of this service.
    pub database: DbConfig,
    /// The rules about wallets.
    pub policy: Policy,
    /// How long the recorded answers to requests are kept.
    pub requests: idempotency::RequestRetention,
    /// The doors decide who may call the service.
    pub doors: access::Doors,
}
