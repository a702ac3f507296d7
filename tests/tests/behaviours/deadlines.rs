//! A caller who will not wait longer is answered, and a service that hangs does not take the others with it.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{
    mesh::Role,
    patience::is_prompt,
    scenarios,
    suite::Scenario,
    world::{World, unique},
};

pub(crate) const ALONE: &[Scenario] = scenarios![
    a_deadline_of_a_grpc_call_is_honoured_by_the_server,
    a_service_that_hangs_makes_a_bounded_answer_at_the_edge
];

/// `ChargeWalletRequest { user_id, amount: 5 }` as it goes over the wire, with no client library that would
/// keep the deadline itself.
fn charge(user: &str) -> Vec<u8> {
    let size = u8::try_from(user.len()).unwrap();
    let mut message = vec![0x0a, size];
    message.extend(user.as_bytes());
    message.extend([0x10, 5]);
    let mut frame = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
    frame.extend(message);
    frame
}

async fn a_deadline_of_a_grpc_call_is_honoured_by_the_server(world: World) {
    let user = unique("user");
    world.charge(&user, 100).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let lock = world.mesh.databases.hold_up("wallet").await;
    for base in world.mesh.grpc(Role::Wallet) {
        let begun = Instant::now();
        let call = client
            .post(format!("{base}/boxoffice.wallet.v1.WalletService/ChargeWallet"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", "400m")
            .body(charge(&user));
        let answer = call.send().await.unwrap();
        let took = begun.elapsed();
        assert_eq!(
            answer.headers().get("grpc-status").map(|value| value.to_str().unwrap()),
            Some("4"),
            "{:?}",
            answer.headers()
        );
        // The database stands still for as long as this takes: nothing else could have answered.
        assert!(
            took >= Duration::from_millis(350) && is_prompt(took, Duration::from_millis(500)),
            "400 ms became {took:?}"
        );
    }
    lock.release().await;
    world.charge(&user, 1).await; // still serving
}

async fn a_service_that_hangs_makes_a_bounded_answer_at_the_edge(world: World) {
    let user = unique("user");
    world.charge(&user, 100).await;
    let (lock, begun) = (world.mesh.databases.hold_up("wallet").await, Instant::now());
    let key = unique("key");
    let charge = || world.rest.post(&format!("/v1/wallets/{user}/charges"), json!({"amount": 5})).key(&key);
    let answer = charge().once().await;
    let took = begun.elapsed();
    // What needs no wallet goes on meanwhile.
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer(&sale).await;
    world.hold(&buyer, sale.show, &[1]).await;
    lock.release().await;
    assert!(
        matches!(answer.code(), "DEADLINE_EXCEEDED" | "UNAVAILABLE"),
        "{} {}",
        answer.status,
        answer.text
    );
    assert!(
        matches!(answer.status, 503 | 504) && is_prompt(took, Duration::from_secs(10)),
        "{took:?} {}",
        answer.text
    );
    let _ = charge().expect(201).await;
    assert_eq!(world.balance(&user).await, 105);
}
