//! A checkout that cannot settle: it is parked, seen by operators in every way there is, and goes on when one
//! of them says so.

use std::time::Duration;

use boxoffice_proto::{
    Reason,
    checkout::{
        AttemptOutcome, Checkout, CheckoutStatus, GetCheckoutRequest, ListCheckoutsRequest,
        RetryCheckoutRequest, checkout_service_client::CheckoutServiceClient,
    },
};
use serde_json::json;
use tests::{
    eventually::{eventually, holds},
    faults::{Mishap::Refused, Rule},
    mesh::{Role, Shape},
    solos,
    suite::Solo,
    trial::{Course::Cancelled, Court},
    world::{World, text},
};

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::ApartSqlite, Shape::Cluster];
    a_refund_that_keeps_being_refused_is_parked_and_seen_until_an_operator_has_it_tried_again,
];

/// After so many answers in a row that cannot be, a person must look.
const UNTIL_PARKED: usize = 10;

async fn parked(world: &World, user_id: &str) -> Vec<Checkout> {
    let narrowed =
        ListCheckoutsRequest { user_id: user_id.to_owned(), parked: true, ..ListCheckoutsRequest::default() };
    world.grpc.checkout().list_checkouts(narrowed).await.unwrap().into_inner().checkouts
}

/// What each edge says of how many are parked.
async fn gauges(world: &World) -> Vec<String> {
    let mut told = Vec::new();
    for node in world.mesh.of(Role::Edge) {
        let metrics =
            reqwest::get(format!("http://{}/metrics", node.http)).await.unwrap().text().await.unwrap();
        let value = metrics.lines().find_map(|line| line.strip_prefix("checkouts_parked "));
        told.extend(value.map(str::to_owned));
    }
    told
}

async fn a_refund_that_keeps_being_refused_is_parked_and_seen_until_an_operator_has_it_tried_again(
    shape: Shape,
) {
    let court = Court::open(shape).await;
    let world = court.world.clone();
    let refused = Rule::first("CancelPayment", UNTIL_PARKED, Refused(Reason::InvalidArgument));
    let trial = court.begin(Cancelled.with(refused)).await;
    let turning = trial.turning();
    let first = trial.click(&world.rest).await.unwrap();
    turning.await.unwrap().unwrap();
    assert_eq!((first.status, &first.body["status"]), (202, &"PENDING".into()), "{}", first.text);

    let user = trial.buyer().user.clone();
    let seen = eventually(Duration::from_secs(30), || async {
        holds(parked(&world, &user).await, |seen| !seen.is_empty())
    })
    .await;
    let [checkout] = seen.as_slice() else { panic!("one is parked: {seen:?}") };
    assert_eq!(checkout.checkout_id, text(&first.body["paymentId"]));
    assert!(
        checkout.status() == CheckoutStatus::Pending
            && checkout.parked_at.is_some()
            && checkout.settled_at.is_none()
    );
    let of = |checkout: &Checkout| -> Vec<_> {
        checkout
            .timeline
            .iter()
            .map(|a| (a.step.clone(), a.outcome(), a.reason.clone(), a.times as usize))
            .collect()
    };
    let told = of(checkout);
    assert!(
        told.iter().any(|(step, outcome, ..)| step == "create_payment" && *outcome == AttemptOutcome::Done),
        "{told:?}"
    );
    let last =
        ("cancel_payment".to_owned(), AttemptOutcome::Refused, "INVALID_ARGUMENT".to_owned(), UNTIL_PARKED);
    assert_eq!(told.last(), Some(&last), "{told:?}");
    // It is told once it is committed, and written by the log's own thread.
    let alerts = || -> Vec<_> {
        world.mesh.complaints().into_iter().filter(|line| line.contains("\"alert\":true")).collect()
    };
    let alerts =
        eventually(Duration::from_secs(5), || async { holds(alerts(), |alerts| !alerts.is_empty()) }).await;
    assert!(
        alerts.len() == 1 && alerts[0].contains(&checkout.checkout_id),
        "one alert that names it: {alerts:?}"
    );
    // Every edge counts from the journal.
    let edges = world.mesh.of(Role::Edge).len();
    eventually(Duration::from_secs(30), || async {
        holds(gauges(&world).await, |told| told.len() == edges && told.iter().all(|value| value == "1"))
    })
    .await;
    let again = trial.click(&world.rest).await.unwrap();
    assert_eq!(
        (again.status, &again.body["paymentId"]),
        (202, &first.body["paymentId"]),
        "still settling: {}",
        again.text
    );

    // Over REST as over gRPC.
    let listed = world.rest.get("/v1/payments?parked=true&status=PENDING").expect(200).await;
    assert_eq!(listed["payments"][0]["paymentId"], first.body["paymentId"], "{listed}");
    let path = format!("/v1/payments/{}", checkout.checkout_id);
    let story = world.rest.get(&format!("{path}/story")).expect(200).await;
    let last = story["steps"].as_array().and_then(|steps| steps.last()).unwrap();
    assert_eq!(
        (&last["step"], &last["outcome"], &last["reason"], &last["times"], story["parkedAt"].is_string()),
        (&json!("cancel_payment"), &json!("REFUSED"), &json!("INVALID_ARGUMENT"), &json!(UNTIL_PARKED), true),
        "{story}"
    );

    // The cause is mended (it refuses no more), and an operator says so at some edge.
    let edge = || CheckoutServiceClient::new(world.grpc.checkout.next());
    let checkout_id = checkout.checkout_id.clone();
    let retried = edge()
        .retry_checkout(RetryCheckoutRequest { checkout_id: checkout_id.clone() })
        .await
        .unwrap()
        .into_inner();
    assert!(retried.checkout.unwrap().parked_at.is_none());
    let ended = eventually(Duration::from_secs(15), || async {
        let get = GetCheckoutRequest { checkout_id: checkout_id.clone(), user_id: String::new() };
        let now = edge().get_checkout(get).await.unwrap().into_inner().checkout.unwrap();
        holds(now, |now| now.status() == CheckoutStatus::Compensated)
    })
    .await;
    let told = of(&ended);
    assert_eq!(
        told.last().map(|(step, outcome, ..)| (step.as_str(), *outcome)),
        Some(("cancel_payment", AttemptOutcome::Done))
    );
    assert_eq!(parked(&world, &user).await, []);
    // Retried once more by a nervous operator: nothing moves.
    let again = world.rest.post(&format!("{path}/retry"), json!({})).expect(200).await;
    assert_eq!(again["status"], "CANCELLED", "{again}");
    let settled = edge()
        .retry_checkout(RetryCheckoutRequest { checkout_id })
        .await
        .unwrap()
        .into_inner()
        .checkout
        .unwrap();
    assert_eq!(settled, ended);
    let told = trial.told(&world.rest).await.unwrap();
    trial.verdict(&told).await.unwrap_or_else(|why| panic!("{why}"));
    drop(trial);
    drop(world);
    court.close().await;
}
