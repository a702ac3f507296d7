//! The same request again gives the first answer again, whatever has happened since; the same key with
//! another request is refused.

use boxoffice_proto::{
    Reason,
    booking::HoldSeatsRequest,
    checkout::PayRequest,
    wallet::{ChargeWalletRequest, wallet_service_client::WalletServiceClient},
};
use serde_json::json;
use std::collections::HashSet;
use tests::{
    grpc::refused,
    requests::{hold_body, hold_message, show_body},
    scenarios,
    suite::Scenario,
    world::{World, all_at_once, int, text, unique},
};

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    every_post_with_its_key_again_is_answered_the_same,
    a_key_sent_many_times_at_once_is_one_charge,
    without_a_key_a_charge_is_a_new_charge,
    a_payment_is_replayed_after_its_token_is_completed,
    a_hold_is_replayed_after_its_token_is_completed,
    a_key_used_by_rest_is_known_to_grpc,
    a_refusal_is_not_remembered,
    another_request_with_the_same_key_is_refused_on_every_route,
    a_key_is_its_users_own,
    a_key_cannot_be_one_of_the_edges_own,
    a_key_is_free_for_another_user_of_another_route,
];

async fn every_post_with_its_key_again_is_answered_the_same(world: World) {
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 10_000).await;
    for (path, body) in [
        ("/v1/concerts".to_owned(), json!({"title": "Twice"})),
        (format!("/v1/concerts/{}/shows", sale.concert), show_body(json!({}))),
        (format!("/v1/wallets/{}/charges", buyer.user), json!({"amount": 5})),
        ("/v1/reservations".to_owned(), hold_body(&buyer.user, sale.show, [1, 2])),
    ] {
        let key = unique("key");
        let call = || world.rest.post(&path, body.clone()).token(&buyer.token).key(&key);
        let first = call().expect(201).await;
        let again = call().expect(201).await;
        assert_eq!(first, again, "{path}");
    }
    assert_eq!(world.balance(&buyer.user).await, 10_005);
    let shows = world.rest.get(&format!("/v1/concerts/{}/shows", sale.concert)).expect(200).await;
    assert_eq!(shows["shows"].as_array().unwrap().len(), 2, "one was made by the two requests");
    let join = || {
        world
            .rest
            .post(&format!("/v1/queues/{}/tokens", sale.queue), json!({"userId": "replayer"}))
            .key("join-once")
    };
    let (first, again) = (join().send().await, join().send().await);
    assert_eq!(first.body["token"], again.body["token"]);
}

async fn a_key_sent_many_times_at_once_is_one_charge(world: World) {
    let (user, key) = (unique("user"), unique("key"));
    let charge = || world.rest.post(&format!("/v1/wallets/{user}/charges"), json!({"amount": 500})).key(&key);
    let answers = all_at_once((0..50).map(|_| charge())).await;
    let bodies: HashSet<_> = answers.into_iter().map(|answer| answer.expect(201).to_string()).collect();
    assert_eq!(bodies.len(), 1, "one answer to all: {bodies:?}");
    assert_eq!(world.balance(&user).await, 500);
}

async fn without_a_key_a_charge_is_a_new_charge(world: World) {
    let user = unique("user");
    for _ in 0..2 {
        world.charging(&user, 500).unkeyed().expect(201).await;
    }
    assert_eq!(world.balance(&user).await, 1_000);
}

async fn a_payment_is_replayed_after_its_token_is_completed(world: World) {
    let sale = world.sale(4_000, 5).await;
    let buyer = world.buyer_with(&sale, 10_000).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    let key = unique("pay");
    let first = world.paying(&buyer, &reservation).key(&key).expect(201).await;
    world.until(&buyer.token, "COMPLETED").await;
    for _ in 0..4 {
        let again = world.paying(&buyer, &reservation).key(&key).expect(201).await;
        assert_eq!(first["paymentId"], again["paymentId"]);
        assert_eq!(again["status"], "COMPLETED");
    }
    let pay = PayRequest {
        user_id: buyer.user.clone(),
        reservation_id: reservation.clone(),
        token: buyer.token.clone(),
        request_id: key.clone(),
    };
    let by_grpc = world.grpc.checkout().pay(pay).await.unwrap().into_inner().checkout.unwrap();
    assert_eq!(by_grpc.checkout_id, text(&first["paymentId"]), "the same key by gRPC is the same payment");
    assert_eq!(world.balance(&buyer.user).await, 6_000);
    let other = world.hold(&world.admitted(&sale.queue, &buyer.user).await, sale.show, &[2]).await;
    let _ = world.paying(&buyer, &other).key(&key).send().await.problem(422, "REQUEST_ID_REUSED");
}

