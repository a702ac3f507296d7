//! Problem documents (RFC 9457): the one place where a refusal becomes HTTP.
//!
//! A handler answers a [`Problem`]. It is passed as an extension of the response to the middleware, which
//! knows the path and the trace and [renders](render) it. Errors that the libraries answer by themselves (405
//! and the like) are [made problems](made_of) too. An INTERNAL one shows nothing but the trace id.

use std::{collections::BTreeMap, fmt::Display, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use boxoffice_proto::{Fault, Reason, Violation};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::members;

/// The media type of a problem document.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// The most bytes that are read of what a library says of a failure.
const LONGEST_CAUSE: usize = 4_096;
/// The `Retry-After` of a retryable refusal that names none.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A refusal that is to be answered.
#[derive(Clone, Debug)]
pub(crate) struct Problem(Box<ProblemParts>);

#[derive(Clone, Debug)]
struct ProblemParts {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    violations: Vec<Violation>,
    members: BTreeMap<String, Value>,
    retry_after: Option<Duration>,
    header: Option<(HeaderName, HeaderValue)>,
}

/// A problem document.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub(super) struct Document<'a> {
    /// Identifies the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "urn:boxoffice:problem:SEAT_TAKEN")]
    kind: String,
    /// What the code means, in one sentence.
    title: &'a str,
    /// The HTTP status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong this time, and what to do.
    detail: &'a str,
    /// The path that the request asked for.
    instance: &'a str,
    /// The stable word to branch on: the gRPC reason.
    #[schema(example = "SEAT_TAKEN")]
    code: &'a str,
    /// What is wrong with which field (only of INVALID_ARGUMENT).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    violations: Vec<Wrong<'a>>,
    /// The trace to name when reporting this (only of a 5xx).
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    /// Particulars of the code, such as `seatNumbers`: each code has a schema of its own.
    #[serde(flatten)]
    #[schema(ignore)]
    members: BTreeMap<&'a str, &'a Value>,
}

/// One thing that is wrong with a request.
#[derive(Serialize, ToSchema)]
#[schema(as = Violation)]
struct Wrong<'a> {
    /// Which field, as in JSON; a parameter's or header's name; or `body`.
    #[schema(value_type = String, example = "seatNumbers")]
    field: String,
    /// What is wrong, and what would be right.
    #[schema(example = "must name 1 to 50 different seats")]
    description: &'a str,
}

impl Problem {
    /// A refusal that has no gRPC reason.
    pub(super) fn http(status: StatusCode, detail: impl Into<String>) -> Self {
        let (code, title) = words(status);
        Self(Box::new(ProblemParts {
            status,
            code,
            title,
            detail: detail.into(),
            violations: Vec::new(),
            members: BTreeMap::new(),
            retry_after: None,
            header: None,
        }))
    }

    /// A refusal of which nothing is known but the status.
    pub(super) fn bare(status: StatusCode) -> Self {
        if status == StatusCode::BAD_REQUEST {
            return Self::field(
                "request",
                "is not well-formed HTTP: the first line, a header or the length of the body is malformed",
            );
        }
        Self::http(status, words(status).1)
    }

    /// A refusal of one field.
    pub(super) fn field(field: &str, description: impl Into<String>) -> Self {
        Fault::invalid_field(field, description).into()
    }

    /// A fault of ours, such as an answer without its content. The cause is logged.
    pub(super) fn internal(cause: impl Display) -> Self {
        Fault::internal(cause).into()
    }

    /// The problem with a header that belongs to it.
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    /// The stable word of the refusal, for the log.
    pub(super) const fn code(&self) -> &'static str {
        self.0.code
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let reason = fault.reason;
        let fault = named_as_in_json(fault);
        let (detail, members) = if reason == Reason::Internal {
            ("The failure was recorded; name the trace id when you report it.".to_owned(), BTreeMap::new())
        } else {
            (
                fault.detail,
                fault.metadata.iter().map(|(key, text)| (camel(key), members::value(key, text))).collect(),
            )
        };
        let header = challenge(reason).map(|how| (header::WWW_AUTHENTICATE, HeaderValue::from_static(how)));
        Self(Box::new(ProblemParts {
            status: reason.http(),
            code: reason.as_str(),
            title: reason.title(),
            detail,
            violations: fault.violations,
            members,
            retry_after: fault.retry_after.or_else(|| reason.retryable().then_some(RETRY_AFTER)),
            header,
        }))
    }
}

