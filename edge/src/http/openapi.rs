//! The OpenAPI document: what the handlers' annotations say, completed with what holds for many operations at once (refusals with
//! an example each, the token's and the key's headers, [those of all](headers), [examples](samples) of answers, and
//! [which call may follow](links)), so that nothing is said twice. It is of this edge: where browsing is open, it needs no token.

mod headers;
mod links;
mod samples;

use boxoffice_proto::{Reason, validate::USER_ID};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use self::samples::Samples;
use super::{concerts, json::UserIdText, original, payments, problem, queues, reservations, seats, streams, tokens, wallets};
use crate::config::Browse;

/// What an operation takes and may be refused with, beyond what its annotation says.
pub(super) struct Operation {
    id: &'static str,
    reasons: &'static [Reason],
    gate: &'static [Reason],
    browses: bool,
    takes_key: bool,
}

/// What the queue check may refuse with.
const GATE: &[Reason] = &[Reason::TokenMissing, Reason::TokenNotFound, Reason::TokenNotActive, Reason::TokenWrongQueue];
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
/// The `id` of an event of a stream.
const EVENT_ID: &str = "57.17.9c4f2e1b";
/// The routes that are no handler's of ours: path, id, summary, media type, example.
const OPERATIONS: [(&str, &str, &str, &str, &str); 5] = [
    ("/healthz", "healthz", "Does the process live?", "text/plain", "ok\n"),
    ("/readyz", "readyz", "Can it do its work?", "text/plain", "ready\n"),
    ("/metrics", "metrics", "Metrics in Prometheus' text format", "text/plain", "# TYPE http_requests_total counter\n"),
    ("/openapi.json", "openapi", "This document", "application/json", ""),
    ("/docs/", "docs", "This page", "text/html", "<!DOCTYPE html>"),
];

impl Operation {
    /// An operation by its id, and its own refusals.
    pub(super) const fn new(id: &'static str, reasons: &'static [Reason]) -> Self {
        Self { id, reasons, gate: &[], browses: false, takes_key: false }
    }

    /// It reads dates or seats: it passes the queue check, unless browsing is open.
    pub(super) const fn browses(self) -> Self {
        Self { gate: GATE, browses: true, ..self }
    }

    /// It passes the queue check: header `X-Queue-Token`.
    pub(super) const fn takes_token(self, gate: &'static [Reason]) -> Self {
        Self { gate, ..self }
    }

    /// It takes an `Idempotency-Key`.
    pub(super) const fn takes_key(self) -> Self {
        Self { takes_key: true, ..self }
    }

    /// Does the queue check let everybody pass?
    fn is_open(&self, browse: Browse) -> bool {
        self.browses && browse == Browse::Open
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
            again. An address that does not take a method answers 405, and `Allow`. Every POST takes an `Idempotency-Key`: the same key and request get the first answer again. A W3C \
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
pub(super) fn complete(document: utoipa::openapi::OpenApi, browse: Browse) -> Vec<u8> {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    // What the derive cannot say.
    document["components"]["schemas"]["NewReservation"]["properties"]["seatNumbers"]["uniqueItems"] = json!(true);
    for schema in ["NewConcert", "NewShow"] {
        document["components"]["schemas"][schema]["properties"]["title"]["pattern"] = json!(TITLE);
    }
    document["components"]["schemas"]["OriginalNewToken"]["properties"]["requestedTime"] =
        json!({"description": "Accepted and not used: the order is that of arrival"});
    document["components"]["schemas"]["NewShow"]["properties"]["description"]["pattern"] = json!(DESCRIPTION);
    headers::define(&mut document);
    let samples = Samples::new(&document);
    document["paths"]["/v1/tokens/{token}/events"]["get"]["responses"]["200"]["content"]["text/event-stream"] = events(&samples);
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, id, summary, media_type, example) in OPERATIONS {
            paths.insert(path.to_owned(), json!({"get": operation(id, summary, media_type, example)}));
        }
        for (path, item) in paths {
            for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
                complete_operation(path, operation, &samples, browse);
            }
        }
    }
    serde_json::to_vec(&document).unwrap_or_default()
}

