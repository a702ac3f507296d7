//! `boxoffice demo` and the other commands beside `up`.

use std::{process::Stdio, time::Duration};

use serde_json::Value;
use tests::{
    mesh::Shape,
    patience::timeout,
    process::binary,
    solos,
    suite::Solo,
    world::{World, int, text},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

pub(crate) fn solos() -> Vec<Solo> {
    let everywhere = solos![Shape::ALL; the_demo_fills_a_mesh_once_however_often_it_is_run];
    let once = solos![&[Shape::SingleSqlite];
        a_demo_that_is_cut_off_anywhere_is_finished_by_the_next,
        a_demo_without_a_mesh_says_so,
    ];
    [everywhere as &[Solo], once].concat()
}

async fn demo(base: &str) -> String {
    let command = Command::new(binary("boxoffice"))
        .args(["demo", "--rest-addr", base])
        .env_clear()
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_secs(60), command).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    told
}

/// What there is to see: concerts, shows, sold and held seats, wallets, reservations, payments, the line.
async fn seen(world: &World) -> Vec<String> {
    let get = async |path: String| world.rest.get(&path).expect(200).await;
    let mut seen = vec![get("/v1/concerts".to_owned()).await["concerts"].to_string()];
    for concert in 1..=6 {
        seen.push(get(format!("/v1/concerts/{concert}/shows")).await.to_string());
    }
    for user in ["ann", "bob", "cho", "dee", "eli", "fay"] {
        seen.push(get(format!("/v1/wallets/demo-{user}/entries")).await.to_string());
        seen.push(get(format!("/v1/users/demo-{user}/reservations")).await.to_string());
        seen.push(get(format!("/v1/users/demo-{user}/payments")).await.to_string());
    }
    let line = get("/v1/queues/demo-busy".to_owned()).await;
    seen.push(format!("{} {} {}", line["active"], line["waiting"], line["servingTicket"]));
    seen
}

async fn the_demo_fills_a_mesh_once_however_often_it_is_run(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let base = world.rest.base();
    let told = demo(&base).await;
    for words in [
        "The Tin Lanterns: Farewell Tour (Asia/Seoul)",
        "A Hundred Voices (Australia/Sydney)",
        "-23 19:00  Second night      12000 seats from   99000, on sale from 20",
        " 10:00, 4 for one",
        "demo-ann  bought seats 101, 102",
        "demo-eli  had not enough money",
        "demo-fay  holds seats 201, 202",
        "is number 17 in line",
        "20 fans registered at demo-opening, which opens by lot at ",
    ] {
        assert!(told.contains(words), "{words} in {told}");
    }
    let first = seen(&world).await;
    let line = world.rest.get("/v1/queues/demo-busy").expect(200).await;
    assert_eq!((int(&line["active"]), int(&line["waiting"])), (3, 17));
    assert!(text(&line["message"]["ko"]).contains("이틀"), "{line}");
    let nights = world.rest.get("/v1/concerts/1/shows").expect(200).await;
    let second = &nights["shows"][0];
    let night = ["title", "timeZone", "localTime"].map(|name| second[name].as_str());
    assert_eq!(night, [Some("Second night"), Some("Asia/Seoul"), Some("19:00")]);
    assert!(text(&second["opensAt"]).ends_with("T01:00:00.000000Z"), "10:00 in Seoul: {second}");
    assert_eq!((&second["closesAt"], int(&second["maxSeatsPerUser"])), (&Value::Null, 4));
    let draw = world.rest.get("/v1/queues/demo-opening/draw").expect(200).await;
    assert_eq!((int(&draw["registered"]), text(&draw["algorithm"]).as_str()), (20, "boxoffice-draw-1"));
    assert_eq!(world.balance("demo-ann").await, 300_000 - 2 * 77_000);
    assert_eq!(world.balance("demo-eli").await, 5_000);
    assert_eq!(demo(&base).await, told, "the second run tells the same");
    assert_eq!(seen(&world).await, first, "and makes nothing new");
    world.finish().await;
}

/// It tells of each thing when it is done, so it can be cut off after each line; and the mesh has been at
/// work before.
async fn a_demo_that_is_cut_off_anywhere_is_finished_by_the_next(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let sale = world.sale(1_000, 10).await;
    let buyer = world.buyer_with(&sale, 1_000).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    let _ = world.paying(&buyer, &reservation).expect(201).await;
    let base = world.rest.base();
    for words in ["The season at", "Winter Strings", "Jam session", "The visitors:", "demo-bob", "demo-eli"] {
        let mut command = Command::new(binary("boxoffice"));
        command.args(["demo", "--rest-addr", &base]).env_clear().stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        loop {
            let line = timeout(Duration::from_secs(20), lines.next_line()).await.unwrap().unwrap();
            if line.unwrap_or_else(|| panic!("{words} was not told")).contains(words) {
                break;
            }
        }
        child.kill().await.unwrap();
    }
    let told = demo(&base).await;
    let line = world.rest.get("/v1/queues/demo-busy").expect(200).await;
    assert_eq!((int(&line["active"]), int(&line["waiting"])), (3, 17));
    let concerts = world.rest.get("/v1/concerts").expect(200).await;
    assert_eq!(
        concerts["concerts"].as_array().unwrap().len(),
        7,
        "six, and the one that was there: {concerts}"
    );
    assert_eq!(world.balance("demo-ann").await, 300_000 - 2 * 77_000);
    assert_eq!(world.balance("demo-bob").await, 100_000 - 33_000);
    assert_eq!(demo(&base).await, told, "and once more it tells the same");
    world.finish().await;
}

async fn a_demo_without_a_mesh_says_so(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let run = async |url: &str| {
        let command = Command::new(binary("boxoffice"))
            .args(["demo", "--rest-addr", url])
            .env_clear()
            .kill_on_drop(true)
            .output();
        let output = timeout(Duration::from_secs(20), command).await.unwrap().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, told) = run("http://127.0.0.1:1").await;
    assert!(
        code == Some(1)
            && told.contains("boxoffice demo: ")
            && told.contains("127.0.0.1:1")
            && told.contains("refused"),
        "{told}"
    );
    // Something answers there, but it is not the edge.
    let queue = world.mesh.grpc(tests::mesh::Role::Queue)[0].clone();
    let (code, told) = run(&queue).await;
    assert!(code == Some(1) && told.starts_with("boxoffice demo: ") && told.lines().count() == 1, "{told}");
    world.finish().await;
}
