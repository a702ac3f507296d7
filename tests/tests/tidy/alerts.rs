//! Every kind of alert has its place in the manual: a message in a chat links to it.

use std::{collections::BTreeSet, fs};

use crate::{none, root, rust};

/// What begins an alert in the code. Behind it come fields, and then the message.
const BEGINS: [&str; 2] = ["alert = true,", "warn_or_alert!("];

/// The kind of the alerts with a message: its words up to the first mark, as `chassis::alerts` makes it. What
/// is filled in stays `{…}`.
fn kind(message: &str) -> String {
    let head = message.split([':', ';', '(', ',']).next().unwrap_or_default();
    let words = head.split(|c: char| !c.is_alphanumeric() && c != '{' && c != '}');
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect::<Vec<_>>().join("-")
}

/// The kinds of the alerts in a file, its tests aside.
fn kinds(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = Vec::new();
    for begin in BEGINS {
        for rest in code.split(begin).skip(1) {
            let call = rest.split(";\n").next().unwrap_or_default();
            // The message is the last text of the call.
            let texts: Vec<&str> = call.split('"').collect();
            found.extend(texts.len().checked_sub(2).map(|last| kind(texts[last])));
        }
    }
    found
}

/// Whether the manual has the kind, with whatever may be filled in.
fn is_told(kind: &str, told: &BTreeSet<&str>) -> bool {
    match kind.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?.1))) {
        Some((before, after)) => told.iter().any(|one| one.starts_with(before) && one.ends_with(after)),
        None => told.contains(kind),
    }
}

#[test]
fn the_manual_says_of_every_alert_what_to_do() {
    let manual = fs::read_to_string(root().join("docs/on-sale.md")).unwrap();
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let told: BTreeSet<&str> =
        rows.map(|(kind, _)| kind).filter(|kind| kind.contains('-') && !kind.contains(' ')).collect();
    let mut said = BTreeSet::new();
    for (name, text) in rust() {
        let is_program = name.contains("/src/") && !name.starts_with("tests/") && !name.ends_with("tests.rs");
        let is_rule = name.ends_with("telemetry/mod.rs") || name.ends_with("telemetry/filter.rs");
        if is_program && !is_rule {
            said.extend(kinds(&text));
        }
    }
    assert!(said.len() > 30, "{said:?}");
    let silent = said.iter().filter(|kind| !is_told(kind, &told));
    let mut found: Vec<_> = silent.map(|kind| format!("docs/on-sale.md says nothing of {kind}")).collect();
    let is_said = |told: &&&str| said.iter().any(|kind| is_told(kind, &BTreeSet::from([**told])));
    found.extend(told.iter().filter(|told| !is_said(told)).map(|told| format!("no program says {told}")));
    none(found);
}

#[test]
fn an_alert_is_seen_however_it_is_written() {
    let code = "tracing::error!(alert = true, %error, \"it broke; again \");\nwarn_or_alert!(\n    e.is_passing(), \
                kind = \"x\", \"too many {kind} (5)\"\n);\n#[cfg(test)]\nerror!(alert = true, \"no\");\n";
    assert_eq!(kinds(code), ["it-broke", "too-many-{kind}"]);
    assert!(is_told("too-many-{kind}-end", &BTreeSet::from(["too-many-polls-end"])));
    assert!(!is_told("too-many-{kind}-end", &BTreeSet::from(["too-many-polls"])));
}
