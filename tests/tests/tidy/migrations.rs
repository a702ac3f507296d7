//! What a migration may do once a release is out.

use std::{collections::BTreeSet, fs};

use crate::{SERVICES, files, none, root};

/// The newest migration of release 0.1.0, in both dialects. Up to it a migration was free to change what it
/// liked.
const RELEASED: [(&str, u32); 4] = [("queue-svc", 2), ("booking-svc", 2), ("wallet-svc", 1), ("edge", 4)];

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
        // Two of one number, each by itself right where it was written, open no database.
        let numbers: BTreeSet<_> = postgres.iter().filter_map(|name| name.split('_').next()).collect();
        if numbers.len() != postgres.len() {
            found.push(format!("{service}: two migrations have one number: {postgres:?}"));
        }
        found.extend(
            postgres
                .symmetric_difference(&sqlite)
                .map(|name| format!("{service}: {name} is there in one dialect only")),
        );
    }
    none(found);
}

#[test]
fn every_migration_is_commented() {
    let sql = files().into_iter().filter(|(name, _)| name.ends_with(".sql"));
    let bare = sql.filter(|(_, path)| !fs::read_to_string(path).unwrap().starts_with("--"));
    none(bare.map(|(name, _)| format!("{name} does not say what it is for")).collect());
}

/// What in a migration a program from before it could not live with: what it reads is gone or means something
/// else, or a row as it writes them is refused.
fn takes_away(sql: &str) -> Vec<String> {
    let code = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
        .to_uppercase();
    let mut found = Vec::new();
    for statement in code.split(';') {
        let words =
            statement.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        let words: Vec<&str> = words.collect();
        for pair in words.windows(2) {
            match pair {
                ["DROP", "INDEX"] | ["ALTER", "TABLE"] => {}
                // Without a foreign key more rows are allowed than before, and no statement means anything
                // else.
                ["DROP", "CONSTRAINT"] if statement.trim_end().ends_with("_FKEY") => {}
                ["DROP" | "RENAME" | "ALTER", _] => found.push(pair.join(" ")),
                _ => {}
            }
        }
        // A condition that something is not null takes nothing.
        let conditions = words.windows(3).filter(|words| *words == ["IS", "NOT", "NULL"]).count();
        let must_be_given = words.windows(2).filter(|pair| *pair == ["NOT", "NULL"]).count() - conditions;
        let have_a_default = words.iter().filter(|word| **word == "DEFAULT").count();
        if words.starts_with(&["ALTER", "TABLE"]) && must_be_given > have_a_default {
            found.push("NOT NULL without a DEFAULT".to_owned());
        }
    }
    found
}

/// During an update, and after it was rolled back, older programs run on the newer tables: no backup need be
/// restored.
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
        found
            .extend(taken.iter().map(|what| format!("{name}: `{what}` takes something from older programs")));
    }
    none(found);
}

#[test]
fn a_migration_that_takes_away_is_seen() {
    let adds = "-- DROP TABLE t, RENAME it\nCREATE TABLE dropped (renamed TEXT NOT NULL);\n\
                ALTER TABLE t ADD COLUMN told BIGINT NOT NULL DEFAULT 0; -- ALTER COLUMN\ndrop index t_old;\n\
                ALTER TABLE t DROP CONSTRAINT t_u_fkey;\n\
                ALTER TABLE t ADD COLUMN c TEXT CHECK (c IS NULL OR d IS NOT NULL);";
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
