//! Prepaid wallets: an append-only ledger for each user, and the payments that debit it.
//!
//! ```text
//! grpc (proto ↔ domain) ──▶ app (which transaction) ──▶ domain (the rules)
//!                                                  └──▶ store  (all SQL)
//! ```
//! The service is a function of its [`Config`], its [`Listeners`], a clock and a shutdown token; see the
//! README for what it guarantees.

mod app;
pub mod config;
#[cfg(test)]
mod conformance;
mod domain;
mod error;
mod grpc;
mod measures;
mod store;

use boxoffice_proto::fault::DOMAIN;
use boxoffice_proto::{DESCRIPTORS, wallet::wallet_service_server::WalletServiceServer};
pub use chassis::program::Listeners;
use chassis::{
    Serving, alerts,
    background::Background,
    clock::Clock,
    db::{Db, DbConfig, Migrations},
    health::Health,
    prune,
    server::GrpcServer,
    telemetry,
};
pub use config::{Config, Policy};
use tokio_util::sync::CancellationToken;

use crate::{app::Ledger, grpc::Service};

/// Brings the database up to date and ends. [`serve`] does it too; programs that start together do it one
/// after the other.
///
/// # Errors
/// The database is out of reach, or a migration failed.
pub async fn migrate(database: &DbConfig) -> Result<(), chassis::Error> {
    Ok(Db::migrate(database, &migrations()).await?)
}

/// Serves until the shutdown, and returns when the requests in flight are answered.
///
/// # Errors
/// The database cannot be opened or migrated, or a listener failed.
pub fn serve(config: Config, listeners: Listeners, clock: Clock, shutdown: CancellationToken) -> Serving {
    Box::pin(run(config, listeners, clock, shutdown))
}

async fn run(
    config: Config,
    listeners: Listeners,
    clock: Clock,
    shutdown: CancellationToken,
) -> Result<(), chassis::Error> {
    telemetry::describe(measures::MEASURES);
    let db = Db::open(&config.database, &migrations()).await?;
    let health = Health::new();
    health.watch(db.clone(), config.doors.readiness(), shutdown.clone());

    let mut background = Background::new(shutdown.clone());
    background.spawn("alerts", alerts::until(db.clone(), clock.clone(), shutdown.clone()));
    let old = config.requests.old().to_vec();
    background.spawn("pruning", prune::until(db.clone(), clock.clone(), old, shutdown.clone()));

    let service = WalletServiceServer::new(Service::new(
        Ledger::new(db.clone(), clock.clone()),
        config.policy.currency,
    ));
    let server = GrpcServer::new("wallet-svc", DESCRIPTORS, health)
        .error_domain(DOMAIN)
        .guarded(config.doors.guard())
        .add_service(service)
        .add_service(alerting::service(&db, &clock));
    let served = server.serve_with_probes(listeners.grpc, listeners.http, shutdown.clone()).await;
    // A failed listener ends the background tasks as well.
    shutdown.cancel();
    let ended = background.ended().await;
    let closed = db.close().await;
    served?;
    ended?;
    Ok(closed?)
}

fn migrations() -> Migrations {
    chassis::migrations!()
}
