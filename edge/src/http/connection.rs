//! A connection under the router, which does three things that no layer above can do.
//!
//! **It answers malformed requests with problem documents.** A malformed request line, an address of 64 KiB
//! or 400 KiB of headers never become a request: hyper answers with a bare status and closes, and no layer
//! above is called. hyper has no hook for that, so its answer is recognised when it is written and the
//! problem document is inserted. Answers of ours differ by their `traceparent`; any other write is passed on
//! after a look at its first bytes. HTTP/2 has no such answers: a broken frame ends the stream or the
//! connection with an error code, and too large headers are answered by the h2 library with a bare 431.
//!
//! **It lets a refused client read the refusal.** A refusal may be sent before the client has sent everything
//! (a body over 64 KiB). Closing the connection with unread data makes the kernel reset it, and the client
//! may lose the answer. So the rest is read and dropped for a moment.
//!
//! **It gives itself up for a stream of events**, once the head of that answer is with the kernel: see
//! [`tail`](super::tail).

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::Bytes,
    http::{StatusCode, header},
};
use chassis::context::{TRACEPARENT, TraceParent};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{
    middleware::answers,
    problem::{self, MEDIA_TYPE, Problem},
    tail::HandOver,
};

/// How long data of a client that goes on sending is dropped after the last answer.
const LINGER: Duration = Duration::from_secs(1);

/// Answers of at most this many bytes are written in one piece: every poll's answer, and problem documents.
const SMALL: usize = 1_536;

/// One connection of a client.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    /// `None` once it was handed over.
    stream: Option<S>,
    hand_over: HandOver<S>,
    /// What is left to write of our refusal, and the length of hyper's answer that it replaces.
    instead: Option<(Bytes, usize)>,
    /// Until when data that the client still sends is dropped; set when our side is closed.
    lingering: Option<Pin<Box<Sleep>>>,
    /// Whether there was any such data, or there may be some yet.
    unread: bool,
}

impl<S: Unpin> Connection<S> {
    /// A connection that was just accepted.
    pub(super) const fn new(stream: S, hand_over: HandOver<S>) -> Self {
        Self { stream: Some(stream), hand_over, instead: None, lingering: None, unread: false }
    }

    /// # Errors
    /// It was handed over. hyper is not asked any more then.
    fn stream(&mut self) -> io::Result<Pin<&mut S>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.instead.is_none() {
            let Some(refusal) = in_our_words(bytes) else {
                return this.stream()?.poll_write(cx, bytes);
            };
            this.instead = Some((refusal.into(), bytes.len()));
        }
        while let Some((rest, stands_for)) = &mut this.instead {
            if rest.is_empty() {
                let written = *stands_for;
                this.instead = None;
                return Poll::Ready(Ok(written));
            }
            let Some(stream) = &mut this.stream else { break };
            match ready!(Pin::new(stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => drop(rest.split_to(written)),
            }
        }
        Poll::Ready(Ok(0))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        all: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = all.iter().find(|bytes| !bytes.is_empty()).map_or(&[][..], |bytes| bytes);
        if self.instead.is_some() || is_error(first) {
            return self.poll_write(cx, first);
        }
        // Copying a small body behind its head costs less than passing two pieces to the kernel.
        let mut whole = [0; SMALL];
        match joined(all, &mut whole) {
            Some(bytes) => self.stream()?.poll_write(cx, bytes),
            None => self.stream()?.poll_write_vectored(cx, all),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(S::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream()?.poll_flush(cx))?;
        if self.hand_over.is_due() {
            let stream = self.stream.take();
            self.hand_over.leave(stream);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(this.stream()?.poll_shutdown(cx))?;
            this.unread |= this.hand_over.is_cut_short();
        }
        let over = this.lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut scratch = [0; 4 * 1_024];
        loop {
            let mut dropped = ReadBuf::new(&mut scratch);
            let Some(stream) = &mut this.stream else { return Poll::Ready(Ok(())) };
            match Pin::new(stream).poll_read(cx, &mut dropped) {
                Poll::Ready(Ok(())) if !dropped.filled().is_empty() => this.unread = true,
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                // Without unread data there is nothing to wait for.
                Poll::Pending if !this.unread => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        over.as_mut().poll(cx).map(Ok)
    }
}

/// The pieces in one, if they are small.
fn joined<'a>(pieces: &[io::IoSlice<'_>], whole: &'a mut [u8; SMALL]) -> Option<&'a [u8]> {
    let mut length = 0;
    for piece in pieces {
        whole.get_mut(length..length + piece.len())?.copy_from_slice(piece);
        length += piece.len();
    }
    whole.get(..length)
}

/// Whether these bytes begin a refusal.
fn is_error(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HTTP/1.1 4") || bytes.starts_with(b"HTTP/1.0 4")
}

/// The answer to write in place of hyper's bare one; `None` for anything else. (A problem document never
/// looks like one, since JSON has no line break as a head has.)
fn in_our_words(bytes: &[u8]) -> Option<Vec<u8>> {
    const EMPTY: &str = "content-length: 0\r\n";
    if !is_error(bytes) {
        return None;
    }
    let head = std::str::from_utf8(bytes).ok()?;
    if !head.ends_with("\r\n\r\n") || !head.contains(EMPTY) || head.contains(TRACEPARENT) {
        return None;
    }
    let status = StatusCode::from_bytes(bytes.get(9..12)?).ok()?;
    let (problem, trace) = (Problem::bare(status), TraceParent::random());
    tracing::info!(
        status = status.as_u16(),
        code = problem.code(),
        trace_id = trace.trace_id(),
        span_id = trace.span_id(),
        "refused: no request"
    );
    // The method is not known, if there was one.
    answers("other", "malformed", status).increment(1);
    // There is no path to name; the star means the server as a whole.
    let document = problem::document(&problem, "*", &trace.trace_id());
    let told = format!(
        "{}: {}\r\n{}: {MEDIA_TYPE}\r\n{}: no-store\r\n{TRACEPARENT}: {trace}\r\n",
        header::CONTENT_LENGTH,
        document.len(),
        header::CONTENT_TYPE,
        header::CACHE_CONTROL,
    );
    let mut answer = head.replacen(EMPTY, &told, 1).into_bytes();
    answer.extend(document);
    Some(answer)
}
