//! The relay against a receiver that does not always take what it is sent.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Bytes, http::StatusCode, routing::post};
use chassis::{
    clock::Clock,
    db::Db,
    testing::{databases, patience::Patience},
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Relay;
use crate::{
    domain::{
        checkout::{Checkout, RecordedCheckout, Status},
        event,
    },
    store::{Journal, Settlement},
};

/// Refuses the first event it is sent, then takes everything. Answers its address and what it took.
async fn receiver() -> (String, Arc<Mutex<Vec<Value>>>) {
    let (taken, refused) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(false)));
    let log = Arc::clone(&taken);
    let take = move |body: Bytes| {
        let again = std::mem::replace(&mut *refused.lock(), true);
        if again {
            log.lock().push(serde_json::from_slice(&body).unwrap());
        }
        std::future::ready(if again { StatusCode::ACCEPTED } else { StatusCode::SERVICE_UNAVAILABLE })
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let router = Router::new().route("/events", post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, taken)
}

async fn settle_one(journal: &Journal, clock: &Clock) -> Uuid {
    let checkout = Checkout::begun(Uuid::new_v4(), "ann".into(), Uuid::new_v4(), 1, clock.now());
    let entry =
        RecordedCheckout { checkout: checkout.clone(), token: Uuid::nil(), refusal: None, trace: None };
    journal.begin(&entry, None, Uuid::nil(), clock.now()).await.unwrap();
    let checkout = Checkout { status: Status::Completed, settled_at: Some(clock.now()), ..checkout };
    let events = event::outcome(&checkout);
    journal
        .settle(&Settlement { checkout: checkout.clone(), refusal: None, rounds: 0, events })
        .await
        .unwrap();
    checkout.checkout_id
}

#[tokio::test]
async fn every_event_arrives_in_order_within_its_checkout_though_the_receiver_refuses_at_first_and_two_relays_share()
 {
    for database in databases().await {
        let journal = Journal::new(Db::open(&database.config, &chassis::migrations!()).await.unwrap());
        let ((url, taken), clock, shutdown) = (receiver().await, Clock::system(), CancellationToken::new());
        let mut checkouts = Vec::new();
        for _ in 0..5 {
            checkouts.push(settle_one(&journal, &clock).await);
        }
        for _ in 0..2 {
            let relay = Relay::new(journal.clone(), clock.clone(), Some(&url)).unwrap();
            tokio::spawn(relay.run_until(shutdown.clone()));
        }
        let patience = Patience::new(Duration::from_secs(5));
        while taken.lock().len() < 10 && !patience.is_over() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        shutdown.cancel();
        let taken = taken.lock();
        assert_eq!(taken.len(), 10, "each once when nothing dies, on {}", database.name);
        for checkout in checkouts {
            let kinds = taken
                .iter()
                .filter(|event| event["subject"] == checkout.to_string())
                .map(|event| &event["type"]);
            assert!(
                kinds.eq(["boxoffice.payment.completed", "boxoffice.reservation.confirmed"]),
                "{}",
                database.name
            );
        }
    }
}

#[tokio::test]
async fn an_address_that_cannot_work_is_refused_before_anything_starts() {
    for database in databases().await {
        let journal = Journal::new(Db::open(&database.config, &chassis::migrations!()).await.unwrap());
        for bad in ["nowhere", "ftp://x/", "https://x/"] {
            let relay = Relay::new(journal.clone(), Clock::system(), Some(bad));
            assert!(matches!(relay, Err(chassis::Error::Config(_))), "{bad}");
        }
    }
}
