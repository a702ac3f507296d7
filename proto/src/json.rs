//! A message of the contract as JSON, for records that people read. Members have the names of the proto's
//! fields; a new field is in it by itself.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, Value as Field};
use serde_json::{Map, Value};

use crate::DESCRIPTORS;

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).unwrap_or_default());

/// The message, which is of this full name, such as `boxoffice.queue.v1.Queue`. A message of a name that the
/// contract does not have is null.
#[must_use]
pub fn of<M: Message>(name: &str, message: &M) -> Value {
    let dynamic = POOL
        .get_message_by_name(name)
        .and_then(|descriptor| DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).ok());
    dynamic.map_or(Value::Null, |message| object(&message))
}

fn object(message: &DynamicMessage) -> Value {
    let fields = message.fields().map(|(field, value)| (field.name().to_owned(), member(&field, value)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn member(field: &FieldDescriptor, value: &Field) -> Value {
    match value {
        Field::Bool(truth) => (*truth).into(),
        Field::I32(number) => (*number).into(),
        Field::I64(number) => (*number).into(),
        Field::U32(number) => (*number).into(),
        Field::U64(number) => (*number).into(),
        Field::F32(number) => (*number).into(),
        Field::F64(number) => (*number).into(),
        Field::String(text) => text.as_str().into(),
        Field::EnumNumber(number) => word(&field.kind(), *number),
        Field::Message(message) => instant(message).unwrap_or_else(|| object(message)),
        Field::List(values) => values.iter().map(|value| member(field, value)).collect(),
        // The contract has neither; a record without them is better than none.
        Field::Bytes(_) | Field::Map(_) => Value::Null,
    }
}

/// The name of an enum's value, or its number where a newer release knows more.
fn word(kind: &Kind, number: i32) -> Value {
    let known = kind.as_enum().and_then(|kind| kind.get_value(number));
    known.map_or_else(|| number.into(), |value| value.name().into())
}

/// Times and spans as texts, such as `2026-12-24T19:30:00Z` and `90s`.
fn instant(message: &DynamicMessage) -> Option<Value> {
    let descriptor = prost_reflect::ReflectMessage::descriptor(message);
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            message.transcode_to::<prost_types::Timestamp>().ok().map(|time| time.to_string().into())
        }
        "google.protobuf.Duration" => {
            message.transcode_to::<prost_types::Duration>().ok().map(|span| span.to_string().into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{booking, time::timestamp, wallet};

    #[test]
    fn a_message_is_told_with_the_names_of_its_fields() {
        let entry = wallet::Entry {
            user_id: "ann".into(),
            sequence: 7,
            kind: wallet::EntryKind::Charge.into(),
            created_at: Some(timestamp(1_798_140_600_000_000)),
            ..wallet::Entry::default()
        };
        let told = of("boxoffice.wallet.v1.Entry", &entry);
        let kind = "ENTRY_KIND_CHARGE";
        assert_eq!(
            (&told["user_id"], &told["sequence"], &told["kind"]),
            (&json!("ann"), &json!(7), &json!(kind))
        );
        assert_eq!(told["created_at"], json!("2026-12-24T19:30:00Z"));
        assert_eq!(told.get("payment_id"), None, "what is not set is left out");
        let request = booking::HoldSeatsRequest { seat_numbers: vec![1, 2], ..Default::default() };
        assert_eq!(of("boxoffice.booking.v1.HoldSeatsRequest", &request), json!({"seat_numbers": [1, 2]}));
        assert_eq!(of("boxoffice.none.v1.None", &request), Value::Null);
    }
}
