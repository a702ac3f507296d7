//! A subscriber that is told by HTTP: a POST of a CloudEvent in structured mode, signed as Standard Webhooks
//! has it. Any 2xx takes it; 410 says that no more are wanted; after any other answer it is sent again later.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chassis::{
    clock::{Clock, SECOND},
    web::{Web, WebBounds},
};
use chrono::DateTime;
use http::{
    HeaderMap, HeaderValue, Request, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT},
};
use ring::digest::{SHA256, digest};
use url::Url;

use super::{Missed, signature::SigningSecret};
use crate::store::Event;

/// An event takes no longer; of what is answered nothing but the status and a header is needed.
pub(super) const BOUNDS: WebBounds =
    WebBounds { within: Duration::from_secs(5), largest: 64 * 1024, idle: Duration::from_secs(30) };
/// The longest that a receiver may ask to be left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// A receiver of events by HTTP.
pub(super) struct Webhook {
    web: Web,
    to: Uri,
    authorization: Option<HeaderValue>,
    secret: Option<SigningSecret>,
    clock: Clock,
}

/// What a subscriber at this address is called: where it is, and enough of a hash to tell it from others
/// there. What may be secret in the address (user, path, query) cannot be read from it.
pub(super) fn name_of(url: &Url) -> String {
    let digest = digest(&SHA256, url.as_str().as_bytes());
    let short: String = digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}#{short}", url.host_str().unwrap_or_default())
}

impl Webhook {
    /// A receiver at this address. An error does not repeat it.
    pub(super) fn new(
        web: Web,
        url: &Url,
        secret: Option<SigningSecret>,
        clock: Clock,
    ) -> Result<Self, String> {
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err("must begin with http:// or https:// and name a host".to_owned());
        }
        let mut bare = url.clone();
        bare.set_fragment(None);
        let authorization = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => {
                let decoded =
                    |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
                let pair = format!("{}:{}", decoded(user), decoded(password.unwrap_or_default()));
                let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)))
                    .map_err(|_| "has a user or a password that no header can hold".to_owned())?;
                value.set_sensitive(true);
                // An address of `http` or `https` takes both away.
                let _ = bare.set_username("").and_then(|()| bare.set_password(None));
                Some(value)
            }
        };
        let to = bare.as_str().parse().map_err(|_| "is no address that can be called".to_owned())?;
        Ok(Self { web, to, authorization, secret, clock })
    }

    /// Sends one event.
    pub(super) async fn tell(&self, event: &Event) -> Result<(), Missed> {
        let refused = |why: String| Missed { why, after: None, gone: false };
        let request = self.request(event).map_err(|error| refused(error.to_string()))?;
        let answer = self.web.send(request).await.map_err(refused)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let after = pause(answer.headers(), self.clock.now());
        Err(Missed { why: format!("it answered {status}"), after, gone: status == StatusCode::GONE })
    }

    fn request(&self, event: &Event) -> http::Result<Request<http_body_util::Full<hyper::body::Bytes>>> {
        let second = self.clock.now() / SECOND;
        let mut request = Request::post(self.to.clone())
            .header(CONTENT_TYPE, "application/cloudevents+json")
            .header(USER_AGENT, "boxoffice")
            .header("webhook-id", &event.id)
            .header("webhook-timestamp", second);
        if let Some(secret) = &self.secret {
            request = request.header("webhook-signature", secret.signature(&event.id, second, &event.body));
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.body(event.body.clone().into())
    }
}

/// How long a receiver asks to be left alone: a number of seconds, or a date.
fn pause(headers: &HeaderMap, now: i64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = DateTime::parse_from_rfc2822(text).ok()?.timestamp_micros();
            Duration::from_micros(u64::try_from(at.saturating_sub(now)).unwrap_or(0))
        }
    };
    Some(asked.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_where_and_nothing_that_is_secret() {
        let name = |url: &str| name_of(&url.parse().unwrap());
        let (one, other) =
            (name("https://ann:pw@crm.example:8443/T0K3N?k=v"), name("https://crm.example:8443/T0K3M"));
        assert!(one.starts_with("crm.example:8443#") && one.len() == "crm.example:8443#".len() + 8, "{one}");
        assert_ne!(one, other);
        assert_eq!(one, name("https://ann:pw@crm.example:8443/T0K3N?k=v"), "the same at each start");
    }

    #[test]
    fn a_receiver_says_how_long_it_wants_to_be_left_alone_and_is_believed_within_reason() {
        let asked = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]);
            pause(&headers, 784_887_147 * SECOND).map(|span| span.as_secs())
        };
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked("Tue, 15 Nov 1994 08:12:31 GMT"), Some(4));
        assert_eq!(asked("Tue, 15 Nov 1994 08:12:20 GMT"), Some(0));
        assert_eq!(asked("99999999"), Some(3_600));
        assert_eq!(asked("soon"), None);
    }
}
