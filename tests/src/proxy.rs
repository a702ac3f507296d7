//! A gRPC proxy that loses, repeats and delays calls as [`Faults`] says. It knows nothing of the messages: it
//! forwards a call by its path, bytes untouched.
//!
//! A call that has left its caller is on its way: it goes on when the caller is killed in the meantime, as a
//! packet would.

use std::net::{SocketAddr, TcpListener};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Response, header, request::Parts},
};
use boxoffice_proto::Fault;
use prost::bytes::Bytes;
use tokio::time::sleep;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};
use tower::ServiceExt;

use crate::faults::{Faults, Loss, Mishap, Moment, Then};

/// No message of ours is larger.
const LARGEST: usize = 4 << 20;

#[derive(Clone)]
struct Door {
    behind: Channel,
    faults: Faults,
}

/// What the caller sees.
enum Seen {
    Answer(Response<Body>),
    Loss(Loss),
}

/// Starts a proxy before the gRPC server that listens (or will) at this address; answers where. It ends with
/// the runtime.
///
/// # Panics
/// When there is no port left.
#[must_use]
pub fn before(server: SocketAddr, faults: Faults) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a fresh socket takes options");
    let address = listener.local_addr().expect("a bound socket has an address");
    let behind = Endpoint::from_shared(format!("http://{server}"))
        .expect("an address")
        .tcp_nodelay(true)
        .connect_lazy();
    let router = Router::new().fallback(enter).with_state(Door { behind, faults });
    tokio::spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listening socket");
        let nodelay = axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true)));
        axum::serve(nodelay, router).await
    });
    address
}

async fn enter(State(door): State<Door>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(message) = to_bytes(body, LARGEST).await else { return cut() };
    let method = parts.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
    let mishap = door.faults.on(&method, &message);
    match tokio::spawn(door.carry(parts, message, mishap)).await {
        Ok(Seen::Answer(answer)) => answer,
        Ok(Seen::Loss(Loss::Code(code))) => Status::new(code, "somebody on the way").into_http(),
        Ok(Seen::Loss(Loss::Silence)) => std::future::pending().await,
        Ok(Seen::Loss(Loss::Cut)) | Err(_) => cut(),
    }
}

/// An answer that breaks off: the stream is reset.
fn cut() -> Response<Body> {
    let broken = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
    let mut response = Response::new(Body::from_stream(broken));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/grpc"));
    response
}

impl Door {
    async fn carry(self, parts: Parts, message: Bytes, mishap: Option<Mishap>) -> Seen {
        let ask = || self.ask(&parts, message.clone());
        match mishap {
            None => Seen::Answer(ask().await),
            Some(Mishap::Refused(reason)) => {
                Seen::Answer(Status::from(Fault::new(reason, reason.title())).into_http())
            }
            Some(Mishap::Lost(Moment::Before, loss)) => Seen::Loss(loss),
            Some(Mishap::Lost(Moment::After, loss)) => {
                drop(ask().await);
                Seen::Loss(loss)
            }
            Some(Mishap::Twice) => {
                drop(ask().await);
                Seen::Answer(ask().await)
            }
            Some(Mishap::Echo(after)) => {
                let answer = ask().await;
                let echo = self.clone();
                tokio::spawn(async move {
                    sleep(after).await;
                    drop(echo.ask(&parts, message).await);
                });
                Seen::Answer(answer)
            }
            Some(Mishap::Slow(by)) => {
                sleep(by).await;
                Seen::Answer(ask().await)
            }
            Some(Mishap::Stands(Moment::Before, then, meeting)) => {
                meeting.stand().await;
                if then == Then::Goes { Seen::Answer(ask().await) } else { Seen::Loss(Loss::Cut) }
            }
            Some(Mishap::Stands(Moment::After, then, meeting)) => {
                let answer = ask().await;
                meeting.stand().await;
                if then == Then::Goes { Seen::Answer(answer) } else { Seen::Loss(Loss::Cut) }
            }
        }
    }

    async fn ask(&self, parts: &Parts, message: Bytes) -> Response<Body> {
        let mut request = Request::new(tonic::body::Body::new(Body::from(message)));
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.path().parse().unwrap_or_default();
        *request.headers_mut() = parts.headers.clone();
        match self.behind.clone().oneshot(request).await {
            Ok(answer) => answer.map(Body::new),
            Err(error) => Status::unavailable(error.to_string()).into_http(),
        }
    }
}
