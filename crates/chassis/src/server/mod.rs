//! Serving gRPC: health, reflection, and what every call gets: a trace, a deadline, one log line, metrics,
//! and a bounded share of the server.

mod calls;
mod message;
mod reflection;
mod refusal;
mod web;

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use futures::StreamExt;
use http::{Request, Response};
use tokio::{net::TcpListener, time};
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService, service::Routes, transport::Server};
use tonic_health::server::{HealthReporter, health_reporter};
use tower::{Layer as _, Service};
use tower_http::cors::CorsLayer;

use self::{
    calls::{CallLayer, Identity},
    web::WebLayer,
};
pub use self::{message::Guard, refusal::panic_text, web::for_grpc_web};
use crate::{
    health::{Health, State},
    in_process::Served,
    lifecycle,
    network::Incoming,
    probes,
};

/// The most calls in flight on one connection. One client cannot fill the server: its calls beyond this wait
/// unsent.
const STREAMS: u32 = 256;
/// How long the server has to be without calls before it ends, so that answers are sent and streams closed.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// How often a connection is pinged.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// How long a connection takes new calls, in seconds. Clients that balance over names look these up only when
/// a connection ends, and would never find a replica that was added. Each server has an age of its own, so
/// that not all are left at the same moment. (There is no grace period for calls under way: with one, tonic
/// would end connections by force and without GOAWAY.)
const CONNECTION_AGE: std::ops::Range<u64> = 240..360;

/// A gRPC server of one or more services.
pub struct GrpcServer {
    identity: Identity,
    descriptors: &'static [u8],
    health: Health,
    routes: Routes,
    services: Vec<&'static str>,
    connection_age: Duration,
    guard: Option<Guard>,
    web: WebLayer,
}

impl GrpcServer {
    /// A server without services; `name` labels its logs and metrics, and `descriptors` is the encoded file
    /// descriptor set for reflection.
    #[must_use]
    pub fn new(name: &'static str, descriptors: &'static [u8], health: Health) -> Self {
        let connection_age = Duration::from_secs(rand::random_range(CONNECTION_AGE));
        Self {
            identity: Identity { name, domain: name, frequent: &[] },
            descriptors,
            health,
            routes: Routes::default(),
            services: Vec::new(),
            connection_age,
            guard: None,
            web: WebLayer::default(),
        }
    }

    /// Speaks gRPC-Web too, over HTTP/1.1 and HTTP/2, and lets those web pages of other origins call that
    /// these rules let: see [`for_grpc_web`].
    #[must_use]
    pub fn for_pages(mut self, cors: Option<CorsLayer>) -> Self {
        self.web = WebLayer { spoken: true, cors };
        self
    }

    /// Asks this of every call that comes in over a connection; callers inside the process are trusted. The
    /// guard decides about health checks and reflection too.
    #[must_use]
    pub fn guarded(mut self, guard: Option<Guard>) -> Self {
        self.guard = guard;
        self
    }

    /// How long a connection takes new calls before it is sent GOAWAY (calls under way are finished); 4 to 6
    /// minutes by default.
    #[must_use]
    pub const fn connection_age(mut self, age: Duration) -> Self {
        self.connection_age = age;
        self
    }

    /// The `domain` of the `ErrorInfo` in refusals that the server itself makes; its name by default.
    #[must_use]
    pub const fn error_domain(mut self, domain: &'static str) -> Self {
        self.identity.domain = domain;
        self
    }

