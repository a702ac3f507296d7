//! The section of ARCHITECTURE.md that tells which files a change touches, held against the tree.

use std::{collections::BTreeSet, fs};

use crate::{SERVICES, files, none, root};

/// The section, whose items name files.
const SECTION: &str = "## To change something";

/// A kind of change whose list of files is held against the tree by one example of what it adds.
struct Change {
    /// How its item in the document begins.
    item: &'static str,
    /// How the example is written.
    spellings: &'static [&'static str],
    /// Whether a file is among those that such a change may touch.
    is_touched: fn(&str) -> bool,
    /// How many files it touches at most.
    most: usize,
}

const SERVICE: &str = "A service";
const CHANGES: [Change; 3] = [
    Change {
        item: "A show's field",
        spellings: &["duration_minutes", "durationMinutes", "DURATION_MINUTES"],
        is_touched: is_code,
        most: 12,
    },
    Change {
        item: "A queue's knob",
        spellings: &["show_up_within", "showUpWithinSeconds", "show-up-within", "SHOW_UP_WITHIN"],
        is_touched: is_code,
        most: 6,
    },
    Change {
        item: SERVICE,
        spellings: &["booking-svc", "booking_svc"],
        is_touched: |name| is_deployment(name) && !name.starts_with("booking-svc/"),
        most: 24,
    },
];

/// Production code. The audit reads the tables on purpose by itself.
fn is_code(name: &str) -> bool {
    [".rs", ".proto", ".sql"].iter().any(|ending| name.ends_with(ending))
        && !name.contains("tests/")
        && !name.ends_with("tests.rs")
        && !name.contains("/examples/")
        && !name.starts_with("crates/audit/")
}

/// What builds, starts, connects and deploys programs, in tests too. Tests themselves may name who they like.
fn is_deployment(name: &str) -> bool {
    !name.starts_with("tests/tests/")
        && [".rs", ".toml", ".yaml", ".py"].iter().any(|ending| name.ends_with(ending))
        || name == "Containerfile"
}

/// The items of the section, each with how it begins.
fn items(document: &str) -> impl Iterator<Item = &str> {
    let section = document.split_once(SECTION).map_or("", |(_, rest)| rest);
    section.split("\n## ").next().unwrap_or_default().split("\n- **").skip(1)
}

/// The files that the document names in an item. A file at the root counts only when it is there.
fn listed<'a>(item: &'a str, tree: &BTreeSet<&str>) -> BTreeSet<&'a str> {
    let quoted = item.split('`').skip(1).step_by(2);
    quoted.filter(|text| tree.contains(text) || text.contains('/') && !text.ends_with('/')).collect()
}

/// Whether code, without its comments and its tests, has one of these words.
fn names(file: &str, text: &str, words: &[&str]) -> bool {
    let comment = match file.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "sql" => "--",
        "rs" | "proto" => "//",
        _ => "#",
    };
    let mut lines = text.lines().map(str::trim).take_while(|line| *line != "#[cfg(test)]");
    lines.any(|line| !line.starts_with(comment) && words.iter().any(|word| has_word(line, word)))
}

/// Whether a line has a word that is not a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(is_inside) && !line[at + word.len()..].starts_with(is_inside))
}

/// What is wrong with the document's lists, for these files and their texts.
fn breaches(document: &str, sources: &[(String, String)]) -> Vec<String> {
    let tree: BTreeSet<&str> = sources.iter().map(|(name, _)| name.as_str()).collect();
    let mut found = Vec::new();
    for item in items(document) {
        let unknown = listed(item, &tree).into_iter().filter(|file| !tree.contains(file));
        found.extend(unknown.map(|file| format!("{file} is not there: {}", heading(item))));
    }
    for change in CHANGES {
        let item = items(document).find(|item| heading(item) == change.item).unwrap_or_default();
        let listed = listed(item, &tree);
        let naming = sources
            .iter()
            .filter(|(name, text)| (change.is_touched)(name) && names(name, text, change.spellings));
        let naming: BTreeSet<&str> = naming.map(|(name, _)| name.as_str()).collect();
        let (what, example) = (change.item, change.spellings[0]);
        found.extend(naming.difference(&listed).map(|file| format!("{file} names {example}: {what}")));
        found
            .extend(listed.difference(&naming).map(|file| format!("{file} does not name {example}: {what}")));
        if naming.len() > change.most {
            found.push(format!("{example} stands in {} files, more than {}", naming.len(), change.most));
        }
    }
    found
}

