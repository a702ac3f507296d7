//! The seller's books: what was sold and given back, to the unit and from every replica, who has which
//! seat, and what is to come.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{
    eventually::{eventually, holds},
    requests::show_body,
    scenarios,
    suite::Scenario,
    world::{World, int, text, unique},
};

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    the_books_of_a_show_tell_what_was_sold_and_given_back_by_section,
    who_has_the_seats_is_listed_by_seat,
    what_is_to_come_is_listed_by_date,
];

/// The sums, once every replica tells these.
async fn told(world: &World, show: i64, expected: Value) -> Value {
    let replicas = world.grpc.booking.all().len().max(world.mesh.rest().len());
    let mut last = Value::Null;
    for _ in 0..2 * replicas {
        last = eventually(Duration::from_secs(5), || async {
            let sales = world.rest.get(&format!("/v1/shows/{show}/sales")).expect(200).await;
            let sums = ["held", "sold", "free", "gross", "refunded", "net"].map(|name| sales[name].clone());
            holds((sales, json!(sums)), |(_, sums)| *sums == expected)
        })
        .await
        .0;
    }
    last
}

async fn the_books_of_a_show_tell_what_was_sold_and_given_back_by_section(world: World) {
    let sale = world.sale(1_000, 5).await;
    let hall = json!([
        {"name": "Stalls", "price": 5_000, "rows": [{"name": "A", "seats": 3}]},
        {"name": "Floor", "price": 2_000, "capacity": 4},
    ]);
    let mut body = show_body(json!({"sections": hall}));
    for name in ["price", "seatCount"] {
        body.as_object_mut().unwrap().remove(name);
    }
    let path = format!("/v1/concerts/{}/shows", sale.concert);
    let show = int(&world.rest.post(&path, body).key(&unique("key")).expect(201).await["showId"]);
    told(&world, show, json!([0, 0, 7, 0, 0, 0])).await;
    let mut payments = Vec::new();
    for seats in [&[1, 4][..], &[2]] {
        let buyer = world.buyer_with(&sale, 50_000).await;
        let held = world.hold(&buyer, show, seats).await;
        payments.push(text(&world.paying(&buyer, &held).expect(201).await["paymentId"]));
    }
    let other = world.buyer(&sale).await;
    world.hold(&other, show, &[5, 6]).await;
    told(&world, show, json!([2, 3, 2, 12_000, 0, 12_000])).await;
    // A new price is for those who come; what was paid was paid.
    let dearer = json!({"prices": [{"section": "Stalls", "price": 9_000}]});
    let _ =
        world.rest.call(reqwest::Method::PATCH, &format!("/v1/shows/{show}")).json(dearer).expect(200).await;
    let refund = format!("/v1/payments/{}/refund", payments[0]);
    world.rest.post(&refund, json!({})).key(&unique("refund")).expect(200).await;
    let sales = told(&world, show, json!([2, 1, 4, 12_000, 7_000, 5_000])).await;
    let section = |name: &str, held: i32, sold: i32, free: i32, gross: i64, refunded: i64| {
        json!({"name": name, "held": held, "sold": sold, "free": free, "gross": gross, "refunded": refunded,
            "net": gross - refunded})
    };
    let expected =
        json!([section("Stalls", 0, 1, 2, 10_000, 5_000), section("Floor", 2, 0, 2, 2_000, 2_000)]);
    assert_eq!(sales["sections"], expected);
    let _ = world.rest.get("/v1/shows/999999999/sales").send().await.problem(404, "SHOW_NOT_FOUND");
}

async fn who_has_the_seats_is_listed_by_seat(world: World) {
    let sale = world.sale(1_000, 20).await;
    let mut expected = Vec::new();
    for (seats, pays) in [(&[7, 2][..], true), (&[1], false), (&[12, 9], true), (&[4, 5], false)] {
        let buyer = world.buyer_with(&sale, 5_000).await;
        let held = world.hold(&buyer, sale.show, seats).await;
        if pays {
            world.paying(&buyer, &held).expect(201).await;
        }
        let first = *seats.iter().min().unwrap();
        expected.push((first, held, if pays { "CONFIRMED" } else { "HELD" }.to_owned()));
    }
    expected.sort();
    let (mut listed, mut token) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/shows/{}/reservations?pageSize=3&pageToken={token}", sale.show);
        let page = world.rest.get(&path).expect(200).await;
        for one in page["reservations"].as_array().unwrap() {
            let first = i32::try_from(int(&one["seatNumbers"][0])).unwrap();
            listed.push((first, text(&one["reservationId"]), text(&one["status"])));
        }
        token = text(&page["nextPageToken"]);
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, expected);
}

async fn what_is_to_come_is_listed_by_date(world: World) {
    let sale = world.sale(1_000, 5).await;
    let add = async |starts_at: &str| {
        let path = format!("/v1/concerts/{}/shows", sale.concert);
        let body = show_body(json!({"startsAt": starts_at}));
        int(&world.rest.post(&path, body).key(&unique("key")).expect(201).await["showId"])
    };
    let late = add("2097-03-01T10:00:00Z").await;
    let early = add("2096-03-01T10:00:00Z").await;
    let shows = async |query: &str| {
        let page = world.rest.get(&format!("/v1/concerts/{}/shows?{query}", sale.concert)).expect(200).await;
        let shows = page["shows"].as_array().unwrap().iter().map(|show| int(&show["showId"]));
        (shows.collect::<Vec<_>>(), text(&page["nextPageToken"]))
    };
    assert_eq!(shows("").await.0, [early, late, sale.show]);
    assert_eq!(shows("order=startsAt").await.0, [sale.show, early, late]);
    assert_eq!(shows("from=2096-03-01T10:00:00Z&order=startsAt").await.0, [early, late]);
    assert_eq!(shows("from=2096-03-02").await.0, [late]);
    let (first, token) = shows("from=2096-01-01&order=startsAt&pageSize=1").await;
    let (second, _) = shows(&format!("from=2096-01-01&order=startsAt&pageSize=1&pageToken={token}")).await;
    assert_eq!((first, second), (vec![early], vec![late]));

    let concerts = async |query: &str| {
        let page = world.rest.get(&format!("/v1/concerts?{query}")).expect(200).await;
        let concerts = page["concerts"].as_array().unwrap().iter().map(|one| int(&one["concertId"]));
        concerts.collect::<Vec<_>>()
    };
    assert!(concerts("from=2096-01-01").await.contains(&sale.concert));
    assert!(!concerts("from=2098-01-01").await.contains(&sale.concert));
    for wrong in ["from=tomorrow", "from=2096-13-01"] {
        let _ =
            world.rest.get(&format!("/v1/concerts?{wrong}")).send().await.problem(400, "INVALID_ARGUMENT");
    }
    let path = format!("/v1/concerts/{}/shows?order=title", sale.concert);
    let _ = world.rest.get(&path).send().await.problem(400, "INVALID_ARGUMENT");
}