/// An operation of [`OPERATIONS`].
fn operation(id: &str, summary: &str, media_type: &str, example: &str) -> Value {
    let content = match media_type {
        "application/json" => json!({media_type: {"schema": {"type": "object"}, "example": {"openapi": "3.1.0"}}}),
        _ => json!({media_type: {"schema": {"type": "string"}, "example": example}}),
    };
    let mut responses = json!({"200": {"description": "Yes", "content": content}});
    if id == "readyz" {
        let content = json!({media_type: {"schema": {"type": "string"}, "example": "draining\n"}});
        responses["503"] = json!({"description": "Not at this moment", "content": content});
    }
    json!({"tags": ["operations"], "operationId": id, "summary": summary, "responses": responses})
}

/// A stream of events. OpenAPI 3.1 has no place of its own for the schema of one event: it stands for the stream, as those who read
/// the document expect, and so does the example.
fn events(samples: &Samples) -> Value {
    let token = json!({"$ref": "#/components/schemas/Token"});
    let example = json!({"retry": 2_750, "event": "token", "id": EVENT_ID, "data": samples.of(&token).to_string()});
    let properties = json!({
        "retry": {"type": "integer", "minimum": 1, "description": "When to come back after the stream was cut, in milliseconds"},
        "event": {"const": "token"},
        "id": {"type": "string", "description": "What to send back as `Last-Event-ID`"},
        "data": {"type": "string", "description": "The token's JSON", "contentMediaType": "application/json", "contentSchema": token},
    });
    let description = "Each event, as it is read; it is sent as a line `name: value` for each of these, and an empty line";
    let schema =
        json!({"type": "object", "description": description, "required": ["event", "id", "data"], "properties": properties});
    json!({"schema": schema, "example": example})
}

fn complete_operation(path: &str, operation: &mut Map<String, Value>, samples: &Samples, browse: Browse) {
    let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let known = operations().find(|known| known.id == id);
    let has_body = operation.contains_key("requestBody");
    if let Some(known) = known {
        complete_parameters(operation, known, browse);
    }
    headers::take(operation);
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    if let Some(known) = known {
        let gate: &[Reason] = if known.is_open(browse) { &[] } else { known.gate };
        for reason in known.reasons.iter().chain(gate).chain(ALWAYS) {
            refusal(responses, path, reason.http().as_u16(), reason.as_str(), reason.title());
        }
        if has_body {
            refusal(responses, path, 408, "REQUEST_TIMEOUT", "The body took too long to arrive.");
            refusal(responses, path, 413, "PAYLOAD_TOO_LARGE", "The body is larger than 64 KiB.");
            refusal(responses, path, 415, "UNSUPPORTED_MEDIA_TYPE", "The body must be application/json, and not compressed.");
        }
        if id == "token_socket" {
            refusal(responses, path, 426, "UPGRADE_REQUIRED", "This address speaks WebSocket.");
        }
    }
    refusal(responses, path, 414, "URI_TOO_LONG", "The address is longer than 8 KiB.");
    refusal(responses, path, 431, "REQUEST_HEADER_FIELDS_TOO_LARGE", "The headers are larger than 16 KiB, or more than 64.");
    samples.fill(responses);
    for (status, response) in responses.iter_mut() {
        if status.starts_with('2') {
            links::add(&id, response);
        }
        headers::complete(&id, response);
    }
}

/// The headers that an operation takes, and an example of every parameter.
fn complete_parameters(operation: &mut Map<String, Value>, known: &Operation, browse: Browse) {
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    let Some(parameters) = parameters.as_array_mut() else { return };
    if known.is_open(browse) {
        // Whatever it is: nobody looks at it.
        let schema = json!({"type": "string"});
        parameters.push(header("X-Queue-Token", false, "Not needed: dates and seats are open to everybody", &schema));
    } else if !known.gate.is_empty() {
        let schema = json!({"type": "string", "format": "uuid"});
        parameters.push(header("X-Queue-Token", true, "An ACTIVE token of the queue that guards this", &schema));
    }
    if known.takes_key {
        let schema = json!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]{1,128}$"});
        let meaning =
            "The same key and request get the first answer again; a key is its user's own. It must not begin with `brief/`";
        parameters.push(header("Idempotency-Key", false, meaning, &schema));
    }
    for parameter in parameters {
        if parameter["name"] == "userId" {
            parameter["schema"] = json!({"type": "string", "minLength": 1, "maxLength": 64, "pattern": USER_ID});
        }
        if parameter.get("example").is_none() {
            // In the schema, where it teaches but is not filled in by a page: as a value it would be wrong nearly always.
            let example = match parameter["name"].as_str() {
                Some("Idempotency-Key") => "order-4711",
                Some("If-None-Match") => "\"9f2d5c1e0a7b4d38\"",
                Some("Last-Event-ID") => EVENT_ID,
                Some("pageToken") => "",
                _ => "0190b6b2-3c1e-7c3a-9a55-6d1a1cbe0d11",
            };
            parameter["schema"]["examples"] = json!([example]);
        }
    }
}

