//! Where an issuer's keys are.

use std::{fmt, path::PathBuf};

use serde::Deserialize;
use url::Url;

use super::{KeySet, fetch::Fetcher};
use crate::settings::web_url;

/// Where an issuer's keys are.
#[derive(Debug)]
pub(crate) enum KeySource {
    /// Here: the local issuer's, which never change.
    Own(String),
    /// In a file with a JWK set.
    File(PathBuf),
    /// A JWK set on the network.
    Jwks(Fetcher, Url),
    /// Where the issuer's discovery document says (OpenID Connect Discovery 1.0).
    Discovery(Fetcher, String),
}

impl KeySource {
    pub(crate) const fn may_change(&self) -> bool {
        !matches!(self, Self::Own(_))
    }

    pub(crate) async fn fetch(&self) -> Result<KeySet, String> {
        let json = match self {
            Self::Own(json) => json.clone().into_bytes(),
            Self::File(path) => tokio::fs::read(path).await.map_err(|error| error.to_string())?,
            Self::Jwks(web, url) => web.get(url).await?,
            Self::Discovery(web, issuer) => web.get(&discover(web, issuer).await?).await?,
        };
        KeySet::read(&json)
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(_) => f.write_str("the local issuer"),
            Self::File(path) => path.display().fmt(f),
            Self::Jwks(_, url) => url.fmt(f),
            Self::Discovery(_, issuer) => issuer.fmt(f),
        }
    }
}

/// The address of the keys. The document must be the issuer's own (section 4.3: its `issuer` is exactly the
/// one that was asked for), or somebody's keys would do for another one's tokens.
async fn discover(web: &Fetcher, issuer: &str) -> Result<Url, String> {
    #[derive(Deserialize)]
    struct Document {
        issuer: String,
        jwks_uri: String,
    }
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let url = web_url(&address)?;
    let document: Document =
        serde_json::from_slice(&web.get(&url).await?).map_err(|error| format!("{url}: {error}"))?;
    if document.issuer != issuer {
        let name: String = document.issuer.chars().take(200).collect();
        return Err(format!("{url} is the document of another issuer: {name:?}"));
    }
    web_url(&document.jwks_uri).map_err(|error| format!("{url}: jwks_uri {error}"))
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
