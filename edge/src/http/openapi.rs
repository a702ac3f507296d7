//! The OpenAPI document: what the handlers' annotations say, completed with what holds for many operations at
//! once (refusals with an example each, the headers of the token and the key, [the headers of all](headers),
//! [examples](samples) of answers, and [links](links) to calls that may follow). It describes this edge:
//! where browsing is open, browsing needs no token, and where callers are asked who they are, it says
//! [which operations need a bearer token](security).

mod headers;
mod links;
mod refusals;
mod samples;
mod security;

use std::collections::HashMap;

use access::House;
use axum::http::{Method, StatusCode};
use boxoffice_proto::{Reason, access::Rule, validate::USER_ID};
use serde_json::{Map, Value, json};
use utoipa::{OpenApi, openapi::PathItem};

use self::samples::Samples;
use super::{
    availability, books, concerts, draws, journal,
    json::{AvailabilityChanges, UserIdText},
    limited::Rules,
    mending,
    operation::{KeyUse, Operation},
    original, payments, problem, queues, reservations, seats, stories, streams, tokens, wallets,
};
use crate::config::Browse;

/// What any operation may be refused with.
const ALWAYS: &[Reason] = &[
    Reason::InvalidArgument,
    Reason::RateLimited,
    Reason::Internal,
    Reason::Unavailable,
    Reason::DeadlineExceeded,
];

/// The pattern of a title: something visible and no control characters.
const TITLE: &str =
    r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";
/// The pattern of a description: no control characters but tabs and line breaks.
const DESCRIPTION: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$";
/// An example of the `id` of an event.
const EVENT_ID: &str = "57.17.9c4f2e1b";
/// The routes without a handler in this crate: path, id, summary, media type, example.
const OPERATIONS: [(&str, &str, &str, &str, &str); 5] = [
    ("/healthz", "healthz", "Does the process live?", "text/plain", "ok\n"),
    ("/readyz", "readyz", "Can it do its work?", "text/plain", "ready\n"),
    (
        "/metrics",
        "metrics",
        "Metrics in Prometheus' text format",
        "text/plain",
        "# TYPE http_requests_total counter\n",
    ),
    ("/openapi.json", "openapi", "This document", "application/json", ""),
    ("/docs/", "docs", "This page", "text/html", "<!DOCTYPE html>"),
];

/// Who may what, by the method and the route of each operation.
pub(super) fn rules(document: &utoipa::openapi::OpenApi) -> Rules {
    let by_id: HashMap<&str, &'static Rule> =
        operations().map(|operation| (operation.id, operation.rule)).collect();
    let of_path = |item: &PathItem| -> Vec<(Method, &'static Rule)> {
        let all = [
            (Method::GET, &item.get),
            (Method::POST, &item.post),
            (Method::PUT, &item.put),
            (Method::PATCH, &item.patch),
            (Method::DELETE, &item.delete),
        ];
        let rule = |(method, operation): (Method, &Option<utoipa::openapi::path::Operation>)| {
            Some((method, *by_id.get(operation.as_ref()?.operation_id.as_deref()?)?))
        };
        all.into_iter().filter_map(rule).collect()
    };
    document.paths.paths.iter().map(|(path, item)| (path.clone(), of_path(item))).collect()
}

/// The operations of all handlers.
fn operations() -> impl Iterator<Item = &'static Operation> {
    let ours: [&[Operation]; 14] = [
        tokens::OPERATIONS,
        streams::OPERATIONS,
        queues::OPERATIONS,
        draws::OPERATIONS,
        concerts::OPERATIONS,
        books::OPERATIONS,
        mending::OPERATIONS,
        seats::OPERATIONS,
        availability::OPERATIONS,
        reservations::OPERATIONS,
        wallets::OPERATIONS,
        payments::OPERATIONS,
        stories::OPERATIONS,
        journal::OPERATIONS,
    ];
    ours.into_iter().chain(original::OPERATIONS).flatten()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "boxoffice",
        description = "A high-demand ticket on-sale: join the queue, hold seats, pay from a prepaid wallet.\n\n\
            Times are RFC 3339 UTC, money is a whole number of minor units, ids of users are texts. Unknown fields are ignored. \
            Errors are `application/problem+json` (RFC 9457); branch on `code`, the gRPC reason. `Retry-After` says when to ask \
            again. An address that does not take a method answers 405, and `Allow`. Every POST takes an `Idempotency-Key`: the same key and request get the first answer again, where asking again would not be harmless by itself. A W3C \
            `traceparent` header is taken up, and every answer carries one, save what a cache may give to others.\n\n\
            The pages of the house use nothing else: the on-sale at `/`, the box office at `/operator` (unless it runs with \
            `--pages off`). They are the best example of a client.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "The edge that serves this document")),
    tags(
        (name = "queue", description = "Queues, and places in them"),
        (name = "booking", description = "Concerts, shows, seats, reservations"),
        (name = "wallet", description = "Prepaid wallets and payments"),
        (name = "operator", description = "For whoever runs the sale: all lines and payments, their stories, and who changed what"),
        (name = "operations", description = "For operators"),
        (name = "original", description = "The routes of the original API document, kept for its clients"),
    ),
    components(schemas(problem::Document<'static>, UserIdText, AvailabilityChanges<'static>))
)]
struct Outline;

