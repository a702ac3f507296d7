//! Booking: concerts, shows and seats; seats held for a while, then confirmed or free again.
//!
//! `grpc` (conversion from and to protobuf) → `app` (what happens in which transaction) → `domain` (the
//! rules) and `store` (all SQL).

pub mod app;
pub mod config;
pub mod domain;
pub mod error;
pub mod grpc;
mod measures;
pub mod store;

use std::{sync::Arc, time::Duration};

use boxoffice_proto::fault::DOMAIN;
use boxoffice_proto::{DESCRIPTORS, booking::booking_service_server::BookingServiceServer};
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
use tokio_util::sync::CancellationToken;

pub use chassis::program::Listeners;
pub use config::{Config, Cooldown, Policy, Retention};

/// How long the shutdown waits for the sweep's last batch after the servers have ended.
const LAST_SWEEP: Duration = Duration::from_secs(2);

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
/// The database cannot be opened, or a listener failed.
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
    let health = Health::new();
    health.watch(db.clone(), config.doors.readiness(), shutdown.clone());
    let mut background = Background::new(shutdown.clone());
    background.spawn("alerts", alerts::until(db.clone(), clock.clone(), shutdown.clone()));
    let old = config.old();
    background.spawn("pruning", prune::until(db.clone(), clock.clone(), old, shutdown.clone()));
    let rules = config.policy.rules(config.doors.know_callers());
    let app = Arc::new(app::App::new(db.clone(), clock.clone(), rules, config.policy.time_zone));
    // Nothing happens before it is known whether somebody is to be told.
    app.look_for_taker().await?;
    background.spawn("looking for who is told", app::look_until(Arc::clone(&app), shutdown.clone()));
    background.spawn("the sweep", sweep(Arc::clone(&app), shutdown.clone()));
    let served = GrpcServer::new("booking-svc", DESCRIPTORS, health)
        .error_domain(DOMAIN)
        .guarded(config.doors.guard())
        // The edge makes these calls every second.
        .frequent(&["TakeReservationEvents", "TakeShowEvents"])
        .add_service(BookingServiceServer::new(grpc::Service::new(app, config.currency, shutdown.clone())))
        .add_service(alerting::service(&db, &clock))
        .serve_with_probes(listeners.grpc, listeners.http, shutdown.clone())
        .await;
    // A failed listener ends the background tasks as well.
    shutdown.cancel();
    let ended = background.ended().await;
    let closed = db.close().await;
    served?;
    ended?;
    Ok(closed?)
}

/// Sweeps until the shutdown. A sweep that waits for a stalled database then is dropped.
async fn sweep(app: Arc<app::App>, shutdown: CancellationToken) {
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(LAST_SWEEP).await;
    };
    tokio::select! { () = app::sweep_until(app, shutdown.clone()) => {}, () = late => {} }
}