async fn a_hold_is_replayed_after_its_token_is_completed(world: World) {
    let sale = world.sale(4_000, 5).await;
    let buyer = world.buyer_with(&sale, 10_000).await;
    let key = unique("hold");
    let first = world.holding(&buyer, sale.show, &[1, 2]).key(&key).expect(201).await;
    let _ = world.paying(&buyer, &text(&first["reservationId"])).expect(201).await;
    world.until(&buyer.token, "COMPLETED").await;
    let again = world.holding(&buyer, sale.show, &[1, 2]).key(&key).expect(201).await;
    assert_eq!(first, again, "the first answer, word for word");
    let body = hold_body(&buyer.user, sale.show, [1, 2]);
    let bare = world.rest.post("/v1/reservations", body).key(&key).expect(201).await;
    assert_eq!(first, bare, "before any other check, also of the token's being there");
    let _ = world.holding(&buyer, sale.show, &[3]).key(&key).send().await.problem(422, "REQUEST_ID_REUSED");
    let _ = world
        .holding(&buyer, sale.show, &[3])
        .key(&unique("hold"))
        .send()
        .await
        .problem(403, "TOKEN_NOT_ACTIVE");
}

async fn a_key_used_by_rest_is_known_to_grpc(world: World) {
    let (user, key) = (unique("user"), unique("key"));
    let first = world
        .rest
        .post(&format!("/v1/wallets/{user}/charges"), json!({"amount": 700}))
        .key(&key)
        .expect(201)
        .await;
    let same = ChargeWalletRequest { user_id: user.clone(), amount: 700, request_id: key };
    let again = world.grpc.wallet().charge_wallet(same).await.unwrap().into_inner().wallet.unwrap();
    assert_eq!((again.balance, int(&first["balance"])), (700, 700));
    assert_eq!(world.balance(&user).await, 700);

    let sale = world.sale(1_000, 5).await;
    let (buyer, key) = (world.buyer(&sale).await, unique("key"));
    let hold = HoldSeatsRequest { request_id: key.clone(), ..hold_message(&buyer.user, sale.show, &[3]) };
    let held = world.grpc.booking().hold_seats(hold).await.unwrap().into_inner().reservation.unwrap();
    let again = world.holding(&buyer, sale.show, &[3]).key(&key).expect(201).await;
    assert_eq!(text(&again["reservationId"]), held.reservation_id);
}

async fn a_refusal_is_not_remembered(world: World) {
    let sale = world.sale(1_000, 5).await;
    let (ann, bob) = (world.buyer(&sale).await, world.buyer(&sale).await);
    let taken = world.hold(&ann, sale.show, &[1]).await;
    let key = unique("key");
    let _ = world.holding(&bob, sale.show, &[1]).key(&key).send().await.problem(409, "SEAT_TAKEN");
    let _ = world.rest.delete(&format!("/v1/reservations/{taken}")).token(&ann.token).expect(204).await;
    let _ = world.holding(&bob, sale.show, &[1]).key(&key).expect(201).await;
}

