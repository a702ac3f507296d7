//! Requests to servers of others by HTTP/1.1: with TLS where the address says so, in bounded time, with an
//! answer of bounded size, and to nowhere but where they were sent.
//!
//! It uses hyper and not reqwest: with TLS reqwest wants a process-wide choice of cryptography made before
//! any client is built, also by those who need no TLS, or it panics. hyper follows no redirects, which is
//! what is wanted here: nobody on the way may send us elsewhere.

use std::{error::Error, iter, path::Path, time::Duration};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::time::timeout;

/// What a client asks of the servers it is for.
#[derive(Clone, Copy, Debug)]
pub struct WebBounds {
    /// How long an answer may take, with everything.
    pub within: Duration,
    /// Bytes of an answer's body.
    pub largest: usize,
    /// How long a connection is kept for the next request.
    pub idle: Duration,
}

/// A client. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Web {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    bounds: WebBounds,
}

impl Web {
    /// A client with this TLS for addresses that ask for it.
    #[must_use]
    pub fn new(bounds: WebBounds, tls: ClientConfig) -> Self {
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls);
        let connector = connector.https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(bounds.idle)
            .pool_max_idle_per_host(if bounds.idle.is_zero() { 0 } else { usize::MAX })
            .build(connector);
        Self { client, bounds }
    }

    /// Sends a request and reads its whole answer, whatever its status.
    ///
    /// # Errors
    /// Why there is no such answer. The address is not in it, since there may be a secret in one.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
        let WebBounds { within, .. } = self.bounds;
        timeout(within, self.exchange(request))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {within:?}")))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
        let WebBounds { largest, .. } = self.bounds;
        let answer = self.client.request(request).await.map_err(|error| with_causes(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, largest).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                format!("larger than {largest} bytes")
            } else {
                error.to_string()
            }
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

/// Who is trusted when servers of others are called: whom the machine trusts (`SSL_CERT_FILE` and
/// `SSL_CERT_DIR` say otherwise), and the authorities in a PEM file if there is one.
///
/// # Errors
/// The file cannot be read or has no certificate; told without the file's name.
pub(crate) fn trusted(authorities: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = authorities {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let (trusted, _) = roots.add_parsable_certificates(read.map_err(|error| error.to_string())?);
        if trusted == 0 {
            return Err("has no certificate of an authority".to_owned());
        }
    }
    let found = rustls_native_certs::load_native_certs();
    let (trusted, _not_understood) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(trusted, errors = ?found.errors, "certificate authorities of this machine");
    Ok(roots)
}

/// The TLS of calls to servers of others, as [`trusted`] says.
///
/// # Errors
/// As that, or TLS cannot be set up.
pub fn client_tls(authorities: Option<&Path>) -> Result<ClientConfig, String> {
    let roots = trusted(authorities)?;
    Ok(ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// An error and what is behind it, which is where the reason is.
fn with_causes(error: &dyn Error) -> String {
    let causes = iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}
