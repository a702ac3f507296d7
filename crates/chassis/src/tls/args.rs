//! The flags about certificates.

use std::path::PathBuf;

use super::{
    client::ClientTls,
    files::{PemFile, PemFiles},
    identity::Identities,
    server::{H2, HTTP_1_1, ServerTls},
};
use crate::{Error, flags};

/// Flags about the TLS of gRPC.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct TlsArgs {
    /// This program's certificate, a PEM file with the certificates that lead to its authority: gRPC is
    /// served by TLS 1.3 with it, and other services are called with it (--mesh-ca). Read again when it
    /// changes
    #[arg(long, env, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// The key of --tls-cert, a PEM file
    #[arg(long, env, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// The authorities whose certificates clients of gRPC must have, a PEM file; without it clients need
    /// none. Browsers have none: leave it out where web pages call
    #[arg(long, env, value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
}

/// Flags about the TLS of calls of other services.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct MeshArgs {
    /// The authorities of the other services' certificates, a PEM file; their URLs begin with https:// then
    #[arg(long, env, value_name = "FILE")]
    pub mesh_ca: Option<PathBuf>,
}

/// Flags about the TLS of REST.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct RestTlsArgs {
    /// The certificate that REST is served with, a PEM file with the certificates that lead to its authority;
    /// without it REST is plain HTTP. Read again when it changes
    #[arg(long, env, value_name = "FILE")]
    pub rest_tls_cert: Option<PathBuf>,
    /// The key of --rest-tls-cert, a PEM file
    #[arg(long, env, value_name = "FILE")]
    pub rest_tls_key: Option<PathBuf>,
}

impl TlsArgs {
    /// The TLS of the gRPC listener, `None` without a certificate. With `callers`, a client is refused that
    /// is none of them; it needs a certificate for that, so without --tls-client-ca all clients are alike.
    ///
    /// # Errors
    /// A file cannot be used; names flag, variable and path.
    pub fn server(&self, callers: Option<Identities>) -> Result<Option<ServerTls>, Error> {
        self.speaking(&[H2], callers)
    }

    /// The TLS of a gRPC listener that web pages call too, some of them through what speaks HTTP/1.1 alone.
    ///
    /// # Errors
    /// As [`server`](Self::server).
    pub fn server_for_pages(&self) -> Result<Option<ServerTls>, Error> {
        self.speaking(&[H2, HTTP_1_1], None)
    }

    fn speaking(
        &self,
        protocols: &'static [&'static [u8]],
        callers: Option<Identities>,
    ) -> Result<Option<ServerTls>, Error> {
        let wanted = self.tls_client_ca.is_some().then_some("--tls-client-ca");
        let Some((cert, key)) = self.pair(wanted)? else {
            return Ok(None);
        };
        let authorities = self.tls_client_ca.clone().map(|path| PemFile { flag: "--tls-client-ca", path });
        ServerTls::open(PemFiles { cert, key, authorities }, protocols, callers).map(Some)
    }

    /// The TLS of calls of services whose certificates these authorities made; `None` without any.
    ///
    /// # Errors
    /// As [`server`](Self::server).
    pub fn client(&self, mesh: &MeshArgs) -> Result<Option<ClientTls>, Error> {
        let wanted = mesh.mesh_ca.is_some().then_some("--mesh-ca");
        let (Some((cert, key)), Some(path)) = (self.pair(wanted)?, mesh.mesh_ca.clone()) else {
            return Ok(None);
        };
        let authorities = Some(PemFile { flag: "--mesh-ca", path });
        ClientTls::open(PemFiles { cert, key, authorities }).map(Some)
    }

    /// The certificate and its key, which must be there when they are wanted for another flag.
    fn pair(&self, wanted: Option<&str>) -> Result<Option<(PemFile, PemFile)>, Error> {
        let pair = pair(("--tls-cert", &self.tls_cert), ("--tls-key", &self.tls_key))?;
        match wanted {
            Some(flag) if pair.is_none() => {
                Err(Error::Config(format!("{} is of no use without {}", named(flag), named("--tls-cert"))))
            }
            _ => Ok(pair),
        }
    }
}

impl RestTlsArgs {
    /// The TLS of REST, `None` without a certificate. Clients need none.
    ///
    /// # Errors
    /// A file cannot be used; names flag, variable and path.
    pub fn server(&self) -> Result<Option<ServerTls>, Error> {
        let pair = pair(("--rest-tls-cert", &self.rest_tls_cert), ("--rest-tls-key", &self.rest_tls_key))?;
        let Some((cert, key)) = pair else { return Ok(None) };
        ServerTls::open(PemFiles { cert, key, authorities: None }, &[H2, HTTP_1_1], None).map(Some)
    }
}

/// The file of a flag, when it was given.
type Given<'a> = (&'static str, &'a Option<PathBuf>);

/// Both files, or none.
fn pair(cert: Given<'_>, key: Given<'_>) -> Result<Option<(PemFile, PemFile)>, Error> {
    let file = |(flag, path): Given<'_>| path.clone().map(|path| PemFile { flag, path });
    match (file(cert), file(key)) {
        (Some(cert), Some(key)) => Ok(Some((cert, key))),
        (None, None) => Ok(None),
        _ => Err(Error::Config(format!("{} and {} go together", named(cert.0), named(key.0)))),
    }
}

/// A flag and its variable.
fn named(flag: &str) -> String {
    format!("{flag} ({})", flags::variable(flag))
}
