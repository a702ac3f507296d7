//! `boxoffice audit` as an operator runs it.

use std::{process::Stdio, time::Duration};

use serde_json::Value;
use tests::{databases::Databases, mesh::Shape, patience::timeout, process::binary, world::World};
use tokio::process::Command;

use super::planted::{Copy, Names, apart, files, story};

/// Exit code, stdout and stderr of a command of the launcher's.
pub(crate) async fn boxoffice(args: &[String]) -> (i32, String, String) {
    let command = Command::new(binary("boxoffice"))
        .args(args)
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_secs(60), command).await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

async fn audit(args: &[String]) -> (i32, String, String) {
    boxoffice(&[owned(&["audit"]), args.to_vec()].concat()).await
}

pub(super) fn owned(args: &[&str]) -> Vec<String> {
    args.iter().map(|&arg| arg.to_owned()).collect()
}

/// The arguments that lead it to this mesh.
pub(super) fn flags(databases: &Databases) -> Vec<String> {
    match databases {
        Databases::Sqlite(folder) => owned(&["--data-dir", &folder.display().to_string()]),
        Databases::Postgres(urls) if urls.len() == 1 => owned(&["--database-url", &urls[0]]),
        Databases::Postgres(urls) => apart(urls),
    }
}

pub(super) async fn the_command_tells_and_exits_by_what_it_finds(shape: Shape) {
    let world = World::start(shape, &["--hold-ttl", "1h"]).await;
    let names = story(&world).await;
    let running = flags(&world.mesh.databases);
    // While it runs.
    let (code, told, error) = audit(&running).await;
    assert!(code == 0 && error.is_empty(), "{code}: {told} {error}");
    for words in [
        "67000 charged - 0 used - 25000 paid + 8000 refunded = 50000 = the balances",
        "6: 3 completed, 1 failed, 0 compensated, 2 refunded",
        "Nothing is wrong.",
    ] {
        assert!(told.contains(words), "{words} in {told}");
    }
    assert!(!told.contains("not checked"), "{told}");
    let json = audit(&[running.clone(), owned(&["--format", "json"])].concat()).await;
    let told: Value = serde_json::from_str(&json.1).unwrap();
    assert_eq!((&told["clean"], &told["checked"]["sold"]), (&Value::Bool(true), &Value::from(5)), "{told}");

    if shape == Shape::Cluster {
        // A part of it: what is not there is told, not guessed.
        let (code, told, _) = audit(&running[4..6]).await;
        assert!(
            code == 0
                && told.contains("not checked: the data of queue")
                && told.contains("payments against reservations"),
            "{told}"
        );
    } else {
        world.mesh.stop().await.unwrap();
        finds_a_fault(&Copy::of(&world.mesh.databases).await, &names).await;
        world.mesh.restart().await;
    }
    // Nothing to look at.
    for wrong in
        [&["--data-dir", "/nowhere"][..], &["--wallet-database-url", "mysql://x"], &["--no-such-flag"]]
    {
        let (code, told, error) = audit(&owned(wrong)).await;
        assert!(code == 2 && told.is_empty() && !error.is_empty(), "{wrong:?}: {code} {told} {error}");
    }
    world.finish().await;
}

async fn finds_a_fault(copy: &Copy, names: &Names) {
    copy.plant("wallet", "UPDATE wallet SET balance = balance + 1 WHERE user_id = '{ann_user}'", names).await;
    let args = [owned(&["--recheck-after", "100ms"]), copy.flags()].concat();
    let (code, told, _) = audit(&args).await;
    let user = &names["ann_user"];
    assert_eq!(code, 1, "{told}");
    for words in [
        "I-LEDGER-SUM",
        &format!("user={user}"),
        "a balance of 7001",
        "add up to 7000",
        "\n1 difference.",
        "but the balances are 50001",
    ] {
        assert!(told.contains(words), "{words} in {told}");
    }
    let (code, told, _) = audit(&[args, owned(&["--format", "json"])].concat()).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (code, &told["differences"][0]["ids"][0]["value"]),
        (1, &Value::from(user.as_str())),
        "{told}"
    );
}

pub(super) async fn the_command_touches_nothing(shape: Shape) {
    let world = World::start(shape, &[]).await;
    story(&world).await;
    let Databases::Sqlite(folder) = &world.mesh.databases else { panic!("a shape on files") };
    let args = flags(&world.mesh.databases);
    let names = || files(folder).into_keys().collect::<Vec<_>>();
    let before = names();
    assert_eq!(audit(&args).await.0, 0);
    assert_eq!(names(), before, "beside a running mesh");
    // Ended in an orderly way, and cut off.
    for end in [false, true] {
        if end {
            world.mesh.nodes[0].process.kill();
        } else {
            world.mesh.stop().await.unwrap();
        }
        let before = files(folder);
        assert_eq!(audit(&args).await.0, 0);
        let after = files(folder);
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        for (name, bytes) in before.into_iter().filter(|(name, _)| !name.ends_with("-shm")) {
            assert!(after[&name] == bytes, "{name} was changed");
        }
        world.mesh.restart().await;
    }
    world.finish().await;
}
