//! The door: from a request's header to who calls.

use std::{fmt, path::Path};

use chassis::{clock::Clock, telemetry};
use moka::sync::Cache;
use ring::digest::{SHA256, digest};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Identity, Issuer, Secured, Why, bearer,
    keys::{Fetcher, KeySource, Keys},
    measures,
    settings::{Jwks, Trusted},
    verifier::{Verifier, is_over},
};

/// Tokens that are remembered, some 300 bytes each. Where there are more, the rarer ones are verified again.
const REMEMBERED: u64 = 100_000;

/// Finds out who calls.
pub struct Access {
    verifier: Verifier,
    keys: Keys,
    /// By their SHA-256: a dump of this memory holds no token that somebody could use.
    remembered: Cache<[u8; 32], Remembered>,
    jwks: Option<String>,
}

/// What a token was found to say, and by which set of keys.
#[derive(Clone)]
struct Remembered {
    identity: Identity,
    generation: u64,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

impl Access {
    /// Fetches the issuer's keys. One that does not answer is asked again by [`run_until`](Self::run_until).
    /// The local issuer's key is in `folder`, and is made there if there is none.
    ///
    /// # Errors
    /// The file of keys, or the local issuer's key, cannot be read; or TLS cannot be set up.
    pub async fn open(secured: Secured, folder: &Path, clock: Clock) -> Result<Self, chassis::Error> {
        telemetry::describe(measures::MEASURES);
        let Secured { trusted, audience, jwks, user_claim, roles_claim } = secured;
        let web = || Fetcher::new().map_err(|error| chassis::Error::Task(format!("no TLS: {error}")));
        let mut published = None;
        let source = match (jwks, &trusted) {
            (Some(Jwks::File(file)), _) => KeySource::File(file),
            (Some(Jwks::Url(url)), _) => KeySource::Jwks(web()?, url),
            (None, Trusted::Url(name)) => KeySource::Discovery(web()?, name.clone()),
            (None, Trusted::Local) => {
                let jwks = Issuer::open(folder)?.jwks();
                published = Some(jwks.clone());
                KeySource::Own(jwks)
            }
        };
        if let KeySource::File(_) = source {
            let wrong = |why| chassis::Error::Config(format!("--auth-jwks (AUTH_JWKS): {source}: {why}"));
            source.fetch().await.map_err(wrong)?;
        }
        let verifier = Verifier { issuer: trusted.name().to_owned(), audience, user_claim, roles_claim };
        let keys = Keys::open(source, clock).await;
        Ok(Self { verifier, keys, remembered: Cache::new(REMEMBERED), jwks: published })
    }

    /// Keeps the keys fresh until the shutdown. Without it those of the start stay in use.
    pub async fn run_until(&self, shutdown: CancellationToken) {
        self.keys.run_until(shutdown).await;
    }

    /// Whether keys were fetched. Until then every token is answered with [`Error::NotReady`].
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.keys.generation() > 0
    }

    /// The local issuer's public keys, for `/.well-known/jwks.json`; `None` where the issuer is another.
    #[must_use]
    pub fn jwks(&self) -> Option<&str> {
        self.jwks.as_deref()
    }

    /// The claim, or the path to it, that tells in a token who its user is.
    #[must_use]
    pub fn user_claim(&self) -> &str {
        &self.verifier.user_claim
    }

    /// The claim, or the path to it, that tells in a token which roles its user has.
    #[must_use]
    pub fn roles_claim(&self) -> &str {
        &self.verifier.roles_claim
    }

    /// Who sends a request with this `Authorization` header. Waits for nothing, unless the token names a key
    /// that is not known: then up to five seconds for the issuer to tell it.
    ///
    /// # Errors
    /// No credentials, others than are accepted, or none can be judged yet.
    pub async fn authenticate(&self, authorization: Option<&str>, now: i64) -> Result<Identity, Error> {
        let token = bearer::token(authorization)?;
        let name = hash(token);
        if let Some(identity) = self.remembered(&name) {
            return if is_over(identity.expires_at, now) { Err(Why::Expired.into()) } else { Ok(identity) };
        }
        let mut keys = self.keys.current().ok_or(Error::NotReady)?;
        let mut verified = self.verifier.verify(token, &keys.set, now);
        if verified == Err(Why::UnknownKey)
            && let Some(newer) = self.keys.newer_than(keys.generation).await
        {
            keys = newer;
            verified = self.verifier.verify(token, &keys.set, now);
        }
        let identity = verified?;
        self.remembered.insert(name, Remembered { identity: identity.clone(), generation: keys.generation });
        Ok(identity)
    }

    /// What this token was found to say; `None` once the set of keys is another one, because its key may have
    /// been taken back.
    fn remembered(&self, name: &[u8; 32]) -> Option<Identity> {
        let remembered = self.remembered.get(name)?;
        (remembered.generation == self.keys.generation()).then_some(remembered.identity)
    }
}

fn hash(token: &str) -> [u8; 32] {
    let mut name = [0; 32];
    name.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    name
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
