//! gRPC-Web beside gRPC on one port. A page in a browser cannot read the trailers of HTTP in which gRPC tells
//! how a call ended; in gRPC-Web they are the last part of the body, and any HTTP will do.
//!
//! A call over gRPC-Web becomes one of gRPC before any other layer sees it, so all that is true of calls is
//! true of it: deadline, guard, log line, bounds, refusals. What comes neither from a page nor as gRPC-Web
//! costs no more than two looks at its headers.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures::future::{BoxFuture, Either};
use http::{Method, Request, Response, StatusCode, Version, header};
use tonic::body::Body;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service, ServiceExt as _, util::BoxCloneSyncService};
use tower_http::cors::CorsLayer;

use super::refusal::{no_grpc, plain};
use crate::host::{REFUSAL, has_one_host};

/// The names of gRPC-Web as tonic-web knows them.
const GRPC_WEB: [&[u8]; 4] = [
    b"application/grpc-web",
    b"application/grpc-web+proto",
    b"application/grpc-web-text",
    b"application/grpc-web-text+proto",
];

/// What a server does for web pages. One that is not for them gets their requests refused as no gRPC.
#[derive(Clone, Default)]
pub(super) struct WebLayer {
    /// Whether gRPC-Web is spoken.
    pub(super) spoken: bool,
    /// Which pages of other origins may call; `None` where none may.
    pub(super) cors: Option<CorsLayer>,
}

/// A server with this layer around it.
#[derive(Clone)]
pub(super) struct Web<S> {
    grpc: S,
    pages: Option<BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>>,
}

impl<S> Layer<S> for WebLayer
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    type Service = Web<S>;

    fn layer(&self, grpc: S) -> Web<S> {
        let pages = self.spoken.then(|| {
            let translated = Translated { web: GrpcWebLayer::new().layer(grpc.clone()), grpc: grpc.clone() };
            match &self.cors {
                Some(cors) => BoxCloneSyncService::new(cors.layer(translated)),
                None => BoxCloneSyncService::new(translated),
            }
        });
        Web { grpc, pages }
    }
}

impl<S> Service<Request<Body>> for Web<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.grpc.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !has_one_host(request.version(), request.headers()) {
            return Either::Right(Box::pin(async { Ok(plain(StatusCode::BAD_REQUEST, REFUSAL)) }));
        }
        match &self.pages {
            Some(pages) if is_for_pages(&request) => Either::Right(Box::pin(pages.clone().oneshot(request))),
            Some(_) | None => Either::Left(self.grpc.call(request)),
        }
    }
}

/// Whether a request needs more than gRPC does: it comes from a page, or by a HTTP that has no gRPC.
fn is_for_pages(request: &Request<Body>) -> bool {
    is_web(request) || request.headers().contains_key(header::ORIGIN) || request.version() < Version::HTTP_2
}

/// Whether this is gRPC-Web.
fn is_web(request: &Request<Body>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|sent| GRPC_WEB.contains(&sent.as_bytes()))
}

/// A server that translates what is gRPC-Web, and takes anything else as it is.
#[derive(Clone)]
struct Translated<S> {
    web: GrpcWebService<S>,
    grpc: S,
}

impl<S> Service<Request<Body>> for Translated<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if is_web(&request) {
            return Box::pin(self.web.clone().oneshot(request));
        }
        // As the specification of gRPC has it, without which trailers would be lost on the way.
        if request.version() < Version::HTTP_2 && no_grpc(request.headers()).is_none() {
            let said = "gRPC needs HTTP/2. Over HTTP/1.1 send gRPC-Web: application/grpc-web+proto.\n";
            return Box::pin(async { Ok(plain(StatusCode::HTTP_VERSION_NOT_SUPPORTED, said)) });
        }
        Box::pin(self.grpc.clone().oneshot(request))
    }
}

/// Completes the rules for pages with what every client of gRPC-Web sends and reads; `headers` are those that
/// the calls of this server have besides.
pub fn for_grpc_web(cors: CorsLayer, headers: &[&'static str]) -> CorsLayer {
    // The headers of the Connect protocol are among them so that a client which speaks that reads why it is
    // refused.
    let sent = [
        "authorization",
        "baggage",
        "connect-protocol-version",
        "connect-timeout-ms",
        "content-type",
        "grpc-timeout",
        "traceparent",
        "tracestate",
        "x-grpc-web",
        "x-user-agent",
    ];
    let told = ["grpc-status", "grpc-message", "grpc-status-details-bin", super::refusal::PUSHBACK];
    let names = |names: &[&'static str]| -> Vec<_> {
        names.iter().copied().map(header::HeaderName::from_static).collect()
    };
    cors.allow_methods([Method::POST])
        .allow_headers(names(&[&sent[..], headers].concat()))
        .expose_headers(names(&told))
}
