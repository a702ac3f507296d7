//! The pages and what they load, as they stand in the program.

#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;

fn headers(header: &HeaderName, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(header.clone(), HeaderValue::from_static(value))])
}

#[test]
fn a_page_speaks_the_language_that_is_liked_best() {
    for (accepted, spoken) in [
        ("", "en"),
        ("fr, de;q=0.5", "en"),
        ("ko", "ko"),
        ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko"),
        ("en-US,en;q=0.9,ko;q=0.8", "en"),
        ("fr, EN;q=0.5, KO;q=0.55", "ko"),
        ("ko;q=0", "en"),
        ("ko;q=x, en;q=0.1", "en"),
    ] {
        assert_eq!(language(&headers(&header::ACCEPT_LANGUAGE, accepted)).language, spoken, "{accepted}");
    }
}

#[test]
fn json_is_for_who_asks_for_it_and_for_no_browser() {
    for (accepted, json) in [
        ("application/json", true),
        ("text/plain, application/json;q=0.5", true),
        ("*/*", false),
        ("text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8", false),
        ("application/json;q=0", false),
        ("text/html;q=0.1, application/json", true),
        ("application/json, text/html", false),
    ] {
        assert_eq!(wants_json(&headers(&header::ACCEPT, accepted)), json, "{accepted}");
    }
}

#[test]
fn every_refusal_has_words_in_both_languages() {
    let text = |name: &str| BUYERS.iter().find(|(module, _)| *module == name).unwrap().1;
    for reason in boxoffice_proto::Reason::ALL.iter().map(|reason| reason.as_str()) {
        // Its words depend on what else the refusal tells.
        if text("words.js").contains(&format!("code === \"{reason}\"")) {
            continue;
        }
        for language in ["english.js", "korean.js"] {
            assert!(text(language).contains(&format!(" {reason}:")), "{language} has no words for {reason}");
        }
    }
}

fn is_of_buyers(name: &str) -> bool {
    !name.starts_with("operator/")
}

#[test]
fn every_module_that_another_names_is_there_and_what_a_page_loads_is_small() {
    let all: Vec<_> = BUYERS.iter().chain(LATER).chain(OPERATORS).collect();
    let found = |name: &str| all.iter().any(|(module, _)| *module == name);
    let is_later = |name: &str| LATER.iter().any(|(later, _)| *later == name);
    for (name, text) in &all {
        let code = bare(text);
        // What one stands on, and what it loads later.
        let parts = [(" from \"", true), ("await import(\"", false), (" import(\"", false)];
        let named = parts.into_iter().flat_map(|(before, at_once)| {
            code.split(before).skip(1).filter_map(move |rest| Some((rest.split('"').next()?, at_once)))
        });
        for (named, at_once) in named.filter(|(named, _)| !named.ends_with("/types.js")) {
            let folder = name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            let other = match named.strip_prefix("../") {
                Some(above) => above.to_owned(),
                None => folder + named.strip_prefix("./").unwrap(),
            };
            assert!(found(&other), "{name} needs {named}");
            assert!(!is_of_buyers(name) || is_of_buyers(&other), "buyers load {other}");
            let is_hinted = is_of_buyers(name) || !is_of_buyers(&other) || SHARED.contains(&&*other);
            assert!(is_hinted, "the box office is not told of {other}");
            let may_wait = !is_of_buyers(name) || is_later(name) || !at_once;
            assert!(may_wait || !is_later(&other), "{other} is loaded at once for {name}");
        }
    }
    let of_buyers = PARTS.parts.iter().filter(|part| is_of_buyers(part.name) && !is_later(part.name));
    let sent: usize = of_buyers.map(|part| part.zipped.len()).sum();
    // With headers, the document and what it asks for it has to be below 60 KB.
    assert!(sent < 30_000, "{sent} bytes");
}

#[test]
fn comments_are_not_sent_and_code_and_the_numbers_of_lines_are() {
    let written = "// What it is.\n\n/** One. */\nlet a = 1; // one\n  /**\n   * Two\n   */\n  \
                   /** @type {any} */ (b).c(\"//\");\n";
    let sent = "\n\n\nlet a = 1; // one\n\n\n\n  /** @type {any} */ (b).c(\"//\");\n";
    assert_eq!(bare(written), sent);
    for (name, text) in BUYERS.iter().chain(LATER).chain(OPERATORS) {
        // Within a text of several lines a line may look like a comment and be none.
        let is_open = |line: &&str| line.matches('`').count() % 2 == 1;
        assert_eq!(text.lines().find(is_open), None, "{name}");
        assert_eq!(bare(text).lines().count(), text.lines().count(), "{name}");
    }
}
