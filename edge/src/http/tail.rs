//! The tail of a connection: a stream of events, which is the last answer of a connection in HTTP/1.1.
//!
//! For as long as an answer goes on, hyper keeps two buffers of 8 KiB and the state of a whole connection. A
//! stream of events goes on for hours, and little is sent in it. So hyper writes the head only, with a body
//! that never says anything; once the head is with the kernel, hyper's part ends, and the true body is
//! written here, in chunks (RFC 9112, section 7.1). The head has said that the connection closes afterwards.
//!
//! In HTTP/2 streams share their connection and its buffers, so they stay where they are.

use std::{
    convert::Infallible,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderValue, Method, Request, Version, header},
    response::Response,
};
use futures::future::poll_fn;
use hyper::body::Frame;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that a client may send behind its request until no more are read.
const HEARD: usize = 64;

/// Where the end of hyper's part leaves what its connection goes on with.
#[derive(Debug)]
pub(super) struct HandOver<S>(Arc<Left<S>>);

#[derive(Debug)]
struct Left<S> {
    /// Whether the head of the last answer is among what hyper has written or is about to write.
    due: AtomicBool,
    /// Whether the last answer closes the connection over a request that has not come whole.
    cut_short: AtomicBool,
    body: Mutex<Option<Body>>,
    stream: Mutex<Option<S>>,
}

impl<S> Clone for HandOver<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Send + 'static> HandOver<S> {
    /// For one connection.
    pub(super) fn new() -> Self {
        Self(Arc::new(Left {
            due: AtomicBool::new(false),
            cut_short: AtomicBool::new(false),
            body: Mutex::new(None),
            stream: Mutex::new(None),
        }))
    }

    /// Whether the answer to this request may be the last of its connection.
    pub(super) fn may_end<B>(request: &Request<B>) -> bool {
        request.version() == Version::HTTP_11 && request.method() == Method::GET
    }

    /// The answer as hyper writes it: of a stream of events only the head.
    pub(super) fn head(&self, response: Response) -> Response {
        if response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind != "text/event-stream") {
            return response;
        }
        let (mut head, body) = response.into_parts();
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        *self.0.body.lock() = Some(body);
        Response::from_parts(head, Body::new(Silence(self.clone())))
    }

    /// Notes whether this answer, which is no stream of events, is the last one: the request has not come
    /// whole then, and its client may be sending still.
    pub(super) fn note(&self, response: &Response) {
        let is_last = response.headers().get(header::CONNECTION).is_some_and(|how| how == "close");
        self.0.cut_short.fetch_or(is_last, Ordering::Relaxed);
    }

    /// Whether the client may be sending still.
    pub(super) fn is_cut_short(&self) -> bool {
        self.0.cut_short.load(Ordering::Relaxed)
    }

    /// Whether the connection is to be [left](Self::leave) when all that was written is with the kernel.
    pub(super) fn is_due(&self) -> bool {
        // One task does all of this; the type is atomic because it may move between threads.
        self.0.due.load(Ordering::Relaxed)
    }

    /// The connection, which hyper does not need any more.
    pub(super) fn leave(&self, stream: Option<S>) {
        *self.0.stream.lock() = stream;
    }

    /// What was left; `None` while hyper goes on.
    pub(super) fn tail(&self) -> Option<Tail<S>> {
        if !self.is_due() {
            return None;
        }
        let stream = self.0.stream.lock().take()?;
        let body = self.0.body.lock().take()?;
        Some(Tail { stream, body, chunk: Chunk::default(), over: false, unread: false })
    }
}

/// A body that goes on for ever and says nothing. hyper asks for it when the head is in its buffer.
struct Silence<S>(HandOver<S>);

impl<S> HttpBody for Silence<S> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.0.due.store(true, Ordering::Relaxed);
        Poll::Pending
    }
}

/// A connection with nothing but a stream of events to come on it.
#[derive(Debug)]
pub(super) struct Tail<S> {
    stream: S,
    body: Body,
    /// What of the body is being written.
    chunk: Chunk,
    /// Whether that is its end.
    over: bool,
    /// Whether the client has sent something that nobody will read.
    unread: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Tail<S> {
    /// Writes the body until it ends or the client is gone.
    pub(super) async fn write(mut self) {
        // A client that goes away is not worth a log line.
        let _gone = poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.listen(cx)?;
        loop {
            while !self.chunk.is_empty() {
                match ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &self.chunk.slices()))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => self.chunk.advance(written),
                }
            }
            if self.over {
                return Pin::new(&mut self.stream).poll_shutdown(cx);
            }
            // What is written may wait in TLS.
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => self.chunk = frame.into_data().map(Chunk::of).unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => (self.chunk, self.over) = (Chunk::last(), true),
            }
        }
    }

    /// Notices that the client has gone. One that goes on sending is read no more: it has to wait until the
    /// kernel's buffer is empty, which it never is.
    fn listen(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.unread {
            return Ok(());
        }
        let mut heard = [0; HEARD];
        let mut heard = ReadBuf::new(&mut heard);
        match Pin::new(&mut self.stream).poll_read(cx, &mut heard) {
            Poll::Ready(Ok(())) if heard.filled().is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            Poll::Ready(Ok(())) => {
                self.unread = true;
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(()),
        }
    }
}

/// A part of the body as it is written: its length, its bytes (which many streams may share), and what ends
/// it.
#[derive(Debug, Default)]
struct Chunk([Bytes; 3]);

