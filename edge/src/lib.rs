//! The edge: REST in, gRPC out; the live position; and the saga that pays, with its journal.
//!
//! [`serve`] is the whole service as a function of its config, listeners, clock and shutdown token; nothing in here binds a
//! port, installs a subscriber or reads the environment. The launcher, the tests and a pod run the same code.

mod app;
mod clients;
mod config;
mod domain;
mod error;
mod grpc;
mod http;
mod store;

use axum::serve::ListenerExt;
use boxoffice_proto::checkout::checkout_service_server::CheckoutServiceServer;
use boxoffice_proto::fault::DOMAIN;
use chassis::{clock::Clock, db::Db, health::Health, server::GrpcServer};
use tokio_util::sync::CancellationToken;

pub use crate::config::{Browse, Config, Listeners, OnPaymentFailure, Policy, Upstreams};

/// Runs the edge until `shutdown`: REST, SSE and WebSocket on one listener, `CheckoutService` on the other, and in the background
/// the recovery of checkouts that lost their runner and the relay of events.
///
/// # Errors
/// When the journal cannot be opened or migrated, or a listener fails.
pub async fn serve(
    config: Config,
    listeners: Listeners,
    clock: Clock,
    shutdown: CancellationToken,
) -> Result<(), chassis::Error> {
    let db = Db::open(&config.database, &chassis::migrations!()).await?;
    let health = Health::new();
    health.watch(db.clone(), shutdown.clone());

    let clients = clients::Clients::new(&config.upstreams);
    let gate = app::Gate::new(clients.clone());
    let journal = store::Journal::new(db);
    let relay = app::Relay::new(journal.clone(), clock.clone(), config.policy.events_url.as_deref())?;
    let checkouts = app::Checkouts::new(
        journal,
        clients.clone(),
        gate.clone(),
        relay.bell(),
        clock.clone(),
        config.policy.on_payment_failure,
    );
    let background =
        [tokio::spawn(checkouts.clone().recover_until(shutdown.clone())), tokio::spawn(relay.run_until(shutdown.clone()))];

    let rest = http::router(http::Deps {
        polls: app::Polls::new(clients.clone()),
        clients,
        gate,
        checkouts: checkouts.clone(),
        policy: config.policy,
        health: health.clone(),
        clock,
        shutdown: shutdown.clone(),
    });
    let grpc = GrpcServer::new("edge", boxoffice_proto::DESCRIPTORS, health)
        .error_domain(DOMAIN)
        .add_service(CheckoutServiceServer::new(grpc::Service::new(checkouts.clone())));
    let served =
        tokio::try_join!(grpc.serve(listeners.grpc, shutdown.clone()), serve_rest(listeners.rest, rest, shutdown.clone()));

    // Also when a listener failed: what is in flight is finished, and the background ends.
    shutdown.cancel();
    checkouts.drain().await;
    for task in background {
        task.await.map_err(|lost| chassis::Error::Task(lost.to_string()))?;
    }
    served?;
    Ok(())
}

/// Serves REST; after `shutdown` what is under way may finish, for a bounded time.
async fn serve_rest(listener: tokio::net::TcpListener, router: axum::Router, shutdown: CancellationToken) -> std::io::Result<()> {
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection without TCP_NODELAY");
        }
    });
    let serving = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(chassis::lifecycle::SERVER_DRAIN).await;
    };
    tokio::select! {
        served = serving => served,
        () = overdue => {
            tracing::warn!("REST requests were still under way at the end of the drain; they are dropped");
            Ok(())
        }
    }
}
