//! The queues: fair lines in front of an on-sale.
//!
//! A queue is a state machine in memory ([`domain`]) whose log is SQL ([`store`]); commands become group
//! commits and replicas follow each other ([`app`]); [`grpc`] translates. See the README of this folder for
//! what it guarantees.

pub mod app;
mod config;
pub mod domain;
mod error;
pub mod grpc;
mod measures;
pub mod store;

use boxoffice_proto::fault::DOMAIN;
use boxoffice_proto::queue::queue_service_server::QueueServiceServer;
pub use chassis::program::Listeners;
use chassis::{
    Serving,
    clock::Clock,
    db::{Db, DbConfig},
    health::Health,
    prune,
    server::GrpcServer,
    telemetry,
};
pub use config::{Config, Expiry, Policy, Retention};
pub use error::Error;
use tokio_util::sync::CancellationToken;

/// The queue that always exists.
pub const DEFAULT_QUEUE: &str = "default";

/// Brings the database up to date, and nothing else. [`serve`] does it too; whoever comes first does the
/// work.
///
/// # Errors
/// The database is out of reach, or a migration failed.
pub async fn migrate(database: &DbConfig) -> Result<(), chassis::Error> {
    Ok(Db::migrate(database, &store::migrations()).await?)
}

/// Serves the queues until the shutdown, then finishes what is in flight.
///
/// # Errors
/// The database could not be opened or read, or a listener failed.
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
    let db = Db::open(&config.database, &store::migrations()).await?;
    let queues = app::Queues::open(db.clone(), clock.clone(), config.retention).await.map_err(fatal)?;
    queues.ensure_queue(DEFAULT_QUEUE, config.policy.queue_policy()).await.map_err(fatal)?;
    let health = Health::new();
    health.watch(db.clone(), config.doors.readiness(), shutdown.clone());
    let pruning = tokio::spawn(prune::until(db.clone(), clock, config.old(), shutdown.clone()));
    let service = QueueServiceServer::new(grpc::Service::new(queues.clone(), shutdown.clone()));
    let server = GrpcServer::new("queue-svc", boxoffice_proto::DESCRIPTORS, health)
        .error_domain(DOMAIN)
        .guarded(config.doors.guard())
        // The edge sends the polls of all users in these.
        .frequent(&["BatchGetTokens"])
        .add_service(service);
    let served = server.serve_with_probes(listeners.grpc, listeners.http, shutdown.clone()).await;
    // Also when a listener failed.
    shutdown.cancel();
    let _ended = pruning.await;
    // Only now that nobody asks any more: the writers finish the batch they are in.
    queues.close().await;
    let closed = db.close().await;
    served?;
    Ok(closed?)
}

fn fatal(error: Error) -> chassis::Error {
    if let Error::Db(error) = error {
        chassis::Error::Db(error)
    } else {
        chassis::Error::Task(error.to_string())
    }
}
