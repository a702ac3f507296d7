//! The acceptance scenarios of the mission, at full width. (Scenario 7, a lapsing hold, is in `short_holds`;
//! 8, the compensation, in `saga`.)

use std::collections::HashSet;

use boxoffice_proto::wallet::{
    ChargeWalletRequest, CreatePaymentRequest, GetWalletRequest, ListPaymentsRequest, PaymentStatus,
    UseWalletRequest,
};
use futures::future::join_all;
use serde_json::json;
use tests::{
    grpc::patiently,
    scenarios,
    suite::Scenario,
    world::{World, all_at_once, int, text, unique},
};
use uuid::Uuid;

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    ten_users_join_at_once_and_get_ten_positions,
    one_user_joins_ten_times_at_once_and_has_one_token,
    ten_users_hold_one_seat_at_once_and_one_wins,
    of_three_payments_only_what_fits_completes,
    two_equal_payments_at_once_debit_once,
    paying_completes_payment_reservation_and_token,
];
pub(crate) const ALONE: &[Scenario] = scenarios![
    three_hundred_join_at_once_and_nobody_shares_a_ticket,
    three_hundred_hold_one_seat_at_once_and_one_wins,
    three_hundred_charges_by_rest_are_all_applied,
    three_hundred_charges_by_grpc_are_all_applied,
    three_hundred_uses_are_all_applied,
];

async fn joins_are_distinct(world: World, users: usize) {
    let queue = world.queue(json!({"maxActive": 0})).await;
    let joins = (0..users).map(|_| world.joining(&queue, &unique("user")));
    let answers = all_at_once(joins).await;
    let tokens: Vec<_> = answers.into_iter().map(|answer| answer.expect(201)).collect();
    let tickets: HashSet<_> = tokens.iter().map(|token| int(&token["ticket"])).collect();
    assert_eq!(tickets.len(), users, "no two tokens share a ticket");
    let mut positions = HashSet::new();
    world.level().await;
    for token in &tokens {
        let token = world.rest.get(&format!("/v1/tokens/{}", text(&token["token"]))).expect(200).await;
        assert_eq!(token["status"], "WAITING");
        positions.insert(int(&token["position"]));
    }
    assert_eq!(positions, (1..=i64::try_from(users).unwrap()).collect(), "positions are 1..={users}");
}

async fn ten_users_join_at_once_and_get_ten_positions(world: World) {
    joins_are_distinct(world, 10).await;
}

async fn three_hundred_join_at_once_and_nobody_shares_a_ticket(world: World) {
    joins_are_distinct(world, 300).await;
}

async fn one_user_joins_ten_times_at_once_and_has_one_token(world: World) {
    let queue = world.queue(json!({"maxActive": 0})).await;
    let user = unique("user");
    let joins = (0..10).map(|_| world.joining(&queue, &user));
    let answers = all_at_once(joins).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let found = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(
        (created, found),
        (1, 9),
        "{:?}",
        answers.iter().map(|answer| answer.status).collect::<Vec<_>>()
    );
    let tokens: HashSet<_> = answers.iter().map(|answer| text(&answer.body["token"])).collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(world.line(&queue).await["waiting"], 1);
}

