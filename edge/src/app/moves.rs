//! Telling that a show moved, to whoever listens to events: those who have its seats are to be told.
//!
//! What booking was told of a show's beginning before is written down before booking is asked to change it.
//! When the answer is there the row goes, together with the event where the show moved. A row whose edge was
//! lost is finished by any replica, which asks booking where the show is now.

use std::time::Duration;

use boxoffice_proto::{
    Fault, Reason,
    booking::{GetShowRequest, Show, UpdateShowRequest},
    time,
};
use chassis::{clock::SECOND, ticks::every, warn_or_alert};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::runner::Runner;
use crate::{
    clients::{Clients, ask},
    domain::event::{self, ShowFacts},
    error::Error,
    store::Move,
};

/// After how long, in microseconds, whoever asked for a change is taken for lost. No request lives longer.
const LOST: i64 = 60 * SECOND;
/// How often rows are looked for whose edge was lost.
const LOOK: Duration = Duration::from_secs(5);
/// The most rows that are finished at a time.
const AT_ONCE: i64 = 16;

/// Watches changes that may move shows. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Moves {
    runner: Runner,
    clients: Clients,
}

impl Moves {
    pub(crate) const fn new(runner: Runner, clients: Clients) -> Self {
        Self { runner, clients }
    }

    /// Asks booking for a change of a show that was told to begin then, and tells if it moved.
    pub(super) async fn update(
        &self,
        began_at: Option<i64>,
        request: UpdateShowRequest,
    ) -> Result<Show, Fault> {
        let watched = match began_at.filter(|_| request.starts_at.is_some()) {
            Some(starts_at) => {
                let due_at = self.runner.now() + LOST;
                let watched = Move { move_id: Uuid::new_v4(), show_id: request.show_id, starts_at };
                self.runner.journal().watch_move(&watched, due_at).await.map_err(Error::from)?;
                Some(watched)
            }
            None => None,
        };
        let changed = ask!(self.clients.booking, update_show(request).show);
        let is_known = changed.as_ref().err().is_none_or(|fault| !fault.reason.leaves_outcome_unknown());
        if let Some(watched) = watched.filter(|_| is_known) {
            // The change is made or refused, whatever becomes of this: a replica tries again.
            self.finish(&watched, changed.as_ref().ok()).await;
        }
        changed
    }

    /// Forgets a change, and tells it if the show, as it is now, has moved.
    async fn finish(&self, watched: &Move, show: Option<&Show>) {
        let facts = show.map(facts).filter(|facts| facts.starts_at != watched.starts_at);
        let now = self.runner.now();
        let event = facts.map(|facts| event::show_moved(&facts, watched.starts_at, watched.move_id, now));
        match self.runner.journal().finish_move(watched, event.as_ref(), now).await {
            Ok(()) => self.runner.ring(),
            Err(error) => {
                warn_or_alert!(error.is_passing(), %error, "the move of a show could not be told; again soon");
            }
        }
    }

    /// Finishes what lost edges have left, until `shutdown`.
    pub(crate) async fn recover_until(self, shutdown: CancellationToken) {
        every(LOOK, &shutdown, || self.take_over()).await;
    }

    async fn take_over(&self) {
        let now = self.runner.now();
        let left = match self.runner.journal().take_over_moves(now, now + LOST, AT_ONCE).await {
            Ok(left) => left,
            Err(error) if error.is_contended() => return,
            Err(error) => {
                return warn_or_alert!(error.is_passing(), %error, "moves of shows could not be looked for");
            }
        };
        for watched in left {
            let request = GetShowRequest { show_id: watched.show_id };
            match ask!(self.clients.booking, get_show(request).show) {
                Ok(show) => self.finish(&watched, Some(&show)).await,
                Err(fault) if fault.reason == Reason::ShowNotFound => self.finish(&watched, None).await,
                // It is due again later.
                Err(fault) => {
                    tracing::warn!(show_id = watched.show_id, reason = %fault.reason, "whether a show moved is not known yet");
                }
            }
        }
    }
}

/// What events tell of a show.
pub(super) fn facts(show: &Show) -> ShowFacts<'_> {
    ShowFacts {
        show_id: show.show_id,
        concert_id: show.concert_id,
        title: &show.title,
        starts_at: starts_at(show),
    }
}

/// When a show begins, in microseconds.
pub(super) fn starts_at(show: &Show) -> i64 {
    show.starts_at.as_ref().and_then(time::micros).unwrap_or_default()
}
