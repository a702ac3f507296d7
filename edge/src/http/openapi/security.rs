//! Which operations need a bearer token, and what a caller without the right one is refused with.

use access::House;
use boxoffice_proto::{Reason, access::Rule};
use serde_json::{Map, Value, json};

/// The name of the scheme in the document's components.
const SCHEME: &str = "bearer";

/// Adds the scheme, and lets bodies leave out a user who is the caller.
pub(super) fn define(document: &mut Value) {
    document["components"]["securitySchemes"][SCHEME] = json!({
        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
        "description": "A token of the issuer that this edge trusts; it says who the user is.",
    });
    let bodies = bodies(document);
    for name in bodies {
        let schema = &mut document["components"]["schemas"][&name];
        if let Some(required) = schema["required"].as_array_mut() {
            required.retain(|field| field != "userId");
        }
        if let Some(Value::String(about)) = schema["properties"]["userId"].get_mut("description") {
            about.push_str(" The caller when left out.");
        }
    }
}

/// The schemas of the bodies that operations take.
fn bodies(document: &Value) -> Vec<String> {
    let operations =
        document["paths"].as_object().into_iter().flat_map(Map::values).filter_map(Value::as_object);
    let schemas = operations.flat_map(Map::values).filter_map(|operation| {
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str()
    });
    schemas.filter_map(|name| name.rsplit('/').next()).map(str::to_owned).collect()
}

/// Says that an operation needs a bearer token.
pub(super) fn require(operation: &mut Map<String, Value>) {
    operation.insert("security".to_owned(), json!([{SCHEME: []}]));
}

/// What an operation with this rule may be refused with because of who calls.
pub(super) fn reasons(house: House, rule: &Rule) -> Vec<Reason> {
    let mut reasons = vec![Reason::CredentialsMissing, Reason::CredentialsInvalid];
    if house.is_owned(rule) {
        reasons.push(Reason::NotOwner);
    }
    if !house.is_owned(rule) || rule.priority.is_some() {
        reasons.push(Reason::NotAllowed);
    }
    reasons
}