    /// Methods that are called so often, and say so little, that their calls are logged at DEBUG instead of
    /// INFO, by their names without package and service.
    #[must_use]
    pub const fn frequent(mut self, methods: &'static [&'static str]) -> Self {
        self.identity.frequent = methods;
        self
    }

    /// Adds a service.
    #[must_use]
    pub fn add_service<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.services.push(S::NAME);
        self.routes = self.routes.add_service(service);
        self
    }

    /// As [`serve`](Self::serve), with the [`probes`] on a listener of their own, if there is one. They are
    /// served until draining is over, so that an orchestrator sees it; a failure of either listener ends
    /// both.
    ///
    /// # Errors
    /// A listener failed, or the descriptors make no sense.
    pub async fn serve_with_probes(
        self,
        incoming: impl Into<Incoming>,
        http: Option<TcpListener>,
        shutdown: CancellationToken,
    ) -> io::Result<()> {
        let (health, drained) = (self.health.clone(), CancellationToken::new());
        let probes = async {
            match http {
                Some(listener) => probes::serve(listener, health, drained.clone()).await,
                None => Ok(()),
            }
        };
        let grpc = async {
            let _drained = drained.clone().drop_guard();
            self.serve(incoming, shutdown).await
        };
        tokio::try_join!(grpc, probes).map(|_| ())
    }

    /// Serves until the shutdown, then finishes what is in flight, bounded by [`lifecycle::SERVER_DRAIN`].
    ///
    /// # Errors
    /// The listener failed, or the descriptors make no sense.
    pub async fn serve(self, incoming: impl Into<Incoming>, shutdown: CancellationToken) -> io::Result<()> {
        let (reporter, health_service) = health_reporter();
        tokio::spawn(report(reporter, self.services.clone(), self.health.clone()));
        let errors =
            reflection::by_package(tonic_types::pb::FILE_DESCRIPTOR_SET).map_err(io::Error::other)?;
        let probes =
            reflection::by_package(tonic_health::pb::FILE_DESCRIPTOR_SET).map_err(io::Error::other)?;
        let reflection = || {
            let builder = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(self.descriptors)
                .register_file_descriptor_set(errors.clone())
                .register_file_descriptor_set(probes.clone());
            let builder = builder.with_service_name("grpc.health.v1.Health");
            self.services.iter().fold(builder, |builder, name| builder.with_service_name(*name))
        };
        let routes = self
            .routes
            .add_service(health_service)
            .add_service(reflection().build_v1().map_err(io::Error::other)?)
            .add_service(reflection().build_v1alpha().map_err(io::Error::other)?);

        let meters = Arc::default();
        let outside = CallLayer::outside(self.identity, Arc::clone(&meters), self.guard);
        let inside = CallLayer::inside(self.identity, meters);
        let incoming = incoming.into();
        let open = incoming.in_process.clone().open(Served::new(inside.layer(routes.clone().prepare())));
        let closing = shutdown.clone();
        let until = async move {
            closing.cancelled().await;
            drop(open);
        };
        let serving = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .max_connection_age(self.connection_age)
            .max_concurrent_streams(STREAMS)
            .accept_http1(self.web.spoken)
            .layer(self.web)
            .layer(outside.clone())
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming.map(Ok::<_, Infallible>), until);
        let ended = async {
            let ended = serving.await;
            // Calls from within the process have no connection that would be waited for.
            inside.idle().await;
            ended
        };
        // A peer that never sent anything, or ignores GOAWAY, is waited for only while there are calls.
        let too_long = async {
            shutdown.cancelled().await;
            let last = time::Instant::now() + lifecycle::SERVER_DRAIN;
            // Twice in a row, because a call of a peer that has not received GOAWAY yet may come in between.
            let mut quiet = 0;
            while quiet < 2 && time::Instant::now() < last {
                time::sleep(LAST_ANSWERS).await;
                quiet = if outside.is_idle() && inside.is_idle() { quiet + 1 } else { 0 };
            }
        };
        tokio::select! {
            ended = ended => ended.map_err(io::Error::other),
            () = too_long => Ok(()),
        }
    }
}

/// Tells `grpc.health.v1` what [`Health`] says, for the server as a whole ("") and for each service.
async fn report(reporter: HealthReporter, services: Vec<&'static str>, health: Health) {
    let mut changes = health.changes();
    loop {
        let serving = match *changes.borrow_and_update() {
            State::Ready => tonic_health::ServingStatus::Serving,
            State::Starting | State::Failing | State::Draining => tonic_health::ServingStatus::NotServing,
        };
        for name in services.iter().copied().chain([""]) {
            reporter.set_service_status(name, serving).await;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
