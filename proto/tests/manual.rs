//! The protos are the manual: of each RPC they say what it means, whether repeating it does harm, which
//! reasons it may be refused with (words that exist), and when to try again; and nothing in them goes without
//! a comment.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;

use boxoffice_proto::{DESCRIPTORS, Reason};
use prost::Message;
use prost_types::{
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, field_descriptor_proto::Type,
};

/// The parts of an RPC's comment, each at the beginning of a line.
const PARTS: [&str; 3] = ["Idempotency: ", "Reasons: ", "Retry: "];

fn files() -> Vec<FileDescriptorProto> {
    let all = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
    all.into_iter().filter(|file| !file.package().starts_with("google.protobuf")).collect()
}

/// The comment before each thing, by its path in the file's descriptor.
fn comments(file: &FileDescriptorProto) -> HashMap<Vec<i32>, String> {
    let places = file.source_code_info.iter().flat_map(|info| &info.location);
    places.map(|place| (place.path.clone(), place.leading_comments().to_owned())).collect()
}

/// Words as reasons are written.
fn shouted(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    words.filter(|word| word.len() > 3)
}

/// What the comment of an RPC says under "Reasons"; nothing when the comment is not made as it must be.
fn reasons(comment: &str) -> Option<String> {
    let lines: Vec<&str> = comment.lines().map(str::trim).collect();
    let starts: Vec<_> =
        PARTS.iter().map(|part| lines.iter().position(|line| line.starts_with(part))).collect();
    let in_order = starts.iter().all(Option::is_some) && starts.is_sorted() && starts[0] > Some(0);
    in_order.then(|| lines[starts[1].unwrap()..starts[2].unwrap()].join(" "))
}

/// The reasons that a request's own fields bring along: a text (ids are texts) may be malformed, and a
/// request id used for another request.
fn brought(file: &FileDescriptorProto, method: &MethodDescriptorProto) -> Vec<Reason> {
    let name = method.input_type().rsplit('.').next().unwrap();
    let request = file.message_type.iter().find(|message| message.name() == name).unwrap();
    let malformed =
        request.field.iter().any(|field| field.r#type() == Type::String).then_some(Reason::InvalidArgument);
    let reused =
        request.field.iter().any(|field| field.name() == "request_id").then_some(Reason::RequestIdReused);
    malformed.into_iter().chain(reused).collect()
}

#[test]
fn every_rpc_says_its_meaning_idempotency_reasons_and_when_to_retry() {
    let mut wrong = Vec::new();
    for file in files() {
        let comments = comments(&file);
        for (s, service) in (0_i32..).zip(&file.service) {
            for (m, method) in (0_i32..).zip(&service.method) {
                let comment = comments.get(&vec![6, s, 2, m]).map_or("", String::as_str);
                let Some(reasons) = reasons(comment) else {
                    wrong.push(format!(
                        "{}: its meaning, then {PARTS:?}, each on a line of its own",
                        method.name()
                    ));
                    continue;
                };
                let unknown =
                    shouted(&reasons).filter(|word| word.parse::<Reason>().is_err() && *word != "UUID");
                wrong.extend(unknown.map(|word| format!("{}: {word} is no reason", method.name())));
                let named: Vec<Reason> = shouted(&reasons).filter_map(|word| word.parse().ok()).collect();
                if named.is_empty() {
                    wrong.push(format!("{}: no reason is named", method.name()));
                }
                let forgotten = brought(&file, method).into_iter().filter(|reason| !named.contains(reason));
                wrong.extend(
                    forgotten.map(|reason| format!("{}: {} is not named", method.name(), reason.as_str())),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

#[test]
fn every_message_field_and_value_is_commented() {
    let mut bare = Vec::new();
    for file in files() {
        let comments = comments(&file);
        let mut check = |path: Vec<i32>, name: String| {
            if comments.get(&path).is_none_or(|comment| comment.trim().is_empty()) {
                bare.push(name);
            }
        };
        for (i, message) in (0_i32..).zip(&file.message_type) {
            check(vec![4, i], message.name().to_owned());
            for (f, field) in (0_i32..).zip(&message.field) {
                check(vec![4, i, 2, f], format!("{}.{}", message.name(), field.name()));
            }
        }
        for (i, set) in (0_i32..).zip(&file.enum_type) {
            check(vec![5, i], set.name().to_owned());
            for (v, value) in (0_i32..).zip(&set.value) {
                check(vec![5, i, 2, v], value.name().to_owned());
            }
        }
        for (i, service) in (0_i32..).zip(&file.service) {
            check(vec![6, i], service.name().to_owned());
        }
    }
    assert!(bare.is_empty(), "without a comment: {}", bare.join(", "));
}
