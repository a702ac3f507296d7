//! The serving side: certificates are asked for, looked at, and turned into a [`Peer`].

use std::{
    fmt,
    io::{self, IoSlice},
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        NoServerSessionStorage, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::SingleCertAndKey,
    version::TLS13,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{Accept, TlsAcceptor, server::TlsStream};

use super::{
    files::{Credentials, PemFiles, Watched},
    identity::{Identities, Peer},
    provider,
    refusals::Refusals,
};

/// HTTP/2, as it is named while a connection is opened (ALPN).
pub(super) const H2: &[u8] = b"h2";
/// HTTP/1.1, as it is named while a connection is opened.
pub(super) const HTTP_1_1: &[u8] = b"http/1.1";

/// The TLS of listeners. Clones share it.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerParts>);

struct ServerParts {
    config: Arc<Watched<ServerConfig>>,
    refusals: Refusals,
}

impl ServerTls {
    pub(super) fn open(
        files: PemFiles,
        protocols: &'static [&'static [u8]],
        callers: Option<Identities>,
    ) -> Result<Self, crate::Error> {
        let make = move |credentials: &Credentials| config(credentials, protocols, callers.clone());
        let config = Watched::open(files, Box::new(make))?;
        Ok(Self(Arc::new(ServerParts { config, refusals: Refusals::of("client") })))
    }

    /// The same connection with TLS in it, which begins when it is first read or written. The peer is known
    /// when the first bytes have come out of it.
    pub(crate) fn accept<IO>(&self, io: IO, from: IpAddr, peer: Peer) -> Accepting<IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = TlsAcceptor::from(self.0.config.now()).accept(io);
        Accepting { phase: Phase::Handshake(Box::new(handshake)), tls: self.clone(), from, peer }
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

fn config(
    credentials: &Credentials,
    protocols: &[&[u8]],
    callers: Option<Identities>,
) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    let builder = match &credentials.authorities {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let chain = WebPkiClientVerifier::builder_with_provider(Arc::clone(authorities), provider())
                .build()
                .map_err(|error| Error::General(error.to_string()))?;
            builder.with_client_cert_verifier(match callers {
                None => chain,
                Some(callers) => Arc::new(CallerCheck { chain, callers }),
            })
        }
    };
    let mut config =
        builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&credentials.key))));
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    if credentials.authorities.is_some() {
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    Ok(config)
}

/// Lets those clients in whose certificate is valid and says that they are one of the callers.
#[derive(Debug)]
struct CallerCheck {
    chain: Arc<dyn ClientCertVerifier>,
    callers: Identities,
}

impl ClientCertVerifier for CallerCheck {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        self.callers.check(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// An incoming connection with TLS in it, from its handshake on.
pub(crate) struct Accepting<IO> {
    phase: Phase<IO>,
    tls: ServerTls,
    from: IpAddr,
    peer: Peer,
}

enum Phase<IO> {
    Handshake(Box<Accept<IO>>),
    Open(Box<TlsStream<IO>>),
    /// The handshake failed.
    Failed,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Accepting<IO> {
    /// Goes on with the handshake; ready when it is over.
    fn open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut TlsStream<IO>>>> {
        if let Phase::Handshake(handshake) = &mut self.phase {
            match ready!(Pin::new(handshake).poll(cx)) {
                Ok(stream) => {
                    if let Some([certificate, ..]) = stream.get_ref().1.peer_certificates() {
                        self.peer.showed(certificate);
                    }
                    self.phase = Phase::Open(Box::new(stream));
                }
                Err(error) => {
                    self.tls.0.refusals.note(&error, &self.from);
                    self.phase = Phase::Failed;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(match &mut self.phase {
            Phase::Open(stream) => Ok(Pin::new(stream)),
            Phase::Handshake(_) | Phase::Failed => Err(io::ErrorKind::ConnectionAborted.into()),
        })
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Accepting<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(self.open(cx))?.poll_read(cx, into);
        if let Poll::Ready(Err(error)) = &read {
            // A client may refuse our certificate only after the handshake is over for us.
            self.tls.0.refusals.note(error, &self.from);
        }
        read
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Accepting<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.open(cx))?.poll_write(cx, from)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.open(cx))?.poll_write_vectored(cx, from)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.open(cx))?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.phase {
            Phase::Open(stream) => Pin::new(stream).poll_shutdown(cx),
            Phase::Handshake(handshake) => match handshake.get_mut() {
                Some(io) => Pin::new(io).poll_shutdown(cx),
                None => Poll::Ready(Ok(())),
            },
            Phase::Failed => Poll::Ready(Ok(())),
        }
    }
}
