//! Who may speak to what: the layers of a service, and where SQL and INTERNAL may be written.

use crate::{code, compiled, in_layer, none, rust, says, says_of};

#[test]
fn the_domain_knows_no_io_no_wire_and_no_clock() {
    let words = [
        "sqlx",
        "tonic",
        "prost",
        "boxoffice_proto",
        "axum",
        "reqwest",
        "tokio",
        "async fn",
        "chassis::db",
        "SystemTime",
        "Instant::now",
        "new_v4",
        "rand::",
        "tracing",
        // Writes into the log.
        "Fault::internal",
    ];
    none(says("domain", &words));
}

/// What a refusal is called on the wire is decided once a service, in its `error.rs`. The edge has no words
/// of its own: its saga carries the refusals of the others, which are plain values.
#[test]
fn the_domain_of_a_service_knows_no_reason() {
    none(
        says("domain", &["use fault::", " fault::"])
            .into_iter()
            .filter(|one| !one.starts_with("edge/"))
            .collect(),
    );
}

#[test]
fn a_refusal_is_a_plain_value() {
    // How it travels is behind a feature: without that, its crate stands on no transport.
    let libraries = compiled(&["-p", "fault", "--edges", "no-dev"]);
    let transports = ["tonic", "http", "hyper", "prost", "axum", "tokio"];
    let is_one = |library: &&String| transports.iter().any(|name| library.starts_with(name));
    none(libraries.iter().filter(is_one).map(|one| format!("crates/fault depends on {one}")).collect());
}

#[test]
fn the_grpc_layer_knows_no_sql() {
    none(says("grpc", &["sqlx", "chassis::db", "args!["]));
}

#[test]
fn the_http_layer_knows_no_sql() {
    none(says("http", &["sqlx", "chassis::db", "args!["]));
}

#[test]
fn the_use_cases_know_no_wire() {
    none(says("app", &["sqlx", "axum", "prost", "tonic::Status", "tonic::Request"]));
}

/// What a door must not know: it converts, and what is done is a use case in `app/`.
const BEHIND_DOORS: &[&str] = &["clients::", ".clients", "Clients", "ask!", "store::"];

#[test]
fn doors_convert_and_nothing_else() {
    let breaches = ["http", "grpc"].into_iter().flat_map(|door| says(door, BEHIND_DOORS));
    // The other services have no door for the public.
    none(breaches.filter(|breach| breach.starts_with("edge/")).collect());
}

#[test]
fn a_door_that_calls_a_service_is_seen() {
    for line in [
        "use crate::clients::Clients;",
        "let show = ask!(edge.booking, get_show(request).show)?;",
        "let show = edge.clients.booking.get_show(request).await?;",
        "use crate::store::Journal;",
    ] {
        for (file, seen) in [("http/shows.rs", true), ("http/tests/mod.rs", false), ("app/hall.rs", false)] {
            let source = (format!("edge/src/{file}"), format!("//! It.\n{line}\n"));
            assert_eq!(!says_of(&[source], "http", BEHIND_DOORS).is_empty(), seen, "{file}: {line}");
        }
    }
}

/// Rewording a refusal must not move money: what the saga does follows from the kind of an outcome.
#[test]
fn the_saga_knows_no_reason_by_name() {
    let (_, saga) = rust().into_iter().find(|(name, _)| name == "edge/src/domain/saga.rs").unwrap();
    let named = code(&saga).filter(|(_, line)| line.contains("Reason::"));
    none(named.map(|(number, line)| format!("edge/src/domain/saga.rs:{number}: {line}")).collect());
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
            found.extend(
                spoken
                    .iter()
                    .filter(quoted)
                    .map(|word| format!("{name}:{number}: `{word}` outside of store/")),
            );
        }
    }
    none(found);
}

