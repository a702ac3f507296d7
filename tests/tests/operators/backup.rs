//! `boxoffice backup` as an operator runs it: beside a sale, again and again. The audit accepts each copy,
//! and a mesh that is started on one finishes what was in flight and goes on selling.

use std::{fs, path::Path, process::Stdio, time::Duration};

use audit::Sources;
use tempfile::TempDir;
use tests::{
    audit::{of_urls, report},
    databases::{Databases, server_url},
    eventually::{eventually, holds},
    mesh::Shape,
    patience::timeout,
    solos,
    suite::Solo,
    world::World,
};
use tokio::process::Command;

use crate::{
    audit::{
        command::boxoffice,
        load::People,
        planted::{apart, strict},
    },
    files::names,
};

pub(crate) fn solos() -> Vec<Solo> {
    let files = solos![&[Shape::SingleSqlite, Shape::ApartSqlite]; backups_of_a_mesh_at_work_are_accepted_and_sell_on];
    let once = solos![&[Shape::SingleSqlite]; a_backup_is_whole_or_not_there];
    let postgres = solos![&[Shape::SinglePostgres]; postgres_is_backed_up_by_the_commands_that_are_printed];
    let apart = solos![&[Shape::Cluster]; several_databases_are_not_dumped_at_different_instants];
    [files as &[Solo], once, postgres, apart].concat()
}

const BACKUPS: usize = 8;
const SOON: Duration = Duration::from_secs(60);

fn words(words: &[&str], more: &[String]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).chain(more.iter().cloned()).collect()
}

async fn backup(out: &Path, from: &[String]) -> (i32, String, String) {
    boxoffice(&words(&["backup", "--out", &out.display().to_string()], from)).await
}

/// The arguments that lead to the files of a mesh, as somebody gives them who started it in this shape.
fn flags(shape: Shape, folder: &Path) -> Vec<String> {
    if shape == Shape::SingleSqlite {
        return words(&["--data-dir", &folder.display().to_string()], &[]);
    }
    let url = |service| format!("sqlite:{}", folder.join(format!("{service}.db")).display());
    apart(&["queue", "booking", "wallet", "edge"].map(url))
}

async fn backups_of_a_mesh_at_work_are_accepted_and_sell_on(shape: Shape) {
    let world = World::start(shape, &["--hold-ttl", "2s"]).await;
    let Databases::Sqlite(folder) = &world.mesh.databases else { panic!("a shape on files") };
    let (from, to) = (flags(shape, folder), TempDir::with_prefix("backups-").unwrap());
    let people = People::start(&world).await;
    let (mut taken, mut caught) = (0, None);
    // At least so many, and one of them with a payment in flight.
    while taken < BACKUPS || caught.is_none() {
        let out = to.path().join(taken.to_string());
        let (code, told, error) = backup(&out, &from).await;
        assert!(
            code == 0 && error.is_empty() && told.contains("boxoffice audit --data-dir"),
            "{code}: {told} {error}"
        );
        assert_eq!(names(&out), ["backup.json", "booking.db", "edge.db", "queue.db", "wallet.db"]);
        let report = report(&Sources::in_folder(&out), &strict()).await;
        assert!(report.is_clean(), "backup {taken}: {:#?}", report.differences);
        assert!(report.skipped.is_empty(), "{:?}", report.skipped);
        if report.checked.in_flight > 0 && report.checked.completed > 0 {
            caught = Some(out);
        }
        taken += 1;
    }
    assert!(people.end().await > 0);
    let caught = caught.unwrap();
    // As old as it was then, whenever it is looked at.
    let judge =
        words(&["audit", "--unsettled-after", "30s", "--data-dir", &caught.display().to_string()], &[]);
    let note = caught.join("backup.json");
    let (code, told, error) = boxoffice(&judge).await;
    assert!(code == 0, "{code}: {told} {error}");
    fs::write(&note, "{}").unwrap();
    assert_eq!(boxoffice(&judge).await.0, 2, "a note that says nothing");
    fs::remove_file(&note).unwrap();
    restored(shape, &caught).await;
    world.finish().await;
}

/// A mesh that is started on a copy.
async fn restored(shape: Shape, copy: &Path) {
    let world = World::start(shape, &[]).await;
    let Databases::Sqlite(folder) = &world.mesh.databases else { panic!("a shape on files") };
    world.mesh.stop().await.unwrap();
    for name in names(copy) {
        fs::copy(copy.join(&name), folder.join(&name)).unwrap();
    }
    world.mesh.restart().await;
    let looked = |checked: audit::Checked| (checked.in_flight, checked.checkouts);
    eventually(SOON, || async {
        let report = report(&Sources::in_folder(folder), &strict()).await;
        assert!(report.is_clean(), "{:#?}", report.differences);
        holds(looked(report.checked), |&(in_flight, settled)| in_flight == 0 && settled > 0)
    })
    .await;
    let sale = world.sale(1_000, 2).await;
    let buyer = world.buyer_with(&sale, 1_000).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    let _ = world.paying(&buyer, &reservation).expect(201).await;
    world.finish().await;
}

