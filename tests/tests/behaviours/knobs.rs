//! The knobs of a queue's policy, over REST and gRPC: each field of the proto's QueuePolicy stands in the API
//! document with the bounds of the table, and is refused beyond them. Nothing is listed here, so that a new
//! knob cannot be forgotten.

use std::collections::BTreeSet;

use boxoffice_proto::{DESCRIPTORS, Reason, knobs::KNOBS, queue as pb, time::duration};
use prost::Message;
use prost_types::FileDescriptorSet;
use serde_json::{Value, json};
use tests::{
    client::violated,
    grpc::refused,
    scenarios,
    suite::Scenario,
    world::{World, int},
};

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    each_knob_stands_in_the_api_document_with_its_bounds,
    each_knob_is_refused_beyond_its_range_over_rest,
    each_knob_is_refused_beyond_its_range_over_grpc,
    each_knob_is_taken_at_the_ends_of_its_range_and_told_again,
];

/// The knobs that are no numbers: two words, two switches, an instant and a message.
const UNBOUNDED: [(&str, &str); 6] = [
    ("on_expiry", "onExpiry"),
    ("paused", "paused"),
    ("opens_at", "opensAt"),
    ("opening", "opening"),
    ("message", "message"),
    ("without_beacon", "withoutBeacon"),
];

fn properties(document: &Value, schema: &str) -> serde_json::Map<String, Value> {
    document["components"]["schemas"][schema]["properties"].as_object().unwrap().clone()
}

async fn each_knob_stands_in_the_api_document_with_its_bounds(world: World) {
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
    let messages = files.iter().filter(|file| file.package() == "boxoffice.queue.v1");
    let policy =
        messages.flat_map(|file| &file.message_type).find(|one| one.name() == "QueuePolicy").unwrap();
    let in_proto: BTreeSet<_> = policy.field.iter().map(|field| field.name()).collect();
    let known = KNOBS.iter().map(|knob| knob.name).chain(UNBOUNDED.map(|(name, _)| name));
    assert_eq!(in_proto, known.collect(), "proto and table");

    let document = world.rest.get("/openapi.json").expect(200).await;
    let (taken, told) = (properties(&document, "QueuePolicy"), properties(&document, "Queue"));
    let members: BTreeSet<_> = taken.keys().map(String::as_str).collect();
    let known = KNOBS.iter().map(|knob| knob.json).chain(UNBOUNDED.map(|(_, json)| json));
    assert_eq!(members, known.collect(), "document and table");
    for knob in KNOBS {
        for schema in [&taken[knob.json], &told[knob.json]] {
            let bounds = int(&schema["minimum"])..=int(&schema["maximum"]);
            assert_eq!(bounds, knob.bounds, "{}: {schema}", knob.json);
        }
    }
    assert!(UNBOUNDED.iter().all(|(_, json)| told.contains_key(*json)), "{told:?}");
}

async fn each_knob_is_refused_beyond_its_range_over_rest(world: World) {
    let queue = world.queue(json!({})).await;
    let path = format!("/v1/queues/{queue}");
    let before = world.line(&queue).await;
    let numbers = KNOBS.iter().flat_map(|knob| {
        let beyond = [knob.bounds.start() - 1, knob.bounds.end() + 1, i64::MIN, i64::MAX];
        let bad = beyond.map(|number| json!(number)).into_iter().chain([json!("all"), json!(1.5)]);
        bad.map(|value| (knob.json, value))
    });
    let words = [
        ("onExpiry", json!("EXPLODE")),
        ("onExpiry", json!(1)),
        ("paused", json!("yes")),
        ("paused", json!(1)),
        ("withoutBeacon", json!("yes")),
        ("opensAt", json!("tomorrow")),
        ("opensAt", json!(1)),
        ("opening", json!("LOTTERY")),
        ("opening", json!(1)),
        ("message", json!("Hello")),
        ("message.en", json!({"message": {"en": 1}})),
        ("message.ko", json!({"message": {"ko": "x".repeat(281), "en": "x".repeat(280)}})),
        ("message.ko", json!({"message": {"ko": "two\nlines"}})),
    ];
    for (member, value) in numbers.chain(words) {
        let problem = world
            .rest
            .put(&path, if member.contains('.') { value.clone() } else { json!({member: value}) })
            .send()
            .await
            .problem(400, "INVALID_ARGUMENT");
        assert_eq!(violated(&problem), [member], "{value}");
    }
    assert_eq!(world.line(&queue).await, before, "nothing changed");
}

/// Makes a policy with one knob set, from the table.
macro_rules! only {
    (
        counts { $($count:ident $_of_count:tt;)+ }
        spans { $($span:ident $_of_span:tt;)+ }
    ) => {
        fn only(knob: &str, value: i64) -> pb::QueuePolicy {
            let span = |value: i64| duration(value * 1_000_000);
            pb::QueuePolicy {
                $($count: (knob == stringify!($count)).then_some(value),)+
                $($span: (knob == stringify!($span)).then(|| span(value)),)+
                ..pb::QueuePolicy::default()
            }
        }
    };
}

boxoffice_proto::knobs!(only);

async fn each_knob_is_refused_beyond_its_range_over_grpc(world: World) {
    let queue_id = world.queue(json!({})).await;
    let mut client = world.grpc.queue();
    for knob in KNOBS {
        for value in [knob.bounds.start() - 1, knob.bounds.end() + 1] {
            let request = pb::UpdateQueueRequest {
                queue_id: queue_id.clone(),
                policy: Some(only(knob.name, value)),
                ..pb::UpdateQueueRequest::default()
            };
            let fault = refused(client.update_queue(request).await, Reason::InvalidArgument);
            let fields: Vec<_> = fault.violations.into_iter().map(|violation| violation.field).collect();
            assert_eq!(fields, [format!("policy.{}", knob.name)], "{value}");
        }
    }
}

async fn each_knob_is_taken_at_the_ends_of_its_range_and_told_again(world: World) {
    for knob in KNOBS {
        for value in [*knob.bounds.start(), *knob.bounds.end()] {
            let queue = world.queue(json!({})).await;
            let path = format!("/v1/queues/{queue}");
            let told = world.rest.put(&path, json!({knob.json: value})).expect(200).await;
            assert_eq!(int(&told[knob.json]), value, "{told}");
            for other in KNOBS.iter().filter(|other| other.name != knob.name) {
                assert_eq!(int(&told[other.json]), other.default, "{}: {told}", other.json);
            }
        }
    }
}
