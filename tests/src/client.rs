//! REST as a client sees it: a status, headers and JSON.
//!
//! [`Call::send`] does what a client is asked to do: when it is told to come back it does so, with the same
//! key, because any machine may be busy. A scenario that is about such a refusal uses [`Call::once`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::{Method, header::HeaderMap};
use serde_json::Value;
use tokio::time::sleep;

use crate::patience::Patience;

/// How long an answer may take. An edge answers within its deadline of ten seconds, whatever happens behind
/// it; the rest is for what happens to the edge itself.
const ANSWERED: Duration = Duration::from_secs(120);
/// The longest time for which the mesh is usually too busy.
const BUSY: Duration = Duration::from_secs(15);
/// The pause after being told to come back: less than one is told, because here no other client is in the
/// way.
const PAUSE: Duration = Duration::from_millis(200);

/// Speaks to the edges of a mesh in turn, so that two calls in a row meet different replicas.
#[derive(Clone, Debug)]
pub struct Rest {
    http: reqwest::Client,
    bases: Arc<[String]>,
    next: Arc<AtomicUsize>,
}

/// A request being put together.
#[derive(Debug)]
pub struct Call {
    request: reqwest::RequestBuilder,
    what: String,
    key: Option<String>,
    /// Whether sending it twice without a key has the effect of sending it once.
    idempotent: bool,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Method and path, for messages.
    pub what: String,
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
    /// The body as JSON; `Null` when it is none.
    pub body: Value,
}

impl Rest {
    /// A client of these base URLs.
    ///
    /// # Panics
    /// Never: a client without TLS needs nothing from the system.
    #[must_use]
    pub fn new(bases: Vec<String>) -> Self {
        Self::impatient(bases, ANSWERED)
    }

    /// A client that waits for an answer only this long.
    ///
    /// # Panics
    /// Never: a client without TLS needs nothing from the system.
    #[must_use]
    pub fn impatient(bases: Vec<String>, patience: Duration) -> Self {
        let http = reqwest::Client::builder()
            .timeout(patience)
            .pool_max_idle_per_host(64)
            .no_proxy()
            .build()
            .expect("a client without TLS");
        Self { http, bases: bases.into(), next: Arc::default() }
    }

    /// The next edge's base URL.
    #[must_use]
    pub fn base(&self) -> String {
        self.bases[self.next.fetch_add(1, Ordering::Relaxed) % self.bases.len()].clone()
    }

    /// Any request, at the next edge.
    #[must_use]
    pub fn call(&self, method: Method, path: &str) -> Call {
        let what = format!("{method} {path}");
        let idempotent = method != Method::POST;
        Call {
            request: self.http.request(method, format!("{}{path}", self.base())),
            what,
            key: None,
            idempotent,
        }
    }

    /// GET.
    #[must_use]
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// POST with a JSON body.
    #[must_use]
    pub fn post(&self, path: &str, body: Value) -> Call {
        self.call(Method::POST, path).json(body)
    }

    /// PUT with a JSON body.
    #[must_use]
    pub fn put(&self, path: &str, body: Value) -> Call {
        self.call(Method::PUT, path).json(body)
    }

    /// DELETE.
    #[must_use]
    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }
}

