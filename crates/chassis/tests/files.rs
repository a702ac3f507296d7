//! The files of a SQLite database: whose they are, how large they stay, and what is left of them in the end.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use chassis::{
    args,
    db::{Db, DbConfig, Migrations, Snapshots},
    testing::patience::Patience,
};
use sqlx::{Connection as _, SqliteConnection, migrate::Migrator, sqlite::SqliteConnectOptions};
use tokio::time::sleep;
use uuid::Uuid;

/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(20);

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = env::temp_dir().join(format!("files-{}", Uuid::new_v4().simple()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

async fn open(file: &Path) -> Db {
    let migrations =
        Migrations { postgres: Migrator::DEFAULT, sqlite: sqlx::migrate!("./tests/migrations/sqlite") };
    let config = DbConfig::at(format!("sqlite:{}", file.display()));
    Db::open(&config, &migrations).await.unwrap()
}

async fn write(db: &Db, name: &str) {
    let mut session = db.begin().await.unwrap();
    let sql = "INSERT INTO thing (id, name, size, fresh) VALUES ($1, $2, $3, $4)";
    session.execute(sql, args![Uuid::new_v4(), name, 1, true]).await.unwrap();
    session.commit().await.unwrap();
}

/// What a file alone says: nothing beside it is looked at.
async fn things(file: &Path) -> i64 {
    let mut link =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file).immutable(true))
            .await
            .unwrap();
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM thing").fetch_one(&mut link).await.unwrap();
    link.close().await.unwrap();
    count
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn what_is_closed_is_one_file_with_all_that_was_committed() {
    for round in 1..=5 {
        let folder = Folder::new();
        let file = folder.0.join("x.db");
        let db = open(&file).await;
        for _ in 0..round {
            write(&db, "n").await;
        }
        // Somebody is still at work, and is waited for.
        let mut late = db.begin().await.unwrap();
        let working = tokio::spawn(async move {
            sleep(Duration::from_millis(100)).await;
            late.execute("UPDATE thing SET size = 2", vec![]).await.unwrap();
            late.commit().await.unwrap();
        });
        db.close().await.unwrap();
        assert_eq!(folder.names(), ["x.db"]);
        assert_eq!(things(&file).await, round);
        assert!(working.is_finished());
        assert!(db.read().await.unwrap_err().is_unavailable());
        db.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_another_process_has_open_is_whole_when_it_is_closed() {
    let folder = Folder::new();
    let file = folder.0.join("x.db");
    let db = open(&file).await;
    let mut other = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let looked = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM thing");
    assert_eq!(looked.fetch_one(&mut other).await.unwrap(), 0);
    write(&db, "n").await;
    db.close().await.unwrap();
    let alone = folder.0.join("alone.db");
    fs::copy(&file, &alone).unwrap();
    assert_eq!(things(&alone).await, 1);
    other.close().await.unwrap();
}

#[tokio::test]
async fn a_log_that_a_long_reader_made_large_is_small_again_when_the_reader_has_gone() {
    let folder = Folder::new();
    let file = folder.0.join("x.db");
    let log = folder.0.join("x.db-wal");
    let db = open(&file).await;
    write(&db, "first").await;
    let mut reader = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let count = "SELECT COUNT(*) FROM thing";
    sqlx::raw_sql("BEGIN").execute(&mut reader).await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut reader).await.unwrap(), 1);
    let page = "x".repeat(1 << 20);
    while fs::metadata(&log).unwrap().len() < 40 << 20 {
        write(&db, &page).await;
    }
    assert_eq!(
        sqlx::query_scalar::<_, i64>(count).fetch_one(&mut reader).await.unwrap(),
        1,
        "the reader still reads the past"
    );
    sqlx::raw_sql("COMMIT").execute(&mut reader).await.unwrap();
    // Nobody writes any more.
    let patience = Patience::new(SOON);
    while fs::metadata(&log).unwrap().len() > 16 << 20 {
        assert!(!patience.is_over(), "the log has {} bytes", fs::metadata(&log).unwrap().len());
        sleep(Duration::from_millis(20)).await;
    }
    reader.close().await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test]
async fn files_are_their_owners_alone_and_so_is_a_folder_that_was_made_for_them() {
    let folder = Folder::new();
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o755)).unwrap();
    let file = folder.0.join("made/here/x.db");
    let db = open(&file).await;
    write(&db, "n").await;
    for path in ["made", "made/here"] {
        assert_eq!(mode(&folder.0.join(path)), 0o700, "{path}");
    }
    let beside = ["x.db", "x.db-wal", "x.db-shm"].map(|name| file.with_file_name(name));
    for path in &beside {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    // As an older version left them, in a folder of its own.
    fs::set_permissions(file.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    for path in &beside {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let again = open(&file).await;
    for path in &beside {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    assert_eq!(mode(file.parent().unwrap()), 0o755, "what was there already is left as it is");
    again.close().await.unwrap();
    db.close().await.unwrap();
}

/// How often this was written, as a file alone says.
async fn written(file: &Path, name: &str) -> i64 {
    let mut link =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file).immutable(true))
            .await
            .unwrap();
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM thing WHERE name = $1").bind(name);
    let count = count.fetch_one(&mut link).await.unwrap();
    link.close().await.unwrap();
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_are_of_one_instant_while_work_goes_on() {
    let folder = Folder::new();
    let [first, between, last] = ["first.db", "between.db", "last.db"].map(|name| folder.0.join(name));
    let (journal, idle, ledger) = (open(&first).await, open(&between).await, open(&last).await);
    // A work: begun in the first, done in the last, ended in the first.
    let working = tokio::spawn({
        let (journal, ledger) = (journal.clone(), ledger.clone());
        async move {
            loop {
                write(&journal, "begun").await;
                write(&ledger, "done").await;
                write(&journal, "ended").await;
            }
        }
    });
    // So many others, that it takes far longer to fix all instants than to do a work.
    let mut files = vec![first.as_path()];
    files.extend([between.as_path(); 150]);
    files.push(&last);
    for _ in 0..20 {
        let copies = ["first-copy.db", "last-copy.db"].map(|name| folder.0.join(name));
        let snapshots = Snapshots::of(&files).unwrap();
        snapshots.copy(0, &copies[0]).unwrap();
        snapshots.copy(files.len() - 1, &copies[1]).unwrap();
        drop(snapshots);
        let (begun, ended) = (written(&copies[0], "begun").await, written(&copies[0], "ended").await);
        let done = written(&copies[1], "done").await;
        assert!(ended <= done && done <= begun, "{ended} ended, {done} done, {begun} begun");
        copies.iter().for_each(|copy| fs::remove_file(copy).unwrap());
    }
    working.abort();
    let _aborted = working.await;
    for db in [journal, idle, ledger] {
        db.close().await.unwrap();
    }
    assert!(Snapshots::of(&[&folder.0.join("no.db")]).is_err());
}
