//! How a connection to a replica is made: over which network, and with TLS or without.

use std::{io, net::SocketAddr, sync::Arc};

use http::uri::{Authority, Scheme};
use rustls::pki_types::ServerName;

use crate::{
    network::{Connection, Network, Tcp},
    tls::{ClientTls, Identities},
};

#[derive(Clone, Debug)]
pub(super) struct Dial {
    pub(super) network: Arc<dyn Network>,
    pub(super) security: Security,
}

/// Whether there is TLS in a connection.
#[derive(Clone, Debug)]
pub(super) enum Security {
    /// There is none.
    Off,
    /// The URL says so, but there are no certificates: no connection is made.
    Wanted,
    /// With these certificates; the server must be one of these identities, or else have the name that is
    /// called.
    On(ClientTls, Option<Identities>),
}

impl Security {
    pub(super) const fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }
}

impl Dial {
    /// The scheme of calls, which servers compare with what they see of a connection.
    pub(super) fn scheme(&self) -> Scheme {
        if self.security.is_off() { Scheme::HTTP } else { Scheme::HTTPS }
    }

    pub(super) async fn connect(&self, addr: SocketAddr, authority: &Authority) -> io::Result<Connection> {
        let connection = self.network.connect(addr).await?;
        match &self.security {
            Security::Off => Ok(connection),
            Security::Wanted => Err(io::Error::other("https:// without certificates")),
            Security::On(tls, server) => {
                let host = authority.host().trim_matches(['[', ']']).to_owned();
                let name = ServerName::try_from(host).map_err(io::Error::other)?;
                Ok(Connection::new(tls.connect(connection, name, server.as_ref()).await?))
            }
        }
    }
}

impl Default for Dial {
    fn default() -> Self {
        Self { network: Arc::new(Tcp), security: Security::Off }
    }
}
