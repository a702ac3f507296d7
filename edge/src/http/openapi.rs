//! The OpenAPI document: what the handlers' annotations say, completed with what holds for many operations at once (refusals with
//! an example each, the token's and the key's headers), so that nothing is said twice.

use boxoffice_proto::Reason;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::{
    concerts,
    json::{USER_ID, UserIdText},
    original, payments, problem, queues, reservations, seats, streams, tokens, wallets,
};

/// What an operation takes and may be refused with, beyond what its annotation says.
pub(super) struct Operation {
    id: &'static str,
    reasons: &'static [Reason],
    gate: &'static [Reason],
    takes_key: bool,
}

/// What the queue check may refuse with.
pub(super) const GATE: &[Reason] =
    &[Reason::TokenMissing, Reason::TokenNotFound, Reason::TokenNotActive, Reason::TokenWrongQueue];
/// The same, where the token must be of a certain user.
pub(super) const GATE_OF_USER: &[Reason] =
    &[Reason::TokenMissing, Reason::TokenNotFound, Reason::TokenNotActive, Reason::TokenWrongQueue, Reason::TokenWrongUser];
/// What anything may be refused with.
const ALWAYS: &[Reason] =
    &[Reason::InvalidArgument, Reason::RateLimited, Reason::Internal, Reason::Unavailable, Reason::DeadlineExceeded];

/// A title: something visible, no control characters.
const TITLE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";
/// A description: no control characters but tabs and line breaks.
const DESCRIPTION: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$";
/// The routes of the chassis.
const OPERATIONS: [(&str, &str, &str); 3] = [
    ("/healthz", "Does the process live?", "text/plain"),
    ("/readyz", "Can it do its work?", "text/plain"),
    ("/metrics", "Metrics in Prometheus' text format", "text/plain"),
];

impl Operation {
    /// An operation by its id, and its own refusals.
    pub(super) const fn new(id: &'static str, reasons: &'static [Reason]) -> Self {
        Self { id, reasons, gate: &[], takes_key: false }
    }

    /// It passes the queue check: header `X-Queue-Token`.
    pub(super) const fn takes_token(self, gate: &'static [Reason]) -> Self {
        Self { gate, ..self }
    }

    /// It takes an `Idempotency-Key`.
    pub(super) const fn takes_key(self) -> Self {
        Self { takes_key: true, ..self }
    }
}

/// Every operation.
fn operations() -> impl Iterator<Item = &'static Operation> {
    let ours: [&[Operation]; 8] = [
        tokens::OPERATIONS,
        streams::OPERATIONS,
        queues::OPERATIONS,
        concerts::OPERATIONS,
        seats::OPERATIONS,
        reservations::OPERATIONS,
        wallets::OPERATIONS,
        payments::OPERATIONS,
    ];
    ours.into_iter().chain(original::OPERATIONS).flatten()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "boxoffice",
        description = "A high-demand ticket on-sale: join the line, hold seats, pay from a prepaid wallet.\n\n\
            Times are RFC 3339 UTC, money is a whole number of minor units, ids of users are texts. Unknown fields are ignored. \
            Errors are `application/problem+json` (RFC 9457); branch on `code`, the gRPC reason. `Retry-After` says when to ask \
            again. Every POST takes an `Idempotency-Key`: the same key and request get the first answer again. A W3C \
            `traceparent` header is taken up, and every answer carries one.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "queue", description = "The waiting room: places in line, and lines"),
        (name = "booking", description = "Concerts, shows, seats, reservations"),
        (name = "wallet", description = "Prepaid wallets and payments"),
        (name = "operations", description = "For who runs it"),
        (name = "original", description = "The routes of the original API document, kept for its clients"),
    ),
    components(schemas(problem::Document<'static>, UserIdText))
)]
struct Head;

/// The document before the routes are in it.
pub(super) fn head() -> utoipa::openapi::OpenApi {
    let mut document = Head::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    document
}

