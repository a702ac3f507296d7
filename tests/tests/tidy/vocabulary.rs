//! One name, one thing: how often a name of a type may stand in the workspace.

use std::collections::BTreeMap;

use crate::{code, none, rust};

/// More things than these under one name make a reader ask which one is meant.
const MOST: usize = 2;

/// One a service, the same role in each.
const ROLES: [&str; 6] = ["Args", "Config", "Error", "Policy", "Retention", "Service"];

/// The type that a line of code defines. An associated type of a trait's implementation is the trait's word.
fn defined(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub").map_or(line, |rest| {
        let rest = rest.trim_start();
        rest.split_once(')').filter(|_| rest.starts_with('(')).map_or(rest, |(_, rest)| rest.trim_start())
    });
    let (kind, rest) = line.split_once(' ')?;
    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    let is_type =
        matches!(kind, "struct" | "enum" | "trait" | "type") && name.starts_with(char::is_uppercase);
    is_type.then_some(name)
}

/// Where each name is defined, tests and associated types aside.
fn names<'a>(files: impl IntoIterator<Item = &'a (String, String)>) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, text) in files {
        let tests = name.contains("tests/")
            || name.contains("/examples/")
            || name.contains("/conformance/")
            || name.ends_with("tests.rs")
            || name.ends_with("/fakes.rs");
        if tests {
            continue;
        }
        let indented: Vec<&str> = text.lines().collect();
        for (number, line) in code(text) {
            let associated = line.starts_with("type ") && indented[number - 1].starts_with(' ');
            if let Some(of) = defined(line).filter(|_| !associated) {
                found.entry(of.to_owned()).or_default().push(format!("{name}:{number}"));
            }
        }
    }
    found
}

/// Names that are too many things.
fn breaches(names: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let many = names.iter().filter(|(name, at)| at.len() > MOST && !ROLES.contains(&name.as_str()));
    many.map(|(name, at)| format!("{name} is {} things: {}", at.len(), at.join(", "))).collect()
}

#[test]
fn a_type_name_stands_for_two_things_at_most() {
    none(breaches(&names(&rust())));
}

#[test]
fn a_name_that_is_too_many_things_is_seen() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let planted = [
        file("a/src/a.rs", "pub struct Line {\n}\nenum Other<T> {}\n"),
        file("b/src/b.rs", "pub(super) enum Line {\n}\nimpl Iterator for A {\n    type Line = u8;\n}\n"),
        file("c/src/c.rs", "pub(crate) type Line<T> = Vec<T>;\n// struct Line\n"),
        file("c/tests/c.rs", "struct Line;\n"),
    ];
    let names = names(&planted);
    assert_eq!(breaches(&names), ["Line is 3 things: a/src/a.rs:1, b/src/b.rs:1, c/src/c.rs:1"]);
}
