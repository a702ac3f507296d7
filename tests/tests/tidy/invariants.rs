//! The invariants: each id of ARCHITECTURE.md's table stands in the files in which the table says that it is
//! decided.

use std::fs;

use crate::{none, root};

/// Where the table of invariants begins, and the column that names the files.
const HEADING: &str = "## The invariants";
const DECIDED_IN: usize = 2;

/// The rows of the table: ids, and paths from the root.
fn rows(document: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let table = document.split_once(HEADING).map_or("", |(_, rest)| rest);
    let table = table.split("\n## ").next().unwrap_or_default();
    let rows = table.lines().filter(|line| line.starts_with("| I-"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let ids = cells[0].split(',').map(|id| id.trim().to_owned()).collect();
        let paths = cells[DECIDED_IN].split('`').skip(1).step_by(2).filter(|word| word.ends_with(".rs"));
        (ids, paths.map(str::to_owned).collect())
    })
    .collect()
}

/// Whether a text names this id, and not only a longer one that begins with it.
fn names(text: &str, id: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|next: char| next == '-' || next.is_ascii_uppercase());
    text.split(id).skip(1).any(|rest| !goes_on(rest))
}

/// Breaches of "each id stands in one of the files of its row, and each of these files has an id of the row".
fn breaches(document: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    for (ids, paths) in rows(document) {
        let texts: Vec<_> = paths.iter().map(|path| (path, read(path))).collect();
        for (path, text) in &texts {
            match text {
                None => found.push(format!("{ids:?}: {path} is not there")),
                Some(text) if !ids.iter().any(|id| names(text, id)) => {
                    found.push(format!("{path} names none of {ids:?}"));
                }
                Some(_) => {}
            }
        }
        let stands =
            |id: &str| texts.iter().any(|(_, text)| text.as_ref().is_some_and(|text| names(text, id)));
        found.extend(
            ids.iter().filter(|id| !stands(id)).map(|id| format!("{id} stands in none of {paths:?}")),
        );
    }
    found
}

#[test]
fn each_invariant_is_named_where_it_is_decided() {
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(rows(&document).len() > 10, "the table of invariants is not where it was");
    none(breaches(&document, |path| fs::read_to_string(root().join(path)).ok()));
}

#[test]
fn an_invariant_that_is_named_nowhere_is_seen() {
    let document = format!(
        "| I-ELSE | | `no.rs` |\n{HEADING}\n\n| I-SEAT, I-SEAT-ONCE | a | `seats.rs`: why; `take.rs` | b |\n| I-OLD | c | `gone.rs` | |\n"
    );
    let read = |path: &str| match path {
        "seats.rs" => Some("// I-SEAT-ONCE: why\n".to_owned()),
        "take.rs" => Some("// nothing\n".to_owned()),
        _ => None,
    };
    assert_eq!(
        breaches(&document, read),
        [
            "take.rs names none of [\"I-SEAT\", \"I-SEAT-ONCE\"]",
            "I-SEAT stands in none of [\"seats.rs\", \"take.rs\"]",
            "[\"I-OLD\"]: gone.rs is not there",
            "I-OLD stands in none of [\"gone.rs\"]",
        ]
    );
}
