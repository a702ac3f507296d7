//! Keys through changes, absences and invented names, in virtual time.

use std::fs;

use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::testing::{Signer, jwks};

/// A file of keys, and whoever uses it.
struct Issuer {
    folder: TempDir,
    keys: Arc<Keys>,
    refreshing: Option<JoinHandle<()>>,
}

impl Issuer {
    /// With these keys; without any it is away.
    async fn with(signers: &[&Signer]) -> Self {
        let folder = TempDir::with_prefix("keys-").unwrap();
        let path = folder.path().join("jwks.json");
        if !signers.is_empty() {
            fs::write(&path, jwks(signers)).unwrap();
        }
        let keys = Arc::new(Keys::open(KeySource::File(path), Clock::manual(0)).await);
        Self { folder, keys, refreshing: None }
    }

    fn refreshed(mut self) -> Self {
        let keys = Arc::clone(&self.keys);
        self.refreshing = Some(tokio::spawn(async move { keys.run_until(CancellationToken::new()).await }));
        self
    }

    fn has(&self, signers: &[&Signer]) {
        fs::write(self.folder.path().join("jwks.json"), jwks(signers)).unwrap();
    }

    fn goes(&self) {
        fs::remove_file(self.folder.path().join("jwks.json")).unwrap();
    }

    fn uses(&self, signer: &Signer) -> bool {
        let set = KeySet::read(jwks(&[signer]).as_bytes()).unwrap();
        self.keys.current().is_some_and(|current| *current.set == set)
    }

    fn fetches(&self) -> u64 {
        self.keys.state.borrow().fetches
    }

    /// Asks for a token's sake; whether that brought another set.
    async fn asked(&self) -> bool {
        self.keys.newer_than(self.keys.generation()).await.is_some()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        if let Some(refreshing) = &self.refreshing {
            refreshing.abort();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_again_every_ten_minutes() {
    let (a, b) = (Signer::new("EdDSA", "a"), Signer::new("EdDSA", "b"));
    let issuer = Issuer::with(&[&a]).await.refreshed();
    assert!(issuer.uses(&a) && issuer.keys.generation() == 1);
    issuer.has(&[&b]);
    sleep(EVERY - Duration::from_secs(1)).await;
    assert!(issuer.uses(&a));
    sleep(Duration::from_secs(2)).await;
    assert!(issuer.uses(&b) && issuer.keys.generation() == 2);
    sleep(EVERY).await;
    assert_eq!((issuer.fetches(), issuer.keys.generation()), (3, 2), "the same keys are no other set");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_new_key_brings_it_at_once_however_often_keys_change() {
    let signers = ["a", "b", "c", "d"].map(|kid| Signer::new("EdDSA", kid));
    let issuer = Issuer::with(&[&signers[0]]).await.refreshed();
    for signer in &signers[1..] {
        issuer.has(&[signer]);
        assert!(issuer.asked().await && issuer.uses(signer), "{}", signer.kid);
    }
}

#[tokio::test(start_paused = true)]
async fn invented_names_cost_the_issuer_a_fetch_in_thirty_seconds() {
    let issuer = Issuer::with(&[&Signer::new("EdDSA", "a")]).await.refreshed();
    for round in 1..=3 {
        for _ in 0..1_000 {
            assert!(!issuer.asked().await);
        }
        assert_eq!(issuer.fetches(), 1 + round);
        sleep(AT_MOST_EVERY).await;
    }
    let b = Signer::new("EdDSA", "b");
    issuer.has(&[&b]);
    assert!(issuer.asked().await && issuer.uses(&b));
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_share_one_fetch() {
    let (a, b) = (Signer::new("EdDSA", "a"), Signer::new("EdDSA", "b"));
    let issuer = Issuer::with(&[&a]).await.refreshed();
    issuer.has(&[&b]);
    let waiting = (0..100).map(|_| {
        let keys = Arc::clone(&issuer.keys);
        tokio::spawn(async move { keys.newer_than(1).await.is_some() })
    });
    for waited in waiting.collect::<Vec<_>>() {
        assert!(waited.await.unwrap());
    }
    assert_eq!(issuer.fetches(), 2);
    assert!(issuer.keys.newer_than(1).await.is_some(), "who comes late finds it there");
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_keys_without_end() {
    // Nothing fetches.
    let issuer = Issuer::with(&[&Signer::new("EdDSA", "a")]).await;
    let begun = Instant::now();
    assert!(!issuer.asked().await);
    assert_eq!(begun.elapsed(), WAIT);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_away_for_an_hour_is_not_felt() {
    let (a, b) = (Signer::new("EdDSA", "a"), Signer::new("EdDSA", "b"));
    let issuer = Issuer::with(&[&a]).await.refreshed();
    issuer.goes();
    sleep(Duration::from_secs(3_600)).await;
    assert!(issuer.uses(&a) && issuer.keys.generation() == 1);
    // Every ten minutes and then every minute, not without a pause.
    let asked = issuer.fetches();
    assert!((40..70).contains(&asked), "{asked}");
    issuer.has(&[&b]);
    sleep(LONGEST_PAUSE).await;
    assert!(issuer.uses(&b));
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_was_never_reached_is_asked_until_it_answers() {
    let issuer = Issuer::with(&[]).await.refreshed();
    assert!(issuer.keys.current().is_none() && issuer.keys.generation() == 0);
    sleep(Duration::from_secs(20)).await;
    let a = Signer::new("EdDSA", "a");
    issuer.has(&[&a]);
    sleep(Duration::from_secs(20)).await;
    assert!(issuer.uses(&a));
}

#[tokio::test(start_paused = true)]
async fn a_set_that_can_verify_nothing_replaces_none() {
    let a = Signer::new("EdDSA", "a");
    let issuer = Issuer::with(&[&a]).await.refreshed();
    issuer.has(&[]);
    assert!(!issuer.asked().await);
    assert!(issuer.uses(&a));
}
