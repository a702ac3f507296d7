//! `boxoffice demo` and the other commands beside `up`.

use std::time::Duration;

use tests::{
    mesh::Shape,
    process::binary,
    solos,
    suite::Solo,
    world::{World, int},
};
use tokio::{process::Command, time::timeout};

pub(crate) const SOLOS: &[Solo] = solos![Shape::ALL; the_demo_fills_a_mesh_once_however_often_it_is_run];

async fn demo(base: &str) -> String {
    let command = Command::new(binary("boxoffice")).args(["demo", "--rest-url", base]).env_clear().kill_on_drop(true).output();
    let output = timeout(Duration::from_secs(60), command).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    told
}

/// What there is to see: concerts, shows, sold and held seats, wallets, reservations, payments, the line.
async fn seen(world: &World) -> Vec<String> {
    let get = async |path: String| world.rest.get(&path).expect(200).await;
    let mut seen = vec![get("/v1/concerts".to_owned()).await["concerts"].to_string()];
    for concert in 1..=5 {
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
        "The Tin Lanterns: Farewell Tour",
        "demo-ann  bought seats 101, 102",
        "demo-eli  had not enough money",
        "demo-fay  holds seats 201, 202",
        "is number 17 in line",
    ] {
        assert!(told.contains(words), "{words} in {told}");
    }
    let first = seen(&world).await;
    let line = world.rest.get("/v1/queues/demo-busy").expect(200).await;
    assert_eq!((int(&line["active"]), int(&line["waiting"])), (3, 17));
    assert_eq!(world.balance("demo-ann").await, 300_000 - 2 * 77_000);
    assert_eq!(world.balance("demo-eli").await, 5_000);
    assert_eq!(demo(&base).await, told, "the second run tells the same");
    assert_eq!(seen(&world).await, first, "and makes nothing new");
    world.finish().await;
}
