//! The rules of the house that no compiler knows: who may speak to what, how long a file may be, what must
//! not be left lying about.
#![allow(clippy::unwrap_used, reason = "tests")]

mod alerts;
mod changes;
mod invariants;
mod layers;
mod migrations;
mod sentences;
mod shape;
mod siblings;
mod vocabulary;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tests::mesh::SERVICES;

/// A question is asked at 500 lines.
const LONGEST: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file of the repository (nothing that is built, installed or made by running it), by its path from
/// the root.
fn files() -> Vec<(String, PathBuf)> {
    fn walk(dir: &Path, root: &Path, found: &mut Vec<(String, PathBuf)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                let made = matches!(name.as_str(), "target" | "node_modules" | ".git" | ".tools")
                    || path == root.join("data");
                if !made {
                    walk(&path, root, found);
                }
            } else {
                found.push((path.strip_prefix(root).unwrap().to_string_lossy().into_owned(), path));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &root(), &mut found);
    found.sort();
    found
}

/// The modules of the pages, and their tests.
fn modules() -> Vec<(String, String)> {
    let of_pages = |name: &str| name.starts_with("edge/pages/") || name.starts_with("tests/clients/pages/");
    let modules = files()
        .into_iter()
        .filter(|(name, _)| of_pages(name) && (name.ends_with(".js") || name.ends_with(".mjs")));
    modules.map(|(name, path)| (name, fs::read_to_string(path).unwrap())).collect()
}

fn rust() -> Vec<(String, String)> {
    let rust = files().into_iter().filter(|(name, _)| name.ends_with(".rs"));
    rust.map(|(name, path)| (name, fs::read_to_string(path).unwrap())).collect()
}

/// Lines that are code: no comments, and nothing from the first `#[cfg(test)]` on.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim()));
    lines.take_while(|(_, line)| *line != "#[cfg(test)]").filter(|(_, line)| !line.starts_with("//"))
}

/// Fails with every breach at once.
fn none(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "\n  {}", breaches.join("\n  "));
}

/// Whether a file is part of a service's layer; tests (`…tests.rs`, `tests/`) may use what they like.
fn in_layer(name: &str, layer: &str) -> bool {
    if name.ends_with("tests.rs") || name.contains("/tests/") {
        return false;
    }
    SERVICES.iter().any(|service| {
        name.starts_with(&format!("{service}/src/{layer}/")) || *name == format!("{service}/src/{layer}.rs")
    })
}

/// Breaches of "files of this layer must not say these words".
fn says(layer: &str, words: &[&str]) -> Vec<String> {
    says_of(&rust(), layer, words)
}

fn says_of(sources: &[(String, String)], layer: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in sources.iter().filter(|(name, _)| in_layer(name, layer)) {
        for (number, line) in code(text) {
            found.extend(
                words
                    .iter()
                    .filter(|word| line.contains(*word))
                    .map(|word| format!("{name}:{number}: {layer} must not know `{word}`")),
            );
        }
    }
    found
}

#[test]
fn no_file_is_too_long() {
    let long = |(name, text): &(String, String)| {
        let lines = text.lines().count();
        (lines > LONGEST).then(|| format!("{name} has {lines} lines, more than {LONGEST}"))
    };
    none(rust().iter().chain(&modules()).filter_map(long).collect());
}

#[test]
fn the_modules_of_the_pages_are_sent_say_what_they_are_and_have_no_long_lines() {
    let modules = modules();
    let pages = fs::read_to_string(root().join("edge/src/http/pages.rs")).unwrap();
    let mut found = Vec::new();
    for (name, text) in &modules {
        if let Some(module) = name.strip_prefix("edge/pages/")
            && !pages.contains(&format!("include_str!(\"../../pages/{module}\")"))
        {
            found.push(format!("{name} is not among the modules of edge/src/http/pages.rs"));
        }
        if !text.starts_with("// ") {
            found.push(format!("{name} does not begin with what it is"));
        }
        let long = text.lines().enumerate().filter(|(_, line)| line.chars().count() > 110);
        found.extend(long.map(|(at, _)| format!("{name}:{}: more than 110 columns", at + 1)));
    }
    assert!(modules.len() > 10, "the modules are where they are looked for");
    none(found);
}

