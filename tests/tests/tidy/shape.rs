//! The services have one shape: who knows one finds the same thing in the next one at the same place.

use std::collections::BTreeMap;

use crate::{SERVICES, files, none, rust};

/// What each service has.
const PARTS: [&str; 14] = [
    "README.md",
    "migrations/postgres/",
    "migrations/sqlite/",
    "src/main.rs",
    "src/lib.rs",
    "src/config.rs",
    "src/error.rs",
    "src/measures.rs",
    "src/app/mod.rs",
    "src/domain/mod.rs",
    "src/store/mod.rs",
    "src/grpc/mod.rs",
    "src/grpc/read.rs",
    "src/grpc/convert.rs",
];

/// What code of a service's file says, and what it must not say.
const WORDS: [(&str, &[&str], &[&str]); 3] = [
    (
        "src/lib.rs",
        &[
            "pub async fn migrate(database: &DbConfig) -> Result<(), chassis::Error> {",
            "pub fn serve(config: Config, listeners: Listeners, clock: Clock, shutdown: CancellationToken) -> Serving {",
        ],
        &[],
    ),
    // One function makes a fault of a failed database, and an alert of one that does not pass by itself.
    (
        "src/error.rs",
        &["pub enum Error {", "impl From<Error> for Fault {", "Self::database("],
        &["db::Error::"],
    ),
    // Fields are checked in `read`, and a refusal becomes a status in `fault`.
    (
        "src/grpc/mod.rs",
        &["pub struct Service {", "fault::", "Answer<"],
        &["Checks", "fn refuse", "Result<Response"],
    ),
];

/// Where the services of this tree differ from the shape.
fn differences(names: &[String], sources: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for service in SERVICES {
        let parts = PARTS.iter().map(|part| format!("{service}/{part}"));
        found.extend(
            parts
                .filter(|part| !names.iter().any(|name| name.starts_with(part)))
                .map(|part| format!("{part} is missing")),
        );
        for (file, says, never) in WORDS {
            let name = format!("{service}/{file}");
            let text = sources.get(&name).map_or("", String::as_str);
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let code = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
            let lines: Vec<String> = code.map(|line| line.replacen("pub(crate) ", "pub ", 1)).collect();
            let is_said = |word: &str| lines.iter().any(|line| line.contains(word));
            found.extend(
                says.iter().filter(|word| !is_said(word)).map(|word| format!("{name} does not say `{word}`")),
            );
            let only_here = never.iter().filter(|word| lines.iter().any(|line| line.contains(**word)));
            found.extend(only_here.map(|word| format!("{name} says `{word}`")));
        }
    }
    found
}

#[test]
fn the_services_have_one_shape() {
    let names: Vec<String> = files().into_iter().map(|(name, _)| name).collect();
    none(differences(&names, &rust().into_iter().collect()));
}

#[test]
fn a_service_of_another_shape_is_seen() {
    let mut names: Vec<String> = files().into_iter().map(|(name, _)| name).collect();
    let mut sources: BTreeMap<String, String> = rust().into_iter().collect();
    names.retain(|name| name != "edge/src/grpc/read.rs");
    let door = sources.get_mut("wallet-svc/src/grpc/mod.rs").unwrap();
    *door = door.replace("struct Service {", "struct Api {");
    let errors = sources.get_mut("queue-svc/src/error.rs").unwrap();
    *errors = errors.replace("Self::database(", "told(db::Error::");
    assert_eq!(
        differences(&names, &sources),
        [
            "queue-svc/src/error.rs does not say `Self::database(`",
            "queue-svc/src/error.rs says `db::Error::`",
            "wallet-svc/src/grpc/mod.rs does not say `pub struct Service {`",
            "edge/src/grpc/read.rs is missing",
        ]
    );
}
