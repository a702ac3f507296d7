//! The keys in use: fetched at the start, kept fresh, and kept while their issuer is away.

mod fetch;
mod set;
mod source;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chassis::{clock::Clock, rfc3339::Rfc3339};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::{fetch::Fetcher, set::KeySet, source::KeySource};

/// How often keys are fetched. An issuer that takes a key back is heard within that time.
const EVERY: Duration = Duration::from_secs(600);
/// After a fetch that failed: 1 s, doubled up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// After a fetch for a token's sake that changed nothing, no other token causes one for so long: anybody can
/// invent key names.
const AT_MOST_EVERY: Duration = Duration::from_secs(30);
/// How long a request waits for keys that its token needs.
const WAIT: Duration = Duration::from_secs(5);

/// A set of keys and its number. What was concluded from a set of another number does not hold for this one.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) set: Arc<KeySet>,
    pub(crate) generation: u64,
}

/// Where the keys come from, and what came.
pub(crate) struct Keys {
    source: KeySource,
    clock: Clock,
    state: watch::Sender<KeysState>,
    /// The current generation once more, to be read without a lock; 0: there is none.
    generation: AtomicU64,
    /// Rung by a request whose token names a key that is not there.
    wanted: Notify,
    /// How many fetches there had been when the last such request looked; the next fetch answers it.
    wanted_after: AtomicU64,
}

struct KeysState {
    current: Option<Current>,
    /// Fetches so far, however they ended.
    fetches: u64,
    failures: u32,
    /// From when on a token may cause a fetch.
    open_from: Instant,
}

impl Keys {
    /// Fetches for the first time. If that fails it is tried again by [`run_until`](Self::run_until).
    pub(crate) async fn open(source: KeySource, clock: Clock) -> Self {
        let state = KeysState { current: None, fetches: 0, failures: 0, open_from: Instant::now() };
        let keys = Self {
            source,
            clock,
            state: watch::Sender::new(state),
            generation: AtomicU64::new(0),
            wanted: Notify::new(),
            wanted_after: AtomicU64::new(0),
        };
        keys.fetch(false).await;
        keys
    }

    /// The keys in use; `None` as long as none were ever fetched.
    pub(crate) fn current(&self) -> Option<Current> {
        self.state.borrow().current.clone()
    }

    /// Which set is in use.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Keys other than those of a generation, for a token that these could not verify. Waits for a fetch if
    /// there may be one now; `None` when that brought nothing new.
    pub(crate) async fn newer_than(&self, generation: u64) -> Option<Current> {
        let mut state = self.state.subscribe();
        let is_newer = |current: &Current| current.generation != generation;
        let fetches = {
            let state = state.borrow();
            let newer = state.current.clone().filter(is_newer);
            if newer.is_some() || !self.source.may_change() || Instant::now() < state.open_from {
                return newer;
            }
            state.fetches
        };
        self.wanted_after.fetch_max(fetches, Ordering::AcqRel);
        self.wanted.notify_one();
        let fetched = timeout(WAIT, state.wait_for(|state| state.fetches != fetches)).await.ok()?.ok()?;
        fetched.current.clone().filter(is_newer)
    }

    /// Keeps the keys fresh until the shutdown.
    pub(crate) async fn run_until(&self, shutdown: CancellationToken) {
        if !self.source.may_change() {
            return;
        }
        let refreshing = async {
            loop {
                let failures = self.state.borrow().failures;
                let pause = match failures {
                    0 => EVERY,
                    failures => LONGEST_PAUSE.min(Duration::from_secs(1 << (failures - 1).min(6))),
                };
                let for_a_token = tokio::select! {
                    () = sleep(pause) => false,
                    () = self.is_wanted() => true,
                };
                self.fetch(for_a_token).await;
            }
        };
        shutdown.run_until_cancelled(refreshing).await;
    }

    async fn is_wanted(&self) {
        loop {
            self.wanted.notified().await;
            // A request that rang before the last fetch ended was answered by it.
            let state = self.state.borrow();
            let is_unanswered = self.wanted_after.load(Ordering::Acquire) == state.fetches;
            if is_unanswered && state.open_from <= Instant::now() {
                return;
            }
        }
    }

    async fn fetch(&self, for_a_token: bool) {
        let fetched = self.source.fetch().await;
        self.state.send_modify(|state| {
            state.fetches += 1;
            let changed = match fetched {
                Ok(set) => self.took(state, set),
                Err(why) => {
                    self.missed(state, &why);
                    false
                }
            };
            if for_a_token && !changed {
                state.open_from = Instant::now() + AT_MOST_EVERY;
            }
        });
    }

    /// Puts a fetched set into use; answers whether it is another one.
    fn took(&self, state: &mut KeysState, set: KeySet) -> bool {
        if state.failures > 0 {
            tracing::info!("the keys of {} are fetched again", self.source);
        }
        state.failures = 0;
        let now = self.clock.now();
        let since_epoch = Duration::from_micros(now.unsigned_abs());
        metrics::gauge!("auth_keys_fetched_timestamp_seconds").set(since_epoch);
        if state.current.as_ref().is_some_and(|current| *current.set == set) {
            return false;
        }
        let generation = self.generation() + 1;
        tracing::info!(fetched_at = %Rfc3339::of(now), generation, "new keys of {} are in use", self.source);
        state.current = Some(Current { set: Arc::new(set), generation });
        self.generation.store(generation, Ordering::Release);
        true
    }

    /// Told once an absence; the metric tells how long it lasts.
    fn missed(&self, state: &mut KeysState, why: &str) {
        if state.failures == 0 {
            let then = if state.current.is_some() {
                "those that are known stay in use"
            } else {
                "no token can be verified"
            };
            tracing::warn!(
                why,
                "the keys of {} cannot be fetched; {then}, and it is tried again",
                self.source
            );
        }
        state.failures = state.failures.saturating_add(1);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
