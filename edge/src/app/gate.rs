//! The queue check that stands before every booking and payment call.

use std::{sync::Arc, time::Duration};

use boxoffice_proto::{
    Fault, Reason,
    booking::{GetConcertRequest, GetShowRequest},
    queue::{Token, VerifyTokenRequest},
    validate::Checks,
};
use moka::future::Cache;

use crate::clients::{Clients, call};

/// How many concerts and shows are remembered: far more than are on sale at once; an entry is some hundred
/// bytes.
const REMEMBERED: u64 = 10_000;
/// What is remembered never changes; it is only let go when nobody asks any more.
const IDLE: Duration = Duration::from_secs(600);

/// Decides who may pass. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gate {
    clients: Clients,
    queue_of_concert: Cache<i64, String>,
    concert_of_show: Cache<i64, i64>,
}

impl Gate {
    pub(crate) fn new(clients: Clients) -> Self {
        let queue_of_concert = Cache::builder().max_capacity(REMEMBERED).time_to_idle(IDLE).build();
        let concert_of_show = Cache::builder().max_capacity(REMEMBERED).time_to_idle(IDLE).build();
        Self { clients, queue_of_concert, concert_of_show }
    }

    /// Passes who shows an ACTIVE token of this queue (and, when named, of this user). `fresh`: be certain
    /// also about what another replica committed a moment ago, as a payment must.
    ///
    /// # Errors
    /// TOKEN_MISSING, INVALID_ARGUMENT (not a UUID), TOKEN_NOT_FOUND, TOKEN_NOT_ACTIVE, TOKEN_WRONG_USER,
    /// TOKEN_WRONG_QUEUE.
    pub(crate) async fn admit(
        &self,
        token: Option<&str>,
        queue_id: &str,
        user_id: Option<&str>,
        fresh: bool,
    ) -> Result<Token, Fault> {
        let token = token.map(str::trim).filter(|token| !token.is_empty()).ok_or_else(missing)?;
        let mut checks = Checks::default();
        let token = checks.uuid("token", token).to_string();
        checks.finish()?;
        let ask = VerifyTokenRequest {
            token,
            queue_id: queue_id.to_owned(),
            user_id: user_id.unwrap_or_default().to_owned(),
            fresh,
        };
        let answer = call(|| {
            let (mut queue, ask) = (self.clients.queue.clone(), ask.clone());
            async move { queue.verify_token(ask).await }
        });
        answer.await?.token.ok_or_else(|| hollow("VerifyToken"))
    }

    /// The waiting room that guards a concert. It never changes, so it is asked for once.
    ///
    /// # Errors
    /// CONCERT_NOT_FOUND.
    pub(crate) async fn queue_of_concert(&self, concert_id: i64) -> Result<String, Fault> {
        let ask = async {
            let answer = call(|| {
                let mut booking = self.clients.booking.clone();
                async move { booking.get_concert(GetConcertRequest { concert_id }).await }
            });
            answer.await?.concert.map(|concert| concert.queue_id).ok_or_else(|| hollow("GetConcert"))
        };
        self.queue_of_concert.try_get_with(concert_id, ask).await.map_err(Arc::unwrap_or_clone)
    }

    /// The waiting room that guards a show's concert.
    ///
    /// # Errors
    /// SHOW_NOT_FOUND.
    pub(crate) async fn queue_of_show(&self, show_id: i64) -> Result<String, Fault> {
        let ask = async {
            let answer = call(|| {
                let mut booking = self.clients.booking.clone();
                async move { booking.get_show(GetShowRequest { show_id }).await }
            });
            answer.await?.show.map(|show| show.concert_id).ok_or_else(|| hollow("GetShow"))
        };
        let concert_id =
            self.concert_of_show.try_get_with(show_id, ask).await.map_err(Arc::unwrap_or_clone)?;
        self.queue_of_concert(concert_id).await
    }
}

fn missing() -> Fault {
    Fault::new(
        Reason::TokenMissing,
        "Join the queue, wait until the token is ACTIVE, and send it along (header X-Queue-Token).",
    )
}

/// An answer without the part that it always has: a service that is not ours, or a newer one.
pub(super) fn hollow(method: &str) -> Fault {
    Fault::internal(format_args!("the answer of {method} came without its content"))
}
