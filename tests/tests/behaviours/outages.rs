//! The database goes away and comes back: told at once, by every face, and forgotten afterwards.

use std::time::Duration;

use boxoffice_proto::queue::BatchGetTokensRequest;
use serde_json::json;
use tests::{
    eventually::{eventually, holds},
    mesh::Shape,
    patience::is_prompt,
    solos,
    suite::Solo,
    world::{World, unique},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::SinglePostgres, Shape::Cluster];
    a_database_that_is_away_is_told_and_felt_only_until_it_is_back,
];

const SOON: Duration = Duration::from_secs(15);

async fn says(world: &World, expected: ServingStatus, ready: u16) {
    for replicas in [&world.grpc.queue, &world.grpc.booking, &world.grpc.wallet, &world.grpc.checkout] {
        for channel in replicas.all() {
            eventually(SOON, || async {
                let answer = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
                holds(answer.unwrap().into_inner().status(), |status| *status == expected)
            })
            .await;
        }
    }
    eventually(SOON, || async {
        holds(world.rest.get("/readyz").once().await.status, |status| *status == ready)
    })
    .await;
}

async fn a_database_that_is_away_is_told_and_felt_only_until_it_is_back(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 5_000).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    says(&world, ServingStatus::Serving, 200).await;

    world.mesh.databases.take_away().await;
    says(&world, ServingStatus::NotServing, 503).await;
    let charges = format!("/v1/wallets/{}/charges", buyer.user);
    for call in [
        world.rest.post(&charges, json!({"amount": 1})),
        world.rest.post("/v1/queues/default/tokens", json!({"userId": unique("user")})),
        world.holding(&buyer, sale.show, &[2]),
        world.paying(&buyer, &reservation),
    ] {
        let begun = std::time::Instant::now();
        let answer = call.once().await;
        assert_eq!(answer.status, 503, "{} {}\n{}", answer.what, answer.text, world.mesh.logs(12));
        assert!(answer.headers.contains_key("retry-after"), "{}", answer.what);
        assert!(
            is_prompt(begun.elapsed(), Duration::from_secs(2)),
            "{} took {:?}",
            answer.what,
            begun.elapsed()
        );
    }
    // A poll needs no database.
    let _ = world.rest.get(&format!("/v1/tokens/{}", buyer.token)).expect(200).await;
    // Nor does it become one by the company of a token that memory does not know.
    let stranger = uuid::Uuid::new_v4().to_string();
    let batch = BatchGetTokensRequest { tokens: vec![buyer.token.clone(), stranger.clone()] };
    let answer = world.grpc.queue().batch_get_tokens(batch).await.unwrap().into_inner();
    assert_eq!((answer.tokens.len(), answer.not_found, answer.unavailable), (1, vec![], vec![stranger]));

    world.mesh.databases.give_back().await;
    says(&world, ServingStatus::Serving, 200).await;
    let paid = eventually(SOON, || async {
        let answer = world.paying(&buyer, &reservation).send().await;
        holds(answer, |answer| answer.status == 201)
    })
    .await;
    assert_eq!(paid.body["status"], "COMPLETED");
    assert_eq!(world.balance(&buyer.user).await, 4_000);
    world.finish().await;
}
