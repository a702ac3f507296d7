//! Whom a request is for. Every door that takes HTTP/1.1 asks it, since a proxy in front and the server must
//! not read it in different ways.

use axum::{extract::Request, middleware::Next, response::IntoResponse as _, response::Response};
use http::{HeaderMap, StatusCode, Version, header};

/// What a client is told whose request is for nobody, or for two.
pub(crate) const REFUSAL: &str = "Host must be sent once, as host[:port].\n";

/// Whether a request has one `Host` that a proxy in front reads in the same way (RFC 9112, 3.2). HTTP/2 may
/// have none, since it has `:authority`.
#[must_use]
pub fn has_one_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), more) = (hosts.next(), hosts.next()) else { return version != Version::HTTP_11 };
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(byte);
    more.is_none() && host.as_bytes().iter().all(allowed)
}

/// Answers a request that says once whom it is for.
pub(crate) async fn required(request: Request, next: Next) -> Response {
    if !has_one_host(request.version(), request.headers()) {
        return (StatusCode::BAD_REQUEST, REFUSAL).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_request_says_once_whom_it_is_for() {
        let one = |version, hosts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            headers.extend(hosts.iter().map(|host| (header::HOST, HeaderValue::from_static(host))));
            has_one_host(version, &headers)
        };
        for host in ["tickets.example", "127.0.0.1:24000", "[::1]:80", "", "b%C3%BCcher.example"] {
            assert!(one(Version::HTTP_11, &[host]), "{host}");
        }
        assert!(one(Version::HTTP_2, &[]) && one(Version::HTTP_10, &[]) && !one(Version::HTTP_11, &[]));
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            assert!(!one(version, &["a", "a"]));
            for wrong in ["a b", "a/b", "ann@a", "a?b", "http://a", "a\tb"] {
                assert!(!one(version, &[wrong]), "{wrong}");
            }
        }
    }
}
