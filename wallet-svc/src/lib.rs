//! Prepaid wallets: an append-only ledger a user, and payments against it.
//!
//! ```text
//! grpc (proto ↔ domain) ──▶ app (which transaction) ──▶ domain (the rules)
//!                                                  └──▶ store  (all SQL)
//! ```
//! The service is a function of its [`Config`], its [`Listeners`], a clock and a shutdown token; see the README for what it
//! guarantees.

mod app;
pub mod config;
#[cfg(test)]
mod conformance;
mod domain;
mod error;
mod grpc;
mod store;

use boxoffice_proto::fault::DOMAIN;
use boxoffice_proto::{DESCRIPTORS, wallet::wallet_service_server::WalletServiceServer};
use chassis::{clock::Clock, db::Db, health::Health, probes, server::GrpcServer};
pub use config::{Config, Listeners, Policy};
use tokio_util::sync::CancellationToken;

use crate::{app::Ledger, grpc::Service};

/// Serves until the shutdown, then finishes what is in flight.
///
/// # Errors
/// The database cannot be opened or migrated, or a listener failed.
pub async fn serve(
    config: Config,
    listeners: Listeners,
    clock: Clock,
    shutdown: CancellationToken,
) -> Result<(), chassis::Error> {
    let db = Db::open(&config.database, &chassis::migrations!()).await?;
    let health = Health::new();
    health.watch(db.clone(), shutdown.clone());

    let service = WalletServiceServer::new(Service::new(Ledger::new(db, clock), config.policy.currency));
    let server = GrpcServer::new("wallet-svc", DESCRIPTORS, health.clone()).error_domain(DOMAIN).add_service(service);

    // The probes outlive the draining, so that an orchestrator sees it.
    let drained = CancellationToken::new();
    let grpc = async {
        let _drained = drained.clone().drop_guard();
        server.serve(listeners.grpc, shutdown).await
    };
    let http = async {
        match listeners.http {
            Some(listener) => probes::serve(listener, health, drained.clone()).await,
            None => Ok(()),
        }
    };
    tokio::try_join!(grpc, http)?;
    Ok(())
}