/// What a caller has to show who is refused for this reason (RFC 9110, 11.6.1, and RFC 6750, section 3).
fn challenge(reason: Reason) -> Option<&'static str> {
    const CHALLENGES: [(Reason, &str); 4] = [
        (Reason::TokenMissing, "X-Queue-Token realm=\"queue\""),
        (Reason::CredentialsMissing, "Bearer realm=\"boxoffice\""),
        (Reason::CredentialsInvalid, "Bearer realm=\"boxoffice\", error=\"invalid_token\""),
        (Reason::NotAllowed, "Bearer realm=\"boxoffice\", error=\"insufficient_scope\""),
    ];
    CHALLENGES.into_iter().find(|(one, _)| *one == reason).map(|(_, how)| how)
}

/// The fault with its fields named as in JSON, also in its detail.
fn named_as_in_json(mut fault: Fault) -> Fault {
    if !fault.violations.is_empty() {
        fault.violations.iter_mut().for_each(|violation| violation.field = camel(&violation.field));
        fault.detail = Fault::invalid(fault.violations.clone()).detail;
    }
    fault
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// The problem that a response carries.
pub(super) fn of(response: &mut Response) -> Option<Arc<Problem>> {
    response.extensions_mut().remove::<Arc<Problem>>()
}

/// The problem to make of an error that a library answered by itself. The text of a server error is logged.
pub(super) async fn made_of(response: &mut Response) -> Arc<Problem> {
    let status = response.status();
    if !status.is_server_error() {
        return Arc::new(Problem::bare(status));
    }
    let said =
        axum::body::to_bytes(std::mem::take(response.body_mut()), LONGEST_CAUSE).await.unwrap_or_default();
    Arc::new(Problem::internal(format_args!(
        "a library answered {status}: {}",
        String::from_utf8_lossy(&said)
    )))
}

/// Writes the document and the headers that belong to it; headers that are there (`Allow`) stay.
pub(super) fn render(problem: &Problem, instance: &str, trace_id: &str, response: Response) -> Response {
    let (inner, body) = (&problem.0, document(problem, instance, trace_id));
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    if let Some(after) = inner.retry_after {
        parts.headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(after)));
    }
    if let Some((name, value)) = &inner.header {
        parts.headers.insert(name.clone(), value.clone());
    }
    Response::from_parts(parts, Body::from(body))
}

/// The document as JSON.
pub(super) fn document(problem: &Problem, instance: &str, trace_id: &str) -> Vec<u8> {
    let inner = &problem.0;
    let document = Document {
        kind: format!("urn:boxoffice:problem:{}", inner.code),
        title: inner.title,
        status: inner.status.as_u16(),
        detail: &inner.detail,
        instance,
        code: inner.code,
        violations: inner
            .violations
            .iter()
            .map(|v| Wrong { field: v.field.clone(), description: &v.description })
            .collect(),
        trace_id: inner.status.is_server_error().then_some(trace_id),
        members: inner
            .members
            .iter()
            .filter(|(name, _)| !RESERVED.contains(&name.as_str()))
            .map(|(n, v)| (&**n, v))
            .collect(),
    };
    serde_json::to_vec(&document).unwrap_or_default()
}

/// The names of the members that every document has; those of a code do not replace them.
const RESERVED: [&str; 8] =
    ["type", "title", "status", "detail", "instance", "code", "violations", "traceId"];

/// Seconds, rounded up so that clients do not come back too early; at least one.
pub(super) fn whole_seconds(span: Duration) -> u64 {
    (span.as_secs() + u64::from(span.subsec_nanos() > 0)).max(1)
}

/// `seat_numbers` → `seatNumbers`. A name that is not snake case (a header's) stays as it is.
pub(super) fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        if c == '_' {
            upper = !camel.is_empty();
        } else if std::mem::take(&mut upper) {
            camel.extend(c.to_uppercase());
        } else {
            camel.push(c);
        }
    }
    camel
}