/// Lines of tests: of files that are nothing else, and of others from the first `#[cfg(test)]` on.
fn tests_of<'a>(name: &str, text: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let all = name.starts_with("tests/src/")
        || name.contains("tests/tests/")
        || SERVICES.iter().any(|service| name.starts_with(&format!("{service}/tests/")))
        || name.starts_with("crates/chassis/tests/")
        || name.ends_with("tests.rs")
        || name.contains("/http/tests/")
        || name.contains("/conformance/");
    let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim()));
    lines
        .skip_while(move |(_, line)| !all && *line != "#[cfg(test)]")
        .filter(|(_, line)| !line.starts_with("//"))
}

/// What in a line limits how long this machine may take.
fn limits_time(line: &str) -> Option<&'static str> {
    let elapsed = line.split_once("elapsed()").map(|(_, rest)| rest.trim_start());
    let compared =
        elapsed.is_some_and(|rest| rest.starts_with('<') || rest.starts_with('>') && !rest.starts_with(">="));
    [
        (
            "tokio::time::timeout",
            line.contains("time::timeout") || line.contains("time::{") && line.contains("timeout"),
        ),
        ("a comparison with what has elapsed", compared),
        (
            "a comparison with a Duration",
            line.contains("< Duration::from_") || line.contains("..Duration::from_"),
        ),
    ]
    .into_iter()
    .find_map(|(what, is_there)| is_there.then_some(what))
}

/// Tests pass on a machine that is busy with something else. Limits are made by `chassis::testing::patience`,
/// which knows the machine; that something took at least so long may be said with `>=`.
#[test]
fn no_test_depends_on_how_fast_this_machine_is() {
    let mut found = Vec::new();
    for (name, text) in rust()
        .iter()
        .filter(|(name, _)| !name.ends_with("/patience.rs") && !name.starts_with("tests/tests/tidy/"))
    {
        let limits = tests_of(name, text).filter_map(|(number, line)| Some((number, limits_time(line)?)));
        found
            .extend(limits.map(|(number, what)| format!("{name}:{number}: {what}: see testing/patience.rs")));
    }
    none(found);
}

#[test]
fn a_limit_of_time_is_seen() {
    for line in [
        "assert!(begun.elapsed() < SOON);",
        "if begun.elapsed() > within {",
        "tokio::time::timeout(SOON, next).await",
        "time::{sleep, timeout},",
        "assert!(took < Duration::from_secs(2));",
        "assert!((MOMENT..Duration::from_secs(2)).contains(&took));",
    ] {
        assert!(limits_time(line).is_some(), "{line}");
    }
    for line in
        ["assert!(begun.elapsed() >= SOON);", "timeout(SOON, next).await", "Client::builder().timeout(SOON)"]
    {
        assert_eq!(limits_time(line), None, "{line}");
    }
}

#[test]
fn nothing_is_left_to_do() {
    let words = ["todo!", "unimplemented!", "dbg!", "FIXME", "XXX", "#[ignore"];
    let mut found = Vec::new();
    for (name, text) in rust().iter().filter(|(name, _)| !name.starts_with("tests/tests/tidy/")) {
        for (number, line) in text.lines().enumerate() {
            found.extend(
                words
                    .iter()
                    .filter(|word| line.contains(*word))
                    .map(|word| format!("{name}:{}: `{word}`", number + 1)),
            );
        }
    }
    none(found);
}

#[test]
fn every_source_file_says_what_it_is() {
    let generated = |name: &str| name.contains("/target/");
    let mute = rust().into_iter().filter(|(name, text)| !generated(name) && !text.starts_with("//!"));
    none(mute.map(|(name, _)| format!("{name} does not begin with what it is")).collect());
}

/// The targets of the links of a Markdown text that point into the repository.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("](") {
        let Some((target, tail)) = after.split_once(')') else { break };
        let path = target.split('#').next().unwrap_or_default();
        if !path.is_empty() && !path.contains("://") && !path.starts_with("mailto:") {
            found.push(path.to_owned());
        }
        rest = tail;
    }
    found
}

