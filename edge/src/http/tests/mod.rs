//! The real REST side, with nothing behind it or with a queue that does as it is told.

#![allow(clippy::unwrap_used, reason = "tests")]

mod limits;
mod malformed;
mod pages;
mod queue;
mod refusals;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use access::Switch;
use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode},
};
use chassis::{background::Vital, clock::Clock, db, health::Health};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::Front;
use crate::{
    app,
    clients::Clients,
    config::{Browse, LimitArgs, OnPaymentFailure, Policy, Upstreams},
    store,
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const TOKEN: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";

/// One whose services are ports that nobody listens on.
pub(super) async fn alone(browse: Browse, cors: &str) -> (Front, tempfile::TempDir) {
    let limits = LimitArgs::default();
    build("http://127.0.0.1:1", browse, cors, limits, CancellationToken::new()).await
}

/// One over services at this address.
async fn build(
    url: &str,
    browse: Browse,
    cors: &str,
    limits: LimitArgs,
    shutdown: CancellationToken,
) -> (Front, tempfile::TempDir) {
    let (on_payment_failure, cors_origins) = (OnPaymentFailure::Release, cors.parse().unwrap());
    let pages = Switch(true);
    let policy =
        Policy { browse, on_payment_failure, telling: Default::default(), cors_origins, pages, limits };
    build_with(url, policy, shutdown).await
}

/// One that behaves like this.
async fn build_with(url: &str, policy: Policy, shutdown: CancellationToken) -> (Front, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = db::DbConfig::at(format!("sqlite:{}", folder.path().join("edge.db").display()));
    let db = db::Db::open(&config, &chassis::migrations!()).await.unwrap();
    let journal = store::Journal::new(db.clone());
    let target = || url.parse().unwrap();
    let clients =
        Clients::new(&Upstreams { queue_url: target(), booking_url: target(), wallet_url: target() });
    let gate = app::Gate::new(clients.clone());
    let clock = Clock::system();
    let relay =
        app::Relay::new(store::Events::new(db.clone()), clock.clone(), &Default::default(), None).unwrap();
    let till = app::Till::new(
        journal,
        app::Acting::new(store::Actions::new(db.clone()), clock.clone()),
        clients.clone(),
        gate.clone(),
        relay.bell(),
        clock.clone(),
        policy.on_payment_failure,
    );
    let places = app::Places::new(clients.queue.clone());
    let vital = Vital::new(shutdown.clone());
    let polls = app::Polls::new(places.clone(), vital.clone());
    let halls = app::Halls::new(clients.clone(), vital.clone());
    let followers = (app::Followers::new(places, vital), halls);
    let mut doors = access::Doors::open();
    doors.house.open_browsing = policy.browse == Browse::Open;
    let desks = (
        till,
        alerting::AlertBook::new(db.clone(), clock.clone()),
        app::History::new(store::SampleBook::new(db), clock.clone()),
    );
    let edge = app::Edge::new(clients, gate, followers, desks, doors, clock, &policy);
    (Front::new(Arc::new(edge), polls, policy, Health::new()), folder)
}

async fn send(front: &Front, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let response = front.clone().answer(HERE, request).await;
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status, parts.headers, serde_json::from_slice(&body).unwrap_or_default())
}

fn request(method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "x")
        .header("content-type", "application/json");
    request.body(body.into()).unwrap()
}
