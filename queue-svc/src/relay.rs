//! Where the rounds of a public randomness network are read: a relay, by HTTP, which is believed nothing that
//! cannot be checked.

use std::{fmt, sync::Arc, time::Duration};

use chassis::{
    threads,
    web::{Web, WebBounds, client_tls},
};
use futures::future::BoxFuture;
use http::{Request, StatusCode, Uri};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::domain::{Chain, Hash};

/// An info or a round has some hundred bytes, and is there at once or not at all.
const BOUNDS: WebBounds =
    WebBounds { within: Duration::from_secs(3), largest: 16 * 1024, idle: Duration::from_secs(30) };

/// How a relay is asked for what it has at a path: its bytes, or why there are none. Tests put another one in
/// its place.
pub type Fetch = Arc<dyn Fn(String) -> BoxFuture<'static, Result<Vec<u8>, String>> + Send + Sync>;

/// A relay of one chain. Clones are the same.
#[derive(Clone)]
pub struct Relay {
    hash: Hash,
    fetch: Fetch,
    /// The chain, once its info was read. It never changes.
    chain: Arc<OnceCell<Arc<Chain>>>,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relay of {}", chassis::hex::text(&self.hash))
    }
}

/// A round, as a relay tells it. What it tells besides follows from the signature.
#[derive(Deserialize)]
struct Told {
    round: i64,
    signature: String,
}

impl Relay {
    /// A relay of the chain with this hash.
    #[must_use]
    pub fn new(hash: Hash, fetch: Fetch) -> Self {
        Self { hash, fetch, chain: Arc::default() }
    }

    /// The relay at an address that ends with the hash of its chain.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn at(address: &Uri, hash: Hash) -> Result<Self, String> {
        let web = Web::new(BOUNDS, client_tls(None)?);
        let base = address.to_string();
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self::new(
            hash,
            Arc::new(move |path| {
                let (web, to) = (web.clone(), format!("{base}/{path}"));
                Box::pin(async move {
                    let request = Request::get(to).body(Default::default());
                    let answer = web.send(request.map_err(|error| error.to_string())?).await?;
                    match answer.status() {
                        StatusCode::OK => Ok(answer.into_body().to_vec()),
                        other => Err(format!("it answered {other}")),
                    }
                })
            }),
        ))
    }

    /// The chain, whose info must be the one that its hash commits to.
    ///
    /// # Errors
    /// Why the relay's answer is none, or is not believed.
    pub async fn chain(&self) -> Result<Arc<Chain>, String> {
        let read = async || {
            let info = (self.fetch)("info".to_owned()).await?;
            let chain = Chain::read(&info).map_err(|error| error.to_string())?;
            if chain.hash() == self.hash {
                Ok(Arc::new(chain))
            } else {
                let other = chassis::hex::text(&chain.hash());
                Err(format!("it told the info of another chain, {other}"))
            }
        };
        self.chain.get_or_try_init(read).await.cloned()
    }

    /// The signature of a round of a chain, checked.
    ///
    /// # Errors
    /// Why there is none: this is not a relay of that chain, it told nothing, or what it told is not
    /// believed.
    pub async fn signature(&self, chain: &Arc<Chain>, round: i64) -> Result<Arc<[u8]>, String> {
        if chain.hash() != self.hash {
            return Err("--beacon-url is of another chain".to_owned());
        }
        let answer = (self.fetch)(format!("public/{round}")).await?;
        let told: Told =
            serde_json::from_slice(&answer).map_err(|error| format!("it told no round: {error}"))?;
        if told.round != round {
            return Err(format!("it told round {} instead", told.round));
        }
        let signature = chassis::hex::read(&told.signature).ok_or("it told a signature that is no hex")?;
        let chain = Arc::clone(chain);
        let checked = move || chain.has_signed(round, &signature).then_some(signature);
        // It takes some milliseconds, in which others on this thread would wait.
        let checked = threads::compute(checked).await.map_err(|error| error.to_string())?;
        checked
            .map(Arc::from)
            .ok_or_else(|| "what it told is not the network's signature: refused".to_owned())
    }
}
