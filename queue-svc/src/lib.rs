//! Queues in front of an on-sale: users wait in the order in which they came, and the policy says how many
//! are admitted at once.
//!
//! A queue is a state machine in memory ([`domain`]), and SQL is its log ([`store`]). [`app`] commits the
//! commands that wait together as one transaction and follows the other replicas; [`grpc`] converts messages.
//! The README of this folder says what the service guarantees.

pub mod app;
mod config;
pub mod domain;
mod error;
pub mod grpc;
mod measures;
mod relay;
pub mod store;

use boxoffice_proto::fault::DOMAIN;
use boxoffice_proto::queue::queue_service_server::QueueServiceServer;
pub use chassis::program::Listeners;
use chassis::{
    Serving, alerts,
    background::Background,
    clock::Clock,
    db::{Db, DbConfig},
    health::Health,
    prune,
    server::GrpcServer,
    telemetry,
};
pub use config::{BeaconArgs, Config, Expiry, Policy, Retention};
pub use error::Error;
pub use relay::{Fetch, Relay};
use tokio_util::sync::CancellationToken;

/// The id of the queue that always exists.
pub const DEFAULT_QUEUE: &str = "default";

/// Brings the database up to date and ends. [`serve`] does it too; programs that start together do it one
/// after the other.
///
/// # Errors
/// The database is out of reach, or a migration failed.
pub async fn migrate(database: &DbConfig) -> Result<(), chassis::Error> {
    Ok(Db::migrate(database, &store::migrations()).await?)
}

/// Serves until the shutdown, and returns when the requests in flight are answered.
///
/// # Errors
/// The database cannot be opened or read, or a listener failed.
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
    let mut background = Background::new(shutdown.clone());
    let (retention, relay) = (config.retention, config.relay.clone());
    let queues = app::Queues::open(db.clone(), clock.clone(), retention, relay, background.vital())
        .await
        .map_err(fatal)?;
    queues.ensure_queue(DEFAULT_QUEUE, config.policy.queue_policy()).await.map_err(fatal)?;
    let health = Health::new();
    health.watch(db.clone(), config.doors.readiness(), shutdown.clone());
    background.spawn("alerts", alerts::until(db.clone(), clock.clone(), shutdown.clone()));
    let old = config.old();
    background.spawn("pruning", prune::until(db.clone(), clock.clone(), old, shutdown.clone()));
    let service = QueueServiceServer::new(grpc::Service::new(queues.clone(), shutdown.clone()));
    let server = GrpcServer::new("queue-svc", boxoffice_proto::DESCRIPTORS, health)
        .error_domain(DOMAIN)
        .guarded(config.doors.guard())
        // The edge sends the polls of all users in the first two, and makes the last every second.
        .frequent(&["BatchGetTokens", "PollTokens", "TakeQueueEvents"])
        .add_service(service)
        .add_service(alerting::service(&db, &clock));
    let served = server.serve_with_probes(listeners.grpc, listeners.http, shutdown.clone()).await;
    // A failed listener ends the background tasks as well.
    shutdown.cancel();
    let ended = background.ended().await;
    // No request is in flight any more, so each writer only finishes its present batch.
    queues.close().await;
    let closed = db.close().await;
    served?;
    ended?;
    Ok(closed?)
}

fn fatal(error: Error) -> chassis::Error {
    if let Error::Db(error) = error {
        chassis::Error::Db(error)
    } else {
        chassis::Error::Task(error.to_string())
    }
}
