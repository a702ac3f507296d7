//! A cache of a quarter second for answers that many callers request at the same moment.
//!
//! Callers who ask while an answer is being loaded share that load. An answer is at most [`FRESH`] old, by
//! the machine's time and by the service's clock. A caller who asks after a [`Touch`] of this process was
//! dropped gets an answer that was loaded after it, so that a replica reads its own writes. Generations
//! ensure that: a load notes its key's generation before it begins, a dropped touch raises the generation,
//! and an answer is served only while its generation is the current one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::future::Cache;
use tokio::{sync::Mutex, time::Instant};

/// How long an answer is served.
pub(super) const FRESH: Duration = Duration::from_millis(250);
const FRESH_MICROS: i64 = 250_000;
/// The most answers that are kept; beyond that those requested least often are dropped.
const CAPACITY: u64 = 512;
/// The number of generation counters. Keys that share one load a little more often than they must. The
/// counters are separate from the answers because a generation must outlive an answer that is dropped from
/// the cache.
const PLACES: usize = 4_096;

/// How often this process has written what belongs to each key, or begun to write it and not heard of the
/// outcome.
#[derive(Debug)]
pub(super) struct Generations {
    places: Box<[AtomicU64]>,
    /// How often something was written that belongs to every key.
    all: AtomicU64,
}

impl Generations {
    /// Nothing was written.
    #[must_use]
    pub(super) fn new() -> Self {
        Self { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(), all: AtomicU64::new(0) }
    }

    /// The present generation of a key.
    #[must_use]
    pub(super) fn of(&self, key: i64) -> u64 {
        self.place(key).load(Ordering::SeqCst).wrapping_add(self.all.load(Ordering::SeqCst))
    }

    /// Announces a write. When the touch is dropped, after the commit and also when its outcome is unknown,
    /// what was read before is no longer served.
    #[must_use]
    pub(super) fn touch(&self, key: i64) -> Touch<'_> {
        Touch(self.place(key))
    }

    /// Announces a write that belongs to every key, as [`touch`](Self::touch) does one of a single key.
    #[must_use]
    fn touch_all(&self) -> Touch<'_> {
        Touch(&self.all)
    }

    fn place(&self, key: i64) -> &AtomicU64 {
        let place = usize::try_from(key.unsigned_abs()).unwrap_or(0) % PLACES;
        &self.places[place]
    }
}

/// The cached answers, by key.
#[derive(Debug)]
pub(super) struct Coalesced<T: Clone + Send + Sync + 'static> {
    generations: Generations,
    slots: Cache<i64, Arc<Mutex<Option<Loaded<T>>>>>,
}

#[derive(Debug)]
struct Loaded<T> {
    answer: T,
    generation: u64,
    at: Instant,
    now: i64,
}

impl<T: Clone + Send + Sync + 'static> Coalesced<T> {
    /// An empty cache.
    #[must_use]
    pub(super) fn new() -> Self {
        Self { generations: Generations::new(), slots: Cache::new(CAPACITY) }
    }

    /// The answer for a key: the cached one while it is fresh, otherwise the one that `load` brings.
    ///
    /// # Errors
    /// The error of `load`. It is not cached: the next caller loads again.
    pub(super) async fn get<E>(
        &self,
        key: i64,
        now: i64,
        load: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let slot = self.slots.get_with(key, async { Arc::default() }).await;
        let mut slot = slot.lock().await;
        let generation = self.generations.of(key);
        if let Some(loaded) = &*slot
            && loaded.generation == generation
            && loaded.at.elapsed() < FRESH
            && (0..FRESH_MICROS).contains(&now.saturating_sub(loaded.now))
        {
            return Ok(loaded.answer.clone());
        }
        let at = Instant::now();
        let answer = load.await?;
        *slot = Some(Loaded { answer: answer.clone(), generation, at, now });
        Ok(answer)
    }

    /// Announces a write, as [`Generations::touch`] does.
    #[must_use]
    pub(super) fn touch(&self, key: i64) -> Touch<'_> {
        self.generations.touch(key)
    }

    /// Announces a write that belongs to every key.
    #[must_use]
    pub(super) fn touch_all(&self) -> Touch<'_> {
        self.generations.touch_all()
    }
}

/// A write in progress.
#[derive(Debug)]
pub(super) struct Touch<'a>(&'a AtomicU64);

impl Drop for Touch<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{convert::Infallible, sync::atomic::AtomicUsize};

    use super::*;

    async fn read(cache: &Coalesced<usize>, source: &AtomicUsize, now: i64) -> usize {
        let load = async {
            let value = source.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<_, Infallible>(value)
        };
        cache.get(1, now, load).await.unwrap()
    }

    #[tokio::test]
    async fn those_who_ask_at_once_share_one_load_and_it_is_forgotten_in_time() {
        let (cache, source) = (Coalesced::new(), AtomicUsize::new(0));
        let answers = futures::future::join_all((0..50).map(|_| read(&cache, &source, 0))).await;
        assert_eq!(answers, [0; 50]);
        tokio::time::sleep(FRESH).await;
        assert_eq!(read(&cache, &source, 0).await, 1);
        assert_eq!(read(&cache, &source, FRESH_MICROS).await, 2, "by the service's clock too");
    }

    #[tokio::test]
    async fn a_load_begun_before_a_write_is_not_served_after_it() {
        let (cache, source) = (Coalesced::new(), AtomicUsize::new(0));
        let touch = cache.touch(1);
        let slow = read(&cache, &source, 0);
        let write_then_read = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            drop(touch);
            read(&cache, &source, 0).await
        };
        assert_eq!(tokio::join!(slow, write_then_read), (0, 1));
    }
}
