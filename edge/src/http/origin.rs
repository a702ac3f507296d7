//! Whether a web page may open a WebSocket, or send a form. Browsers let every page do so to anywhere, with
//! no question asked before, so the server looks at `Origin` itself (RFC 6455, section 10.2).

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use boxoffice_proto::{Fault, Reason};

use super::{extract::single, problem::Problem};
use crate::{app::Edge, config::Origins};

/// A request that no foreign web page makes: it has no `Origin` (it is no browser's), or one that is ours or
/// is let in.
pub(super) struct NoForeignPage;

impl FromRequestParts<Arc<Edge>> for NoForeignPage {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Edge>) -> Result<Self, Problem> {
        let host = parts.uri.authority().map(|authority| authority.as_str().to_owned());
        let host = host.or_else(|| Some(parts.headers.get(header::HOST)?.to_str().ok()?.to_owned()));
        check(&parts.headers, host.as_deref().unwrap_or_default(), &edge.origins)?;
        Ok(Self)
    }
}

/// Whether pages of this origin may, on an edge that is called by this host. The scheme is not compared: TLS
/// may end in front of the edge.
fn check(headers: &HeaderMap, host: &str, origins: &Origins) -> Result<(), Problem> {
    let Some(origin) = single(headers, "Origin")? else { return Ok(()) };
    let let_in = match origins {
        Origins::None => false,
        Origins::Any => true,
        Origins::Only(some) => some.contains(origin),
    };
    let own = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    if let_in || own.is_some_and(|(_, of)| !host.is_empty() && of.eq_ignore_ascii_case(host)) {
        return Ok(());
    }
    let detail =
        "Web pages of this origin may open no WebSocket and send no form here (flag --cors-origins).";
    Err(Fault::new(Reason::NotAllowed, detail).with("role", "").into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn may(origins: &str, host: &str, origin: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for one in origin {
            headers.append(header::ORIGIN, one.parse().unwrap());
        }
        check(&headers, host, &origins.parse().unwrap()).is_ok()
    }

    #[test]
    fn pages_of_the_own_host_and_of_those_let_in_may() {
        let ours = "tickets.example";
        for (origins, host, origin) in [
            ("", ours, "https://tickets.example"),
            ("", ours, "http://Tickets.Example"),
            ("", "localhost:8080", "http://localhost:8080"),
            ("https://shop.example", ours, "https://shop.example"),
            ("*", ours, "https://evil.example"),
        ] {
            assert!(may(origins, host, &[origin]), "{origins} {host} {origin}");
        }
        for (origins, host, origin) in [
            ("", ours, "https://evil.example"),
            ("", ours, "https://tickets.example.evil.example"),
            ("", ours, "https://tickets.example:8443"),
            ("", ours, "null"),
            ("", "", "https://"),
            ("https://shop.example", ours, "http://shop.example"),
        ] {
            assert!(!may(origins, host, &[origin]), "{origins} {host} {origin}");
        }
        assert!(may("", ours, &[]), "it is no browser's");
        assert!(!may("*", ours, &["https://a.example", "https://b.example"]), "it is unclear whose it is");
    }
}
