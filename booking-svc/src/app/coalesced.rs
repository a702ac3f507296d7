//! A short memory for answers that many ask for at once.
//!
//! Promises: callers who ask while an answer is being loaded share it; an answer is at most [`FRESH`] old, by
//! the machine's time and by the service's clock; and whoever asks after a [`Touch`] of this process was
//! dropped gets an answer that was loaded after it: a replica reads its own writes. That is what the
//! generations are for: a load notes the generation before it begins, and its answer is served only as long
//! as that is still the generation.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::future::Cache;
use tokio::{sync::Mutex, time::Instant};

/// For so long an answer is served.
const FRESH: Duration = Duration::from_millis(250);
const FRESH_MICROS: i64 = 250_000;
/// So many answers are remembered; those asked for least go first.
const CAPACITY: u64 = 512;
/// Generations are counted in so many places. Two keys that share one merely load a little more often, and
/// nothing is ever forgotten, as it would be if the generation went with the answer that is pushed out.
const PLACES: usize = 4_096;

/// Answers by key.
#[derive(Debug)]
pub(super) struct Coalesced<T: Clone + Send + Sync + 'static> {
    generations: Box<[AtomicU64]>,
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
    /// Remembers nothing yet.
    #[must_use]
    pub(super) fn new() -> Self {
        let generations = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        Self { generations, slots: Cache::new(CAPACITY) }
    }

    /// The answer for a key: a fresh one, or what `load` brings.
    ///
    /// # Errors
    /// What `load` failed with; the next caller tries again.
    pub(super) async fn get<E>(
        &self,
        key: i64,
        now: i64,
        load: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let slot = self.slots.get_with(key, async { Arc::default() }).await;
        let mut slot = slot.lock().await;
        let generation = self.generation(key).load(Ordering::SeqCst);
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

    /// Announces a write: when the touch is dropped (after the commit, also when its outcome is unknown),
    /// what was loaded before is no longer served.
    #[must_use]
    pub(super) fn touch(&self, key: i64) -> Touch<'_> {
        Touch(Some(self.generation(key)))
    }

    fn generation(&self, key: i64) -> &AtomicU64 {
        let place = usize::try_from(key.unsigned_abs()).unwrap_or(0) % PLACES;
        &self.generations[place]
    }
}

/// A write in progress.
#[derive(Debug)]
pub(super) struct Touch<'a>(Option<&'a AtomicU64>);

impl Touch<'_> {
    /// The write certainly changed nothing: what is remembered may stay.
    pub(super) fn nothing_changed(mut self) {
        self.0 = None;
    }
}

impl Drop for Touch<'_> {
    fn drop(&mut self) {
        if let Some(generation) = self.0 {
            generation.fetch_add(1, Ordering::SeqCst);
        }
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
        cache.touch(1).nothing_changed();
        assert_eq!(read(&cache, &source, 0).await, 1);
    }
}
