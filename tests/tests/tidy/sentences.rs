//! Documentation is written in plain sentences: the `///` and `//!` comments of the code, and the comments of
//! the protos, of which generated clients and documents are made.
//!
//! A test knows no grammar. What is checked here can be decided by looking at words, and no good sentence
//! breaks it.

use std::fs;

use crate::{files, none};

/// Phrases that say something only to those who know it already. Each stood in a comment once, where nobody
/// else understood it.
const RIDDLES: [&str; 17] = [
    "as far as what",
    "been ours",
    "by whomever",
    "comes true",
    "for company",
    "for want of",
    "lets time",
    "likewise.",
    "no telling",
    "so long after",
    "tells nothing",
    "to nothing",
    "wait in vain",
    "waited in vain",
    "wants to be",
    "what is done around",
    "whoever comes first",
];

/// A text without any of these is a label such as `Wallet flags.`
const SENTENCE_WORDS: [&str; 68] = [
    "a", "after", "all", "an", "and", "any", "are", "as", "at", "be", "before", "between", "both", "but",
    "by", "can", "did", "do", "does", "each", "every", "for", "from", "had", "has", "have", "how", "if",
    "in", "into", "is", "it", "its", "may", "must", "no", "not", "nothing", "of", "on", "one", "only", "or",
    "over", "since", "some", "than", "that", "the", "their", "these", "they", "this", "those", "to", "under",
    "until", "up", "was", "were", "what", "when", "where", "whether", "which", "while", "who", "with",
];

/// How a question begins. A comment answers, and does not ask.
const ASKING: [&str; 16] = [
    "Is", "Are", "Was", "Were", "Does", "Do", "Did", "Has", "Have", "Had", "May", "Must", "Can", "Could",
    "Will", "Would",
];

/// How a comment begins that cannot be read without the one before it.
const LIKE_BEFORE: [&str; 9] = [
    "The same,",
    "The same as ",
    "The same but ",
    "The same for ",
    "The same in ",
    "The same of ",
    "The same to ",
    "The same where ",
    "The same with ",
];

/// The derives of clap, for which comments become the help of commands and flags. These are titles, as are
/// the comments on the handlers of paths, and a title has no full stop.
const COMMANDS: [&str; 4] = ["Args", "Parser", "Subcommand", "ValueEnum"];

/// One comment that documents something.
#[derive(Default)]
struct Comment {
    /// A title of a command, a flag or an operation.
    is_title: bool,
    paragraphs: Vec<Paragraph>,
}

/// Lines that follow each other, as one text. Lists, tables, headings and code belong to none.
#[derive(Default)]
struct Paragraph {
    /// The number of its first line.
    line: usize,
    text: String,
    /// Whether a list or code follows directly.
    introduces: bool,
}

/// What a line says after the marker of a comment that documents something.
fn said<'a>(name: &str, line: &'a str) -> Option<&'a str> {
    let markers: &[&str] = if name.ends_with(".proto") { &["//"] } else { &["///", "//!"] };
    let rest = markers.iter().find_map(|marker| line.trim_start().strip_prefix(marker))?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(' ') }
}

/// Whether this line begins the tests of a file.
fn begins_tests(lines: &[&str], at: usize) -> bool {
    let item = lines[at + 1..].iter().map(|line| line.trim()).find(|line| !line.starts_with("#["));
    lines[at].trim() == "#[cfg(test)]"
        && item.is_some_and(|item| item.starts_with("mod ") && item.ends_with('{'))
}

/// Whether an attribute says that comments are shown to users as titles.
fn shows_titles(attribute: &str) -> bool {
    let derives = attribute.starts_with("#[derive(") && COMMANDS.iter().any(|name| attribute.contains(name));
    derives || ["#[arg(", "#[command(", "#[utoipa::path"].iter().any(|begin| attribute.starts_with(begin))
}

/// The comments of a file that document something, up to its tests.
fn comments(name: &str, text: &str) -> Vec<Comment> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut found, mut at, mut in_titles) = (Vec::new(), 0, false);
    while at < lines.len() && !begins_tests(&lines, at) {
        let comment = lines[at..].iter().map_while(|line| said(name, line)).collect::<Vec<_>>();
        if comment.is_empty() {
            in_titles = lines[at] != "}" && (in_titles || shows_titles(lines[at]));
            at += 1;
            continue;
        }
        let first = at + 1;
        at += comment.len();
        let mut attributes =
            lines[at..].iter().map(|line| line.trim()).take_while(|line| line.starts_with("#["));
        let is_title = in_titles || attributes.any(shows_titles);
        found.push(Comment { is_title, paragraphs: paragraphs(first, &comment) });
    }
    found
}

