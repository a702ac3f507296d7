//! Refusals: an example of each in the answer of its status, and a schema for each code, so that a typed
//! client can read its members.

use boxoffice_proto::Reason;
use serde_json::{Map, Value, json};

use super::super::{
    members,
    problem::{self, camel},
};

/// The members that all problem documents have.
const COMMON: [&str; 6] = ["type", "title", "status", "detail", "instance", "code"];

/// Adds a refusal to the response of its status, with an example.
pub(super) fn add(responses: &mut Map<String, Value>, path: &str, status: u16, code: &str, title: &str) {
    let response = responses.entry(status.to_string()).or_insert_with(|| json!({"description": title}));
    // Of the conflicts, this one may pass by waiting.
    let waits =
        (code == "HOLD_LIMIT").then_some("When to ask again, in seconds, where it is enough to wait.");
    if let Some(when) =
        matches!(status, 429 | 503 | 504).then_some("When to ask again, in seconds.").or(waits)
    {
        let schema = json!({"type": "integer", "minimum": 1});
        response["headers"]["Retry-After"] = json!({"description": when, "schema": schema});
    }
    let mut example = json!({
        "type": format!("urn:boxoffice:problem:{code}"), "title": title, "status": status, "detail": title,
        "instance": path, "code": code,
    });
    if code == "INVALID_ARGUMENT" {
        example["violations"] =
            json!([{"field": "userId", "description": "must be 1 to 64 visible characters, without spaces"}]);
    }
    if status >= 500 {
        example["traceId"] = json!("0af7651916cd43dd8448eb211c80319c");
    }
    for member in members_of(code) {
        example[camel(member.key)] = members::schema(member.key)["example"].clone();
    }
    response["content"][problem::MEDIA_TYPE]["examples"][code] = json!({"summary": title, "value": example});
    if let Some(Value::String(description)) = response.get_mut("description")
        && !description.contains(title)
    {
        description.push_str(" · ");
        description.push_str(title);
    }
}

/// Gives every response with refusals a schema that names the codes that it may have.
pub(super) fn refer(responses: &mut Map<String, Value>) {
    for response in responses.values_mut() {
        let Some(content) =
            response.get_mut("content").and_then(|content| content.get_mut(problem::MEDIA_TYPE))
        else {
            continue;
        };
        let codes: Vec<&String> = content["examples"].as_object().into_iter().flat_map(Map::keys).collect();
        let one = |code: &str| json!({"$ref": format!("#/components/schemas/{}", name(code))});
        let schema = match codes.as_slice() {
            [only] => one(only),
            several => {
                let mapping: Map<_, _> =
                    several.iter().map(|code| ((*code).clone(), one(code)["$ref"].clone())).collect();
                let all: Vec<_> = several.iter().map(|code| one(code)).collect();
                json!({"oneOf": all, "discriminator": {"propertyName": "code", "mapping": mapping}})
            }
        };
        content["schema"] = schema;
    }
}

/// Adds the schema of each code that any response may have.
pub(super) fn define(document: &mut Value) {
    let common = document["components"]["schemas"]["Problem"]["properties"].clone();
    let operations =
        document["paths"].as_object().into_iter().flat_map(Map::values).filter_map(Value::as_object);
    let responses =
        operations.flat_map(Map::values).filter_map(|operation| operation["responses"].as_object());
    let examples =
        responses.flat_map(Map::values).map(|response| &response["content"][problem::MEDIA_TYPE]["examples"]);
    let examples: Map<String, Value> =
        examples.filter_map(Value::as_object).flatten().map(|(code, e)| (code.clone(), e.clone())).collect();
    for (code, example) in examples {
        let status = example["value"]["status"].as_u64().unwrap_or_default();
        document["components"]["schemas"][name(&code)] = schema(&code, status, &example["summary"], &common);
    }
}

/// The schema of the problem documents of one code.
fn schema(code: &str, status: u64, title: &Value, common: &Value) -> Value {
    let own = [("violations", code == "INVALID_ARGUMENT"), ("traceId", status >= 500)];
    let own = own.iter().filter(|(_, is)| *is).map(|(name, _)| *name);
    let names: Vec<&str> = COMMON.iter().copied().chain(own).collect();
    let mut required: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut properties: Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), common[*name].clone())).collect();
    properties["type"]["example"] = json!(format!("urn:boxoffice:problem:{code}"));
    properties["status"] =
        json!({"type": "integer", "enum": [status], "description": common["status"]["description"]});
    properties["code"] =
        json!({"type": "string", "enum": [code], "description": common["code"]["description"]});
    for member in members_of(code) {
        let name = camel(member.key);
        if member.always {
            required.push(name.clone());
        }
        properties.insert(name, members::schema(member.key));
    }
    json!({"type": "object", "description": title, "required": required, "properties": properties})
}

fn members_of(code: &str) -> &'static [members::Member] {
    code.parse::<Reason>().map_or(&[], members::of)
}

/// The name of a code's schema: `SEAT_TAKEN` → `SeatTakenProblem`.
fn name(code: &str) -> String {
    let word = |word: &str| {
        word.chars().take(1).chain(word.chars().skip(1).map(|c| c.to_ascii_lowercase())).collect::<String>()
    };
    format!("{}Problem", code.split('_').map(word).collect::<String>())
}
