//! What a collector of traces is told: one purchase is one trace through every process, batches and
//! resumptions are linked to the requests that they are for, and nobody is told what is not sampled.

use std::{collections::HashSet, time::Duration};

use boxoffice_proto::checkout::ListCheckoutsRequest;
use futures::future::join_all;
use tests::{
    collector::{Collector, Told},
    eventually::{eventually, holds},
    keys::Keys,
    mesh::{Role, Shape},
    process::Signal,
    solos,
    suite::Solo,
    world::{World, unique},
};

pub(crate) const SOLOS: &[Solo] = &[
    solos![&[Shape::SingleSqlite, Shape::Cluster]; a_purchase_is_one_trace_through_every_process][0],
    solos![&[Shape::Cluster]; a_checkout_that_is_taken_over_is_linked_to_the_trace_that_began_it][0],
    solos![&[Shape::ApartSqlite]; a_collector_is_told_by_tls][0],
    solos![&[Shape::ApartSqlite]; a_collector_that_is_away_costs_nothing_but_the_spans][0],
];

/// Spans are sent every five seconds.
const SENT: Duration = Duration::from_secs(10);
/// The span of the caller, who is the first of the processes that the purchase goes through.
const CALLER: &str = "00f067aa0ba902b7";
const PAY: &str = "POST /v1/payments";
/// What another system's program says of the trace.
const STATE: &str = "rojo=00f067aa0ba902b7,congo@sys=t61 rcWkgMzE";

fn parent(trace: &str, sampled: bool) -> String {
    format!("00-{trace}-{CALLER}-0{}", u8::from(sampled))
}

fn new_trace() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

async fn a_purchase_is_one_trace_through_every_process(shape: Shape) {
    let (collector, endpoint) = Collector::start().await;
    let world = World::start(shape, &["--otlp-endpoint", &endpoint]).await;
    let sale = world.sale(1_000, 50).await;
    let buyer = world.buyer_with(&sale, 5_000).await;
    let reservation = world.hold(&buyer, sale.show, &[1, 2]).await;
    let trace = new_trace();
    let paying = world.paying(&buyer, &reservation).header("traceparent", parent(&trace, true));
    let paying = paying.header("tracestate", STATE);
    assert_eq!(paying.expect(201).await["status"], "COMPLETED");

    let apart = world.mesh.nodes.len() > 1;
    let services: &[&str] =
        if apart { &["edge", "queue-svc", "booking-svc", "wallet-svc"] } else { &["boxoffice"] };
    let steps = [
        "boxoffice.queue.v1.QueueService/VerifyToken",
        "boxoffice.booking.v1.BookingService/ConfirmReservation",
        "boxoffice.wallet.v1.WalletService/CreatePayment",
        "boxoffice.queue.v1.QueueService/CompleteToken",
    ];
    let spans = eventually(SENT, || async {
        holds(collector.of(&trace), |spans| {
            let has = |name: &str, kind| spans.iter().any(|span| span.name == name && span.kind == kind);
            steps.iter().all(|step| has(step, 2) && has(step, 3)) && has(PAY, 2) && has("checkout", 1)
        })
    })
    .await;

    let told_by: HashSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
    assert_eq!(told_by, services.iter().copied().collect());
    let ids: HashSet<&str> = spans.iter().map(|span| span.id.as_str()).chain([CALLER]).collect();
    assert_eq!(ids.len(), spans.len() + 1, "each has an id of its own");
    let lost: Vec<&Told> = spans.iter().filter(|span| !ids.contains(span.parent.as_str())).collect();
    assert!(lost.is_empty(), "the parent of each is told too: {lost:#?}");

    let states: HashSet<&str> = spans.iter().map(|span| span.state.as_str()).collect();
    assert_eq!(states, HashSet::from([STATE]), "it is passed on unchanged through every process");
    let of = |name: &str, kind| spans.iter().find(|span| span.name == name && span.kind == kind).unwrap();
    let http = of(PAY, 2);
    assert_eq!((http.parent.as_str(), http.failed), (CALLER, false));
    let said = |span: &Told, key: &str| span.attributes.get(key).cloned().unwrap_or_default();
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/v1/payments"),
        ("url.path", "/v1/payments"),
        ("url.scheme", "http"),
        ("http.response.status_code", "201"),
    ] {
        assert_eq!(said(http, key), value, "{key}");
    }
    for step in steps {
        let (server, client) = (of(step, 2), of(step, 3));
        assert_eq!(server.parent, client.id, "{step}");
        for span in [server, client] {
            assert_eq!(said(span, "rpc.system.name"), "grpc");
            assert_eq!(
                (said(span, "rpc.method"), said(span, "rpc.response.status_code")),
                (step.into(), "OK".into())
            );
        }
        assert!(!apart || !said(client, "server.address").is_empty(), "{step}");
    }
    // The statements of the payment stand under it.
    let system = if shape == Shape::Cluster { "postgresql" } else { "sqlite" };
    let paid = spans.iter().find(|span| span.name == "INSERT payment").unwrap();
    assert_eq!((said(paid, "db.system.name").as_str(), paid.kind), (system, 3));
    assert!(said(paid, "db.query.text").starts_with("INSERT INTO payment"), "{paid:?}");
    let mut above = paid;
    while let Some(next) = spans.iter().find(|span| span.id == above.parent) {
        above = next;
    }
    assert_eq!(above.id, http.id);

    // A batch is told in the trace of one of its requests, and linked to those of the others.
    let joins: Vec<String> = (0..20).map(|_| new_trace()).collect();
    let joining = joins.iter().map(|trace| {
        world.joining(&sale.queue, &unique("user")).header("traceparent", parent(trace, true)).expect(201)
    });
    join_all(joining).await;
    eventually(SENT, || async {
        let all = collector.spans();
        let batches: Vec<&Told> = all.iter().filter(|span| span.name == "queue batch").collect();
        let told = |trace: &String| {
            batches
                .iter()
                .any(|batch| &batch.trace == trace || batch.links.iter().any(|link| &link.0 == trace))
        };
        holds(joins.iter().filter(|trace| !told(trace)).count(), |missing| *missing == 0)
    })
    .await;

    // What is no list, or too long, is dropped whole, and the trace goes on without it.
    for wrong in ["Rojo=1", "rojo=1,congo", &format!("rojo={},congo={}", "x".repeat(255), "y".repeat(255))] {
        let trace = new_trace();
        let polling = world.rest.get(&format!("/v1/tokens/{}", buyer.token)).header("tracestate", wrong);
        let _ = polling.header("traceparent", parent(&trace, true)).send().await;
        let spans = eventually(SENT, || async {
            holds(collector.of(&trace), |spans| {
                spans.iter().any(|span| span.kind == 2 && span.name.contains("BatchGetTokens"))
            })
        })
        .await;
        assert!(spans.iter().all(|span| span.state.is_empty()), "{wrong}: {spans:?}");
    }

    // What its caller does not record is not recorded here either. A later request that is comes after it.
    let (quiet, told) = (new_trace(), new_trace());
    for (trace, sampled) in [(&quiet, false), (&told, true)] {
        let polling = world.rest.get(&format!("/v1/tokens/{}", buyer.token));
        let _ = polling.header("traceparent", parent(trace, sampled)).send().await;
    }
    eventually(SENT, || async { holds(collector.of(&told).len(), |spans| *spans > 0) }).await;
    assert_eq!(collector.of(&quiet), []);
    // Who knows a queue token speaks for its user: no span has one.
    let secret = |span: &Told| span.attributes.values().any(|value| value.contains(&buyer.token));
    assert!(!collector.spans().iter().any(secret));
    world.finish().await;
}

