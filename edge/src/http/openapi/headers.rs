//! Headers: those that every operation takes, those that every answer has, and an example of each header of
//! an answer.

use serde_json::{Map, Value, json};

/// The pattern of a W3C trace context, and an example.
const PATTERN: &str = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Adds the trace context to the document's components, as a parameter and as a header of answers, and the
/// headers that tell of limits.
pub(super) fn define(document: &mut Value) {
    let components = &mut document["components"];
    // The parameter has no pattern, since no value is refused. The example is in the schema, so that the page
    // does not send it.
    components["parameters"]["traceparent"] = json!({
        "name": "traceparent", "in": "header", "required": false,
        "description": "The W3C trace context that the request becomes a part of. Anything else is replaced by a new one.",
        "schema": {"type": "string", "examples": [TRACE]},
    });
    components["headers"]["traceparent"] = json!({
        "description": "The W3C trace context of this request.", "schema": {"type": "string", "pattern": PATTERN}, "example": TRACE,
    });
    for (name, description, example) in LIMITS {
        components["headers"][name] =
            json!({"description": description, "schema": {"type": "string"}, "example": example});
    }
}

/// Adds the trace context to the parameters of an operation.
pub(super) fn take(operation: &mut Map<String, Value>) {
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.push(json!({"$ref": "#/components/parameters/traceparent"}));
    }
}

/// The headers that tell a caller of limits, where there are any: what each means, and an example.
const LIMITS: [(&str, &str, &str); 2] = [
    (
        "RateLimit-Policy",
        "Each limit that counts this request is a name, `q` requests in `w` seconds. It is not sent where there are no limits.",
        "\"requests\";q=1200;w=60, \"joins\";q=30;w=60",
    ),
    (
        "RateLimit",
        "Of each limit `r` requests are left, and one more is in `t` seconds. It is not sent where there are no limits.",
        "\"requests\";r=1199;t=1, \"joins\";r=29;t=2",
    ),
];

/// Adds the headers that tell of limits to an answer that has them: good ones and those over a limit, except
/// good ones of a poll, which is counted apart, and what a cache may give to others.
pub(super) fn limits(operation: &str, status: &str, response: &mut Value) {
    let is_public = response["headers"].get("Cache-Control").is_some();
    let is_told = status == "429" || (status.starts_with('2') && operation != "get_token");
    if is_public || !is_told {
        return;
    }
    for (name, ..) in LIMITS {
        response["headers"][name] = json!({"$ref": format!("#/components/headers/{name}")});
    }
}

/// Gives each header of an operation's answer an example, and adds the trace, which every answer has unless
/// it may be cached for other clients.
pub(super) fn complete(operation: &str, response: &mut Value) {
    for (name, header) in response.get_mut("headers").and_then(Value::as_object_mut).into_iter().flatten() {
        if let Some(example) = example(operation, name) {
            header["example"] = example;
        }
    }
    if response["headers"].get("Cache-Control").is_some() {
        return;
    }
    response["headers"]["traceparent"] = json!({"$ref": "#/components/headers/traceparent"});
}

/// An example of a header in an operation's answer.
fn example(operation: &str, header: &str) -> Option<Value> {
    let text = match (header, operation) {
        ("Retry-After", _) => return Some(json!(1)),
        ("ETag", _) => "\"9f2d5c1e0a7b4d38\"",
        ("Cache-Control", "get_queue") => "public, max-age=1, stale-while-revalidate=0",
        ("Cache-Control", "get_seat_plan") => "public, max-age=60",
        ("Location", "issue_token") => "/v1/tokens/3fa85f64-5717-4562-b3fc-2c963f66afa6",
        ("Location", "put_queue") => "/v1/queues/vip",
        ("Location", "create_concert") => "/v1/concerts/1",
        ("Location", "create_show" | "cancel_show") => "/v1/shows/1",
        ("Location", "hold_seats") => "/v1/reservations/0190b6b2-3c1e-7c3a-9a55-6d1a1cbe0d11",
        ("Location", "charge_wallet") => "/v1/wallets/ann",
        ("Location", "pay" | "original_pay" | "refund_payment") => {
            "/v1/payments/7c9e6679-7425-40de-944b-e07fc1f90ae7"
        }
        _ => return None,
    };
    Some(json!(text))
}
