//! What servers and channels run on: TCP and the system's resolver, unless a test or a simulation puts
//! another network in.
//!
//! Each side uses it in one place: a server takes its connections from an [`Incoming`], a channel finds and
//! reaches its replicas through the [`Network`] of its target. Neither knows more of a connection than that
//! bytes go in and out. Incoming connections are [counted](Connections), and closed unless a first request
//! [comes soon](FIRST_WORD). Where they have TLS in them, its handshake is part of that time.

mod clients;
mod connections;
mod opening;

use std::{
    fmt,
    io::{self, IoSlice},
    mem,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, StreamExt, future::BoxFuture, stream, stream::BoxStream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, empty},
    net::{TcpListener, TcpSocket, TcpStream, lookup_host},
    time,
};
use tonic::transport::server::Connected;

pub use self::{
    clients::{TrustedProxies, network},
    connections::{ConnectionArgs, Connections},
    opening::FIRST_WORD,
};
use self::{connections::OpenConnection, opening::Opening};
use crate::{
    in_process::InProcess,
    tls::{Peer, ServerTls},
};

/// The pause in accepting after the system had no resources for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// How long a peer may acknowledge nothing of what is sent to it, or keep its window shut.
pub const STALLED: Duration = Duration::from_secs(30);

/// How many connections may wait to be accepted. The usual 128 is less than a crowd that comes at once, and a
/// client that finds no room waits a second before it tries again.
const BACKLOG: u32 = 4_096;

/// Listens on an address.
///
/// # Errors
/// It is taken, or not this machine's; the message names it.
pub fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let listening = || {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // As every server does: connections of the last run that have not quite ended do not keep the port.
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        socket.listen(BACKLOG)
    };
    listening().map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}")))
}

/// How names are resolved and addresses are connected to.
pub trait Network: fmt::Debug + Send + Sync {
    /// Every address of a host, with this port.
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

    /// A connection to an address.
    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Connection>>;
}

/// The machine's network.
#[derive(Clone, Copy, Debug)]
pub struct Tcp;

impl Network for Tcp {
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(lookup_host((host, port)).await?.collect()) })
    }

    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Connection>> {
        Box::pin(async move {
            let stream = TcpStream::connect(to).await?;
            stream.set_nodelay(true)?;
            Ok(stream.into())
        })
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A connection of any kind.
pub struct Connection {
    kind: Transport,
    /// The wait for its first request; `None` once that has come.
    opening: Option<Box<Opening>>,
    /// Its entry in the count of connections; `None` when it is not counted.
    place: Option<OpenConnection>,
    /// The TLS that begins when it is first read or written, and the address that it comes from.
    tls: Option<(ServerTls, IpAddr)>,
    peer: Peer,
}

enum Transport {
    Tcp(TcpStream),
    Other(Box<dyn Io>),
}

impl Connection {
    /// Wraps what carries bytes both ways.
    pub fn new(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Transport::Other(Box::new(io)).into()
    }

    /// The same connection as one that came in, which must send a first request soon.
    fn incoming(self, opening: Box<Opening>, place: Option<OpenConnection>) -> Self {
        Self { opening: Some(opening), place, ..self }
    }

    /// The same connection with TLS in it.
    fn secured(self, tls: ServerTls, from: IpAddr) -> Self {
        Self { tls: Some((tls, from)), peer: self.peer.unknown_yet(), ..self }
    }

    /// The address that it comes from; none of a connection that is not of this machine's network.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.peer.address()
    }

    /// Moves it to the current runtime, which waits for its bytes from now on.
    ///
    /// # Errors
    /// The system refused the move.
    pub fn moved(self) -> io::Result<Self> {
        let kind = match self.kind {
            Transport::Tcp(stream) => Transport::Tcp(TcpStream::from_std(stream.into_std()?)?),
            Transport::Other(io) => Transport::Other(io),
        };
        Ok(Self { kind, ..self })
    }

    fn io(self: Pin<&mut Self>) -> Pin<&mut dyn Io> {
        let this = self.get_mut();
        if let Some((tls, from)) = this.tls.take() {
            // Not earlier: until now it may have been moved to another runtime.
            let peer = this.peer.clone();
            let bare = mem::replace(&mut this.kind, Transport::Other(Box::new(empty())));
            this.kind = Transport::Other(match bare {
                Transport::Tcp(stream) => Box::new(tls.accept(stream, from, peer)),
                Transport::Other(io) => Box::new(tls.accept(io, from, peer)),
            });
        }
        match &mut this.kind {
            Transport::Tcp(stream) => Pin::new(stream),
            Transport::Other(io) => Pin::new(io.as_mut()),
        }
    }

    /// Watches over a connection until its first request has come. `came` is what was just read, `None` when
    /// nothing has come.
    fn open(&mut self, cx: &mut Context<'_>, came: Option<&[u8]>) -> Poll<io::Result<()>> {
        let Some(opening) = &mut self.opening else { return Poll::Ready(Ok(())) };
        let Some(bytes) = came else { return opening.wait(cx).map(Err) };
        if opening.hear(bytes) {
            self.place.iter().for_each(OpenConnection::spoke);
            self.opening.take_if(|opening| !opening.is_brief());
        }
        Poll::Ready(Ok(()))
    }

    /// Nothing could be written. HTTP/2 writes first, so it may be the handshake that waits for the peer:
    /// until the first request has come, that is bounded.
    fn unwritten<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match self.opening.as_mut().map(|opening| opening.wait(cx)) {
            Some(Poll::Ready(error)) => Poll::Ready(Err(error)),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }
}

