//! TLS: programs that prove to each other who they are, with certificates that are replaced while they run.
//!
//! ```text
//!   --tls-cert, --tls-key  ┐ files.rs: read at the start, and again      ┌─▶ server.rs   who calls: a Peer
//!   --tls-client-ca        ┤ every few seconds; what cannot be used is   ┤
//!   --mesh-ca              ┘ passed over                                 └─▶ client.rs   who is called
//! ```
//!
//! TLS 1.3 alone, by rustls with ring. A connection keeps the certificates that it was opened with, so
//! replacing them interrupts nothing; ours live for some minutes at most (`max_connection_age` in `server`).
//! There is no resumption between programs: it would let a client in again without a look at its certificate.
//! Handshakes are made by whoever serves the connection, within the time that its first request has, and take
//! a place among the counted connections (`network`).
//!
//! **Who a peer is, its certificate says**: by its URIs (`spiffe://…`), or, when it has none, by its DNS
//! names. A client checks the server's certificate for the host name of the URL, as everybody expects, or for
//! an identity that it was told. No message of this module has anything of a key in it.

mod args;
mod client;
mod files;
mod identity;
mod refusals;
mod server;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use self::{
    args::{MeshArgs, RestTlsArgs, TlsArgs},
    client::ClientTls,
    identity::{Identities, Peer},
    server::ServerTls,
};

/// The one cryptography of all TLS here. It is named wherever it is used, because a choice for the whole
/// process would have to be made before anything else runs.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