/// The paragraphs of a comment whose first line has this number.
fn paragraphs(first: usize, lines: &[&str]) -> Vec<Paragraph> {
    let (mut found, mut open) = (Vec::new(), Paragraph::default());
    let (mut in_code, mut in_list) = (false, false);
    let mut close = |open: &mut Paragraph, introduces: bool| {
        let paragraph = Paragraph { introduces, ..std::mem::take(open) };
        found.extend(Some(paragraph).filter(|paragraph| !paragraph.text.is_empty()));
    };
    for (line, number) in lines.iter().zip(first..) {
        let fence = line.starts_with("```");
        let heads = line.starts_with('#') || (line.starts_with('[') && line.contains("]: "));
        let lists = ["- ", "* ", "|", "    "].iter().any(|begin| line.starts_with(begin))
            || line.split_once(". ").is_some_and(|(number, _)| number.parse::<u8>().is_ok());
        if fence || heads || lists || line.is_empty() || in_code {
            close(&mut open, fence || lists);
            in_code ^= fence;
            in_list = lists;
        } else if !in_list {
            if open.text.is_empty() {
                open.line = number;
            } else {
                open.text.push(' ');
            }
            open.text.push_str(line);
        }
    }
    close(&mut open, false);
    found
}

/// Whether a paragraph begins with a capital, a digit, code, a link, or a name that is written otherwise.
fn is_begun(text: &str) -> bool {
    let word = text.split(' ').next().unwrap_or_default();
    let starts = word.starts_with(|c: char| c.is_uppercase() || c.is_numeric() || "`[\"(*<“".contains(c));
    starts || word.trim_end_matches([',', '.', ':', ';']).contains(|c: char| !c.is_lowercase())
}

/// Whether a paragraph ends as a sentence does.
fn is_ended(text: &str) -> bool {
    text.trim_end_matches(['"', '”', ')', '*', '`']).ends_with(['.', '!', '?', ':', '…'])
}

/// Whether the first paragraph of a comment names a thing and says nothing about it.
fn is_fragment(text: &str) -> bool {
    let words: Vec<&str> = text.split(' ').collect();
    words.len() <= 2
        || words.len() == 3 && ["Its", "Their", "Whose", "Which", "What", "Who"].contains(&words[0])
}

/// Whether a text has one of the words that sentences are made with, or begins with a verb such as `Reads` or
/// `Reading`.
fn is_sentence(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let lower = text.to_lowercase();
    let has = lower.split(|c: char| !c.is_alphanumeric()).any(|word| SENTENCE_WORDS.contains(&word));
    has || words
        .next()
        .is_some_and(|first| first.len() > 3 && (first.ends_with('s') || first.ends_with("ing")))
}

/// What is wrong with a paragraph; `leads` says that it is the first of its comment.
fn wrong(paragraph: &Paragraph, leads: bool, is_title: bool) -> Vec<String> {
    let text = paragraph.text.as_str();
    let words: Vec<&str> = text.split(' ').collect();
    let lower = text.to_lowercase();
    let mut found = Vec::new();
    let mut add = |wrong: bool, what: &str| found.extend(wrong.then(|| what.to_owned()));
    add(!is_begun(text), "begins in the middle of a sentence");
    add(!is_title && !paragraph.introduces && !is_ended(text), "ends in the middle of a sentence");
    add(leads && !is_title && is_fragment(text), "names a thing and says nothing about it");
    add(leads && !is_title && !is_fragment(text) && !is_sentence(text), "is a label and no sentence");
    add(
        leads && ASKING.contains(&words[0]) && text.ends_with('?'),
        "asks: say what is answered (`Whether …`)",
    );
    add(leads && LIKE_BEFORE.iter().any(|begin| text.starts_with(begin)), "does not say what is the same");
    add(words.len() <= 3 && text.ends_with("'s."), "does not say what of it");
    add(
        words[0] == "So" && ["few", "long", "many", "much", "often"].contains(words.get(1).unwrap_or(&"")),
        "does not say how many or how long",
    );
    found.extend(RIDDLES.iter().filter(|riddle| lower.contains(*riddle)).map(|riddle| format!("`{riddle}`")));
    found
}

