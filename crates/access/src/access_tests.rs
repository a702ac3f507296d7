//! From a header to who calls: what is remembered, and when it is forgotten.

use std::{fs, sync::Arc};

use chassis::clock::SECOND;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::testing::{ISSUER, NOW_MICROS, Signer, jwks};

/// A door, and the file with its issuer's keys.
struct Door {
    folder: TempDir,
    access: Arc<Access>,
    refreshing: JoinHandle<()>,
}

impl Door {
    async fn with(signers: &[&Signer]) -> Self {
        let folder = TempDir::with_prefix("access-").unwrap();
        let file = folder.path().join("jwks.json");
        fs::write(&file, jwks(signers)).unwrap();
        let access =
            Access::open(secured(Some(Jwks::File(file))), folder.path(), Clock::manual(NOW_MICROS)).await;
        let access = Arc::new(access.unwrap());
        let refreshing = tokio::spawn({
            let access = Arc::clone(&access);
            async move { access.run_until(CancellationToken::new()).await }
        });
        Self { folder, access, refreshing }
    }

    fn has(&self, signers: &[&Signer]) {
        fs::write(self.folder.path().join("jwks.json"), jwks(signers)).unwrap();
    }

    async fn asked(&self, token: &str, now: i64) -> Result<String, Error> {
        let header = format!("Bearer {token}");
        self.access.authenticate(Some(&header), now).await.map(|identity| identity.user.to_string())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.refreshing.abort();
    }
}

fn secured(jwks: Option<Jwks>) -> Secured {
    Secured {
        trusted: Trusted::Url(ISSUER.to_owned()),
        audience: "boxoffice".to_owned(),
        jwks,
        user_claim: "sub".to_owned(),
        roles_claim: "roles".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_verified_once_and_remembered_until_it_expires() {
    let signer = Signer::new("EdDSA", "a");
    let door = Door::with(&[&signer]).await;
    let token = signer.good();
    assert!(door.access.is_ready() && door.access.remembered(&hash(&token)).is_none());
    assert_eq!(door.asked(&token, NOW_MICROS).await.as_deref(), Ok("ann"));
    assert!(door.access.remembered(&hash(&token)).is_some());
    let last = NOW_MICROS + 3_659 * SECOND;
    assert_eq!(door.asked(&token, last).await.as_deref(), Ok("ann"));
    assert_eq!(door.asked(&token, last + SECOND).await, Err(Why::Expired.into()));
    // What is refused is not remembered, nor is anything that looks alike.
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    assert_eq!(door.asked(&forged, NOW_MICROS).await, Err(Why::Signature.into()));
    assert!(door.access.remembered(&hash(&forged)).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_token_is_forgotten_when_its_key_is_taken_back() {
    let (old, new) = (Signer::new("EdDSA", "old"), Signer::new("ES256", "new"));
    let door = Door::with(&[&old]).await;
    let (first, second) = (old.good(), new.good());
    assert!(door.asked(&first, NOW_MICROS).await.is_ok());
    // Both, as an issuer has them for a while: neither is refused once.
    door.has(&[&old, &new]);
    assert!(door.asked(&second, NOW_MICROS).await.is_ok());
    assert!(door.asked(&first, NOW_MICROS).await.is_ok());
    door.has(&[&new]);
    assert!(door.asked(&first, NOW_MICROS).await.is_ok(), "nobody knows yet");
    tokio::time::sleep(std::time::Duration::from_secs(601)).await;
    assert_eq!(door.asked(&first, NOW_MICROS).await, Err(Why::UnknownKey.into()));
    assert!(door.asked(&second, NOW_MICROS).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_judged_before_there_are_keys() {
    let folder = TempDir::with_prefix("access-").unwrap();
    let nowhere = Jwks::Url("http://127.0.0.1:9/jwks".parse().unwrap());
    let access = Access::open(secured(Some(nowhere)), folder.path(), Clock::manual(0)).await.unwrap();
    let token = format!("Bearer {}", Signer::new("EdDSA", "a").good());
    assert!(!access.is_ready());
    assert_eq!(access.authenticate(Some(&token), NOW_MICROS).await, Err(Error::NotReady));
    assert_eq!(access.authenticate(None, NOW_MICROS).await, Err(Error::CredentialsMissing));
    let none = Jwks::File(folder.path().join("none"));
    let wrong = Access::open(secured(Some(none)), folder.path(), Clock::manual(0)).await.unwrap_err();
    assert!(
        matches!(&wrong, chassis::Error::Config(told) if told.contains("--auth-jwks (AUTH_JWKS)")),
        "{wrong}"
    );
}

#[tokio::test]
async fn the_local_issuer_s_tokens_are_accepted_and_its_keys_shown() {
    let folder = TempDir::with_prefix("access-").unwrap();
    let local = Secured { trusted: Trusted::Local, ..secured(None) };
    let access = Access::open(local, folder.path(), Clock::manual(NOW_MICROS)).await.unwrap();
    let issuer = Issuer::open(folder.path()).unwrap();
    assert_eq!(access.jwks(), Some(issuer.jwks().as_str()));
    let lifetime = std::time::Duration::from_secs(60);
    let token =
        issuer.issue("boxoffice", "ann", [crate::Role::Cashier].into_iter().collect(), lifetime, NOW_MICROS);
    let header = format!("Bearer {}", token.unwrap());
    let identity = access.authenticate(Some(&header), NOW_MICROS).await.unwrap();
    assert!(&*identity.user == "ann" && identity.roles.contains(crate::Role::Cashier));
    access.run_until(CancellationToken::new()).await;
}
