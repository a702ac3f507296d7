//! The limits on callers, before each service of the door: a call over them, and one that its caller may not
//! make whatever it is about, is refused before it is looked at, and what is refused is counted.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use access::Caller;
use boxoffice_proto::{
    Fault,
    access::{Asks, rule},
    queue::GetTokenRequest,
};
use chassis::tls::Peer;
use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::{Code, Status, body::Body, server::NamedService};
use tower::Service;

use crate::app::{Asker, Edge, Wish};

/// A service behind the limits.
#[derive(Clone)]
pub(crate) struct Limited<S> {
    inner: S,
    edge: Arc<Edge>,
}

impl<S> Limited<S> {
    pub(crate) const fn new(inner: S, edge: Arc<Edge>) -> Self {
        Self { inner, edge }
    }
}

impl<S: NamedService> NamedService for Limited<S> {
    const NAME: &'static str = S::NAME;
}

/// Who is counted for a call; `None` where nobody is: within the process, and without limits.
fn asker(edge: &Edge, caller: &Caller, request: &Request<Body>) -> Option<Asker> {
    let peer = request.extensions().get().filter(|_| !edge.limits.are_off()).and_then(Peer::address)?;
    Some(edge.limits.asker(caller, peer, request.headers()))
}

/// What a call asks for; `None` for one that says so only in its message, and is judged by its handler.
fn wish(path: &str) -> Option<Wish> {
    (path != GetTokenRequest::RULE.path).then(|| Wish::of(path))
}

/// How every service of a gRPC server answers.
type Answering = BoxFuture<'static, Result<Response<Body>, Infallible>>;

impl<S> Service<Request<Body>> for Limited<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answering>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let (path, doors) = (request.uri().path(), &self.edge.doors);
        let caller = doors.called(request.extensions());
        let welcome = rule(path).map_or(Ok(()), |rule| doors.house.welcome(rule, &caller));
        let Some(asker) = asker(&self.edge, &caller, &request) else {
            return match welcome {
                Ok(()) => self.inner.call(request),
                Err(fault) => Box::pin(async move { Ok(Status::from(fault).into_http()) }),
            };
        };
        let judged = wish(path).map(|wish| self.edge.limits.judge(&asker, wish));
        if let Some(fault) = judged.and_then(|judged| judged.refused) {
            return Box::pin(async move { Ok(Status::from(fault).into_http()) });
        }
        if let Err(fault) = welcome {
            self.edge.limits.count_refusal(&asker, fault.reason.http().as_u16());
            return Box::pin(async move { Ok(Status::from(fault).into_http()) });
        }
        request.extensions_mut().insert(asker.clone());
        let (answering, edge) = (self.inner.call(request), Arc::clone(&self.edge));
        Box::pin(async move {
            let answer = answering.await?;
            let status = Status::from_header_map(answer.headers()).filter(|status| status.code() != Code::Ok);
            if let Some(status) = status {
                edge.limits.count_refusal(&asker, Fault::from(&status).reason.http().as_u16());
            }
            Ok(answer)
        })
    }
}
