//! Booking: concerts, shows and seats; seats held for a while, then confirmed or free again.
//!
//! `grpc` (protobuf and nothing else) → `app` (what happens in which transaction) → `domain` (the rules) and `store` (all SQL).

pub mod app;
pub mod config;
pub mod domain;
pub mod error;
pub mod grpc;
pub mod store;

use std::sync::Arc;

use boxoffice_proto::fault::DOMAIN;
use boxoffice_proto::{DESCRIPTORS, booking::booking_service_server::BookingServiceServer};
use chassis::{clock::Clock, db::Db, health::Health, probes, server::GrpcServer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::{Config, Policy};

/// Where it listens.
#[derive(Debug)]
pub struct Listeners {
    /// For gRPC.
    pub grpc: TcpListener,
    /// For probes and metrics.
    pub http: Option<TcpListener>,
}

/// Serves until the shutdown, and returns when what was in flight is done.
///
/// # Errors
/// The database cannot be opened, or a listener failed.
pub async fn serve(
    config: Config,
    listeners: Listeners,
    clock: Clock,
    shutdown: CancellationToken,
) -> Result<(), chassis::Error> {
    let db = Db::open(&config.database, &store::migrations()).await?;
    let health = Health::new();
    health.watch(db.clone(), shutdown.clone());
    let app = Arc::new(app::App::new(db, clock, config.policy));
    let sweeper = tokio::spawn(app::sweep_until(Arc::clone(&app), shutdown.clone()));
    let grpc = GrpcServer::new("booking-svc", DESCRIPTORS, health.clone())
        .error_domain(DOMAIN)
        .add_service(BookingServiceServer::new(grpc::Api(app)))
        .serve(listeners.grpc, shutdown.clone());
    // The probes answer as long as calls are being finished; either listener's failure ends the service.
    let drained = CancellationToken::new();
    let http = async {
        match listeners.http {
            Some(listener) => probes::serve(listener, health, drained.clone()).await,
            None => Ok(()),
        }
    };
    let grpc = async {
        let ended = grpc.await;
        drained.cancel();
        ended
    };
    let served = tokio::try_join!(grpc, http);
    sweeper.abort();
    served?;
    Ok(())
}
