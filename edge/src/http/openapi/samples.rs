//! An example of every answer, made of the examples of its schema's fields.

use serde_json::{Map, Value, json};

/// The document's schemas, by name.
pub(super) struct Samples(Map<String, Value>);

impl Samples {
    /// The schemas of this document.
    pub(super) fn new(document: &Value) -> Self {
        Self(document["components"]["schemas"].as_object().cloned().unwrap_or_default())
    }

    /// A value that fits a schema: its example, or one made of the examples of its parts; null where it may
    /// be null.
    pub(super) fn of(&self, schema: &Value) -> Value {
        if let Some(example) = schema.get("example") {
            return example.clone();
        }
        if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
            return self.0.get(name).map_or(Value::Null, |schema| self.of(schema));
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let members = parts.iter().filter_map(|part| self.of(part).as_object().cloned());
            return members.flatten().collect::<Map<_, _>>().into();
        }
        if let Some(first) = schema["enum"].get(0) {
            return first.clone();
        }
        let nullable = |of: &Value| {
            of.as_array().is_some_and(|of| of.iter().any(|one| one == "null" || one["type"] == "null"))
        };
        if nullable(&schema["type"]) || nullable(&schema["oneOf"]) {
            return Value::Null;
        }
        match schema["type"].as_str() {
            Some("object") => {
                let members = schema["properties"].as_object().into_iter().flatten();
                members.map(|(name, schema)| (name.clone(), self.of(schema))).collect::<Map<_, _>>().into()
            }
            Some("array") => json!([self.of(&schema["items"])]),
            Some("string") if schema["format"] == "uuid" => json!("0190b6b2-3c1e-7c3a-9a55-6d1a1cbe0d11"),
            Some("string") => json!(""),
            Some("integer") => schema.get("minimum").cloned().unwrap_or(json!(1)),
            Some("boolean") => json!(false),
            _ => Value::Null,
        }
    }

    /// Adds an example to each answer that has a body and no example.
    pub(super) fn fill(&self, responses: &mut Map<String, Value>) {
        let contents =
            responses.values_mut().filter_map(|response| response.get_mut("content")?.as_object_mut());
        for content in contents.flat_map(Map::values_mut) {
            if content.get("example").is_none() && content.get("examples").is_none() {
                content["example"] = self.of(&content["schema"]);
            }
        }
    }
}
