//! REST, SSE and WebSocket: what comes in as HTTP becomes a call of a service or of a use case of the edge,
//! and what comes back becomes JSON. No rule about tickets lives here.
//!
//! ```text
//! listener ▸ front ▸ CORS ▸ observe ▸ handler
//!            └─ a poll ▸ observe, without a router ▸ handler
//! ```
//! Everything a client can send wrongly is answered with a [`problem`] document; nothing it sends makes a
//! 500.

mod concerts;
mod connection;
mod day;
mod docs;
mod extract;
mod fields;
mod front;
pub(crate) mod json;
mod members;
mod middleware;
mod object;
mod openapi;
mod original;
mod payments;
mod problem;
mod queues;
mod reservations;
mod router;
mod seats;
mod serve;
mod streams;
#[cfg(test)]
mod tests;
mod tokens;
mod wallets;

use std::sync::Arc;

use axum::extract::State;
use boxoffice_proto::{Reason, validate::Checks};
use chassis::{clock::Clock, health::Health, idempotency::BRIEF};

use self::problem::Problem;
pub(crate) use self::{front::Front, serve::serve};
use crate::{
    app,
    clients::Clients,
    config::{Browse, Policy},
};

/// What the REST side is built from.
pub(crate) struct Deps {
    /// The services.
    pub(crate) clients: Clients,
    /// The queue check.
    pub(crate) gate: app::Gate,
    /// Reads of tokens, coalesced.
    pub(crate) polls: app::Polls,
    /// The saga.
    pub(crate) checkouts: app::Checkouts,
    /// The knobs.
    pub(crate) policy: Policy,
    /// For the probes.
    pub(crate) health: Health,
    /// The time.
    pub(crate) clock: Clock,
    /// Places followed for the streams.
    pub(crate) followers: app::Followers,
}

/// What the handlers share.
struct Api {
    clients: Clients,
    gate: app::Gate,
    checkouts: app::Checkouts,
    browse: Browse,
    clock: Clock,
    followers: app::Followers,
}

/// The state of every handler.
type App = State<Arc<Api>>;

impl Api {
    /// A request id of the edge's own, for one call that it may repeat by itself. Ids of one moment are
    /// neighbours in the services' tables.
    fn brief_id(&self) -> String {
        format!("{BRIEF}{:016x}{:016x}", self.clock.now(), rand::random::<u64>())
    }

    /// The queue check, with what is wrong with the header named as the client knows it.
    async fn admit(&self, token: Option<&str>, queue_id: &str, user_id: Option<&str>) -> Result<(), Problem> {
        let token = present(token)?;
        self.gate.admit(Some(token), queue_id, user_id, false).await?;
        Ok(())
    }

    /// The queue check before reading dates and seats of a concert.
    async fn admit_browsing(&self, token: Option<&str>, concert_id: i64) -> Result<(), Problem> {
        if self.browse == Browse::Open {
            return Ok(());
        }
        let token = present(token)?;
        self.admit(Some(token), &self.gate.queue_of_concert(concert_id).await?, None).await
    }
}

/// The token that must be there and be one.
fn present(token: Option<&str>) -> Result<&str, Problem> {
    let token = token.ok_or_else(|| {
        let detail =
            "Join the queue, wait until the token is ACTIVE, and send it along as the header X-Queue-Token.";
        boxoffice_proto::Fault::new(Reason::TokenMissing, detail)
    })?;
    let mut checks = Checks::default();
    checks.uuid("X-Queue-Token", token);
    checks.finish()?;
    Ok(token)
}

/// Calls a method of a service that may be repeated without harm (each mutation carries its request id), and
/// reads what it is refused with: `ask!(api.clients.queue, get_queue, request)`.
macro_rules! ask {
    ($client:expr, $method:ident, $request:expr) => {{
        let (client, request) = (&$client, $request);
        $crate::clients::call(|| {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.$method(request).await }
        })
        .await
        .map_err($crate::http::problem::Problem::from)
    }};
}
use ask;
