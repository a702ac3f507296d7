//! The gate: the check of the queue token that stands before every booking and payment.

use std::{sync::Arc, time::Duration};

use boxoffice_proto::{
    Fault,
    booking::{GetConcertRequest, GetShowRequest},
    queue::VerifyTokenRequest,
};
use moka::future::Cache;
use uuid::Uuid;

use super::caller::Caller;
use crate::clients::{Clients, ask};

/// How many concerts and shows are remembered: far more than are on sale at once; an entry is some hundred
/// bytes.
const REMEMBERED: u64 = 10_000;
/// An entry is forgotten when it was not used for this long. The concert of a show never becomes wrong.
const IDLE: Duration = Duration::from_secs(600);
/// How long the queue of a concert is remembered: an operator may give it another one.
const QUEUE: Duration = Duration::from_secs(1);

/// Decides who may pass. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gate {
    clients: Clients,
    queue_of_concert: Cache<i64, String>,
    concert_of_show: Cache<i64, i64>,
}

impl Gate {
    pub(crate) fn new(clients: Clients) -> Self {
        let queue_of_concert = Cache::builder().max_capacity(REMEMBERED).time_to_live(QUEUE).build();
        let concert_of_show = Cache::builder().max_capacity(REMEMBERED).time_to_idle(IDLE).build();
        Self { clients, queue_of_concert, concert_of_show }
    }

    /// Lets pass a caller who presents an ACTIVE token of this queue (or of any queue, when `queue_id` is
    /// empty) and of this user: the one named, or else the one who asks. Answers the token. With `fresh` the
    /// answer is certain about what other replicas have committed, as a payment needs it.
    ///
    /// # Errors
    /// TOKEN_MISSING, INVALID_ARGUMENT (no UUID), TOKEN_NOT_FOUND, TOKEN_NOT_ACTIVE, TOKEN_WRONG_USER,
    /// TOKEN_WRONG_QUEUE.
    pub(super) async fn admit(
        &self,
        caller: &Caller,
        queue_id: &str,
        user_id: Option<&str>,
        fresh: bool,
    ) -> Result<Uuid, Fault> {
        let token = caller.queue_token()?;
        let user_id = user_id.or(caller.user());
        let request = VerifyTokenRequest {
            token: token.to_string(),
            queue_id: queue_id.to_owned(),
            user_id: user_id.unwrap_or_default().to_owned(),
            fresh,
        };
        ask!(self.clients.queue, verify_token(request).token)?;
        Ok(token)
    }

    /// Forgets the queue of a concert, because the concert was changed.
    pub(super) async fn forget(&self, concert_id: i64) {
        self.queue_of_concert.invalidate(&concert_id).await;
    }

    /// The queue that guards a concert, as it was a second ago or later.
    ///
    /// # Errors
    /// CONCERT_NOT_FOUND.
    pub(super) async fn queue_of_concert(&self, concert_id: i64) -> Result<String, Fault> {
        let queue = async {
            let concert = ask!(self.clients.booking, get_concert(GetConcertRequest { concert_id }).concert);
            concert.map(|concert| concert.queue_id)
        };
        self.queue_of_concert.try_get_with(concert_id, queue).await.map_err(Arc::unwrap_or_clone)
    }

    /// The queue that guards a show's concert.
    ///
    /// # Errors
    /// SHOW_NOT_FOUND.
    pub(super) async fn queue_of_show(&self, show_id: i64) -> Result<String, Fault> {
        let concert = async {
            let show = ask!(self.clients.booking, get_show(GetShowRequest { show_id }).show);
            show.map(|show| show.concert_id)
        };
        let concert_id =
            self.concert_of_show.try_get_with(show_id, concert).await.map_err(Arc::unwrap_or_clone)?;
        self.queue_of_concert(concert_id).await
    }
}
