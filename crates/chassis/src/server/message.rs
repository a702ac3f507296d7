//! The first message of a call. Until it has come whole, the call has no trace, no log line and no place
//! among the calls in flight, and must hurry.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Request, request::Parts};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::time::{Instant, timeout_at};
use tonic::{Status, body::Body};

use crate::arrival::{self, Arrivals};

/// The bytes before each message: a flag, and a length of four bytes.
const PREFIX: usize = 5;
/// The longest message in bytes. A longer one is refused by tonic, which need not wait for its end.
const LONGEST: usize = 4 * 1_024 * 1_024;

/// Decides whether a call from outside may be made, by its head and the bytes of its first message, before
/// anything of it is decoded or done. What it adds to the head's extensions the handler finds there.
pub type Guard = Arc<dyn Fn(Parts, Bytes) -> BoxFuture<'static, Result<Parts, Status>> + Send + Sync>;

/// Waits until the first message of a call is there, and asks the guard.
///
/// # Errors
/// It did not come in time, too many other calls are waited for, or the guard refuses it.
pub(super) async fn first(
    request: Request<Body>,
    places: &Arrivals,
    deadline: Instant,
    guard: Option<&Guard>,
) -> Result<Request<Body>, Status> {
    let (head, body) = request.into_parts();
    let mut message = First { body, ..First::default() };
    let until = deadline.min(Instant::now() + arrival::WITHIN);
    match places.arrived(timeout_at(until, poll_fn(|cx| message.poll(cx)))).await {
        Some(Ok(())) => {
            let head = match guard {
                Some(guard) => guard(head, message.whole()).await?,
                None => head,
            };
            Ok(Request::from_parts(head, Body::new(message)))
        }
        Some(Err(_late)) => Err(Status::deadline_exceeded("the message of the call did not arrive in time")),
        None => Err(Status::unavailable("too many calls whose message has yet to come")),
    }
}

/// A body whose beginning was read already.
#[derive(Default)]
struct First {
    /// The first frame that was read; most often there is no other.
    read: Option<Bytes>,
    more: VecDeque<Bytes>,
    /// The trailers or the error that ended the body.
    end: Option<Result<Frame<Bytes>, Status>>,
    prefix: [u8; PREFIX],
    length: usize,
    body: Body,
}

impl First {
    /// Ready when the first message is whole, or never will be.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.is_whole() && !self.body.is_end_stream() {
            match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx))
                .map(|next| next.map(Frame::into_data))
            {
                Some(Ok(Ok(data))) => self.push(data),
                Some(Ok(Err(trailers))) => self.end = Some(Ok(trailers)),
                Some(Err(broken)) => self.end = Some(Err(broken)),
                None => break,
            }
            if self.end.is_some() {
                break;
            }
        }
        Poll::Ready(())
    }

    fn push(&mut self, data: Bytes) {
        if let Some(missing) = self.prefix.get_mut(self.length.min(PREFIX)..) {
            missing.iter_mut().zip(&data).for_each(|(into, byte)| *into = *byte);
        }
        self.length += data.len();
        match self.read {
            None => self.read = Some(data),
            Some(_) => self.more.push_back(data),
        }
    }

    /// The first message without its prefix, as far as it is there.
    fn whole(&self) -> Bytes {
        let read = self.read.iter().chain(&self.more);
        let joined = match (&self.read, self.more.is_empty()) {
            (Some(only), true) => only.clone(),
            _ => read.flat_map(|part| part.iter().copied()).collect(),
        };
        let end = self.end_of_first().min(joined.len());
        if end > PREFIX { joined.slice(PREFIX..end) } else { Bytes::new() }
    }

    /// Where the first message ends, by what its prefix says.
    fn end_of_first(&self) -> usize {
        let [_, length @ ..] = self.prefix;
        PREFIX.saturating_add(usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX))
    }

    fn is_whole(&self) -> bool {
        let end = self.end_of_first();
        self.length >= PREFIX && (end > LONGEST + PREFIX || self.length >= end)
    }
}

impl HttpBody for First {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if let Some(data) = this.read.take().or_else(|| this.more.pop_front()) {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match this.end.take() {
            Some(end) => Poll::Ready(Some(end)),
            None => Pin::new(&mut this.body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_none() && self.more.is_empty() && self.end.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use futures::StreamExt as _;

    use super::*;

    async fn passed_on(frames: Vec<&'static [u8]>) -> Vec<u8> {
        let places = Arrivals::default();
        let sent = futures::stream::iter(frames).map(|part| Ok::<_, Status>(Bytes::from_static(part)));
        let request = Request::new(Body::new(axum::body::Body::from_stream(sent)));
        let (_, body) =
            first(request, &places, Instant::now() + arrival::WITHIN, None).await.unwrap().into_parts();
        axum::body::to_bytes(axum::body::Body::new(body), usize::MAX).await.unwrap().into()
    }

    #[tokio::test]
    async fn nothing_is_lost_or_added_however_a_call_is_cut_up() {
        for frames in [
            vec![],
            vec![&b"\0"[..]],
            vec![&b"\0\0\0\0\x02ab"[..]],
            vec![&b"\0\0"[..], b"", b"\0\0\x02", b"a", b"b"],
            vec![&b"\0\0\0\0\x02ab\0\0\0\0\x01c"[..], b"more"],
            vec![&b"\0\xff\xff\xff\xffab"[..], b"c"],
        ] {
            assert_eq!(passed_on(frames.clone()).await, frames.concat(), "{frames:?}");
        }
    }

    #[tokio::test]
    async fn a_guard_sees_the_first_message_and_is_obeyed() {
        for (frames, seen) in [
            (vec![], &b""[..]),
            (vec![&b"\0\0"[..]], b""),
            (vec![&b"\0\0\0\0\x02ab"[..]], b"ab"),
            (vec![&b"\0\0"[..], b"\0\0\x02", b"a", b"b\0\0"], b"ab"),
            (vec![&b"\0\0\0\0\x02ab\0\0\0\0\x01c"[..]], b"ab"),
        ] {
            let sent = futures::stream::iter(frames).map(|part| Ok::<_, Status>(Bytes::from_static(part)));
            let request = Request::new(Body::new(axum::body::Body::from_stream(sent)));
            let guard: Guard = Arc::new(move |mut head, message| {
                Box::pin(async move {
                    head.extensions.insert(message.clone());
                    if message[..] == *b"ab" { Ok(head) } else { Err(Status::permission_denied("no")) }
                })
            });
            let places = Arrivals::default();
            let passed = first(request, &places, Instant::now() + arrival::WITHIN, Some(&guard)).await;
            match passed {
                Ok(call) => assert_eq!(call.extensions().get::<Bytes>().unwrap(), seen),
                Err(refused) => assert!(seen.is_empty() && refused.message() == "no"),
            }
        }
    }
}