/// The document before the routes are in it.
pub(super) fn head() -> utoipa::openapi::OpenApi {
    let mut document = Outline::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    document
}

/// The finished document as JSON. `secured` is the house of an edge that asks who calls.
pub(super) fn complete(
    document: utoipa::openapi::OpenApi,
    browse: Browse,
    secured: Option<House>,
) -> Vec<u8> {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    // The derive cannot say these.
    document["components"]["schemas"]["NewReservation"]["properties"]["seatNumbers"]["uniqueItems"] =
        json!(true);
    for schema in ["NewConcert", "NewShow"] {
        document["components"]["schemas"][schema]["properties"]["title"]["pattern"] = json!(TITLE);
    }
    for schema in ["NewSection", "NewRow"] {
        document["components"]["schemas"][schema]["properties"]["name"]["pattern"] = json!(TITLE);
    }
    document["components"]["schemas"]["OriginalNewToken"]["properties"]["requestedTime"] =
        json!({"description": "Accepted and not used: the order is that of arrival."});
    document["components"]["schemas"]["NewShow"]["properties"]["description"]["pattern"] = json!(DESCRIPTION);
    headers::define(&mut document);
    let samples = Samples::new(&document);
    for (path, events) in [
        ("/v1/tokens/{token}/events", token_events(&samples)),
        ("/v1/shows/{showId}/availability/events", availability_events(&samples)),
    ] {
        document["paths"][path]["get"]["responses"]["200"]["content"]["text/event-stream"] = events;
    }
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, id, summary, media_type, example) in OPERATIONS {
            paths.insert(path.to_owned(), json!({"get": operation(id, summary, media_type, example)}));
        }
        for (path, item) in paths {
            for operation in
                item.as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut)
            {
                complete_operation(path, operation, &samples, browse, secured);
            }
        }
    }
    if secured.is_some() {
        security::define(&mut document);
    }
    refusals::define(&mut document);
    serde_json::to_vec(&document).unwrap_or_default()
}

/// The document of one of the [`OPERATIONS`].
fn operation(id: &str, summary: &str, media_type: &str, example: &str) -> Value {
    let content = match media_type {
        "application/json" => {
            json!({media_type: {"schema": {"type": "object"}, "example": {"openapi": "3.1.0"}}})
        }
        _ => json!({media_type: {"schema": {"type": "string"}, "example": example}}),
    };
    let mut responses = json!({"200": {"description": "It is so.", "content": content}});
    if id == "readyz" {
        let content = json!({media_type: {"schema": {"type": "string"}, "example": "draining\n"}});
        responses["503"] = json!({"description": "It is not so at the moment.", "content": content});
    }
    json!({"tags": ["operations"], "operationId": id, "summary": summary, "responses": responses})
}

/// The content of the stream of a token.
fn token_events(samples: &Samples) -> Value {
    let token = samples.of(&json!({"$ref": "#/components/schemas/Token"}));
    let what = "`event` is `token`; `data` is the token's JSON, as `GET /v1/tokens/{token}` answers it;";
    events(what, &format!("event: token\nid: {EVENT_ID}\ndata: {token}\n\n"))
}

/// The content of the stream of what can be had of a show.
fn availability_events(samples: &Samples) -> Value {
    let sample = |name| samples.of(&json!({"$ref": format!("#/components/schemas/{name}")}));
    let (snapshot, changes) = (sample("Availability"), sample("AvailabilityChanges"));
    let what = "`event` is `snapshot`, and `data` what `GET /v1/shows/{showId}/availability` answers; or `event` is `changes`, and `data` is \
        AvailabilityChanges;";
    let example = format!(
        "event: snapshot\nid: {}\ndata: {snapshot}\n\nevent: changes\nid: {}\ndata: {changes}\n\n",
        snapshot["version"], changes["version"]
    );
    events(what, &example)
}