/// Where INTERNAL may be named: where it is made and its cause is logged, and where it is only compared,
/// listed or counted.
const NAMES_INTERNAL: &[(&str, &str)] = &[
    ("crates/fault/src/lib.rs", "`Fault::internal`, the one that makes it, and the table of codes"),
    ("crates/fault/src/wire.rs", "the reason of a status that names none"),
    ("crates/chassis/src/server/calls.rs", "what a panic answered: logged with its cause"),
    ("crates/chassis/src/trace.rs", "the mark of a span whose call ended with it"),
    ("crates/chassis/src/server/refusal.rs", "what a library answered: logged with its cause"),
    ("edge/src/http/members.rs", "the list of reasons"),
    ("booking-svc/src/error.rs", "a word for the metrics"),
    ("edge/src/app/steps.rs", "an outcome that is asked about"),
    ("edge/src/http/openapi.rs", "the documentation"),
    ("edge/src/http/problem.rs", "the document that hides what it carries"),
];

/// Nobody is told INTERNAL without its cause in the log: all of them are made by `Fault::internal`, which
/// writes it.
#[test]
fn every_internal_error_is_made_where_its_cause_is_logged() {
    let words = [
        "Reason::Internal",
        "Code::Internal",
        "Status::internal",
        "Status::unknown",
        "INTERNAL_SERVER_ERROR",
        "\"INTERNAL\"",
    ];
    let mut found = Vec::new();
    for (name, text) in rust() {
        let allowed = NAMES_INTERNAL.iter().any(|(file, _)| *file == name);
        let is_test = name.starts_with("tests/") || name.contains("/tests/") || name.ends_with("tests.rs");
        if allowed || is_test || name.ends_with("/fakes.rs") || name.contains("conformance") {
            continue;
        }
        for (number, line) in code(&text) {
            found.extend(
                words
                    .iter()
                    .filter(|word| line.contains(*word))
                    .map(|word| format!("{name}:{number}: `{word}`: use Fault::internal")),
            );
        }
    }
    none(found);
}

/// What anybody may do at the edge, or whoever knows a queue token, so that nobody is asked who they are.
const FOR_ANYBODY: [(&str, &[&str]); 2] = [
    ("edge/src/app/queue.rs", &["place", "follow", "token_draw", "get", "draw"]),
    ("edge/src/app/programme.rs", &["concert", "concerts", "show", "shows", "plan"]),
];

/// The use cases of a file at the edge that ask a service for something and do not ask whether their caller
/// may. A service believes the edge, so nobody asks after them.
fn unasked(name: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = code(text).map(|(_, line)| line).collect();
    let text = lines.join("\n");
    let name_of = |case: &str| case.split('(').next().unwrap_or_default().to_owned();
    let cases = text.split("pub(crate) async fn ").skip(1);
    cases
        .filter(|case| ["ask!(", "self.read("].iter().any(|word| case.contains(word)))
        .filter(|case| {
            !["caller.allow(", "may_read(caller", "(edge, caller, "].iter().any(|word| case.contains(word))
        })
        .map(name_of)
        .filter(|case| !FOR_ANYBODY.iter().any(|(file, cases)| *file == name && cases.contains(&&**case)))
        .map(|case| format!("{name}: {case} does not ask whether its caller may"))
        .collect()
}

#[test]
fn a_use_case_at_the_edge_asks_whether_its_caller_may() {
    let cases =
        ["queue", "hall", "programme", "wallet", "till"].map(|case| format!("edge/src/app/{case}.rs"));
    let files: Vec<_> = rust().into_iter().filter(|(name, _)| cases.contains(name)).collect();
    assert_eq!(files.len(), cases.len());
    none(files.iter().flat_map(|(name, text)| unasked(name, text)).collect());
    let forgetful = "pub(crate) async fn leave(edge: &Edge, caller: &Caller) -> Answer {\n    ask!(edge.queue, leave())\n}";
    assert_eq!(unasked("a", forgetful), ["a: leave does not ask whether its caller may"]);
}