async fn one_of_many_wins_the_seat(world: World, users: usize) {
    let sale = world.sale(10_000, 5).await;
    let buyers = join_all((0..users).map(|_| world.buyer(&sale))).await;
    let answers = all_at_once(buyers.iter().map(|buyer| world.holding(buyer, sale.show, &[3]))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(won.len(), 1, "exactly one has the seat: {:?}", won);
    for answer in lost {
        let problem = answer.problem(409, "SEAT_TAKEN");
        assert!(problem["detail"].as_str().unwrap().len() > 5);
    }
}

async fn ten_users_hold_one_seat_at_once_and_one_wins(world: World) {
    one_of_many_wins_the_seat(world, 10).await;
}

async fn three_hundred_hold_one_seat_at_once_and_one_wins(world: World) {
    one_of_many_wins_the_seat(world, 300).await;
}

async fn three_hundred_charges_by_rest_are_all_applied(world: World) {
    let user = unique("user");
    world.charge(&user, 1_000).await;
    let charges = (0..300).map(|_| world.charging(&user, 500));
    for answer in all_at_once(charges).await {
        let _ = answer.expect(201);
    }
    assert_eq!(world.balance(&user).await, 151_000);
    let entries = world.entries(&user).await;
    assert_eq!(entries.len(), 301);
    assert_eq!(entries.iter().map(|entry| int(&entry["amount"])).sum::<i64>(), 151_000);
}

async fn three_hundred_charges_by_grpc_are_all_applied(world: World) {
    let user = unique("user");
    let charge = |amount| {
        let (grpc, request) = (
            world.grpc.clone(),
            ChargeWalletRequest { user_id: user.clone(), amount, request_id: unique("charge") },
        );
        async move {
            let grpc = &grpc;
            patiently(request, |charge| async move { grpc.wallet().charge_wallet(charge).await }).await
        }
    };
    charge(1_000).await.unwrap();
    for answer in join_all((0..300).map(|_| tokio::spawn(charge(500)))).await {
        answer.unwrap().unwrap();
    }
    let wallet = world
        .grpc
        .wallet()
        .get_wallet(GetWalletRequest { user_id: user.clone() })
        .await
        .unwrap()
        .into_inner()
        .wallet
        .unwrap();
    assert_eq!(wallet.balance, 151_000);
}

async fn three_hundred_uses_are_all_applied(world: World) {
    let user = unique("user");
    world.charge(&user, 500_000).await;
    let uses = (0..300).map(|_| {
        let (grpc, user_id) = (world.grpc.clone(), user.clone());
        let request = UseWalletRequest { user_id, amount: 1_000, request_id: unique("use") };
        tokio::spawn(async move {
            let grpc = &grpc;
            patiently(request, |spend| async move { grpc.wallet().use_wallet(spend).await }).await
        })
    });
    for answer in join_all(uses).await {
        answer.unwrap().unwrap();
    }
    assert_eq!(world.balance(&user).await, 200_000);
}

async fn of_three_payments_only_what_fits_completes(world: World) {
    let user = unique("user");
    world.charge(&user, 5_000).await;
    let payments = [4_000, 2_000, 3_500].map(|amount| {
        let mut wallet = world.grpc.wallet();
        let request = CreatePaymentRequest {
            payment_id: Uuid::new_v4().to_string(),
            user_id: user.clone(),
            reservation_id: Uuid::new_v4().to_string(),
            amount,
            request_id: String::new(),
        };
        tokio::spawn(async move { (amount, wallet.create_payment(request).await) })
    });
    let mut completed = Vec::new();
    for answer in join_all(payments).await {
        let (amount, result) = answer.unwrap();
        if result.is_ok() {
            completed.push(amount);
        } else {
            tests::grpc::refused(result, boxoffice_proto::Reason::InsufficientFunds);
        }
    }
    assert_eq!(completed.len(), 1, "no two of them fit into 5,000: {completed:?}");
    assert_eq!(world.balance(&user).await, 5_000 - completed[0]);
    let request = ListPaymentsRequest { user_id: user, page_size: 0, page_token: String::new() };
    let recorded = world.grpc.wallet().list_payments(request).await.unwrap().into_inner().payments;
    let failed = recorded.iter().filter(|payment| payment.status() == PaymentStatus::Failed).count();
    assert_eq!((recorded.len(), failed), (3, 2), "the refused ones are recorded");
}

async fn two_equal_payments_at_once_debit_once(world: World) {
    for round in 0..5 {
        let sale = world.sale(30_000, 5).await;
        let buyer = world.buyer_with(&sale, 100_000).await;
        let reservation = world.hold(&buyer, sale.show, &[1]).await;
        let key = unique("click");
        let pay = |_| world.paying(&buyer, &reservation);
        let pay = |nth| if round % 2 == 0 { pay(nth).unkeyed() } else { pay(nth).key(&key) };
        let answers = all_at_once((0..2).map(pay)).await;
        let paid: Vec<_> = answers.iter().filter(|answer| matches!(answer.status, 201 | 202)).collect();
        assert!(!paid.is_empty(), "{answers:?}");
        let ids: HashSet<_> = paid.iter().map(|answer| text(&answer.body["paymentId"])).collect();
        assert_eq!(ids.len(), 1, "both are told of the same payment");
        for answer in answers.iter().filter(|answer| answer.status > 202) {
            // Without a key, a click that arrives after the first has settled is a new request for a paid
            // reservation.
            assert!(
                matches!(answer.code(), "ALREADY_PAID" | "TOKEN_NOT_ACTIVE") && round % 2 == 0,
                "{} {}",
                answer.status,
                answer.text
            );
        }
        assert_eq!(world.balance(&buyer.user).await, 70_000);
        assert_eq!(world.reservation(&reservation).await["status"], "CONFIRMED");
    }
}

async fn paying_completes_payment_reservation_and_token(world: World) {
    let sale = world.sale(45_000, 5).await;
    let buyer = world.buyer_with(&sale, 100_000).await;
    let held = world.holding(&buyer, sale.show, &[2, 4]).expect(201).await;
    assert_eq!(
        (&held["status"], &held["amount"], &held["seatNumbers"]),
        (&json!("HELD"), &json!(90_000), &json!([2, 4]))
    );
    let reservation = text(&held["reservationId"]);
    let payment = world.paying(&buyer, &reservation).expect(201).await;
    assert_eq!(
        (&payment["status"], &payment["amount"], &payment["reason"]),
        (&json!("COMPLETED"), &json!(90_000), &json!(null))
    );
    assert_eq!((&payment["userId"], &payment["reservationId"]), (&json!(buyer.user), &json!(reservation)));
    assert_eq!(world.balance(&buyer.user).await, 10_000);
    let confirmed = world.reservation(&reservation).await;
    assert_eq!((&confirmed["status"], &confirmed["paymentId"]), (&json!("CONFIRMED"), &payment["paymentId"]));
    assert!(confirmed["confirmedAt"].is_string());
    world.until(&buyer.token, "COMPLETED").await;
    let again = world.paying(&buyer, &reservation).send().await;
    assert!(
        again.status == 403 || again.status == 409,
        "paying again with that token is refused: {} {}",
        again.status,
        again.text
    );
    let other = world.buyer_with(&sale, 1).await;
    let _ = world.holding(&other, sale.show, &[2]).send().await.problem(409, "SEAT_TAKEN");
    let next = world.holding(&buyer, sale.show, &[1]).send().await;
    let _ = next.problem(403, "TOKEN_NOT_ACTIVE");
    assert_eq!(world.balance(&buyer.user).await, 10_000);
}
