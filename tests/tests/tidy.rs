//! The rules of the house that no compiler knows: who may speak to what, how long a file may be, what must not be left lying about.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const SERVICES: [&str; 4] = ["queue-svc", "booking-svc", "wallet-svc", "edge"];
/// A question is asked at 500 lines.
const LONGEST: usize = 500;
/// The newest migration of release 0.1.0, in both dialects. Up to it a migration was free to change what it liked.
const RELEASED: [(&str, u32); 4] = [("queue-svc", 2), ("booking-svc", 2), ("wallet-svc", 1), ("edge", 4)];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file of the repository (nothing that is built, installed or made by running it), by its path from the root.
fn files() -> Vec<(String, PathBuf)> {
    fn walk(dir: &Path, root: &Path, found: &mut Vec<(String, PathBuf)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                let made = matches!(name.as_str(), "target" | "node_modules" | ".git" | ".tools") || path == root.join("data");
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

/// Whether a file is part of a service's layer; tests beside the code (`…tests.rs`) may use what they like.
fn in_layer(name: &str, layer: &str) -> bool {
    if name.ends_with("tests.rs") {
        return false;
    }
    SERVICES
        .iter()
        .any(|service| name.starts_with(&format!("{service}/src/{layer}/")) || *name == format!("{service}/src/{layer}.rs"))
}

/// Breaches of "files of this layer must not say these words".
fn says(layer: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in rust().iter().filter(|(name, _)| in_layer(name, layer)) {
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
fn the_domain_knows_no_io_no_wire_and_no_clock() {
    let words = [
        "sqlx",
        "tonic",
        "prost",
        "boxoffice_proto::booking",
        "boxoffice_proto::checkout",
        "boxoffice_proto::queue",
        "boxoffice_proto::wallet",
        "axum",
        "reqwest",
        "tokio",
        "async fn",
        "chassis::db",
        "SystemTime",
        "Instant::now",
        "new_v4",
        "rand::",
    ];
    none(says("domain", &words));
}

#[test]
fn the_grpc_layer_knows_no_sql() {
    none(says("grpc", &["sqlx", "chassis::db", "args!"]));
}

#[test]
fn the_http_layer_knows_no_sql() {
    none(says("http", &["sqlx", "chassis::db", "args!"]));
}

#[test]
fn the_use_cases_know_no_wire() {
    none(says("app", &["sqlx", "axum", "prost", "tonic::Status", "tonic::Request"]));
}

#[test]
fn sql_is_written_in_the_store_alone() {
    let mut found = Vec::new();
    let spoken = ["SELECT ", "INSERT INTO ", "DELETE FROM ", "UPDATE ", "FOR UPDATE"];
    for (name, text) in &rust() {
        let allowed = in_layer(name, "store")
            || name.starts_with("crates/chassis/src/")
            // The judge reads tables, and shares no code with who writes them.
            || name.starts_with("crates/audit/src/")
            || name.starts_with("tests/")
            || name.contains("/tests/");
        if allowed || name.ends_with("tests.rs") || name.contains("conformance") {
            continue;
        }
        for (number, line) in code(text) {
            let quoted = |word: &&&str| line.contains(&format!("\"{word}")) || line.starts_with(**word);
            found.extend(spoken.iter().filter(quoted).map(|word| format!("{name}:{number}: `{word}` outside of store/")));
        }
    }
    none(found);
}

#[test]
fn no_file_is_too_long() {
    let long = |(name, text): &(String, String)| {
        let lines = text.lines().count();
        (lines > LONGEST).then(|| format!("{name} has {lines} lines, more than {LONGEST}"))
    };
    none(rust().iter().filter_map(long).collect());
}

#[test]
fn nothing_is_left_to_do() {
    let words = ["todo!", "unimplemented!", "dbg!", "FIXME", "XXX", "#[ignore"];
    let mut found = Vec::new();
    for (name, text) in rust().iter().filter(|(name, _)| name != "tests/tests/tidy.rs") {
        for (number, line) in text.lines().enumerate() {
            found.extend(words.iter().filter(|word| line.contains(*word)).map(|word| format!("{name}:{}: `{word}`", number + 1)));
        }
    }
    none(found);
}

#[test]
fn every_migration_is_there_in_both_dialects() {
    let mut found = Vec::new();
    for service in SERVICES {
        let of = |dialect: &str| -> BTreeSet<String> {
            let dir = root().join(service).join("migrations").join(dialect);
            let listed = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
            listed.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
        };
        let (postgres, sqlite) = (of("postgres"), of("sqlite"));
        if postgres.is_empty() {
            found.push(format!("{service} has no migrations"));
        }
        found
            .extend(postgres.symmetric_difference(&sqlite).map(|name| format!("{service}: {name} is there in one dialect only")));
    }
    none(found);
}

#[test]
fn every_migration_is_commented() {
    let sql = files().into_iter().filter(|(name, _)| name.ends_with(".sql"));
    let bare = sql.filter(|(_, path)| !fs::read_to_string(path).unwrap().starts_with("--"));
    none(bare.map(|(name, _)| format!("{name} does not say what it is for")).collect());
}

/// What in a migration a program from before it could not live with: what it reads is gone or means something else, or a row as it writes
/// them is refused.
fn takes_away(sql: &str) -> Vec<String> {
    let code = sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join("\n").to_uppercase();
    let mut found = Vec::new();
    for statement in code.split(';') {
        let words = statement.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        let words: Vec<&str> = words.collect();
        for pair in words.windows(2) {
            match pair {
                ["DROP", "INDEX"] | ["ALTER", "TABLE"] => {}
                ["DROP" | "RENAME" | "ALTER", _] => found.push(pair.join(" ")),
                _ => {}
            }
        }
        let must_be_given = words.windows(2).filter(|pair| *pair == ["NOT", "NULL"]).count();
        let have_a_default = words.iter().filter(|word| **word == "DEFAULT").count();
        if words.starts_with(&["ALTER", "TABLE"]) && must_be_given > have_a_default {
            found.push("NOT NULL without a DEFAULT".to_owned());
        }
    }
    found
}

/// During an update, and after it was rolled back, older programs run on the newer tables: no backup need be restored.
#[test]
fn migrations_after_the_first_release_only_add() {
    let mut found = Vec::new();
    for (name, path) in files().into_iter().filter(|(name, _)| name.ends_with(".sql")) {
        let Some((service, file)) = name.split_once("/migrations/") else { continue };
        let number: u32 = file.split(['/', '_']).nth(1).unwrap().parse().unwrap();
        if RELEASED.iter().any(|(of, newest)| *of == service && number <= *newest) {
            continue;
        }
        let taken = takes_away(&fs::read_to_string(path).unwrap());
        found.extend(taken.iter().map(|what| format!("{name}: `{what}` takes something from older programs")));
    }
    none(found);
}

#[test]
fn a_migration_that_takes_away_is_seen() {
    let adds = "-- DROP TABLE t, RENAME it\nCREATE TABLE dropped (renamed TEXT NOT NULL);\n\
                ALTER TABLE t ADD COLUMN told BIGINT NOT NULL DEFAULT 0; -- ALTER COLUMN\ndrop index t_old;";
    assert_eq!(takes_away(adds), Vec::<String>::new());
    for sql in [
        "CREATE TABLE u (c TEXT); DROP TABLE t;",
        "ALTER TABLE t\n  drop column c;",
        "ALTER TABLE t DROP CONSTRAINT c;",
        "ALTER TABLE t RENAME COLUMN a TO b;",
        "ALTER TABLE t ALTER COLUMN c TYPE TEXT;",
        "alter table t alter c set default 1;",
        "ALTER TABLE t ADD COLUMN c TEXT NOT NULL;",
    ] {
        assert_eq!(takes_away(sql).len(), 1, "{sql}");
    }
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
        let dead = links(&fs::read_to_string(&path).unwrap()).into_iter().filter(|link| !dir.join(link).exists());
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
    for (name, text) in
        rust().iter().filter(|(name, _)| SERVICES.iter().any(|service| name.starts_with(&format!("{service}/src/"))))
    {
        let keys = code(text).filter(|_| !name.ends_with("tests.rs")).flat_map(|(_, line)| line.split(".with(\"").skip(1));
        let unknown = keys.filter_map(|rest| rest.split('"').next()).filter(|key| !known(key));
        found.extend(unknown.map(|key| format!("{name}: `{key}` has no place in edge/src/http/members.rs")));
    }
    none(found);
}

#[test]
fn no_path_of_one_machine_is_written_down() {
    // Spelled apart, so that this file passes too.
    let words = [["/work", "/"].concat(), ["/home", "/"].concat(), ["/root", "/"].concat(), ["/Users", "/"].concat()];
    let mut found = Vec::new();
    for (name, path) in files() {
        if name == "Cargo.lock" || name == ".git" {
            continue;
        }
        let Ok(text) = fs::read_to_string(path) else { continue };
        for (number, line) in text.lines().enumerate() {
            found.extend(words.iter().filter(|word| line.contains(*word)).map(|word| format!("{name}:{}: {word}", number + 1)));
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
        "booking-svc",
        "clippy.toml",
        "compose.yaml",
        "crates",
        "data",
        "deny.toml",
        "edge",
        "k8s",
        "proto",
        "queue-svc",
        "rust-toolchain.toml",
        "rustfmt.toml",
        "target",
        "tests",
        "wallet-svc",
    ];
    let seen = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    none(
        seen.filter(|name| !expected.contains(&name.as_str()))
            .map(|name| format!("{name} does not earn its place at the root"))
            .collect(),
    );
}

#[test]
fn cargo_run_means_the_launcher() {
    // Bare `cargo run` refuses to choose as soon as a second package names a program to be run.
    let manifests = files().into_iter().filter(|(name, _)| name.ends_with("Cargo.toml"));
    let named: Vec<_> = manifests
        .filter(|(_, path)| fs::read_to_string(path).unwrap().lines().any(|line| line.starts_with("default-run")))
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
    String::from_utf8(told.stdout).unwrap().lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

#[test]
fn one_feature_set_whatever_is_built() {
    // A library with other features is another library: it, and whatever stands on it, is compiled once more.
    let (built, tested) = (compiled(&["--workspace", "--edges", "no-dev"]), compiled(&["--workspace"]));
    let mut found: Vec<_> =
        built.difference(&tested).map(|one| format!("tests of the workspace compile another {one}")).collect();
    for package in SERVICES.into_iter().chain(["boxoffice", "chassis", "tests", "bench", "simulation"]) {
        let alone = compiled(&["-p", package, "--edges", "no-dev"]);
        assert!(alone.len() > 100, "{package}: {alone:?}");
        found.extend(alone.difference(&built).map(|one| format!("-p {package} compiles another {one}: see crates/features")));
    }
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
            if !starts.iter().any(|start| trimmed.starts_with(start)) || line.ends_with(';') || line.ends_with('}') {
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
