//! Requests that are answered before they were read whole: a refusal needs no body.
//!
//! Of such a body hyper reads what has come, and otherwise closes the connection without a word: a client
//! that sends its next request there loses it, and cannot know whether it was executed. So what is still to
//! come is read for a moment and dropped, and where it does not come the answer says `Connection: close`
//! (RFC 9112, section 9.6).

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderValue, Version, header},
    response::Response,
};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::timeout;

/// How long the rest of a body is waited for, and how many bytes of it are read.
const MOMENT: Duration = Duration::from_millis(200);
const MOST: u64 = 64 * 1_024;

/// The body of a request, also after the request was answered.
#[derive(Clone)]
pub(super) struct Unread(Arc<Mutex<Incoming>>);

struct Incoming {
    body: Body,
    is_over: bool,
}

impl Unread {
    /// Keeps the body of a request; nothing where there is none, or where a connection bears it to be left
    /// unread.
    pub(super) fn of(request: Request) -> (Request, Option<Self>) {
        if request.body().is_end_stream() || request.version() >= Version::HTTP_2 {
            return (request, None);
        }
        let (head, body) = request.into_parts();
        let unread = Self(Arc::new(Mutex::new(Incoming { body, is_over: false })));
        (Request::from_parts(head, Body::new(unread.clone())), Some(unread))
    }

    /// Reads what is left, and has the answer say if that does not come. A client that waits to be told to go
    /// on is not told to.
    pub(super) async fn settle(self, is_asking: bool, mut answer: Response) -> Response {
        let is_read = async {
            let (mut unread, mut read) = (self, 0);
            while !unread.is_end_stream() && read <= MOST {
                match unread.frame().await {
                    Some(Ok(frame)) => read += frame.data_ref().map_or(0, |data| data.len() as u64),
                    Some(Err(_cut)) => return false,
                    None => return true,
                }
            }
            read <= MOST
        };
        if is_asking || !timeout(MOMENT, is_read).await.unwrap_or(false) {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut incoming = self.0.lock();
        let frame = Pin::new(&mut incoming.body).poll_frame(cx);
        incoming.is_over |= matches!(frame, Poll::Ready(None));
        frame
    }

    fn is_end_stream(&self) -> bool {
        let incoming = self.0.lock();
        incoming.is_over || incoming.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().body.size_hint()
    }
}