impl Chunk {
    fn of(data: Bytes) -> Self {
        // A chunk of no bytes would be the end of the body.
        if data.is_empty() {
            return Self::default();
        }
        Self([format!("{:x}\r\n", data.len()).into(), data, Bytes::from_static(b"\r\n")])
    }

    fn last() -> Self {
        Self([Bytes::from_static(b"0\r\n\r\n"), Bytes::new(), Bytes::new()])
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    fn slices(&self) -> [IoSlice<'_>; 3] {
        self.0.each_ref().map(|piece| IoSlice::new(piece))
    }

    fn advance(&mut self, mut written: usize) {
        for piece in &mut self.0 {
            let of_this = written.min(piece.len());
            drop(piece.split_to(of_this));
            written -= of_this;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::time::Duration;

    use chassis::testing::patience::timeout;
    use futures::{FutureExt as _, SinkExt as _, channel::mpsc};
    use hyper::{server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        task::JoinHandle,
    };

    use super::{super::connection::Connection, *};

    const PATIENCE: Duration = Duration::from_secs(10);

    type Said = mpsc::Sender<Result<Bytes, Infallible>>;

    /// A tail whose body says what is sent, over a connection that takes so many bytes at once.
    fn tail(room: usize) -> (Said, DuplexStream, JoinHandle<()>) {
        let (said, body) = mpsc::channel(0);
        let (client, stream) = duplex(room);
        let body = Body::from_stream(body);
        let tail = Tail { stream, body, chunk: Chunk::default(), over: false, unread: false };
        (said, client, tokio::spawn(tail.write()))
    }

    async fn rest(mut client: DuplexStream) -> String {
        let mut all = String::new();
        timeout(PATIENCE, client.read_to_string(&mut all)).await.unwrap().unwrap();
        all
    }

    #[tokio::test]
    async fn a_body_is_written_in_chunks_however_little_goes_at_once() {
        for room in [1, 2, 7, 4_096] {
            let (mut said, client, written) = tail(room);
            let say = async move {
                for part in ["data: 1\n\n", "", "data: 22222222\n\n"] {
                    said.send(Ok(part.into())).await.unwrap();
                }
            };
            let ((), all) = tokio::join!(say, rest(client));
            assert_eq!(all, "9\r\ndata: 1\n\n\r\n10\r\ndata: 22222222\n\n\r\n0\r\n\r\n", "{room}");
            written.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_client_that_goes_ends_it_though_the_body_says_nothing() {
        let (said, client, written) = tail(64);
        drop(client);
        timeout(PATIENCE, written).await.unwrap().unwrap();
        assert!(said.is_closed(), "the body is let go");
    }

    #[tokio::test]
    async fn a_client_that_goes_on_sending_is_neither_read_nor_cut_off() {
        let (mut said, mut client, _written) = tail(128);
        let (mut sent, mut tries) = (0, 0);
        // The connection takes what it has room for and a first look of the tail; then no more.
        while tries < 100 {
            match client.write(&[b'x'; 16]).now_or_never() {
                Some(written) => sent += written.unwrap(),
                None => tries += 1,
            }
            assert!(sent <= 128 + HEARD, "it is read on and on");
            tokio::task::yield_now().await;
        }
        said.send(Ok("news".into())).await.unwrap();
        let mut told = [0; 9];
        timeout(PATIENCE, client.read_exact(&mut told)).await.unwrap().unwrap();
        assert_eq!(&told, b"4\r\nnews\r\n");
    }

    #[tokio::test]
    async fn hyper_writes_the_head_and_then_gives_the_connection_up() {
        let (mut said, body) = mpsc::channel::<Result<Bytes, Infallible>>(0);
        let body = Mutex::new(Some(Body::from_stream(body)));
        let (mut client, stream) = duplex(4_096);
        let hand_over = HandOver::new();
        let io = TokioIo::new(Connection::new(stream, hand_over.clone()));
        let answered = hand_over.clone();
        let answer = service_fn(move |request| {
            let response = match body.lock().take().filter(|_| request.uri() == "/events") {
                Some(body) => {
                    Response::builder().header(header::CONTENT_TYPE, "text/event-stream").body(body)
                }
                None => Response::builder().body(Body::from("whole")),
            };
            let may_end = HandOver::<DuplexStream>::may_end::<hyper::body::Incoming>(&request);
            let (answered, response) = (answered.clone(), response.unwrap());
            async move { Ok::<_, Infallible>(if may_end { answered.head(response) } else { response }) }
        });
        let tail = tokio::spawn(async move {
            let mut serving = http1::Builder::new().serve_connection(io, answer);
            poll_fn(|cx| {
                let ended = Pin::new(&mut serving).poll(cx).is_ready();
                assert!(!ended, "it is given up before it ends");
                hand_over.tail().map_or(Poll::Pending, Poll::Ready)
            })
            .await
        });
        client.write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let tail = timeout(PATIENCE, tail).await.unwrap().unwrap();
        let written = tokio::spawn(tail.write());
        said.send(Ok("data: 1\n\n".into())).await.unwrap();
        drop(said);
        let all = rest(client).await;
        let (head, body) = all.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("transfer-encoding: chunked"), "{head}");
        assert!(head.contains("connection: close"), "{head}");
        assert_eq!(body, "9\r\ndata: 1\n\n\r\n0\r\n\r\n");
        written.await.unwrap();
    }
}