fn header(name: &str, required: bool, description: &str, schema: &Value) -> Value {
    json!({"name": name, "in": "header", "required": required, "description": description, "schema": schema})
}

fn content() -> Value {
    json!({problem::MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}})
}

/// Adds a refusal to the response of its status, with an example.
fn refusal(responses: &mut Map<String, Value>, path: &str, status: u16, code: &str, title: &str) {
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
        "instance": path, "code": code,
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
    const ROUTES: [&str; 38] = [
        "get /openapi.json",
        "get /docs/",
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
        document_of(Browse::Token)
    }

    fn document_of(browse: Browse) -> Value {
        serde_json::from_slice(&complete(super::super::router::table().into_openapi(), browse)).unwrap()
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
            let traced = json!({"$ref": "#/components/parameters/traceparent"});
            let taken = operation["parameters"].as_array().unwrap();
            assert_eq!(taken.iter().filter(|parameter| **parameter == traced).count(), 1, "{name}");
            if operation["tags"][0] == "operations" {
                continue;
            }
            assert!(known.contains(id.as_str()), "{name} has no entry in OPERATIONS");
            assert!(operation["summary"].is_string() && operation["tags"][0].is_string(), "{name}");
            for status in ["400", "414", "431", "500", "503", "504"] {
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
    fn every_header_of_an_answer_has_an_example() {
        let document = document();
        for (name, operation) in each(&document) {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let headers = response["headers"].as_object().unwrap();
                assert_eq!(headers["traceparent"]["$ref"], "#/components/headers/traceparent", "{name}: {status}");
                for (header, described) in headers.iter().filter(|(header, _)| *header != "traceparent") {
                    assert!(described.get("example").is_some(), "{name}: {status}: {header}");
                }
            }
        }
        assert!(document["components"]["headers"]["traceparent"]["example"].is_string());
    }

    #[test]
    fn the_example_of_a_stream_fits_its_schema_and_tells_a_whole_token() {
        let document = document();
        let answer = &document["paths"]["/v1/tokens/{token}/events"]["get"]["responses"]["200"];
        let stream = &answer["content"]["text/event-stream"];
        assert_eq!(stream["schema"]["type"], "object");
        let event = stream["example"].as_object().unwrap();
        assert!(event.keys().eq(stream["schema"]["properties"].as_object().unwrap().keys()), "{event:?}");
        let data: Value = serde_json::from_str(event["data"].as_str().unwrap()).unwrap();
        let members = document["components"]["schemas"]["Token"]["required"].as_array().unwrap();
        assert!(members.iter().all(|member| data.get(member.as_str().unwrap()).is_some()), "{data}");
    }

    #[test]
    fn where_browsing_is_open_dates_and_seats_need_no_token() {
        let browsing: BTreeSet<&str> = operations().filter(|known| known.browses).map(|known| known.id).collect();
        assert_eq!(browsing.len(), 5, "{browsing:?}");
        for browse in [Browse::Token, Browse::Open] {
            for (name, operation) in each(&document_of(browse)) {
                let parameters = operation["parameters"].as_array().unwrap();
                let Some(token) = parameters.iter().find(|parameter| parameter["name"] == "X-Queue-Token") else { continue };
                let open = browse == Browse::Open && browsing.contains(operation["operationId"].as_str().unwrap());
                assert_eq!(token["required"], !open, "{name}");
                let responses = &operation["responses"];
                for status in ["401", "403"] {
                    assert_eq!(responses.get(status).is_none(), open, "{name}: {status}");
                }
                let missing = &responses["404"]["content"][problem::MEDIA_TYPE]["examples"];
                assert_eq!(missing.get("TOKEN_NOT_FOUND").is_none(), open, "{name}");
            }
        }
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
