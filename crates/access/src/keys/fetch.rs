//! One small document by HTTP: an issuer's keys are where it says.

use std::time::Duration;

use chassis::web::{Web, WebBounds, client_tls};
use http::{Request, StatusCode, header::ACCEPT};
use url::Url;

/// A set of some hundred keys with their certificates. No connection is kept: ten minutes later it would be
/// no longer there.
const BOUNDS: WebBounds =
    WebBounds { within: Duration::from_secs(4), largest: 256 * 1024, idle: Duration::ZERO };

/// A client that fetches documents.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher(Web);

impl Fetcher {
    /// Trusts whom the machine trusts.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub(crate) fn new() -> Result<Self, String> {
        client_tls(None).map(|tls| Self(Web::new(BOUNDS, tls)))
    }

    /// The document at an address; what went wrong is told with the address.
    pub(crate) async fn get(&self, url: &Url) -> Result<Vec<u8>, String> {
        self.read(url).await.map_err(|why| format!("{url}: {why}"))
    }

    async fn read(&self, url: &Url) -> Result<Vec<u8>, String> {
        let ask = Request::get(url.as_str()).header(ACCEPT, "application/json").body(Default::default());
        let answer = self.0.send(ask.map_err(|error| error.to_string())?).await?;
        if answer.status() == StatusCode::OK {
            Ok(answer.into_body().to_vec())
        } else {
            Err(format!("answered {}", answer.status()))
        }
    }
}