/// The code and the title of a status that has no gRPC reason.
pub(super) fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::BAD_REQUEST => ("INVALID_ARGUMENT", Reason::InvalidArgument.title()),
        StatusCode::NOT_FOUND => ("NOT_FOUND", "There is nothing at this address."),
        StatusCode::METHOD_NOT_ALLOWED => {
            ("METHOD_NOT_ALLOWED", "This address does not take that method; Allow names those it takes.")
        }
        StatusCode::REQUEST_TIMEOUT => ("REQUEST_TIMEOUT", "The request took too long to arrive."),
        StatusCode::PAYLOAD_TOO_LARGE => ("PAYLOAD_TOO_LARGE", "The body is too large."),
        StatusCode::URI_TOO_LONG => ("URI_TOO_LONG", "The address is longer than 8 KiB."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ("UNSUPPORTED_MEDIA_TYPE", "The body must be application/json, and not compressed.")
        }
        StatusCode::UPGRADE_REQUIRED => ("UPGRADE_REQUIRED", "This address speaks WebSocket."),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            ("REQUEST_HEADER_FIELDS_TOO_LARGE", "The headers are larger than 16 KiB, or more than 64.")
        }
        _ => ("REFUSED", "The request was refused."),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    async fn rendered(problem: Problem) -> (StatusCode, axum::http::HeaderMap, serde_json::Value) {
        let mut response = problem.into_response();
        let problem = of(&mut response).unwrap();
        let response = render(&problem, "/v1/x", "0af7651916cd43dd8448eb211c80319c", response);
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (parts.status, parts.headers, serde_json::from_slice(&body).unwrap())
    }

    /// The contract's table, written again: the code is not its own judge.
    const TABLE: &[(u16, &str)] = &[
        (400, "INVALID_ARGUMENT"),
        (401, "TOKEN_MISSING CREDENTIALS_MISSING CREDENTIALS_INVALID"),
        (403, "TOKEN_NOT_ACTIVE TOKEN_WRONG_USER TOKEN_WRONG_QUEUE NOT_OWNER NOT_ALLOWED"),
        (
            404,
            "QUEUE_NOT_FOUND TOKEN_NOT_FOUND CONCERT_NOT_FOUND SHOW_NOT_FOUND SEAT_NOT_FOUND RESERVATION_NOT_FOUND",
        ),
        (404, "WALLET_NOT_FOUND PAYMENT_NOT_FOUND NOT_FOUND"),
        (402, "INSUFFICIENT_FUNDS"),
        (
            409,
            "SEAT_TAKEN HOLD_EXPIRED ALREADY_PAID RESERVATION_CANCELLED SALES_NOT_OPEN SALES_CLOSED SHOW_CANCELLED \
             HOLD_LIMIT \
             REFUND_NOT_POSSIBLE SEATS_UNAVAILABLE FAILED_PRECONDITION",
        ),
        (412, "PRECONDITION_FAILED"),
        (422, "REQUEST_ID_REUSED"),
        (429, "QUEUE_FULL RATE_LIMITED"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
        (501, "UNIMPLEMENTED"),
        (500, "INTERNAL"),
    ];

    #[tokio::test]
    async fn every_reason_has_the_status_of_the_contract() {
        for reason in Reason::ALL {
            let expected = TABLE
                .iter()
                .find(|(_, codes)| codes.split(' ').any(|code| code == reason.as_str()))
                .unwrap()
                .0;
            let (status, headers, body) = rendered(Fault::new(*reason, "why").into()).await;
            assert_eq!(status.as_u16(), expected, "{reason}");
            assert_eq!(headers["content-type"], MEDIA_TYPE);
            assert_eq!(body["code"], reason.as_str());
            assert_eq!(body["status"], expected);
            assert_eq!(body["instance"], "/v1/x");
            assert_eq!(headers.contains_key("retry-after"), reason.retryable(), "{reason}");
            let is_challenged = expected == 401 || *reason == Reason::NotAllowed;
            assert_eq!(headers.contains_key("www-authenticate"), is_challenged, "{reason}");
            assert_eq!(body.get("traceId").is_some(), expected >= 500, "{reason}");
        }
    }

    #[tokio::test]
    async fn particulars_are_in_camel_case_and_replace_nothing() {
        let fault =
            Fault::new(Reason::SeatTaken, "Seat 7 is taken.").with("seat_numbers", "7,9").with("status", "x");
        let (_, _, body) = rendered(fault.into()).await;
        assert_eq!((&body["seatNumbers"], &body["status"]), (&serde_json::json!([7, 9]), &409.into()));
        let (_, _, body) = rendered(Fault::invalid_field("user_id", "is required").into()).await;
        assert_eq!(
            body["violations"],
            serde_json::json!([{"field": "userId", "description": "is required"}])
        );
    }

    #[tokio::test]
    async fn an_internal_error_shows_nothing_but_the_trace() {
        let fault = Fault::new(Reason::Internal, "password=hunter2").with("table", "wallet");
        let (_, _, body) = rendered(fault.into()).await;
        assert!(!body.to_string().contains("hunter2") && !body.to_string().contains("wallet"));
        assert_eq!(body["traceId"], "0af7651916cd43dd8448eb211c80319c");
    }

    #[tokio::test]
    async fn a_wait_is_rounded_up_to_whole_seconds() {
        let fault = Fault::new(Reason::QueueFull, "full").retry_after(Duration::from_millis(2_001));
        assert_eq!(rendered(fault.into()).await.1["retry-after"], "3");
        assert_eq!(whole_seconds(Duration::ZERO), 1);
    }
}