impl From<Transport> for Connection {
    fn from(kind: Transport) -> Self {
        Self { kind, opening: None, place: None, tls: None, peer: Peer::default() }
    }
}

impl From<TcpStream> for Connection {
    fn from(stream: TcpStream) -> Self {
        Transport::Tcp(stream).into()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = self.as_mut().io().poll_read(cx, into);
        match read {
            Poll::Ready(Ok(())) if self.opening.is_some() => self.open(cx, into.filled().get(before..)),
            Poll::Pending if self.opening.is_some() => self.open(cx, None),
            Poll::Ready(_) | Poll::Pending => read,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        match self.as_mut().io().poll_write(cx, from) {
            Poll::Pending => self.unwritten(cx),
            written => written,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.as_mut().io().poll_flush(cx) {
            Poll::Pending => self.unwritten(cx),
            flushed => flushed,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.as_mut().io().poll_write_vectored(cx, from) {
            Poll::Pending => self.unwritten(cx),
            written => written,
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.kind {
            Transport::Tcp(stream) => stream.is_write_vectored(),
            Transport::Other(io) => io.is_write_vectored(),
        }
    }
}

/// Incoming connections: those of a bound listener, or any other stream. It never fails; it may end.
pub struct Incoming {
    connections: BoxStream<'static, Connection>,
    pub(crate) in_process: InProcess,
}

impl Incoming {
    /// The connections of another network, as a stream.
    pub fn new<IO>(connections: impl Stream<Item = IO> + Send + 'static) -> Self
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let incoming = |io| Connection::new(io).incoming(Opening::new(FIRST_WORD, None, false), None);
        Self::of(connections.map(incoming).boxed())
    }

    /// The connections of a listener, counted with all others of `connections`.
    #[must_use]
    pub fn counted(listener: TcpListener, connections: &Connections) -> Self {
        Self::secured(listener, connections, None)
    }

    /// The connections of a listener, as [`counted`](Self::counted), which speak TLS when `tls` is given.
    #[must_use]
    pub fn secured(listener: TcpListener, connections: &Connections, tls: Option<&ServerTls>) -> Self {
        let listening = (listener, connections.clone(), tls.cloned());
        let next = async |listening: (TcpListener, Connections, Option<ServerTls>)| {
            let (connection, from) = accept(&listening.0, &listening.1).await;
            let connection = match &listening.2 {
                Some(tls) => connection.secured(tls.clone(), from),
                None => connection,
            };
            Some((connection, listening))
        };
        Self::of(stream::unfold(listening, next).boxed())
    }

    fn of(connections: BoxStream<'static, Connection>) -> Self {
        Self { connections, in_process: InProcess::default() }
    }

    /// The server of these connections also serves calls from within this process.
    #[must_use]
    pub fn in_process(self, in_process: InProcess) -> Self {
        Self { in_process, ..self }
    }
}

impl From<TcpListener> for Incoming {
    fn from(listener: TcpListener) -> Self {
        Self::counted(listener, &Connections::default())
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incoming")
    }
}

impl Stream for Incoming {
    type Item = Connection;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Connection>> {
        self.connections.poll_next_unpin(cx)
    }
}

impl axum::serve::Listener for Incoming {
    type Io = Connection;
    type Addr = ();

    async fn accept(&mut self) -> (Connection, ()) {
        match self.connections.next().await {
            Some(connection) => (connection, ()),
            None => futures::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Accepts the next connection. One that ended before it was accepted is passed over, one that exceeds a
/// limit is closed, and while the system has no resources for more, those that are open go on.
async fn accept(listener: &TcpListener, connections: &Connections) -> (Connection, IpAddr) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Some((place, opening)) = connections.enter(peer.ip()) else { continue };
                // Without TCP_NODELAY answers would wait 40 ms for an ACK.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection without TCP_NODELAY");
                }
                let_go_of_the_dead(&stream);
                let connection = Connection { peer: Peer::at(peer.ip()), ..Connection::from(stream) };
                return (connection.incoming(opening, Some(place)), peer.ip());
            }
            Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) => {
            }
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A peer that disappeared, or does not read (its window stays shut), must not keep its connection: the
/// kernel ends it, without a timer of ours. Systems other than Linux wait some minutes, as long as their
/// kernel does.
fn let_go_of_the_dead(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(STALLED)) {
        tracing::debug!(%error, "a connection without TCP_USER_TIMEOUT");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = stream;
}
