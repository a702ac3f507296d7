//! Whether a service can do its work at this moment: the one state behind `grpc.health.v1`, `/healthz` and
//! `/readyz`.
//!
//! ```text
//! Starting ──first ping──▶ Ready ◀──ping──▶ Failing        any ──shutdown──▶ Draining
//! ```

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{db::Db, ticks::every};

/// How often the database is asked whether it is there.
const PING_EVERY: Duration = Duration::from_millis(500);

/// What a service is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The database has not answered yet, or what else the service cannot do without is not there yet.
    Starting,
    /// The service takes work.
    Ready,
    /// The database cannot be reached, or takes no writes.
    Failing,
    /// The service finishes what is in flight and takes nothing new.
    Draining,
}

impl State {
    /// The state in words, for people and probes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Failing => "the database cannot be reached, or takes no writes",
            Self::Draining => "draining",
        }
    }
}

/// A service's health. Clones see the same.
#[derive(Clone, Debug)]
pub struct Health(Arc<watch::Sender<State>>);

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// The health of a service that is starting.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::Starting)))
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> State {
        *self.0.borrow()
    }

    /// Whether requests may be sent here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state() == State::Ready
    }

    /// Every change from now on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<State> {
        self.0.subscribe()
    }

    /// Follows the database from now until the shutdown, then says `Draining`. Before `has_begun` says that
    /// the service has what it cannot do without, it is still starting.
    pub fn watch(
        &self,
        db: Db,
        has_begun: impl Fn() -> bool + Send + Sync + 'static,
        shutdown: CancellationToken,
    ) {
        let health = self.clone();
        tokio::spawn(async move {
            every(PING_EVERY, &shutdown, || async {
                let there = db.ping().await.is_ok();
                db.measure();
                // After the shutdown its connections may be closed: that is no news about the database.
                if !shutdown.is_cancelled() {
                    db.set_away(!there);
                    health.set(match there {
                        false => State::Failing,
                        true if has_begun() => State::Ready,
                        true => State::Starting,
                    });
                }
            })
            .await;
            health.set(State::Draining);
        });
    }

    fn set(&self, state: State) {
        let changed = self.0.send_if_modified(|now| {
            let changed = *now != state;
            *now = state;
            changed
        });
        match state {
            State::Failing if changed => tracing::warn!("not ready: {}", state.as_str()),
            State::Starting | State::Ready | State::Draining | State::Failing if changed => {
                tracing::debug!("now {}", state.as_str());
            }
            State::Starting | State::Ready | State::Draining | State::Failing => {}
        }
    }
}
