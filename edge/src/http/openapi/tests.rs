//! The document as it is served, read as a client reads it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bindings;

use std::collections::BTreeSet;

use utoipa::ToSchema;

use super::*;

/// The contract's table, written again.
const ROUTES: [&str; 48] = [
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
    "get /v1/shows/{showId}/plan",
    "get /v1/shows/{showId}/seats",
    "get /v1/shows/{showId}/availability",
    "get /v1/shows/{showId}/availability/events",
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
    "get /v1/queues",
    "get /v1/operator/metrics",
    "get /v1/operator/alerts",
    "get /v1/operator/history",
    "get /v1/payments",
    "get /v1/payments/{paymentId}/story",
    "post /v1/payments/{paymentId}/retry",
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
    serde_json::from_slice(&complete(super::super::router::table().into_openapi(), browse, None)).unwrap()
}

fn each(document: &Value) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        item.as_object()
            .unwrap()
            .iter()
            .map(move |(method, operation)| (format!("{method} {path}"), operation.clone()))
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
fn no_parameter_may_be_null() {
    let document = document();
    for (name, operation) in each(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let kind = parameter.pointer("/schema/type");
            assert!(kind.is_none_or(Value::is_string), "{name}: {parameter}");
        }
    }
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
            // What a cache may give to others is not the asker's alone, and names no trace.
            let is_public =
                ["get /v1/queues/{queueId}", "get /v1/shows/{showId}/plan"].contains(&name.as_str());
            let shared = is_public && ["200", "304"].contains(&status.as_str());
            let trace = headers.get("traceparent").map(|header| &header["$ref"]);
            let expected = (!shared).then(|| json!("#/components/headers/traceparent"));
            assert_eq!(trace, expected.as_ref(), "{name}: {status}");
            for (header, described) in headers.iter().filter(|(header, _)| *header != "traceparent") {
                let component = &document["components"]["headers"][header];
                let described = if described.get("$ref").is_some() { component } else { described };
                assert!(described.get("example").is_some(), "{name}: {status}: {header}");
            }
        }
    }
    assert!(document["components"]["headers"]["traceparent"]["example"].is_string());
}

#[test]
fn a_stream_is_a_text_whose_example_tells_a_whole_token() {
    let document = document();
    let answer = &document["paths"]["/v1/tokens/{token}/events"]["get"]["responses"]["200"];
    let stream = &answer["content"]["text/event-stream"];
    assert_eq!(stream["schema"]["type"], "string");
    let event = stream["example"].as_str().unwrap();
    let lines: Vec<(&str, &str)> = event.lines().filter_map(|line| line.split_once(": ")).collect();
    let names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        (names.as_slice(), &event[event.len() - 2..]),
        (["retry", "event", "id", "data"].as_slice(), "\n\n")
    );
    let data: Value = serde_json::from_str(lines[3].1).unwrap();
    let members = document["components"]["schemas"]["Token"]["required"].as_array().unwrap();
    assert!(members.iter().all(|member| data.get(member.as_str().unwrap()).is_some()), "{data}");
}

#[test]
fn every_code_has_a_schema_that_names_what_comes_with_it() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["SeatTakenProblem"]["properties"]["seatNumbers"]["type"], "array");
    assert_eq!(schemas["SeatTakenProblem"]["properties"]["code"]["enum"], json!(["SEAT_TAKEN"]));
    assert!(schemas["InsufficientFundsProblem"]["properties"]["paymentStatus"].is_object());
    assert!(schemas["InternalProblem"]["required"].as_array().unwrap().contains(&json!("traceId")));
    for (name, operation) in each(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let content = &response["content"][problem::MEDIA_TYPE];
            for (code, example) in content["examples"].as_object().into_iter().flatten() {
                let one = content["schema"]["oneOf"].as_array().map_or(1, Vec::len);
                assert_eq!(one, content["examples"].as_object().unwrap().len(), "{name}: {status}");
                let told = &content["schema"]["discriminator"]["mapping"][code];
                let reference = told.as_str().or(content["schema"]["$ref"].as_str()).unwrap();
                let schema = document.pointer(&reference[1..]).unwrap();
                let known = schema["properties"].as_object().unwrap();
                let told = example["value"].as_object().unwrap();
                assert!(told.keys().all(|member| known.contains_key(member)), "{name}: {code}: {told:?}");
                let needed = schema["required"].as_array().unwrap();
                assert!(
                    needed.iter().all(|member| told.contains_key(member.as_str().unwrap())),
                    "{name}: {code}"
                );
            }
        }
    }
}

/// A description; of what may be null, that of what it is otherwise.
fn described(schema: &Value) -> &str {
    let other =
        || schema["oneOf"].as_array().and_then(|of| of.iter().find_map(|one| one["description"].as_str()));
    schema["description"].as_str().or_else(other).unwrap_or_default()
}

fn is_sentence(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_uppercase() || c == '`' || c.is_ascii_digit());
    begins && text.ends_with('.') && text.split_whitespace().count() >= 3
}

#[test]
fn every_member_is_described_by_a_sentence_of_its_own() {
    let document = document();
    let mut wrong = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let members = schema["properties"].as_object().into_iter().flatten();
        let all = members.map(|(member, schema)| (member.as_str(), schema)).chain([("", schema)]);
        wrong.extend(
            all.filter(|(_, schema)| !is_sentence(described(schema)))
                .map(|(member, _)| format!("{name}.{member}")),
        );
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_parameter_answer_and_header_is_described_by_a_sentence() {
    let document = document();
    let mut wrong = Vec::new();
    for (name, operation) in each(&document) {
        let parameters = operation["parameters"].as_array().unwrap().iter();
        let parameters = parameters.map(|parameter| (parameter["name"].to_string(), parameter));
        let answers = operation["responses"].as_object().unwrap().iter();
        let headers = answers.clone().flat_map(|(_, answer)| answer["headers"].as_object().unwrap());
        let others = answers.chain(headers).map(|(name, described)| (name.clone(), described));
        let own = parameters.chain(others).filter(|(_, described)| described.get("$ref").is_none());
        wrong.extend(
            own.filter(|(_, described)| !is_sentence(described["description"].as_str().unwrap_or_default()))
                .map(|(part, described)| format!("{name}: {part}: {}", described["description"])),
        );
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn where_browsing_is_open_dates_and_seats_need_no_token() {
    let browsing: BTreeSet<&str> = operations().filter(|known| known.browses).map(|known| known.id).collect();
    assert_eq!(browsing.len(), 7, "{browsing:?}");
    for browse in [Browse::Token, Browse::Open] {
        for (name, operation) in each(&document_of(browse)) {
            let parameters = operation["parameters"].as_array().unwrap();
            let Some(token) = parameters.iter().find(|parameter| parameter["name"] == "X-Queue-Token") else {
                continue;
            };
            let open =
                browse == Browse::Open && browsing.contains(operation["operationId"].as_str().unwrap());
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
