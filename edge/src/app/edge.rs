//! What the use cases work with.

use access::Doors;
use alerting::AlertBook;
use boxoffice_proto::{Fault, access::Asks, validate::Checks};
use chassis::{
    clock::Clock,
    idempotency::{BRIEF, OF_CALLER, of_caller},
};

use super::{
    acting::Acting, call_off::CallOffs, caller::Caller, coming::Coming, followers::Followers, gate::Gate,
    halls::Halls, history::History, limits::Limits, till::Till,
};
use crate::{
    clients::Clients,
    config::{Origins, Policy},
};

/// The services, the gate before them, and what the edge itself runs. There is one a process, and every
/// door shares it.
pub(crate) struct Edge {
    pub(super) clients: Clients,
    pub(super) gate: Gate,
    pub(super) followers: Followers,
    pub(super) halls: Halls,
    /// What the first page tells.
    pub(crate) coming: Coming,
    /// The alerts that edges have written down.
    pub(super) alerts: AlertBook,
    /// How the sale went within the last hour.
    pub(crate) history: History,
    /// The doors find out who calls.
    pub(crate) doors: Doors,
    clock: Clock,
    /// Shows that are called off.
    pub(crate) call_offs: CallOffs,
    /// The use cases of paying.
    pub(crate) till: Till,
    /// How much one caller may ask for.
    pub(crate) limits: Limits,
    /// The changes of operators and cashiers go through it.
    pub(crate) acting: Acting,
    /// The web pages that may call.
    pub(crate) origins: Origins,
}

impl Edge {
    pub(crate) fn new(
        clients: Clients,
        gate: Gate,
        (followers, halls): (Followers, Halls),
        (till, alerts, history): (Till, AlertBook, History),
        doors: Doors,
        clock: Clock,
        policy: &Policy,
    ) -> Self {
        let limits = Limits::new(policy.limits.clone(), doors.are_secured());
        let (acting, origins) = (till.acting.clone(), policy.cors_origins.clone());
        let call_offs = CallOffs::new(till.runner.clone(), clients.clone());
        let coming = Coming::new(clients.clone());
        Self {
            clients,
            gate,
            followers,
            halls,
            coming,
            alerts,
            history,
            doors,
            clock,
            call_offs,
            till,
            limits,
            acting,
            origins,
        }
    }

    /// The time, in microseconds.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// The request id under which a mutation is made: the caller's, or when it is empty one of the edge's
    /// own, so that a call that the edge repeats is done once. Ids of one moment are neighbours in the
    /// services' tables.
    ///
    /// The services take an id for that of the user whom the request is about. So the id of whoever acts
    /// in a role is made the caller's own, and so is one that is spelled like that. What is no id stays as
    /// it is, for the service to refuse.
    pub(super) fn request_id<R: Asks>(&self, caller: &Caller, user_id: &str, given: String) -> String {
        if given.is_empty() {
            return format!("{BRIEF}{:016x}{:016x}", self.now(), rand::random::<u64>());
        }
        if Checks::of(|checks| checks.request_id(&given)).is_err() {
            return given;
        }
        // Ids of these shapes are nobody's own at the services.
        let is_ours = [BRIEF, OF_CALLER].iter().any(|ours| given.starts_with(ours));
        if is_ours || caller.role::<R>(user_id).is_some() {
            return of_caller(caller.user().unwrap_or(user_id), &given);
        }
        given
    }

    /// Lets pass who may read dates and seats that this queue guards.
    pub(super) async fn admit_to_browse(
        &self,
        caller: &Caller,
        queue_id: impl Future<Output = Result<String, Fault>>,
    ) -> Result<(), Fault> {
        if self.doors.house.open_browsing {
            return Ok(());
        }
        caller.queue_token()?;
        self.gate.admit(caller, &queue_id.await?, None, false).await?;
        Ok(())
    }
}
