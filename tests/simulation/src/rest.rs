//! REST as a browser speaks it: one request, one answer, or none in time.

use std::{fmt, time::Duration};

use axum::body::{self, Body};
use http::{Method, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::time;
use tokio_util::task::AbortOnDropHandle;
use turmoil::net::TcpStream;

use crate::{history, mesh::REST, plan::EDGES};

/// The longest answer.
const LONGEST: usize = 4 << 20;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    path: String,
    body: Option<Value>,
    key: Option<String>,
    token: Option<String>,
    tag: Option<String>,
    /// The edge that is asked first, where either may be.
    first: Option<&'static str>,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON.
    pub body: Value,
    /// The tag of the state that it tells; empty without one.
    pub tag: String,
    /// When the request was sent.
    pub sent: Duration,
    /// When the answer was there.
    pub received: Duration,
}

impl Request {
    /// GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// POST of JSON.
    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::POST, path) }
    }

    /// PUT of JSON.
    pub fn put(path: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::PUT, path) }
    }

    /// PATCH of JSON.
    pub fn patch(path: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::PATCH, path) }
    }

    /// DELETE.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None, key: None, token: None, tag: None, first: None }
    }

    /// With a key, by which it is known when it comes again.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// With a queue token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// For the state that has this tag alone.
    #[must_use]
    pub fn if_match(self, tag: &str) -> Self {
        Self { tag: Some(tag.to_owned()), ..self }
    }

    /// Where it is asked at first, if not at any edge.
    #[must_use]
    pub fn first_at(self, edge: &'static str) -> Self {
        Self { first: Some(edge), ..self }
    }

    /// Both edges, that first which is asked first.
    #[must_use]
    pub fn edges(&self) -> [&'static str; 2] {
        if self.first == Some(EDGES[1]) { [EDGES[1], EDGES[0]] } else { EDGES }
    }

    /// Its key, if it has one.
    #[must_use]
    pub fn known_by(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Sends it to an edge, and waits so long; both are written down.
    pub async fn send(&self, who: &str, edge: &str, patience: Duration) -> Option<Answer> {
        let sent = history::now();
        history::note(who, format!("→ {edge} {self}"));
        match time::timeout(patience, self.exchange(edge)).await {
            Ok(Ok((status, tag, body))) => {
                history::note(who, format!("← {edge} {} {}: {status} {body}", self.method, self.path));
                Some(Answer { status, body, tag, sent, received: history::now() })
            }
            Ok(Err(error)) => {
                history::note(who, format!("← {edge} {} {}: no answer: {error}", self.method, self.path));
                None
            }
            Err(_late) => {
                history::note(
                    who,
                    format!("← {edge} {} {}: no answer within {patience:?}", self.method, self.path),
                );
                None
            }
        }
    }

    async fn exchange(
        &self,
        edge: &str,
    ) -> Result<(u16, String, Value), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect((edge, REST)).await?;
        let (mut link, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let _driven = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
        let mut request =
            http::Request::builder().method(self.method.clone()).uri(&self.path).header(header::HOST, edge);
        if let Some(key) = &self.key {
            request = request.header("idempotency-key", key);
        }
        if let Some(token) = &self.token {
            request = request.header("x-queue-token", token);
        }
        if let Some(tag) = &self.tag {
            request = request.header(header::IF_MATCH, tag);
        }
        let body = match &self.body {
            Some(json) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(json.to_string())
            }
            None => Body::empty(),
        };
        let response = link.send_request(request.body(body)?).await?;
        let status = response.status().as_u16();
        let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
        let tag = tag.unwrap_or_default().to_owned();
        let bytes = body::to_bytes(Body::new(response.into_body()), LONGEST).await?;
        Ok((status, tag, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        self.body.iter().try_for_each(|body| write!(f, " {body}"))?;
        self.key.iter().try_for_each(|key| write!(f, " key {key}"))?;
        self.tag.iter().try_for_each(|tag| write!(f, " if {tag}"))
    }
}

impl Answer {
    /// Is it the last word, or may the same request be sent again for another one?
    #[must_use]
    pub const fn stands(&self) -> bool {
        self.status < 500 && self.status != 429
    }

    /// Was it done?
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.status < 300
    }

    /// The word of a refusal.
    #[must_use]
    pub fn code(&self) -> &str {
        self.text("code")
    }

    /// A text of it.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        text(&self.body, field)
    }

    /// Numbers of it.
    #[must_use]
    pub fn numbers(&self, field: &str) -> Vec<i64> {
        list(&self.body, field).filter_map(Value::as_i64).collect()
    }

    /// A number of it.
    #[must_use]
    pub fn number(&self, field: &str) -> i64 {
        number(&self.body, field)
    }
}

/// A text of a JSON object.
#[must_use]
pub fn text<'a>(json: &'a Value, field: &str) -> &'a str {
    json[field].as_str().unwrap_or_default()
}

/// A number of a JSON object.
#[must_use]
pub fn number(json: &Value, field: &str) -> i64 {
    json[field].as_i64().unwrap_or_default()
}

/// The list of a JSON object.
pub fn list<'a>(json: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    json[field].as_array().into_iter().flatten()
}