/// The finished document as JSON.
pub(super) fn complete(document: utoipa::openapi::OpenApi) -> Vec<u8> {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    // What the derive cannot say.
    document["components"]["schemas"]["NewReservation"]["properties"]["seatNumbers"]["uniqueItems"] = json!(true);
    for schema in ["NewConcert", "NewShow"] {
        document["components"]["schemas"][schema]["properties"]["title"]["pattern"] = json!(TITLE);
    }
    document["components"]["schemas"]["OriginalNewToken"]["properties"]["requestedTime"] =
        json!({"description": "Accepted and not used: the order is that of arrival"});
    document["components"]["schemas"]["NewShow"]["properties"]["description"]["pattern"] = json!(DESCRIPTION);
    if let Some(paths) = document["paths"].as_object_mut() {
        for item in paths.values_mut().filter_map(Value::as_object_mut) {
            for operation in item.values_mut().filter_map(Value::as_object_mut) {
                complete_operation(operation);
            }
        }
        for (path, summary, media_type) in OPERATIONS {
            let content = json!({media_type: {"schema": {"type": "string"}}});
            let mut responses = json!({"200": {"description": "Yes", "content": content}});
            if path == "/readyz" {
                responses["503"] = json!({"description": "Not at this moment", "content": content});
            }
            let id = path.trim_start_matches('/');
            let operation = json!({"tags": ["operations"], "operationId": id, "summary": summary, "responses": responses});
            paths.insert(path.to_owned(), json!({"get": operation}));
        }
    }
    serde_json::to_vec(&document).unwrap_or_default()
}

fn complete_operation(operation: &mut Map<String, Value>) {
    let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
    let Some(known) = operations().find(|known| known.id == id) else { return };
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        if parameter["name"] == "userId" {
            parameter["schema"] = json!({"type": "string", "minLength": 1, "maxLength": 64, "pattern": USER_ID});
        }
    }
    let has_body = operation.contains_key("requestBody");
    let mut headers = Vec::new();
    if !known.gate.is_empty() {
        headers.push(header(
            "X-Queue-Token",
            true,
            "An ACTIVE token of the queue that guards this",
            &json!({"type": "string", "format": "uuid"}),
        ));
    }
    if known.takes_key {
        let schema = json!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]{1,128}$"});
        headers.push(header("Idempotency-Key", false, "The same key and request get the first answer again", &schema));
    }
    if !headers.is_empty() {
        let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
        parameters.as_array_mut().into_iter().for_each(|parameters| parameters.append(&mut headers));
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for reason in known.reasons.iter().chain(known.gate).chain(ALWAYS) {
        refusal(responses, reason.http().as_u16(), reason.as_str(), reason.title());
    }
    if has_body {
        refusal(responses, 408, "REQUEST_TIMEOUT", "The body took too long to arrive.");
        refusal(responses, 413, "PAYLOAD_TOO_LARGE", "The body is larger than 64 KiB.");
        refusal(responses, 415, "UNSUPPORTED_MEDIA_TYPE", "The body must be application/json.");
    }
    if id_of_socket(known.id) {
        refusal(responses, 426, "UPGRADE_REQUIRED", "This address speaks WebSocket.");
    }
    responses.insert(
        "default".to_owned(),
        json!({"description": "Any other refusal (405, 414, 431 among them)", "content": content()}),
    );
}

fn id_of_socket(id: &str) -> bool {
    id == "token_socket"
}

fn header(name: &str, required: bool, description: &str, schema: &Value) -> Value {
    json!({"name": name, "in": "header", "required": required, "description": description, "schema": schema})
}

fn content() -> Value {
    json!({problem::MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}})
}

