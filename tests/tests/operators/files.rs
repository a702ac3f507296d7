//! The SQLite files of a mesh: each is whole by itself after a clean stop, and nobody's but their owner's
//! whatever the mask.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tests::{
    databases::Databases,
    eventually::{eventually, holds},
    mesh::Shape,
    process::{Process, Program, binary},
    solos,
    suite::Solo,
    world::{World, unique},
};
use tokio::time::sleep;

pub(crate) fn solos() -> Vec<Solo> {
    let both = solos![&[Shape::SingleSqlite, Shape::ApartSqlite]; after_a_clean_stop_each_file_alone_has_all_that_was_acknowledged];
    let once = solos![&[Shape::SingleSqlite]; files_are_private_whatever_the_mask];
    [both as &[Solo], once].concat()
}

const STOPS: usize = 4;
const CUSTOMERS: usize = 6;
const CHARGED: i64 = 1_000;
const SOON: Duration = Duration::from_secs(60);

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn modes(folder: &Path) -> Vec<(String, u32)> {
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let files = names(folder).into_iter().map(|name| (name.clone(), mode(folder.join(name))));
    files.chain([(".".to_owned(), mode(folder.to_owned()))]).collect()
}

/// Charges one wallet after the other until the mesh is gone; answers what was acknowledged.
async fn charge_on(world: World, user: String, over: Arc<AtomicBool>, acknowledged: Arc<AtomicI64>) {
    while !over.load(Ordering::Relaxed) {
        let charge = world.rest.post(&format!("/v1/wallets/{user}/charges"), json!({"amount": CHARGED}));
        if charge.try_send().await.is_ok_and(|answer| answer.status == 201) {
            acknowledged.fetch_add(CHARGED, Ordering::Relaxed);
        } else {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn after_a_clean_stop_each_file_alone_has_all_that_was_acknowledged(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let Databases::Sqlite(folder) = &world.mesh.databases else { panic!("a shape on files") };
    let acknowledged = Arc::new(AtomicI64::new(0));
    for stop in 0..STOPS {
        let (before, over) = (acknowledged.load(Ordering::Relaxed), Arc::new(AtomicBool::new(false)));
        let customers: Vec<_> = (0..CUSTOMERS)
            .map(|_| {
                tokio::spawn(charge_on(
                    world.clone(),
                    unique("user"),
                    Arc::clone(&over),
                    Arc::clone(&acknowledged),
                ))
            })
            .collect();
        let enough = before + CHARGED * i64::try_from(CUSTOMERS).unwrap();
        eventually(SOON, || async { holds(acknowledged.load(Ordering::Relaxed), |&now| now >= enough) })
            .await;
        world.mesh.stop().await.unwrap();
        over.store(true, Ordering::Relaxed);
        for customer in customers {
            customer.await.unwrap();
        }
        assert_eq!(names(folder), ["booking.db", "edge.db", "queue.db", "wallet.db"], "after stop {stop}");
        let file = SqliteConnectOptions::new().filename(folder.join("wallet.db")).immutable(true);
        let mut wallet = SqliteConnection::connect_with(&file).await.unwrap();
        let there: i64 =
            sqlx::query_scalar("SELECT SUM(balance) FROM wallet").fetch_one(&mut wallet).await.unwrap();
        wallet.close().await.unwrap();
        let acknowledged = acknowledged.load(Ordering::Relaxed);
        assert!(
            there >= acknowledged,
            "after stop {stop} {acknowledged} were acknowledged, {there} are there"
        );
        world.mesh.restart().await;
    }
    world.finish().await;
}

/// A program under a mask of its own.
fn masked(mask: &str, name: &str, args: &[&str], dir: &Path) -> Process {
    let script = format!("umask {mask}; exec \"$0\" \"$@\"");
    let mut words = vec!["-c".to_owned(), script, binary(name).display().to_string()];
    words.extend(args.iter().map(|&arg| arg.to_owned()));
    Process::start(Program {
        name: format!("{name}-{mask}"),
        path: "/bin/sh".into(),
        args: words,
        dir: dir.to_owned(),
    })
}

async fn ended(process: &Process) {
    let status = process.wait(SOON).await.unwrap();
    assert!(status.success(), "{status}\n{}", process.log());
}

async fn files_are_private_whatever_the_mask(_: Shape) {
    for mask in ["000", "077"] {
        let dir = TempDir::with_prefix("mask-").unwrap();
        let data = dir.path().join("data");
        let addresses = ["--rest-addr", "--grpc-addr", "--queue-addr", "--booking-addr", "--wallet-addr"];
        let mut args = vec!["--data-dir", "data"];
        args.extend(addresses.into_iter().flat_map(|flag| [flag, "127.0.0.1:0"]));
        for round in 0..2 {
            let mesh = masked(mask, "boxoffice", &args, dir.path());
            eventually(SOON, || async {
                holds(mesh.log(), |log| log.matches("boxoffice is open").count() > round)
            })
            .await;
            let found = modes(&data);
            assert!(found.iter().any(|(name, _)| name == "wallet.db-wal"), "{found:?}");
            let folder = if round == 0 { 0o700 } else { 0o755 };
            for (name, mode) in &found {
                assert_eq!(
                    *mode,
                    if name == "." { folder } else { 0o600 },
                    "{name} with mask {mask}: {found:?}"
                );
            }
            mesh.terminate().await.unwrap();
            // As older versions made them. The folder might be anybody's; what is in the files is closed
            // again.
            fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
            for name in names(&data) {
                fs::set_permissions(data.join(name), fs::Permissions::from_mode(0o644)).unwrap();
            }
        }
        ended(&masked(mask, "boxoffice", &["backup", "--out", "copies/today"], dir.path())).await;
        ended(&masked(
            mask,
            "wallet-svc",
            &["--migrate-only", "--database-url", "sqlite:alone/wallet.db"],
            dir.path(),
        ))
        .await;
        for folder in ["copies/today", "alone"] {
            for (name, mode) in modes(&dir.path().join(folder)) {
                assert_eq!(
                    mode,
                    if name == "." { 0o700 } else { 0o600 },
                    "{name} of {folder} with mask {mask}"
                );
            }
        }
    }
}
