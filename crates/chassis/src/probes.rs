//! The plain HTTP endpoints for orchestrators and metrics scrapers.

use std::{future::IntoFuture, io};

use axum::{
    Router, extract::State as From, http::StatusCode, http::header::CONTENT_TYPE, middleware::from_fn,
    response::IntoResponse, routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    health::{Health, State},
    host,
    network::{Connections, Incoming},
    telemetry,
};

/// Connections at the same time. They are not counted with those of the service, so that a probe is answered
/// however many clients there are.
const CONNECTIONS: usize = 64;

/// `/healthz` (the process lives), `/readyz` (it can do its work) and `/metrics` (Prometheus text).
pub fn router(health: Health) -> Router {
    self::health(health).route("/metrics", get(metrics))
}

/// `/healthz` and `/readyz` alone, where the figures are not for everybody.
pub fn health(health: Health) -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).with_state(health)
}

/// Serves the probes alone until the shutdown. They answer while the service drains, and end with it.
///
/// # Errors
/// The listener failed.
pub async fn serve(listener: TcpListener, health: Health, shutdown: CancellationToken) -> io::Result<()> {
    let incoming = Incoming::counted(listener, &Connections::new(CONNECTIONS));
    axum::serve(incoming, router(health).layer(from_fn(host::required)))
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .into_future()
        .await
}

async fn ready(From(health): From<Health>) -> impl IntoResponse {
    let state = health.state();
    let status = match state {
        State::Ready => StatusCode::OK,
        State::Starting | State::Failing | State::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{}\n", state.as_str()))
}

async fn metrics() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], telemetry::metrics_text())
}
