//! Where requests enter: polls are answered here, all other requests by the router.
//!
//! Users who wait send one request, 11,000 times a second: `GET /v1/tokens/{token}`. A poll takes 13.7 µs of
//! CPU with its generator, where a bare handler takes 9.5 (`tests/bench/README.md`), and to find its route
//! and pass the layers around all routes would cost more than the answer. A poll in its plain shape (a
//! well-formed token, no query, no rules about web origins) therefore goes straight to its handler, inside
//! [around], which does what every request needs. Any other request, also a poll with a malformed token, is
//! for the router.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    http::{Method, Request, header, request::Parts},
    response::{IntoResponse, Response},
};
use chassis::health::Health;
use futures::future::Either;
use tower::Service;
use uuid::Uuid;

use super::{
    limited::{CameFrom, over},
    middleware::{Asked, Bounds, around},
    operation::{POLL, polled},
    router,
    tokens::{self, Known},
    unread::Unread,
};
use crate::{
    app::{Edge, Polls},
    config::{Origins, Policy},
};

/// The whole REST side. Clones share it.
#[derive(Clone)]
pub(crate) struct Front(Arc<Shared>);

/// What its clones share.
struct Shared {
    edge: Arc<Edge>,
    router: Router,
    bounds: Bounds,
    polls: Polls,
    /// Whether polls may bypass the router, because there are no rules about web origins.
    plain: bool,
}

impl Front {
    /// The REST side over these use cases.
    pub(crate) fn new(edge: Arc<Edge>, polls: Polls, policy: Policy, health: Health) -> Self {
        let (plain, bounds) = (matches!(policy.cors_origins, Origins::None), Bounds::new());
        let router = router::router(Arc::clone(&edge), policy, health, bounds.clone());
        Self(Arc::new(Shared { edge, router, bounds, polls, plain }))
    }

    /// A copy for one thread, whose polls share batches with each other only.
    pub(crate) fn apart(&self, polls: Polls) -> Self {
        let Shared { edge, router, bounds, plain, .. } = &*self.0;
        let (edge, router) = (Arc::clone(edge), router.clone());
        Self(Arc::new(Shared { edge, router, bounds: bounds.apart(), polls, plain: *plain }))
    }

    /// How many connections and requests have a clone of it.
    pub(super) fn load(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// Answers a request that came over a connection from this address; it always has an answer.
    pub(crate) fn answer<B>(self, from: IpAddr, request: Request<B>) -> impl Future<Output = Response>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        match polled(request.uri()).filter(|_| self.0.plain && is_plain(&request)) {
            Some(token) => Either::Left(self.poll(token, from, request.into_parts().0)),
            // The larger future is boxed, since the one of each poll would be moved with the same size.
            None => Either::Right(Box::pin(self.route(from, request.map(Body::new)))),
        }
    }

    async fn poll(self, token: Uuid, from: IpAddr, head: Parts) -> Response {
        let Shared { edge, bounds, polls, .. } = &*self.0;
        let known = Known::of(&head.headers);
        let asked = Asked::new(&head.method, &head.uri, head.version, POLL, &head.headers, bounds);
        let work = async {
            if let Err(unwelcome) = edge.limits.admit_plain_poll(&token, from, &head.headers) {
                return over(*unwelcome);
            }
            let response = tokens::poll(edge, polls, token, known).await.into_response();
            edge.limits.count_plain_refusal(from, &head.headers, response.status().as_u16());
            response
        };
        around(bounds, asked, work).await
    }

    async fn route(self, from: IpAddr, request: Request<Body>) -> Response {
        let (mut request, unread) = Unread::of(request);
        request.extensions_mut().insert(self.0.polls.clone());
        request.extensions_mut().insert(CameFrom(from));
        let is_asking = request.headers().contains_key(header::EXPECT);
        let Ok(response) = self.0.router.clone().call(request).await;
        match unread {
            Some(unread) if !unread.is_end_stream() => unread.settle(is_asking, response).await,
            Some(_) | None => response,
        }
    }
}

/// Whether a request to the address of a poll is one in its plain shape.
fn is_plain<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET && request.uri().query().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, uri: &str) -> Option<Uuid> {
        let request = Request::builder().method(method).uri(uri).body(()).ok()?;
        polled(request.uri()).filter(|_| is_plain(&request))
    }

    #[test]
    fn only_a_plain_poll_goes_past_the_router() {
        let token = Uuid::from_u128(7);
        assert_eq!(asked(Method::GET, &format!("/v1/tokens/{token}")), Some(token));
        assert_eq!(asked(Method::GET, &format!("http://host/v1/tokens/{token}")), Some(token));
        for method in [Method::HEAD, Method::DELETE, Method::OPTIONS] {
            assert_eq!(asked(method, &format!("/v1/tokens/{token}")), None);
        }
        for other in ["/", "/events", "?", "?a=b"] {
            assert_eq!(asked(Method::GET, &format!("/v1/tokens/{token}{other}")), None, "{other}");
        }
        for other in ["/v1/tokens/x", "/v1/token/00000000-0000-0000-0000-000000000007", "/v1/tokens/"] {
            assert_eq!(asked(Method::GET, other), None, "{other}");
        }
        assert_eq!(asked(Method::GET, &format!("/v1/tokens/%30{}", &token.to_string()[1..])), None);
    }
}
