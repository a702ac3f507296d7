//! The lists of ARCHITECTURE.md that tell which files a change touches, held against the tree.

use std::{collections::BTreeSet, fs};

use crate::{files, none, root};

/// A change, how the document's list of its files begins, one example of what it adds, and how many files it
/// may touch at most.
const CHANGES: [(&str, &str, usize); 1] = [("To add a knob to a queue:", "show_up_within", 6)];

/// The files that the document names after these words, up to the end of the paragraph.
fn listed(document: &str, words: &str) -> BTreeSet<String> {
    let paragraph =
        document.split_once(words).map_or("", |(_, rest)| rest.split("\n\n").next().unwrap_or(""));
    let quoted = paragraph.split('`').skip(1).step_by(2).filter(|text| text.contains('/'));
    quoted.map(str::to_owned).collect()
}

/// Code without comments and tests.
fn production<'a>(name: &str, text: &'a str) -> impl Iterator<Item = &'a str> {
    let comment = if name.ends_with(".sql") { "--" } else { "//" };
    text.lines()
        .map(str::trim)
        .take_while(|line| *line != "#[cfg(test)]")
        .filter(move |line| !line.starts_with(comment))
}

/// The files of production code that name this. The audit reads the tables on purpose by itself.
fn naming(word: &str) -> BTreeSet<String> {
    let code = files().into_iter().filter(|(name, _)| {
        [".rs", ".proto", ".sql"].iter().any(|ending| name.ends_with(ending))
            && !name.contains("tests/")
            && !name.ends_with("tests.rs")
            && !name.contains("/examples/")
            && !name.starts_with("crates/audit/")
    });
    let names = code.filter(|(name, path)| {
        let text = fs::read_to_string(path).unwrap();
        production(name, &text).any(|line| line.contains(word))
    });
    names.map(|(name, _)| name).collect()
}

#[test]
fn a_change_touches_the_files_that_the_document_lists() {
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut found = Vec::new();
    for (words, example, most) in CHANGES {
        let (listed, naming) = (listed(&document, words), naming(example));
        found.extend(naming.difference(&listed).map(|file| format!("{file} names {example}: {words}")));
        found.extend(
            listed.difference(&naming).map(|file| format!("{file} does not name {example}: {words}")),
        );
        if naming.len() > most {
            found.push(format!("{example} stands in {} files, more than {most}", naming.len()));
        }
    }
    none(found);
}

#[test]
fn a_list_is_read_up_to_the_end_of_its_paragraph() {
    let document = "**To do it:** `a/b.rs` (in `c`),\n`d/e.sql`.\n\n`f/g.rs`";
    assert_eq!(listed(document, "To do it:"), ["a/b.rs", "d/e.sql"].map(str::to_owned).into());
}