/// Every breach in a file.
fn breaches(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for Comment { is_title, paragraphs } in comments(name, text) {
        for (paragraph, nth) in paragraphs.iter().zip(0..) {
            let wrong = wrong(paragraph, nth == 0, is_title);
            let at = paragraph.line;
            found.extend(wrong.into_iter().map(|wrong| format!("{name}:{at}: {wrong}: {}", paragraph.text)));
        }
    }
    found
}

/// Tests and what only they use tell stories of their own.
fn is_test(name: &str) -> bool {
    ["tests/", "/examples/", "/conformance/"].iter().any(|folder| name.contains(folder))
        || name.ends_with("tests.rs")
        || name.ends_with("/fakes.rs")
}

#[test]
fn documentation_is_written_in_sentences() {
    let written = files()
        .into_iter()
        .filter(|(name, _)| (name.ends_with(".rs") && !is_test(name)) || name.ends_with(".proto"));
    none(written.flat_map(|(name, path)| breaches(&name, &fs::read_to_string(path).unwrap())).collect());
}

#[test]
fn what_is_no_sentence_is_seen() {
    for (comment, what) in [
        ("of a hold.", "begins in the middle"),
        ("The holds of a user", "ends in the middle"),
        ("The holds.\n\nand of their seats.", "begins in the middle"),
        ("Its name.", "says nothing about it"),
        ("The id.", "says nothing about it"),
        ("Whose it is.", "says nothing about it"),
        ("Many wallet flags.", "is a label"),
        ("Is this hold live?", "asks"),
        ("The same for a show.", "what is the same"),
        ("Reads a hold.\n\n# Errors\nThe database's.", "what of it"),
        ("So many are held at once.", "how many"),
        ("Whether it\ncomes true after a while.", "`comes true`"),
    ] {
        let found = |name: &str, marker: &str| {
            let lines: Vec<String> =
                comment.lines().map(|line| format!("{marker} {line}").trim_end().to_owned()).collect();
            breaches(name, &format!("code();\n{}\nfn f() {{}}\n", lines.join("\n")))
        };
        for (name, marker) in [("a/src/a.rs", "    ///"), ("a/src/a.rs", "//!"), ("a.proto", "  //")] {
            let found = found(name, marker);
            assert!(found.iter().any(|breach| breach.contains(what)), "{comment}: {found:?}");
        }
        assert_eq!(found("a/src/a.rs", "    //"), [""; 0], "not documentation");
    }
}

#[test]
fn a_breach_is_told_with_its_place_once() {
    let text = "//! A file.\n//!\n//! - a list\n\n/// Holds seats.\n///\n/// ```text\n/// code\n/// ```\n/// its end.\nfn f() {}\n";
    assert_eq!(
        breaches("a.rs", text),
        [
            "a.rs:1: names a thing and says nothing about it: A file.",
            "a.rs:5: names a thing and says nothing about it: Holds seats.",
            "a.rs:10: begins in the middle of a sentence: its end.",
        ]
    );
}

#[test]
fn good_sentences_titles_lists_and_code_pass() {
    let good = "//! gRPC in, SQL out: what a door does.\n//!\n//! It is this:\n//! - a list\n//!   of two lines\n//!\n//! | a | table |\n\
        \n/// `None` when nobody waits (see [`Queue`]).\n///\n/// # Errors\n/// PAYMENT_NOT_FOUND.\nfn f() {}\n\
        \n/// Hold seats\n#[utoipa::path(post)]\nfn g() {}\n\
        \n/// The mesh\n#[derive(Parser)]\nstruct Args {\n    /// Port\n    port: u16,\n    /// Where to serve gRPC\n    #[arg(long)]\n    addr: u16,\n}\n\
        \n#[cfg(test)]\nmod more;\n/// The wait, in seconds.\nconst A: u8 = 1;\n#[cfg(test)]\nmod tests {\n    /// Its name.\n    const B: u8 = 1;\n}\n";
    assert_eq!(breaches("a.rs", good), [""; 0]);
}
