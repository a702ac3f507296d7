//! One small document by HTTP: in bounded time, of bounded size, from nowhere but where it was asked for.
//!
//! It uses hyper and not reqwest: with TLS reqwest wants a process-wide choice of cryptography made before
//! any client is built, also by those who need no TLS, or it panics. hyper follows no redirects, which is
//! what is wanted here: an issuer's keys are where it says, and nobody on the way may send us elsewhere.

use std::{error::Error, iter, time::Duration};

use http::{Request, Uri, header::ACCEPT};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::time::timeout;
use url::Url;

/// How long a document may take, with everything.
const WITHIN: Duration = Duration::from_secs(4);
/// Bytes of a document: a set of some hundred keys with their certificates.
const LARGEST: usize = 256 * 1024;

/// A client. It keeps no connection: ten minutes later it would be no longer there.
#[derive(Clone, Debug)]
pub(crate) struct Web(Client<HttpsConnector<HttpConnector>, Empty<&'static [u8]>>);

impl Web {
    /// Trusts whom the machine trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` say otherwise).
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub(crate) fn new() -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (trusted, _not_understood) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(trusted, errors = ?found.errors, "certificate authorities of this machine");
        let tls = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Ok(Self(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector)))
    }

    /// The document at an address; what went wrong is told with the address.
    pub(crate) async fn get(&self, url: &Url) -> Result<Vec<u8>, String> {
        let got = timeout(WITHIN, self.read(url)).await;
        got.unwrap_or_else(|_| Err(format!("no answer within {WITHIN:?}")))
            .map_err(|why| format!("{url}: {why}"))
    }

    async fn read(&self, url: &Url) -> Result<Vec<u8>, String> {
        let uri: Uri = url.as_str().parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
        let ask = Request::get(uri).header(ACCEPT, "application/json").body(Empty::new());
        let ask = ask.map_err(|error| error.to_string())?;
        let answer = self.0.request(ask).await.map_err(|error| with_causes(&error))?;
        if answer.status() != http::StatusCode::OK {
            return Err(format!("answered {}", answer.status()));
        }
        let body = Limited::new(answer.into_body(), LARGEST).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                format!("larger than {LARGEST} bytes")
            } else {
                error.to_string()
            }
        })?;
        Ok(body.to_bytes().to_vec())
    }
}

/// An error and what is behind it, which is where the reason is.
fn with_causes(error: &dyn Error) -> String {
    let causes = iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}