#[test]
fn documents_are_there_and_their_links_lead_somewhere() {
    let mut found: Vec<String> = Vec::new();
    let services = SERVICES.iter().map(|service| format!("{service}/README.md"));
    for name in ["README.md".to_owned(), "ARCHITECTURE.md".to_owned()].into_iter().chain(services) {
        if !root().join(&name).is_file() {
            found.push(format!("{name} is missing"));
        }
    }
    for (name, path) in files().into_iter().filter(|(name, _)| name.ends_with(".md")) {
        let dir = path.parent().unwrap();
        let dead =
            links(&fs::read_to_string(&path).unwrap()).into_iter().filter(|link| !dir.join(link).exists());
        found.extend(dead.map(|link| format!("{name}: {link} is not there")));
    }
    none(found);
}

/// A client of a typed language sees of a refusal what its schema names.
#[test]
fn what_a_refusal_tells_besides_is_named_in_the_api_document() {
    let members = fs::read_to_string(root().join("edge/src/http/members.rs")).unwrap();
    // Told in another member: the HTTP status has that name.
    let known = |key: &str| key == "status" || members.contains(&format!("key: \"{key}\""));
    let mut found = Vec::new();
    for (name, text) in rust()
        .iter()
        .filter(|(name, _)| SERVICES.iter().any(|service| name.starts_with(&format!("{service}/src/"))))
    {
        let keys = code(text)
            .filter(|_| !name.ends_with("tests.rs"))
            .flat_map(|(_, line)| line.split(".with(\"").skip(1));
        let unknown = keys.filter_map(|rest| rest.split('"').next()).filter(|key| !known(key));
        found.extend(unknown.map(|key| format!("{name}: `{key}` has no place in edge/src/http/members.rs")));
    }
    none(found);
}

#[test]
fn no_path_of_one_machine_is_written_down() {
    // Spelled apart, so that this file passes too.
    let words =
        [["/work", "/"].concat(), ["/home", "/"].concat(), ["/root", "/"].concat(), ["/Users", "/"].concat()];
    let mut found = Vec::new();
    for (name, path) in files() {
        if name == "Cargo.lock" || name == ".git" {
            continue;
        }
        let Ok(text) = fs::read_to_string(path) else { continue };
        for (number, line) in text.lines().enumerate() {
            found.extend(
                words
                    .iter()
                    .filter(|word| line.contains(*word))
                    .map(|word| format!("{name}:{}: {word}", number + 1)),
            );
        }
    }
    none(found);
}

#[test]
fn the_root_is_small() {
    let expected = [
        ".cargo",
        ".ci",
        ".containerignore",
        ".git",
        ".gitignore",
        ".tools",
        "ARCHITECTURE.md",
        "Cargo.lock",
        "Cargo.toml",
        "Containerfile",
        "LICENSE",
        "README.md",
        "SECURITY.md",
        "clippy.toml",
        "compose",
        "compose.yaml",
        "crates",
        "data",
        "deny.toml",
        "docs",
        "findings",
        "k8s",
        "proto",
        "rust-toolchain.toml",
        "rustfmt.toml",
        "target",
        "tests",
    ];
    let seen =
        fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    none(
        seen.filter(|name| !expected.into_iter().chain(SERVICES).any(|one| one == name))
            .map(|name| format!("{name} does not earn its place at the root"))
            .collect(),
    );
}

#[test]
fn cargo_run_means_the_launcher() {
    // Bare `cargo run` refuses to choose as soon as a second package names a program to be run.
    let manifests = files().into_iter().filter(|(name, _)| name.ends_with("Cargo.toml"));
    let named: Vec<_> = manifests
        .filter(|(_, path)| {
            fs::read_to_string(path).unwrap().lines().any(|line| line.starts_with("default-run"))
        })
        .map(|(name, _)| name)
        .collect();
    assert_eq!(named, ["crates/boxoffice/Cargo.toml"]);
}

/// The libraries that are compiled for these packages, each with its features, as cargo resolves them.
fn compiled(selected: &[&str]) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = ["tree", "--offline", "--locked", "--prefix", "none", "--format", "{p} {f}"];
    let told = Command::new(cargo).args(tree).args(selected).current_dir(root()).output().unwrap();
    assert!(told.status.success(), "{selected:?}: {}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout)
        .unwrap()
        .lines()
        .map(|line| line.trim_end_matches(" (*)").to_owned())
        .collect()
}

