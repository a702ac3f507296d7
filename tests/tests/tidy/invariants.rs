//! The invariants: all of them are rows of ARCHITECTURE.md's table, and each id stands in every file in which
//! the table says that it is decided.

use std::{collections::BTreeSet, fs};

use crate::{files, none, root};

/// Where the table of invariants begins, and the column that names the files.
const HEADING: &str = "## The invariants";
const DECIDED_IN: usize = 2;

/// The rows of the table: an id, and paths from the root.
fn rows(document: &str) -> Vec<(String, Vec<String>)> {
    let table = document.split_once(HEADING).map_or("", |(_, rest)| rest);
    let table = table.split("\n## ").next().unwrap_or_default();
    let rows = table.lines().filter(|line| line.starts_with("| I-"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let paths = cells[DECIDED_IN].split('`').skip(1).step_by(2).filter(|word| word.ends_with(".rs"));
        (cells[0].trim().to_owned(), paths.map(str::to_owned).collect())
    })
    .collect()
}

/// The ids that a text names.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    let is_id = |word: &&str| {
        let rest = word.strip_prefix("I-").unwrap_or_default();
        rest.split('-').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_uppercase()))
    };
    words.filter(is_id)
}

/// Breaches of "every id that is named is a row of its own, and each file of a row names its id".
fn breaches(document: &str, sources: &[(String, String)]) -> Vec<String> {
    let rows = rows(document);
    let mut found = Vec::new();
    let mut known = BTreeSet::new();
    for (id, paths) in &rows {
        if !known.insert(id.as_str()) {
            found.push(format!("{id} has two rows"));
        }
        if paths.is_empty() {
            found.push(format!("{id} is decided nowhere"));
        }
        for path in paths {
            match sources.iter().find(|(name, _)| name == path) {
                None => found.push(format!("{id}: {path} is not there")),
                Some((_, text)) if !ids(text).any(|named| named == id) => {
                    found.push(format!("{path} does not name {id}"));
                }
                Some(_) => {}
            }
        }
    }
    for (name, text) in sources {
        let unknown: BTreeSet<&str> = ids(text).filter(|id| !known.contains(id)).collect();
        found.extend(unknown.iter().map(|id| format!("{name} names {id}, which is no row of the table")));
    }
    found
}

#[test]
fn the_table_has_every_invariant_and_each_is_named_where_it_is_decided() {
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(rows(&document).len() > 20, "the table of invariants is not where it was");
    let told = files().into_iter().filter(|(name, _)| {
        let is_text = [".rs", ".sql", ".proto", ".py", ".md"].iter().any(|ending| name.ends_with(ending));
        // The tests of this rule plant ids that there are not.
        is_text && name != "tests/tests/tidy/invariants.rs"
    });
    let sources: Vec<_> = told.map(|(name, path)| (name, fs::read_to_string(path).unwrap())).collect();
    none(breaches(&document, &sources));
}

#[test]
fn an_invariant_that_is_named_nowhere_or_is_no_row_is_seen() {
    let document = format!(
        "| I-ELSE | | `no.rs` |\n{HEADING}\n\n| I-SEAT | a | `seats.rs`: why; `take.rs` | b |\n\
         | I-SEAT-ONCE | a | `seats.rs` | |\n| I-OLD | c | `gone.rs` | |\n| I-OLD | c | none | |\n"
    );
    let source = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let sources = [
        source("seats.rs", "// I-SEAT-ONCE: why\nlet i = AI-SEAT;\n"),
        source("take.rs", "// (I-SEAT). I-Mode, I-, I-B2\n"),
        source("README.md", "I-ELSE, I-SEAT"),
    ];
    assert_eq!(
        breaches(&document, &sources),
        [
            "seats.rs does not name I-SEAT",
            "I-OLD: gone.rs is not there",
            "I-OLD has two rows",
            "I-OLD is decided nowhere",
            "README.md names I-ELSE, which is no row of the table",
        ]
    );
}
