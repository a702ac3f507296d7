//! The edge: what the public may do, over REST and gRPC; live positions; and the saga that pays, with its
//! journal.
//!
//! [`serve`] is the whole service as a function of its config, listeners, clock and shutdown token. Nothing
//! in here binds a port, installs a subscriber or reads the environment, so the launcher, the tests and a pod
//! run the same code.

// A request's future is what all the layers below it wait for, one in the other, down to a socket or a
// database. To lay it out the optimising compiler goes deeper than the 128 levels that it allows by itself.
#![recursion_limit = "256"]

mod app;
mod clients;
mod config;
mod domain;
mod error;
mod grpc;
mod http;
mod measures;
mod store;

use std::sync::Arc;

use boxoffice_proto::{
    alerts::alert_service_server::AlertServiceServer,
    booking::booking_service_server::BookingServiceServer,
    checkout::checkout_service_server::CheckoutServiceServer,
    fault::DOMAIN,
    queue::{queue_service_client::QueueServiceClient, queue_service_server::QueueServiceServer},
    wallet::wallet_service_server::WalletServiceServer,
};
use chassis::{
    Serving, alerts,
    background::Background,
    channel::Channel,
    clock::Clock,
    db::{Db, DbConfig, Migrations},
    health::Health,
    prune,
    server::GrpcServer,
    telemetry,
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub use crate::app::{EventBook, SubscriberState, ToldEvent};
pub use crate::config::{
    Browse, Config, LimitArgs, Listeners, OnPaymentFailure, Origins, Policy, Retention, TellingArgs,
    UpstreamIdentities, Upstreams,
};

/// How long streams may take to end when everything else has ended.
const GOODBYE: std::time::Duration = std::time::Duration::from_secs(2);

/// Brings the database's tables up to date, and does nothing else. [`serve`] does it too, so it is only
/// needed to migrate before new replicas start.
///
/// # Errors
/// The database is out of reach, or a migration failed.
pub async fn migrate(database: &DbConfig) -> Result<(), chassis::Error> {
    Ok(Db::migrate(database, &migrations()).await?)
}

/// The doors as those of the edge, of which seats are read as is said.
fn opened(mut doors: access::Doors, browse: Browse) -> access::Doors {
    doors.house.is_edge = true;
    doors.house.open_browsing = browse == Browse::Open;
    doors
}

/// Runs the edge until `shutdown`: REST, SSE and WebSocket on one listener, gRPC and gRPC-Web on the other,
/// and in the background the recovery of checkouts that lost their runner and the relay of events.
///
/// # Errors
/// When the journal cannot be opened or migrated, or a listener fails.
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
    let (db, health) = (Db::open(&config.database, &migrations()).await?, Health::new());
    let clients = clients::Clients::new(&config.upstreams);
    let gate = app::Gate::new(clients.clone());
    let events = store::Events::new(db.clone());
    let relay = app::Relay::new(events, clock.clone(), &config.policy.telling, Some(&clients))?;
    let acting = app::Acting::new(store::Actions::new(db.clone()), clock.clone());
    let till = app::Till::new(
        store::Journal::new(db.clone()),
        acting,
        clients.clone(),
        gate.clone(),
        relay.bell(),
        clock.clone(),
        config.policy.on_payment_failure,
    );
    let mut background = Background::new(shutdown.clone());
    background.spawn("watching", watch(db.clone(), clients.clone(), clock.clone(), shutdown.clone()));
    background.spawn("the recovery of checkouts", till.clone().recover_until(shutdown.clone()));
    background.spawn("the relay of events", relay.run_until(shutdown.clone()));
    let old = config.retention.old();
    background.spawn("pruning", prune::until(db.clone(), clock.clone(), old, shutdown.clone()));

    let places = app::Places::new(clients.queue.clone());
    let vital = background.vital();
    let halls = app::Halls::new(clients.clone(), vital.clone());
    let following = (app::Followers::new(places.clone(), vital.clone()), halls);
    let polls = app::Polls::new(places, vital.clone());
    let doors = opened(config.doors, config.policy.browse);
    health.watch(db.clone(), doors.readiness(), shutdown.clone());
    let desks = desks(&till, &db, &clock);
    let edge = app::Edge::new(clients, gate, following.clone(), desks, doors, clock, &config.policy);
    let edge = Arc::new(edge);
    let call_offs = edge.call_offs.clone();
    background.spawn("shows that are called off", call_offs.recover_until(shutdown.clone()));
    let grpc = grpc_server(&edge, polls.clone(), health.clone()).for_pages(grpc::cors(&edge.origins));
    let rest = http::Front::new(edge, polls, config.policy, health);
    let apart = |runtime: &Handle| {
        let _entered = runtime.enter();
        let queue = QueueServiceClient::new(Channel::new(&config.upstreams.queue_url));
        (runtime.clone(), rest.apart(app::Polls::new(app::Places::new(queue), vital.clone())))
    };
    let fronts = listeners.threads.runtimes().iter().map(apart).collect();
    let rest = async {
        http::serve(listeners.rest, fronts, shutdown.clone()).await;
        Ok(())
    };
    let grpc = grpc.serve_with_probes(listeners.grpc, listeners.metrics, shutdown.clone());
    let served = tokio::try_join!(grpc, rest);

    // This is done also when a listener failed: requests in flight are finished and background tasks end.
    shutdown.cancel();
    // A WebSocket is no longer one of the server's connections, so the drain has not waited for it.
    let ended = async { tokio::join!(following.0.ended(), following.1.ended()) };
    if tokio::time::timeout(GOODBYE, ended).await.is_err() {
        tracing::warn!("streams were still open after the drain; they are dropped");
    }
    till.drain().await;
    let ended = background.ended().await;
    let closed = db.close().await;
    served?;
    ended?;
    Ok(closed?)
}