/// The content of a stream of events. OpenAPI 3.1 has no schema for events, so it is a text whose description
/// and example show what is in it.
fn events(what: &str, example: &str) -> Value {
    let description = format!(
        "Events as the HTML standard has them, each a few lines `name: value` and an empty line. {what} `id` is what to send back as \
        `Last-Event-ID`; `retry` is when to come back after the stream was cut, in milliseconds. A line that begins with a colon keeps \
        the connection open."
    );
    let example = format!("retry: 2750\n{example}");
    json!({"schema": {"type": "string", "description": description}, "example": example})
}

/// What is known of an operation of the document.
pub(super) fn operation_of(operation: &Map<String, Value>) -> Option<&'static Operation> {
    let id = operation.get("operationId")?.as_str()?;
    operations().find(|known| known.id == id)
}

fn complete_operation(
    path: &str,
    operation: &mut Map<String, Value>,
    samples: &Samples,
    browse: Browse,
    secured: Option<House>,
) {
    let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let known = operation_of(operation);
    let has_body = operation.contains_key("requestBody");
    if let Some(known) = known {
        complete_parameters(operation, known, browse);
    }
    if known.is_some_and(|known| known.body_is_optional)
        && let Some(body) = operation.get_mut("requestBody")
    {
        body["required"] = false.into();
    }
    headers::take(operation);
    let bearer = known.zip(secured).filter(|(known, house)| known.needs_bearer(*house));
    if bearer.is_some() {
        security::require(operation);
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let mut without_reason = vec![StatusCode::URI_TOO_LONG, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE];
    if let Some(known) = known {
        let access = bearer.map_or_else(Vec::new, |(known, house)| security::reasons(house, known.rule));
        for reason in known.reasons.iter().chain(known.gate(browse)).chain(ALWAYS).chain(&access) {
            refusals::add(responses, path, reason.http().as_u16(), reason.as_str(), reason.title());
        }
        let of_body = has_body.then_some([
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ]);
        let of_socket = (id == "token_socket").then_some(StatusCode::UPGRADE_REQUIRED);
        without_reason.extend(of_body.into_iter().flatten().chain(of_socket));
    }
    for status in without_reason {
        let (code, title) = problem::words(status);
        refusals::add(responses, path, status.as_u16(), code, title);
    }
    refusals::refer(responses);
    samples.fill(responses);
    for (status, response) in responses.iter_mut() {
        if status.starts_with('2') {
            links::add(&id, response);
        }
        if known.is_some() {
            headers::limits(&id, status, response);
        }
        headers::complete(&id, response);
    }
}

/// The headers that an operation takes, and an example of every parameter.
fn complete_parameters(operation: &mut Map<String, Value>, known: &Operation, browse: Browse) {
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    let Some(parameters) = parameters.as_array_mut() else { return };
    if known.is_open(browse) {
        // The token is not read, so it may be any text.
        let schema = json!({"type": "string"});
        parameters.push(header(
            "X-Queue-Token",
            false,
            "It is not needed: dates and seats are open to everyone.",
            &schema,
        ));
    } else if !known.gate(browse).is_empty() {
        let schema = json!({"type": "string", "format": "uuid"});
        parameters.push(header(
            "X-Queue-Token",
            true,
            "An ACTIVE token of the queue that guards this.",
            &schema,
        ));
    }
    let meaning = match known.key {
        KeyUse::Ignored => None,
        KeyUse::Recorded => Some(
            "The same key and request get the first answer again; a key is its user's own. It must not begin with `brief/`.",
        ),
        KeyUse::NotNeeded => Some(
            "It is not needed, and changes nothing: asking again does nothing more, and is answered with how it stands. It must not begin \
             with `brief/`.",
        ),
    };
    if let Some(meaning) = meaning {
        let schema = json!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]{1,128}$"});
        parameters.push(header("Idempotency-Key", false, meaning, &schema));
    }
    for parameter in parameters {
        // A parameter that need not be there is no `null`: it is text, or it is not there.
        if let Some(kind) = parameter.pointer_mut("/schema/type") {
            let other = kind.as_array().and_then(|kinds| kinds.iter().find(|kind| *kind != "null")).cloned();
            if let Some(other) = other {
                *kind = other;
            }
        }
        if parameter["name"] == "userId" {
            parameter["schema"] =
                json!({"type": "string", "minLength": 1, "maxLength": 64, "pattern": USER_ID});
        }
        if parameter.get("example").is_none() {
            // The example is in the schema, where it is shown but not filled in by the page: as a value it
            // would nearly always be wrong.
            let example = match parameter["name"].as_str() {
                Some("Idempotency-Key") => "order-4711",
                Some("If-None-Match" | "If-Match") => "\"9f2d5c1e0a7b4d38\"",
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

#[cfg(test)]
mod tests;