async fn a_checkout_that_is_taken_over_is_linked_to_the_trace_that_began_it(shape: Shape) {
    let (collector, endpoint) = Collector::start().await;
    let world = World::start(shape, &["--otlp-endpoint", &endpoint]).await;
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 5_000).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    for wallet in world.mesh.of(Role::Wallet) {
        wallet.process.signal(Signal::Stop);
    }
    let trace = new_trace();
    let paying = world.paying(&buyer, &reservation).header("traceparent", parent(&trace, true));
    let paying = tokio::spawn(paying.send());
    let pending = eventually(SENT, || async {
        let request = ListCheckoutsRequest { user_id: buyer.user.clone(), ..ListCheckoutsRequest::default() };
        let page = world.grpc.checkout().list_checkouts(request).await.unwrap().into_inner();
        holds(page.checkouts, |checkouts| checkouts.len() == 1)
    })
    .await;
    let checkout = pending[0].checkout_id.clone();
    // Whichever edge runs it loses it.
    for edge in world.mesh.of(Role::Edge) {
        edge.process.kill();
        edge.process.restart();
    }
    drop(paying.await);
    for wallet in world.mesh.of(Role::Wallet) {
        wallet.process.signal(Signal::Cont);
    }
    let resumed = eventually(2 * SENT, || async {
        let of = |span: &Told| {
            span.name == "checkout"
                && span.attributes.get("boxoffice.checkout.id") == Some(&checkout)
                && span.attributes.contains_key("boxoffice.checkout.status")
        };
        let found = collector.spans().into_iter().find(of);
        found.ok_or_else(|| "no span of the resumed checkout".to_owned())
    })
    .await;
    assert_ne!(resumed.trace, trace, "it is a trace of its own");
    assert_eq!((resumed.parent.is_empty(), resumed.links.len()), (false, 1), "{resumed:?}");
    assert_eq!(resumed.links[0].0, trace);
    assert_eq!(resumed.attributes["boxoffice.checkout.status"], "COMPLETED");
    world.mesh.ready().await;
    world.finish().await;
}

async fn a_collector_is_told_by_tls(shape: Shape) {
    let keys = Keys::new();
    let (collector, endpoint) = Collector::start_tls(&keys).await;
    let authority = keys.path("ca.crt").display().to_string();
    let world = World::start(shape, &["--otlp-endpoint", &endpoint, "--otlp-ca", &authority]).await;
    let trace = new_trace();
    let asked = world.rest.get("/v1/queues/default").header("traceparent", parent(&trace, true));
    asked.expect(200).await;
    eventually(SENT, || async { holds(collector.of(&trace).len(), |spans| *spans > 1) }).await;
    world.finish().await;
}

async fn a_collector_that_is_away_costs_nothing_but_the_spans(shape: Shape) {
    let world = World::start(shape, &["--otlp-endpoint", "http://127.0.0.1:1"]).await;
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 5_000).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    assert_eq!(world.paying(&buyer, &reservation).expect(201).await["status"], "COMPLETED");
    let said = "the collector of traces takes no spans";
    for node in &world.mesh.nodes {
        eventually(SENT, || async { holds(node.process.log().matches(said).count(), |told| *told == 1) })
            .await;
    }
    world.finish().await;
}