/// How an item begins.
fn heading(item: &str) -> &str {
    item.split("**").next().unwrap_or_default()
}

/// Which services a file leaves out although it names most of them: it lists them, and not all.
fn left_out(file: &str, text: &str) -> Vec<String> {
    let is_named = |service: &&str| names(file, text, &[service, &service.replace('-', "_")]);
    let (named, missing): (Vec<_>, Vec<_>) = SERVICES.into_iter().partition(is_named);
    let lists = named.len() > SERVICES.len() / 2;
    missing.into_iter().filter(|_| lists).map(|service| format!("{file} leaves out {service}")).collect()
}

/// Every file of the tree with its text, as far as it is one.
fn sources() -> Vec<(String, String)> {
    let read = |(name, path)| (name, fs::read_to_string(path).unwrap_or_default());
    files().into_iter().map(read).collect()
}

fn architecture() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

#[test]
fn a_change_touches_the_files_that_the_document_lists() {
    none(breaches(&architecture(), &sources()));
}

#[test]
fn what_lists_the_services_lists_them_all() {
    let programs = files().into_iter().filter_map(|(name, _)| {
        let (folder, rest) = name.split_once('/')?;
        (rest == "src/main.rs").then(|| folder.to_owned())
    });
    let there: BTreeSet<String> = programs.collect();
    assert_eq!(there, SERVICES.map(str::to_owned).into(), "the folders at the root that are programs");
    let (document, sources) = (architecture(), sources());
    let tree = sources.iter().map(|(name, _)| name.as_str()).collect();
    let item = items(&document).find(|item| heading(item) == SERVICE).unwrap_or_default();
    let listed = listed(item, &tree);
    let lists = sources.iter().filter(|(name, _)| listed.contains(name.as_str()));
    none(lists.flat_map(|(name, text)| left_out(name, text)).collect());
}

#[test]
fn a_file_that_is_missing_from_a_list_or_does_not_belong_there_is_seen() {
    let source = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let document = format!(
        "`z/z.rs`\n{SECTION}\n\nText.\n\n- **A show's field**, as it is: `a/b.rs` (in `c`),\n  `d/e.sql`, `d/`.\n\
         - **A queue's knob**: `k.rs`, `gone.rs`, `gone/x.rs`.\n- **A service**: `compose.yaml`.\n\n## Next\n\n- **A rule**: `f/g.rs`"
    );
    let mut tree = vec![
        source("a/b.rs", "let a = show.duration_minutes;"),
        source("d/e.sql", "-- duration_minutes\n"),
        source("h/i.rs", "// duration_minutes\nfn f() {}\n#[cfg(test)]\nfn duration_minutes() {}\n"),
        source("h/j.rs", "#[schema(\"durationMinutes\")]"),
        source("tests/k.rs", "duration_minutes"),
        source("k.rs", "policy.show_up_within;\nshow_up_within_2"),
        source("compose.yaml", "command: booking-svc # the second"),
        source("booking-svc/src/a.rs", "booking_svc"),
        source("k8s/base.yaml", "name: migrate-booking-svc-1"),
    ];
    assert_eq!(
        breaches(&document, &tree),
        [
            "gone/x.rs is not there: A queue's knob",
            "h/j.rs names duration_minutes: A show's field",
            "d/e.sql does not name duration_minutes: A show's field",
            "gone/x.rs does not name show_up_within: A queue's knob",
            "k8s/base.yaml names booking-svc: A service",
        ]
    );
    tree.extend((0..7).map(|n| source(&format!("more/{n}.rs"), "show_up_within")));
    assert!(breaches(&document, &tree).iter().any(|one| one.ends_with("files, more than 6")));
}

#[test]
fn a_list_of_services_without_one_of_them_is_seen() {
    let list = |text: &str| left_out("compose.yaml", text);
    assert_eq!(list("queue-svc, booking_svc, edge"), ["compose.yaml leaves out wallet-svc"]);
    assert_eq!(list("queue-svc booking-svc wallet-svc\n# edge\nhedge"), ["compose.yaml leaves out edge"]);
    assert!(list("queue-svc booking-svc wallet-svc migrate-edge").is_empty());
    assert!(list("booking-svc and wallet-svc have a currency in common").is_empty());
}
