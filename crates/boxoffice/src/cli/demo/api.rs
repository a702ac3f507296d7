//! The REST API as the demo uses it: JSON in, JSON out, refusals with their code.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

/// No call takes longer than the edge lets one take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The REST API of a mesh at its edge.
pub(super) struct Api {
    http: reqwest::Client,
    base: String,
}

/// Why a call failed.
pub(super) enum Failure {
    /// The mesh refused, with a code of the contract.
    Refused {
        /// The code of the problem document, such as `SEAT_TAKEN`.
        code: String,
        /// The call and the answer, for messages.
        what: String,
    },
    /// There was no answer, or none that can be read.
    NoAnswer(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { what, .. } | Self::NoAnswer(what) => f.write_str(what),
        }
    }
}

impl Failure {
    pub(super) fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::NoAnswer(_) => "",
        }
    }
}

/// The headers of a call.
#[derive(Clone, Copy, Default)]
pub(super) struct With<'a> {
    /// The idempotency key: the same again is the same request.
    pub(super) key: Option<&'a str>,
    /// The queue token.
    pub(super) token: Option<&'a str>,
}

impl Api {
    pub(super) fn new(base: &str) -> Result<Self, Failure> {
        let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build();
        let http = http.map_err(|error| Failure::NoAnswer(error.to_string()))?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned() })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::GET, path, None, With::default()).await
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> Result<Value, Failure> {
        self.call(Method::PUT, path, Some(body), With::default()).await
    }

    pub(super) async fn post(&self, path: &str, body: Value, with: With<'_>) -> Result<Value, Failure> {
        self.call(Method::POST, path, Some(body), with).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        with: With<'_>,
    ) -> Result<Value, Failure> {
        let url = format!("{}{path}", self.base);
        let no_answer = |error: reqwest::Error| {
            let causes =
                std::iter::successors(Some(&error as &dyn std::error::Error), |cause| cause.source());
            let why: Vec<_> = causes.map(ToString::to_string).collect();
            Failure::NoAnswer(format!("{url}: {}", why.join(": ")))
        };
        let mut request = self.http.request(method.clone(), &url);
        for (header, value) in [("idempotency-key", with.key), ("x-queue-token", with.token)] {
            if let Some(value) = value {
                request = request.header(header, value);
            }
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(no_answer)?;
        let status = answer.status();
        let body: Value = answer.json().await.map_err(no_answer)?;
        if status.is_success() {
            return Ok(body);
        }
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        Err(Failure::Refused {
            code: text("code"),
            what: format!("{method} {path}: {status} {} {}", text("code"), text("detail")),
        })
    }
}

/// A text field of an answer.
pub(super) fn text(answer: &Value, field: &str) -> Result<String, Failure> {
    answer[field].as_str().map(str::to_owned).ok_or_else(|| missing(answer, field))
}

/// A number field of an answer.
pub(super) fn number(answer: &Value, field: &str) -> Result<i64, Failure> {
    answer[field].as_i64().ok_or_else(|| missing(answer, field))
}

fn missing(answer: &Value, field: &str) -> Failure {
    Failure::NoAnswer(format!("an answer without `{field}`: {answer}; is this boxoffice?"))
}
