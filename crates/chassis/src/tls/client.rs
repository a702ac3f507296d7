//! The calling side: the service that is called must be the one that was meant.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
    sign::SingleCertAndKey,
    version::TLS13,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    files::{Credentials, PemFiles, Watched},
    identity::Identities,
    provider,
    refusals::Refusals,
    server::H2,
};

/// The TLS of calls. Clones share it.
#[derive(Clone)]
pub struct ClientTls(Arc<ClientParts>);

struct ClientParts {
    credentials: Arc<Watched<Credentials>>,
    provider: Arc<CryptoProvider>,
    refusals: Refusals,
}

impl ClientTls {
    pub(super) fn open(files: PemFiles) -> Result<Self, crate::Error> {
        let make = |credentials: &Credentials| Ok(credentials.clone());
        let credentials = Watched::open(files, Box::new(make))?;
        let (provider, refusals) = (provider(), Refusals::of("server"));
        Ok(Self(Arc::new(ClientParts { credentials, provider, refusals })))
    }

    /// Opens TLS over a connection to a server: one of these identities, or else of this name.
    ///
    /// # Errors
    /// The connection failed, or the server is another one or cannot prove who it is.
    pub(crate) async fn connect<IO>(
        &self,
        io: IO,
        name: ServerName<'static>,
        server: Option<&Identities>,
    ) -> io::Result<Connected<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.0.config(server.cloned()).map_err(io::Error::other)?;
        let with = name.to_str().into_owned();
        match TlsConnector::from(Arc::new(config)).connect(name, io).await {
            Ok(stream) => Ok(Connected { stream, tls: self.clone(), with }),
            Err(error) => {
                self.0.refusals.note(&error, &with);
                Err(error)
            }
        }
    }
}

impl ClientParts {
    fn config(&self, server: Option<Identities>) -> Result<ClientConfig, Error> {
        let credentials = self.credentials.now();
        let authorities = credentials.authorities.clone().unwrap_or_else(|| Arc::new(RootCertStore::empty()));
        let check = ServerCheck { authorities, provider: Arc::clone(&self.provider), server };
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(check))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&credentials.key))));
        config.alpn_protocols = vec![H2.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls")
    }
}

/// Accepts a server whose certificate is valid, and for an identity that was told in place of the name that
/// is called.
#[derive(Debug)]
struct ServerCheck {
    authorities: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    server: Option<Identities>,
}

impl ServerCertVerifier for ServerCheck {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.authorities,
            intermediates,
            now,
            algorithms,
        )?;
        match &self.server {
            None => verify_server_name(&certificate, name)?,
            Some(server) => server.check(end_entity)?,
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A connection with TLS in it. A server that refuses our certificate says so only after the handshake is
/// over for us, in place of its first bytes.
pub(crate) struct Connected<IO> {
    stream: TlsStream<IO>,
    tls: ClientTls,
    with: String,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connected<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        if let Poll::Ready(Err(error)) = &read {
            self.tls.0.refusals.note(error, &self.with);
        }
        read
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connected<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
