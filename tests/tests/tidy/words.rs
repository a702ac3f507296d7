//! How code is told: the width of a comment.

use std::fs;

use crate::{files, none};

/// Columns of a line. rustfmt keeps code within it; what it cannot break are texts.
const WIDEST: usize = 110;

/// The numbers of the comment lines that are too wide.
fn too_wide(text: &str) -> impl Iterator<Item = usize> {
    let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line));
    lines
        .filter(|(_, line)| line.trim_start().starts_with("//") && line.chars().count() > WIDEST)
        .map(|(number, _)| number)
}

#[test]
fn comments_fit_the_width() {
    let mut found = Vec::new();
    for (name, path) in
        files().into_iter().filter(|(name, _)| name.ends_with(".rs") || name.ends_with(".proto"))
    {
        let text = fs::read_to_string(path).unwrap();
        found.extend(
            too_wide(&text).map(|number| format!("{name}:{number}: a comment wider than {WIDEST} columns")),
        );
    }
    none(found);
}

#[test]
fn a_comment_that_is_too_wide_is_seen() {
    let wide = format!("    // {}", "a".repeat(WIDEST));
    let right = format!("let code = \"{}\";\n/// {}\n", "a".repeat(WIDEST), "é".repeat(WIDEST - 4));
    assert_eq!(too_wide(&format!("{right}{wide}")).collect::<Vec<_>>(), [3]);
}