#[test]
fn one_feature_set_whatever_is_built() {
    // A library with other features is another library: it, and whatever stands on it, is compiled once more.
    let (built, tested) = (compiled(&["--workspace", "--edges", "no-dev"]), compiled(&["--workspace"]));
    let mut found: Vec<_> = built
        .difference(&tested)
        .map(|one| format!("tests of the workspace compile another {one}"))
        .collect();
    for package in SERVICES.into_iter().chain(["boxoffice", "chassis", "tests", "bench", "simulation"]) {
        let alone = compiled(&["-p", package, "--edges", "no-dev"]);
        assert!(alone.len() > 100, "{package}: {alone:?}");
        found.extend(
            alone
                .difference(&built)
                .map(|one| format!("-p {package} compiles another {one}: see crates/features")),
        );
    }
    none(found);
}

/// The literals behind a word of code, such as the names in `metrics::counter!("name", …)`.
fn literals<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(word).skip(1).map(|after| {
        after.trim_start().strip_prefix('"').and_then(|after| after.split('"').next()).unwrap_or("?")
    })
}

#[test]
fn every_metric_is_described_and_named_by_the_rules() {
    let (mut found, mut described, mut used) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    for (name, text) in
        rust().iter().filter(|(name, _)| !name.starts_with("tests/") && !name.contains("/tests/"))
    {
        let code: String =
            text.lines().filter(|line| !line.trim().starts_with("//")).collect::<Vec<_>>().join("\n");
        if let Some((_, table)) = code.split_once("MEASURES: &[Described] = &[") {
            let texts: Vec<&str> = table.split('"').skip(1).step_by(2).collect();
            for row in texts.chunks(2) {
                let [metric, meaning] = row else { panic!("{name}: {row:?}") };
                if described.insert((*metric).to_owned(), name.clone()).is_some() || meaning.len() < 10 {
                    found.push(format!("{name}: {metric} is described twice, or hardly"));
                }
            }
        }
        for (kind, ends) in
            [("counter", &["_total"][..]), ("histogram", &["_seconds", "_size", "_bytes"]), ("gauge", &[])]
        {
            for metric in literals(&code, &format!("metrics::{kind}!(")).filter(|metric| *metric != "?") {
                let right = if ends.is_empty() {
                    !metric.ends_with("_total")
                } else {
                    ends.iter().any(|end| metric.ends_with(end))
                };
                if !right {
                    found.push(format!("{name}: a {kind} is not called {metric}"));
                }
                used.insert(metric.to_owned());
            }
        }
    }
    assert!(used.len() > 30, "{used:?}");
    found.extend(
        used.iter()
            .filter(|metric| !described.contains_key(*metric))
            .map(|metric| format!("{metric} is not described")),
    );
    found.extend(
        described
            .iter()
            .filter(|(metric, _)| !used.contains(*metric))
            .map(|(metric, name)| format!("{name}: no {metric}")),
    );
    none(found);
}

#[test]
fn functions_are_short() {
    // By indentation: rustfmt closes a function at the column where it began.
    let mut found = BTreeMap::new();
    for (name, text) in rust().into_iter().filter(|(name, _)| !name.contains("/tests/")) {
        let lines: Vec<_> = text.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            let trimmed = line.trim_start();
            let starts = [
                "fn ",
                "pub fn ",
                "async fn ",
                "pub async fn ",
                "pub(crate) fn ",
                "pub(crate) async fn ",
                "pub const fn ",
                "const fn ",
            ];
            if !starts.iter().any(|start| trimmed.starts_with(start))
                || line.ends_with(';')
                || line.ends_with('}')
            {
                continue;
            }
            let close = format!("{}}}", &line[..line.len() - trimmed.len()]);
            let length = lines[i..].iter().position(|line| *line == close).unwrap_or(0) + 1;
            if length > 70 {
                found.insert(format!("{name}:{}", i + 1), length);
            }
        }
    }
    none(found.into_iter().map(|(place, length)| format!("{place}: a function of {length} lines")).collect());
}