/// Adds a refusal to the response of its status, with an example.
fn refusal(responses: &mut Map<String, Value>, status: u16, code: &str, title: &str) {
    let response = responses.entry(status.to_string()).or_insert_with(|| {
        let mut response = json!({"description": title, "content": content()});
        if matches!(status, 429 | 503 | 504) {
            let schema = json!({"type": "integer", "minimum": 1});
            response["headers"] = json!({"Retry-After": {"description": "When to ask again, in seconds", "schema": schema}});
        }
        response
    });
    let mut example = json!({
        "type": format!("urn:boxoffice:problem:{code}"), "title": title, "status": status, "detail": title,
        "instance": "/v1/…", "code": code,
    });
    match code {
        "INVALID_ARGUMENT" => {
            example["violations"] =
                json!([{"field": "userId", "description": "must be 1 to 64 visible characters, without spaces"}]);
        }
        "SEAT_TAKEN" => example["seatNumbers"] = json!("7"),
        _ if status >= 500 => example["traceId"] = json!("0af7651916cd43dd8448eb211c80319c"),
        _ => {}
    }
    response["content"][problem::MEDIA_TYPE]["examples"][code] = json!({"summary": title, "value": example});
    if let Some(Value::String(description)) = response.get_mut("description")
        && !description.contains(title)
    {
        description.push_str(" · ");
        description.push_str(title);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeSet;

    use utoipa::ToSchema;

    use super::*;

    /// The contract's table, written again.
    const ROUTES: [&str; 36] = [
        "get /healthz",
        "get /readyz",
        "get /metrics",
        "post /v1/queues/{queueId}/tokens",
        "get /v1/tokens/{token}",
        "delete /v1/tokens/{token}",
        "get /v1/tokens/{token}/events",
        "get /v1/tokens/{token}/ws",
        "get /v1/queues/{queueId}",
        "put /v1/queues/{queueId}",
        "post /v1/concerts",
        "get /v1/concerts",
        "get /v1/concerts/{concertId}",
        "post /v1/concerts/{concertId}/shows",
        "get /v1/concerts/{concertId}/shows",
        "get /v1/concerts/{concertId}/dates",
        "get /v1/concerts/{concertId}/seats",
        "get /v1/shows/{showId}/seats",
        "post /v1/reservations",
        "get /v1/reservations/{reservationId}",
        "delete /v1/reservations/{reservationId}",
        "get /v1/users/{userId}/reservations",
        "post /v1/wallets/{userId}/charges",
        "get /v1/wallets/{userId}",
        "get /v1/wallets/{userId}/entries",
        "post /v1/payments",
        "get /v1/payments/{paymentId}",
        "get /v1/users/{userId}/payments",
        "post /queue-management/api/token",
        "get /queue-management/api/token/{userId}",
        "get /api-orchestration/api/reservations/available-dates/{concertId}",
        "get /api-orchestration/api/reservations/available-seats",
        "post /api-orchestration/api/reservations/reserve-seat",
        "post /api-orchestration/api/balance/charge",
        "get /api-orchestration/api/balance/{userId}",
        "post /api-orchestration/api/balance/payment",
    ];

    fn document() -> Value {
        serde_json::from_slice(&complete(super::super::router::table().into_openapi())).unwrap()
    }

    fn each(document: &Value) -> Vec<(String, Value)> {
        let paths = document["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, operation)| (format!("{method} {path}"), operation.clone()))
        });
        all.collect()
    }

    #[test]
    fn every_operation_is_complete() {
        let document = document();
        assert_eq!(document["openapi"], "3.1.0");
        let known: BTreeSet<&str> = operations().map(|operation| operation.id).collect();
        let mut seen = BTreeSet::new();
        for (name, operation) in each(&document) {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            if operation["tags"][0] == "operations" {
                continue;
            }
            assert!(known.contains(id.as_str()), "{name} has no entry in OPERATIONS");
            assert!(operation["summary"].is_string() && operation["tags"][0].is_string(), "{name}");
            for status in ["400", "500", "503", "504", "default"] {
                assert!(operation["responses"][status].is_object(), "{name}: {status}");
            }
            assert!(seen.insert(id), "{name}: its id is taken");
        }
        assert_eq!(seen.len(), known.len());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
        assert!(document["components"]["schemas"]["Problem"]["properties"]["code"].is_object());
        assert_eq!(<UserIdText as ToSchema>::name(), "UserId");
    }

    #[test]
    fn every_route_of_the_contract_is_there() {
        let document = document();
        let there: BTreeSet<String> = each(&document).into_iter().map(|(name, _)| name).collect();
        for route in ROUTES {
            assert!(there.contains(route), "{route}");
        }
    }
}