/// What people at a desk work with: paying, and what operators see of the mesh.
fn desks(till: &app::Till, db: &Db, clock: &Clock) -> (app::Till, alerting::AlertBook, app::History) {
    let history = app::History::new(store::SampleBook::new(db.clone()), clock.clone());
    (till.clone(), alerting::AlertBook::new(db.clone(), clock.clone()), history)
}

/// Watches the answers of this edge, writes down how the sale goes, and sends its alerts.
async fn watch(db: Db, clients: clients::Clients, clock: Clock, shutdown: CancellationToken) {
    let (samples, journal) = (store::SampleBook::new(db.clone()), store::Journal::new(db.clone()));
    let sampler = app::Sampler::new(samples, journal, clients, clock.clone());
    tokio::join!(
        app::watch_until(shutdown.clone()),
        sampler.run_until(shutdown.clone()),
        alerts::until(db, clock, shutdown)
    );
}

/// The gRPC side: paying, and the services behind the edge through its use cases.
fn grpc_server(edge: &Arc<app::Edge>, polls: app::Polls, health: Health) -> GrpcServer {
    let door = grpc::Door::new(Arc::clone(edge), polls);
    let (doors, till, history) = (edge.doors.clone(), edge.till.clone(), edge.history.clone());
    macro_rules! limited {
        ($service:expr) => {
            grpc::Limited::new($service, Arc::clone(edge))
        };
    }
    GrpcServer::new("edge", boxoffice_proto::DESCRIPTORS, health)
        .error_domain(DOMAIN)
        .guarded(doors.guard())
        .frequent(&["GetToken", "BatchGetTokens"])
        .add_service(limited!(CheckoutServiceServer::new(grpc::Service::new(till, history, doors))))
        .add_service(limited!(QueueServiceServer::new(door.clone())))
        .add_service(limited!(BookingServiceServer::new(door.clone())))
        .add_service(limited!(WalletServiceServer::new(door.clone())))
        .add_service(limited!(AlertServiceServer::new(door)))
}

fn migrations() -> Migrations {
    chassis::migrations!()
}
