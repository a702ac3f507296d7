//! A show with many sales is called off: each is refunded once, at a cost that does not grow with their
//! number, with progress to look at, and through kills. Ten thousand sales are those of `bench refunds`.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, future::join_all, stream};
use serde_json::json;
use tests::{
    eventually::{eventually, holds},
    mesh::{Role, Shape},
    patience::Patience,
    solos,
    suite::Solo,
    world::{Buyer, Sale, World, int, text, unique},
};

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::ApartSqlite, Shape::Cluster];
    many_sales_are_refunded_once_at_one_cost_each_and_through_kills,
];

const SMALL: i32 = 100;
const LARGE: i32 = 1_200;
const KILLED: i32 = 300;
const PRICE: i64 = 1_000;
/// Who buys at once.
const BUYING: usize = 32;
/// What is refunded before the programs are killed.
const BLOW: i64 = 60;
/// How long the refunds of a show may usually take.
const LONG: Duration = Duration::from_secs(60);
/// Sales that the edge reads at a time.
const PAGE: u64 = 32;
/// So often it may look for what is left when all have been begun.
const LOOKS: u64 = 60;

/// One buys one seat; the id of the payment.
async fn buy(world: &World, sale: &Sale, seat: i32) -> String {
    let user = unique("user");
    let token = text(&world.join(&sale.queue, &user).await["token"]);
    let buyer = Buyer { user, token };
    world.charge(&buyer.user, PRICE).await;
    let held = world.hold(&buyer, sale.show, &[seat]).await;
    text(&world.paying(&buyer, &held).expect(201).await["paymentId"])
}

/// A show of which every seat is sold.
async fn sold_out(world: &World, seats: i32) -> (i64, Vec<String>) {
    let sale = world.sale(PRICE, seats).await;
    let buying = (1..=seats).map(|seat| buy(world, &sale, seat));
    (sale.show, stream::iter(buying).buffer_unordered(BUYING).collect().await)
}

/// How often each method was called at the services.
async fn calls(world: &World) -> BTreeMap<String, u64> {
    let mut calls = BTreeMap::new();
    for role in [Role::Booking, Role::Wallet] {
        for node in world.mesh.of(role) {
            let told = reqwest::get(format!("http://{}/metrics", node.http)).await.unwrap();
            for line in told.text().await.unwrap().lines() {
                let Some((labels, count)) =
                    line.strip_prefix("grpc_requests_total{").and_then(|line| line.split_once("} "))
                else {
                    continue;
                };
                let method = labels.split(',').find_map(|label| label.strip_prefix("method=\"")).unwrap();
                let method = method.trim_end_matches('"').to_owned();
                *calls.entry(method).or_default() += count.parse::<u64>().unwrap();
            }
        }
    }
    calls
}

/// Calls a show off, and waits until it is CANCELLED; how far the refunds are is told on the way, and never
/// less than before. `blow` is dealt when so many are done.
async fn called_off(world: &World, show: i64, sales: i32, blow: Option<i64>) {
    let path = format!("/v1/shows/{show}");
    world.rest.post(&format!("{path}/cancel"), json!({})).expect(202).await;
    let (patience, mut told, mut blow) = (Patience::new(LONG), vec![0], blow);
    loop {
        let show = world.rest.get(&path).expect(200).await;
        let (refunds, last) = (&show["refunds"], told[told.len() - 1]);
        let done = int(&refunds["done"]);
        assert!(done >= last && refunds["total"] == sales && refunds["parked"] == 0, "{show} after {last}");
        if done > last {
            told.push(done);
        }
        if show["status"] == "CANCELLED" {
            break;
        }
        if blow.take_if(|blow| done >= *blow).is_some() {
            for role in [Role::Edge, Role::Booking, Role::Wallet] {
                for node in world.mesh.of(role) {
                    node.process.kill();
                }
            }
            world.mesh.restart_ended().await;
        }
        assert!(!patience.is_over(), "{show} not {patience}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((told.last(), blow), (Some(&i64::from(sales)), None), "{told:?}");
    assert!(sales == SMALL || told.len() > 2, "it is told on the way: {told:?}");
}

/// Every payment is undone, and every seat is free.
async fn all_is_back(world: &World, show: i64, payments: &[String]) {
    for some in payments.chunks(BUYING) {
        let undone =
            some.iter().map(|payment| world.rest.get(&format!("/v1/payments/{payment}")).expect(200));
        for told in join_all(undone).await {
            assert_eq!(told["status"], "CANCELLED", "{told}");
        }
    }
    let books = eventually(Duration::from_secs(5), || async {
        let books = world.rest.get(&format!("/v1/shows/{show}/sales")).expect(200).await;
        holds(books, |books| books["net"] == 0)
    })
    .await;
    let gross = PRICE * i64::try_from(payments.len()).unwrap();
    assert_eq!([&books["sold"], &books["gross"], &books["refunded"]].map(int), [0, gross, gross], "{books}");
}

async fn many_sales_are_refunded_once_at_one_cost_each_and_through_kills(shape: Shape) {
    let world = World::start(shape, &[]).await;
    for sales in [SMALL, LARGE] {
        let (show, payments) = sold_out(&world, sales).await;
        let before = calls(&world).await;
        called_off(&world, show, sales, None).await;
        let after = calls(&world).await;
        let made = |method: &str| {
            let count = |calls: &BTreeMap<String, u64>| calls.get(method).copied().unwrap_or_default();
            count(&after) - count(&before)
        };
        let sold = u64::try_from(sales).unwrap();
        // Each step of a refund once, but for answers that are late on a busy machine.
        for step in ["RefundReservation", "CancelPayment"] {
            assert!((sold..=sold + sold / 10 + 5).contains(&made(step)), "{step}: {} of {sold}", made(step));
        }
        // What is left is read once, page by page, and not from the beginning after each page.
        let pages = made("ListShowReservations");
        assert!((sold / PAGE..=sold / PAGE + LOOKS).contains(&pages), "{pages} pages of {sold} sales");
        let rounds = made("CancelShow");
        assert!(rounds <= LOOKS, "{rounds} rounds for {sold} sales");
        all_is_back(&world, show, &payments).await;
    }
    let (show, payments) = sold_out(&world, KILLED).await;
    called_off(&world, show, KILLED, Some(BLOW)).await;
    all_is_back(&world, show, &payments).await;
    world.finish().await;
}
