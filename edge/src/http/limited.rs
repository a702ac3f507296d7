//! The limits on callers, before every route: who asks is found out here, a request over a limit is refused
//! before its handler is called, answers tell how much is left (draft-ietf-httpapi-ratelimit-headers), and
//! refusals are counted. Who may not use an operation at all is refused here as well, before anything that
//! they sent is read: what is wrong with it is not theirs to know. A poll in its plain shape never comes
//! here; see [front](super::front).

use std::{collections::HashMap, fmt::Write, net::IpAddr, sync::Arc};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use boxoffice_proto::{Fault, Reason, access::Rule};
use chassis::limits::Left;

use super::{
    middleware::is_probe,
    operation::{POLL, polled},
    pages::{PART, SHOW},
    problem,
    problem::Problem,
};
use crate::app::{Allowed, Edge, Wish};

/// What the limits are.
pub(super) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// How much is left of them.
pub(super) const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// Who may what: the rules of each route, by method.
pub(super) type Rules = HashMap<String, Vec<(Method, &'static Rule)>>;

/// The rule of a request to a route.
fn rule(rules: &Rules, method: &Method, route: &str) -> Option<&'static Rule> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    rules.get(route)?.iter().find(|(of, _)| of == method).map(|(_, rule)| *rule)
}

/// The address that a request's connection comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct CameFrom(pub(super) IpAddr);

/// What a request to a route asks for.
pub(super) fn wish(method: &Method, route: &str) -> Wish {
    match (method, route) {
        (&Method::POST, "/v1/queues/{queueId}/tokens" | "/queue-management/api/token" | SHOW) => Wish::Join,
        (&Method::POST, "/v1/reservations" | "/api-orchestration/api/reservations/reserve-seat") => {
            Wish::Hold
        }
        _ => Wish::Other,
    }
}

/// Answers a request of the router, within the limits.
pub(super) async fn limited(
    edge: Arc<Edge>,
    rules: Arc<Rules>,
    mut request: Request,
    next: Next,
) -> Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("", MatchedPath::as_str);
    // A page loads a score of parts: counted, some tens of people behind one address could not load it.
    let is_free = is_probe(request.method(), route) || route == PART;
    let Some(CameFrom(peer)) = request.extensions().get().copied().filter(|_| !is_free) else {
        return next.run(request).await;
    };
    let who = edge.doors.caller(request.headers()).await;
    let asker = edge.limits.asker(&who, peer, request.headers());
    let (allowed, refused) = if route == POLL && *request.method() == Method::GET {
        let welcome =
            polled(request.uri()).map_or(Ok(()), |token| edge.limits.admit_poll(&token, || asker.clone()));
        welcome.err().map(|unwelcome| *unwelcome).map(|(limit, fault)| (vec![limit], fault)).unzip()
    } else {
        let judged = edge.limits.judge(&asker, wish(request.method(), route));
        (Some(judged.allowed), judged.refused)
    };
    let refused = refused.or_else(|| {
        let rule = rule(&rules, request.method(), route)?;
        edge.doors.house.welcome(rule, &who).err()
    });
    let mut response = match refused {
        Some(fault) => Problem::from(fault).into_response(),
        None => {
            request.extensions_mut().insert(who);
            next.run(request).await
        }
    };
    edge.limits.count_refusal(&asker, response.status().as_u16());
    tell(&allowed.unwrap_or_default(), &mut response);
    response
}

/// The refusal of a request whose caller is over this limit.
pub(super) fn over((limit, fault): (Allowed, Fault)) -> Response {
    let mut response = Problem::from(fault).into_response();
    tell(&[limit], &mut response);
    response
}

/// The refusal of a poll. One that comes too often for its place is told with that place's own limit, whose
/// quota is for as long as was advised.
pub(super) fn refused_poll(fault: Fault) -> Response {
    let pace = Some(&fault).filter(|fault| fault.reason == Reason::RateLimited);
    let until = pace.map(|fault| problem::whole_seconds(fault.retry_after.unwrap_or_default()));
    let mut response = Problem::from(fault).into_response();
    if let Some(left) = until.and_then(|until| HeaderValue::try_from(format!("\"polls\";r=0;t={until}")).ok())
    {
        response.headers_mut().extend([(POLICY, HeaderValue::from_static("\"polls\";q=3")), (LEFT, left)]);
    }
    response
}

/// Tells how much is left, unless a cache may give the answer to others.
fn tell(allowed: &[Allowed], response: &mut Response) {
    let kept = response.headers().get(header::CACHE_CONTROL);
    if allowed.is_empty() || kept.is_some_and(|kept| kept.as_bytes().starts_with(b"public")) {
        return;
    }
    let (mut policy, mut left) = (String::new(), String::new());
    for (nth, Allowed { limit, rate, left: Left { remaining, next } }) in allowed.iter().enumerate() {
        let comma = if nth > 0 { ", " } else { "" };
        let (many, window, until) = (rate.many(), rate.per().as_secs(), problem::whole_seconds(*next));
        // Writing into a string cannot fail.
        let _ = write!(policy, "{comma}\"{limit}\";q={many};w={window}");
        let _ = write!(left, "{comma}\"{limit}\";r={remaining};t={until}");
    }
    for (name, text) in [(POLICY, policy), (LEFT, left)] {
        response.headers_mut().extend(HeaderValue::try_from(text).ok().map(|value| (name, value)));
    }
}
