//! Reads a JSON object in which every name stands once, at any depth. An object with two values of one name
//! is refused by that name: it is unclear which one is meant, and two readers may choose differently (RFC
//! 7493).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// What a body turned out to be.
pub(super) enum Read {
    /// A JSON object.
    Object(Map<String, Value>),
    /// An object, or something with an object in it, that has this name twice.
    Twice(String),
    /// Well-formed JSON that is not an object.
    Other,
}

/// Reads a body.
///
/// # Errors
/// The text is not well-formed JSON.
pub(super) fn read(text: &[u8]) -> Result<Read, serde_json::Error> {
    let (mut twice, mut json) = (None, serde_json::Deserializer::from_slice(text));
    let value = Once(&mut twice).deserialize(&mut json)?;
    json.end()?;
    Ok(match (twice, value) {
        (Some(name), _) => Read::Twice(name),
        (None, Value::Object(object)) => Read::Object(object),
        (None, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Read::Other
        }
    })
}

/// Reads a value and keeps the first name that stands twice.
struct Once<'a>(&'a mut Option<String>);

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any valid JSON value")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(truth.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(value) = list.next_element_seed(Once(&mut *self.0))? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let value = object.next_value_seed(Once(&mut *self.0))?;
            if self.0.is_none() && all.contains_key(&name) {
                *self.0 = Some(name.clone());
            }
            all.insert(name, value);
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn twice(text: &str) -> Option<String> {
        match read(text.as_bytes()).unwrap() {
            Read::Twice(name) => Some(name),
            Read::Object(_) | Read::Other => None,
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_found_wherever_it_is() {
        for (text, name) in [
            (r#"{"a":1,"b":2,"a":1}"#, "a"),
            (r#"{"amount":5,"\u0061mount":6}"#, "amount"),
            (r#"{"a":[{"b":{"c":1,"c":null}}],"d":1,"d":2}"#, "c"),
            (r#"[{"a":1,"a":1}]"#, "a"),
        ] {
            assert_eq!(twice(text).as_deref(), Some(name), "{text}");
        }
        for text in [r#"{"a":1,"A":2,"b":{"a":1},"c":[{"a":1},{"a":1}]}"#, "{}", "7", "[1,1]"] {
            assert_eq!(twice(text), None, "{text}");
        }
    }

    #[test]
    fn everything_else_is_read_as_ever() {
        let text = r#"{"a":[-1,18446744073709551615,1.5,1e3,true,null,"\ud83c\udf9f",{}],"":{"b":[]}}"#;
        let Read::Object(object) = read(text.as_bytes()).unwrap() else { panic!("an object") };
        assert_eq!(Value::Object(object), serde_json::from_str::<Value>(text).unwrap());
        assert!(matches!(read(b" [] ").unwrap(), Read::Other));
        let deep = "[".repeat(200);
        for bad in ["", "{", "{} {}", "{\"a\":}", "1e999", "\"\\ud800\"", "{1:2}", &deep] {
            let (ours, theirs) =
                (read(bad.as_bytes()).map(drop), serde_json::from_str::<Value>(bad).map(drop));
            assert_eq!(ours.unwrap_err().to_string(), theirs.unwrap_err().to_string(), "{bad}");
        }
    }
}