async fn a_backup_is_whole_or_not_there(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let Databases::Sqlite(folder) = &world.mesh.databases else { panic!("a shape on files") };
    let (from, to) = (flags(shape, folder), TempDir::with_prefix("backups-").unwrap());
    let out = to.path().join("today");
    assert_eq!(backup(&out, &from).await.0, 0);
    let before = names(&out);
    let (code, told, error) = backup(&out, &from).await;
    assert!(code == 1 && told.is_empty() && error.contains("is there already"), "{code}: {told} {error}");
    assert_eq!(names(&out), before);
    // A part of it; what is no database; what is not there; the same of a mesh that was stopped.
    let part = to.path().join("part");
    assert_eq!(backup(&part, &flags(Shape::ApartSqlite, folder)[4..6]).await.0, 0);
    assert_eq!(names(&part), ["backup.json", "wallet.db"]);
    fs::write(
        to.path().join("text.db"),
        "no database, but some words that are long enough for the head of one",
    )
    .unwrap();
    let text = format!("sqlite:{}", to.path().join("text.db").display());
    let (code, _, error) =
        backup(&to.path().join("bad"), &words(&["--wallet-database-url", &text], &[])).await;
    assert!(code == 1 && error.contains("not a database"), "{code}: {error}");
    let (code, _, error) = backup(&to.path().join("bad"), &words(&["--data-dir", "/nowhere"], &[])).await;
    assert!(code == 1 && error.contains("/nowhere/edge.db"), "{code}: {error}");
    world.mesh.stop().await.unwrap();
    let at_rest = names(folder);
    assert_eq!(backup(&to.path().join("rest"), &from).await.0, 0);
    assert_eq!(names(folder), at_rest, "nothing is left beside the files");
    assert_eq!(names(to.path()), ["part", "rest", "text.db", "today"]);
    world.mesh.restart().await;
    world.finish().await;
}

async fn postgres_is_backed_up_by_the_commands_that_are_printed(shape: Shape) {
    let world = World::start(shape, &["--hold-ttl", "2s"]).await;
    let Databases::Postgres(urls) = &world.mesh.databases else { panic!("a shape on a server") };
    let to = TempDir::with_prefix("backups-").unwrap();
    let out = to.path().join("today");
    let (code, told, error) = backup(&out, &words(&["--database-url", &urls[0]], &[])).await;
    assert!(code == 3 && error.contains("nothing was written") && !out.exists(), "{code}: {told} {error}");
    let people = People::start(&world).await;
    let commands: Vec<&str> = told
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("pg_dump") || line.contains("mkdir"))
        .collect();
    assert_eq!(commands.len(), 2, "{told}");
    run(&commands.join(" && ")).await;
    people.end().await;
    let fresh = Databases::create(&server_url(), 1).await;
    let Databases::Postgres(into) = &fresh else { unreachable!("made on a server") };
    let restore = told.lines().map(str::trim).find(|line| line.starts_with("pg_restore")).unwrap();
    run(&restore.replace("--dbname=NEW", &format!("--dbname='{}'", into[0]))).await;
    let report = report(&of_urls(into), &strict()).await;
    assert!(report.is_clean() && report.skipped.is_empty(), "{:#?}", report.differences);
    fresh.remove().await;
    world.finish().await;
}

/// Runs a line of shell in which PostgreSQL's newest programs are found.
async fn run(line: &str) {
    let script =
        format!("PATH=$(ls -1d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1):$PATH; {line}");
    let done = Command::new("bash").args(["-euc", &script]).stdin(Stdio::null()).kill_on_drop(true).output();
    let done = timeout(SOON, done).await.unwrap().unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
}

async fn several_databases_are_not_dumped_at_different_instants(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let Databases::Postgres(urls) = &world.mesh.databases else { panic!("a shape on a server") };
    let out = TempDir::with_prefix("backups-").unwrap().path().join("today");
    let (code, told, error) = backup(&out, &apart(urls)).await;
    assert!(code == 3 && error.contains("nothing was written") && !out.exists(), "{code}: {told} {error}");
    assert!(told.contains("pg_basebackup") && told.matches("  pg_dump").count() == 4, "{told}");
    world.finish().await;
}