async fn another_request_with_the_same_key_is_refused_on_every_route(world: World) {
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 10_000).await;
    let show = |title: &str| show_body(json!({"title": title}));
    let hold = |seat: i32| hold_body(&buyer.user, sale.show, [seat]);
    for (path, one, other) in [
        ("/v1/concerts".to_owned(), json!({"title": "One"}), json!({"title": "Other"})),
        (format!("/v1/concerts/{}/shows", sale.concert), show("One"), show("Other")),
        (format!("/v1/wallets/{}/charges", buyer.user), json!({"amount": 5}), json!({"amount": 6})),
        ("/v1/reservations".to_owned(), hold(1), hold(2)),
    ] {
        let key = unique("key");
        let _ = world.rest.post(&path, one).token(&buyer.token).key(&key).expect(201).await;
        let _ = world
            .rest
            .post(&path, other)
            .token(&buyer.token)
            .key(&key)
            .send()
            .await
            .problem(422, "REQUEST_ID_REUSED");
    }
    let key = unique("key");
    let same = ChargeWalletRequest { user_id: unique("one"), amount: 5, request_id: key.clone() };
    let other = ChargeWalletRequest { amount: 6, ..same.clone() };
    world.grpc.wallet().charge_wallet(same).await.unwrap();
    refused(world.grpc.wallet().charge_wallet(other).await, Reason::RequestIdReused);
}

/// People number their requests alike: nobody's `order-2` is in another's way, nor does it tell them
/// anything.
async fn a_key_is_its_users_own(world: World) {
    let sale = world.sale(1_000, 10).await;
    let key = unique("order");
    let (ann, bob) = (world.buyer_with(&sale, 10_000).await, world.buyer_with(&sale, 10_000).await);
    let mut told = Vec::new();
    for (buyer, seat) in [(&ann, 1), (&bob, 2)] {
        let join = world
            .rest
            .post(&format!("/v1/queues/{}/tokens", sale.queue), json!({"userId": buyer.user}))
            .key(&key);
        assert_eq!(join.send().await.body["token"], buyer.token.as_str());
        let charge = || {
            world.rest.post(&format!("/v1/wallets/{}/charges", buyer.user), json!({"amount": 5})).key(&key)
        };
        let hold = || world.holding(buyer, sale.show, &[seat]).key(&key);
        let (charged, held) = (charge().expect(201).await, hold().expect(201).await);
        let reservation = text(&held["reservationId"]);
        let pay = || world.paying(buyer, &reservation).key(&key);
        let paid = pay().expect(201).await;
        assert_eq!((charge().expect(201).await, hold().expect(201).await), (charged, held));
        assert_eq!(pay().expect(201).await["paymentId"], paid["paymentId"]);
        assert_eq!(world.balance(&buyer.user).await, 9_005);
        told.push((reservation, text(&paid["paymentId"])));
    }
    assert_ne!(told[0].1, told[1].1);
    // Bob knows Ann's name, reservation and key, and has a token of his own.
    let paying =
        || world.rest.post("/v1/payments", json!({"userId": ann.user, "reservationId": told[0].0})).key(&key);
    let _ = paying().send().await.problem(401, "TOKEN_MISSING");
    let _ = paying().token(&bob.token).send().await.problem(403, "TOKEN_WRONG_USER");
    assert_eq!(paying().token(&ann.token).expect(201).await["paymentId"], told[0].1);
}

async fn a_key_cannot_be_one_of_the_edges_own(world: World) {
    let key = format!("brief/{}", unique("key"));
    let _ = world
        .rest
        .post("/v1/concerts", json!({"title": "x"}))
        .key(&key)
        .send()
        .await
        .problem(400, "INVALID_ARGUMENT");
    // Over gRPC one of that shape is each user's own, as every other is.
    for channel in world.grpc.checkout.all() {
        for user in [unique("ann"), unique("bob")] {
            let charge = ChargeWalletRequest { user_id: user, amount: 5, request_id: key.clone() };
            let mut edge = WalletServiceClient::new(channel.clone());
            let charged = edge.charge_wallet(charge.clone()).await.unwrap().into_inner();
            assert_eq!(edge.charge_wallet(charge).await.unwrap().into_inner(), charged, "once");
        }
    }
}

/// Each service knows its own keys: a client that numbers its requests by what they are about is not
/// surprised.
async fn a_key_is_free_for_another_user_of_another_route(world: World) {
    let key = unique("key");
    let _ = world.rest.post("/v1/concerts", json!({"title": "x"})).key(&key).expect(201).await;
    let _ = world
        .rest
        .post(&format!("/v1/wallets/{}/charges", unique("user")), json!({"amount": 5}))
        .key(&key)
        .expect(201)
        .await;
}