impl Call {
    /// With a header.
    #[must_use]
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        Self { request: self.request.header(name, value.as_ref()), ..self }
    }

    /// With a queue token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("x-queue-token", token)
    }

    /// With this idempotency key, and no other.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    /// Without an idempotency key.
    #[must_use]
    pub fn unkeyed(self) -> Self {
        Self { key: None, ..self }
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: Value) -> Self {
        Self { request: self.request.json(&body), what: format!("{} {body}", self.what), ..self }
    }

    /// With any body and content type.
    #[must_use]
    pub fn raw(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { request: self.request.header("content-type", content_type).body(body.into()), ..self }
    }

    fn request(self) -> reqwest::RequestBuilder {
        match self.key {
            Some(key) => self.request.header("idempotency-key", key),
            None => self.request,
        }
    }

    /// A copy to send again; `None` when sending it twice has another effect, or it cannot be copied.
    fn again(&self) -> Option<Self> {
        let repeatable = self.idempotent || self.key.is_some();
        let request = self.request.try_clone().filter(|_| repeatable)?;
        Some(Self { request, what: self.what.clone(), key: self.key.clone(), idempotent: self.idempotent })
    }

    /// Sends it once and reads the whole answer.
    ///
    /// # Errors
    /// When there is no answer: refused, cut, or timed out.
    pub async fn try_send(self) -> Result<Answer, String> {
        let told = |error: reqwest::Error| {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            text
        };
        let what = self.what.clone();
        let response = self.request().send().await.map_err(told)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.map_err(told)?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { what, status, headers, text, body })
    }

    /// Sends it once and reads the whole answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn once(self) -> Answer {
        let what = self.what.clone();
        self.try_send().await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Sends it once. Of a stream of events that has begun only the head is read, of anything else all.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn begun(self) -> Answer {
        let what = self.what.clone();
        let response = self.stream().await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let is_stream = headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let text = if is_stream { String::new() } else { response.text().await.unwrap_or_default() };
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { what, status, headers, text, body }
    }

    /// Sends it, again while the mesh is too busy, until it gets another answer than these.
    async fn until_not(mut self, busy: &[u16]) -> Answer {
        let patience = Patience::new(BUSY);
        loop {
            let again = self.again();
            let answer = self.once().await;
            match again {
                Some(again) if busy.contains(&answer.status) && !patience.is_over() => self = again,
                _ => return answer,
            }
            sleep(PAUSE).await;
        }
    }

    /// Sends it as a client is asked to: again while it is told to come back, if it may be sent twice. Reads
    /// the whole answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(self) -> Answer {
        self.until_not(&[503, 504]).await
    }

    /// Sends it like [`send`](Self::send), until a payment that it began has settled.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn settled(self) -> Answer {
        self.until_not(&[202, 503, 504]).await
    }

    /// Sends it and expects this status in the end; answers the JSON body.
    pub async fn expect(self, status: u16) -> Value {
        let answer = if status == 202 { self.send().await } else { self.settled().await };
        answer.expect(status)
    }

    /// Sends it and reads only the head of the answer: for streams.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn stream(self) -> reqwest::Response {
        let what = self.what.clone();
        self.request().send().await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }
}

impl Answer {
    /// The JSON body of an answer with this status.
    ///
    /// # Panics
    /// When the status is another.
    #[must_use]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}\n  answered {}", self.what, self.text);
        self.body
    }

    /// The problem document (RFC 9457) that a refusal with this code must be.
    ///
    /// # Panics
    /// When it is anything else.
    #[must_use]
    pub fn problem(self, status: u16, code: &str) -> Value {
        let Self { what, body, text, .. } = &self;
        assert!(
            self.status == status && body["code"] == code,
            "{what}\n  should be {status} {code}, was {} {text}",
            self.status
        );
        assert_eq!(self.header("content-type").split(';').next(), Some("application/problem+json"), "{what}");
        assert_eq!(body["status"], status, "{what}: {text}");
        for field in ["type", "title", "detail"] {
            assert!(
                body[field].as_str().is_some_and(|value| !value.is_empty()),
                "{what}: {field} is missing in {text}"
            );
        }
        if code == "INVALID_ARGUMENT" {
            let violations = body["violations"].as_array();
            assert!(violations.is_some_and(|all| !all.is_empty()), "{what}: no violations in {text}");
        }
        self.body
    }

    /// A header's text, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        self.headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .unwrap_or_default()
    }

    /// The code of a refusal, or nothing.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// The fields that a problem's violations name.
#[must_use]
pub fn violated(problem: &Value) -> Vec<String> {
    let all = problem["violations"].as_array().into_iter().flatten();
    all.filter_map(|violation| violation["field"].as_str().map(str::to_owned)).collect()
}
