//! A service behind the edge, as a program of its own: who may call it, and the sockets that let them in.

use std::{net::SocketAddr, path::Path};

use chassis::{
    Error,
    clock::Clock,
    network::ConnectionArgs,
    program::Listeners,
    tls::{Identities, TlsArgs},
};
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::{AccessArgs, Doors, Way};

/// Flags about who may call a service.
#[derive(Args, Clone, Debug)]
pub struct ServiceArgs {
    #[command(flatten, next_help_heading = "TLS")]
    tls: TlsArgs,
    /// Who the edge is, by the URIs or else the DNS names of its certificate. With --tls-client-ca it may do
    /// everything, and nobody else may do anything without a bearer token (--auth-issuer)
    #[arg(long, env, default_value = "spiffe://boxoffice/edge,edge", help_heading = "TLS")]
    edge_identity: Identities,
    #[command(flatten, next_help_heading = "Who may call")]
    access: AccessArgs,
}

impl ServiceArgs {
    /// Finds out who may call, then binds the addresses of `--addr` and `--http-addr`.
    ///
    /// # Errors
    /// Whoever reaches an address could do everything; keys or certificates cannot be read; an address cannot
    /// be bound.
    pub async fn open(
        self,
        addr: SocketAddr,
        http_addr: SocketAddr,
        connections: ConnectionArgs,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> Result<(Doors, Listeners), Error> {
        let bound = [("--addr", addr), ("--http-addr", http_addr)];
        let way = self.way(&bound)?;
        let doors = self.access.doors_of(way, Path::new("."), clock, shutdown).await?;
        // Where nobody is asked who they are, nobody but the edge is let in.
        let callers = (!doors.are_secured()).then(|| self.edge_identity.clone());
        let tls = self.tls.server(callers)?;
        let listeners = Listeners::bind(addr, http_addr, connections, tls.as_ref())?;
        let knows_edge = self.tls.tls_client_ca.is_some();
        let doors = if knows_edge { doors.with_edge(self.edge_identity) } else { doors };
        Ok((doors, listeners))
    }

    fn way(&self, bound: &[(&str, SocketAddr)]) -> Result<Way, Error> {
        let knows_peers = self.tls.tls_client_ca.is_some();
        if knows_peers && self.access.auth_issuer.is_none() {
            return Ok(Way::OpenHouse);
        }
        let way = self.access.way_apart(bound, knows_peers, "--tls-client-ca (TLS_CLIENT_CA)")?;
        // A service that does not know the edge believes whoever reaches it.
        Ok(if knows_peers { way } else { Way::OpenHouse })
    }
}
