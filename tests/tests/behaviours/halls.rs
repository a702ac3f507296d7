//! Halls in sections and the rules of a show's sale, as a seller and buyers meet them over REST.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{
    client::violated,
    eventually::{eventually, holds},
    requests::show_body,
    scenarios,
    suite::Scenario,
    world::{Sale, World, all_at_once, int, text},
};

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    seats_of_a_theatre_are_told_held_and_paid_at_their_prices,
    everything_wrong_with_a_hall_is_told_by_where_it_stands,
    a_large_hall_fits_into_a_request_and_its_plan_into_an_answer,
    a_sale_that_is_not_open_says_when_it_opens,
];
pub(crate) const ALONE: &[Scenario] =
    scenarios![three_hundred_at_once_get_no_more_seats_than_the_show_allows];

/// Stalls of two rows (seats 1 to 5), standing room (6 to 8) and a balcony of one row (9 and 10).
pub(crate) fn theatre() -> Value {
    json!([
        {"name": "Stalls", "price": 900, "rows": [{"name": "A", "seats": 2, "firstSeat": 11}, {"name": "B", "seats": 3}]},
        {"name": "Floor", "price": 300, "capacity": 3},
        {"name": "Balcony", "price": 500, "rows": [{"name": "A", "seats": 2}]},
    ])
}

/// The body that creates a show in this hall, with these members besides.
fn body(sections: &Value, changes: Value) -> Value {
    let mut body = show_body(changes);
    let members = body.as_object_mut().unwrap();
    members.remove("price");
    members.insert("sections".to_owned(), sections.clone());
    body
}

/// A show in this hall behind a queue that lets everybody in.
pub(crate) async fn sale(world: &World, sections: &Value, changes: Value) -> (Sale, Value) {
    let plain = world.sale(1, 1).await;
    let path = format!("/v1/concerts/{}/shows", plain.concert);
    let show = world.rest.post(&path, body(sections, changes)).expect(201).await;
    (Sale { show: int(&show["showId"]), ..plain }, show)
}

async fn seats_of_a_theatre_are_told_held_and_paid_at_their_prices(world: World) {
    let (sale, show) = sale(&world, &theatre(), json!({})).await;
    assert_eq!((&show["seatCount"], &show["price"]), (&json!(10), &json!(300)), "{show}");
    assert_eq!([&show["opensAt"], &show["closesAt"], &show["maxSeatsPerUser"]], [&Value::Null; 3], "{show}");

    let path = format!("/v1/shows/{}/plan", sale.show);
    let plan = world.rest.get(&path).send().await;
    let expected = json!({"showId": sale.show, "sections": [
        {"name": "Stalls", "price": 900, "standing": false, "firstSeat": 1, "lastSeat": 5, "rows": [
            {"name": "A", "firstSeat": 1, "lastSeat": 2, "firstLabel": 11},
            {"name": "B", "firstSeat": 3, "lastSeat": 5, "firstLabel": 1},
        ]},
        {"name": "Floor", "price": 300, "standing": true, "firstSeat": 6, "lastSeat": 8, "rows": []},
        {"name": "Balcony", "price": 500, "standing": false, "firstSeat": 9, "lastSeat": 10, "rows": [
            {"name": "A", "firstSeat": 9, "lastSeat": 10, "firstLabel": 1},
        ]},
    ]});
    assert_eq!((plan.status, &plan.body), (200, &expected));
    assert_eq!(plan.header("cache-control"), "public, max-age=60");
    let again = world.rest.get(&path).header("if-none-match", plan.header("etag")).send().await;
    assert_eq!((again.status, again.text.as_str()), (304, ""));

    let buyer = world.buyer_with(&sale, 2_000).await;
    let seats =
        world.rest.get(&format!("/v1/shows/{}/seats", sale.show)).token(&buyer.token).expect(200).await;
    let prices: Vec<_> = seats["seats"].as_array().unwrap().iter().map(|seat| int(&seat["price"])).collect();
    assert_eq!(prices, [900, 900, 900, 900, 900, 300, 300, 300, 500, 500]);
    let held = world.holding(&buyer, sale.show, &[9, 2, 6]).expect(201).await;
    assert_eq!((int(&held["amount"]), &held["seatNumbers"]), (1_700, &json!([2, 6, 9])));
    let places = json!([
        {"seatNumber": 2, "section": "Stalls", "row": "A", "label": 12, "price": 900},
        {"seatNumber": 6, "section": "Floor", "row": "", "label": 1, "price": 300},
        {"seatNumber": 9, "section": "Balcony", "row": "A", "label": 1, "price": 500},
    ]);
    assert_eq!(held["seats"], places);
    let reservation = text(&held["reservationId"]);
    let _ = world.paying(&buyer, &reservation).expect(201).await;
    assert_eq!(world.balance(&buyer.user).await, 300);
    let bought = world.reservation_until(&reservation, "CONFIRMED").await;
    assert_eq!(bought["seats"], places);
    let date = text(&show["localDate"]);
    let other = world.buyer(&sale).await;
    // Another replica may know for a quarter of a second what was free before.
    eventually(Duration::from_secs(5), || async {
        let free = world.rest.get(&format!("/v1/concerts/{}/seats?date={date}", sale.concert));
        let free = free.token(&other.token).expect(200).await;
        let ours = free["shows"].as_array().unwrap().iter().find(|one| one["showId"] == sale.show).unwrap();
        let seats = ours["availableSeats"].as_array().unwrap().iter();
        let prices: Vec<_> = seats.map(|seat| int(&seat["price"])).collect();
        holds(prices, |prices| *prices == [900, 900, 900, 900, 300, 300, 500])
    })
    .await;
}

async fn everything_wrong_with_a_hall_is_told_by_where_it_stands(world: World) {
    let path = format!("/v1/concerts/{}/shows", world.sale(1, 1).await.concert);
    let row = json!({"name": "A", "seats": 2});
    for (sections, changes, expected) in [
        (json!([]), json!({}), vec!["sections"]),
        (json!("many"), json!({}), vec!["sections"]),
        (json!([7]), json!({}), vec!["sections[0]"]),
        (
            json!([{"name": "", "price": -1, "rows": [row, {"name": "B", "seats": 0, "firstSeat": 0}]}]),
            json!({"maxSeatsPerUser": 0, "opensAt": "soon"}),
            vec![
                "sections[0].rows[1].seats",
                "sections[0].rows[1].firstSeat",
                "sections[0].name",
                "sections[0].price",
                "opensAt",
                "maxSeatsPerUser",
            ],
        ),
        (json!([{"name": "S", "price": 1}]), json!({}), vec!["sections[0].rows"]),
        (
            json!([{"name": "S", "price": 1, "rows": [row], "capacity": 1}]),
            json!({}),
            vec!["sections[0].rows"],
        ),
        (
            json!([{"name": "S", "price": 1, "rows": [row]}, {"name": "S", "price": 1, "rows": [row]}]),
            json!({}),
            vec!["sections[1].name"],
        ),
        (json!([{"name": "S", "price": 1, "rows": [row]}]), json!({"seatCount": 2}), vec!["seatCount"]),
        (
            json!([{"name": "S", "price": 1, "capacity": 100_000}, {"name": "T", "price": 1, "capacity": 1}]),
            json!({}),
            vec!["sections"],
        ),
        (
            theatre(),
            json!({"opensAt": "2031-01-01T00:00:00Z", "closesAt": "2031-01-01T00:00:00Z"}),
            vec!["closesAt"],
        ),
    ] {
        let refusal =
            world.rest.post(&path, body(&sections, changes)).send().await.problem(400, "INVALID_ARGUMENT");
        let (mut told, mut expected) = (violated(&refusal), expected);
        told.sort_unstable();
        expected.sort_unstable();
        assert_eq!(told, expected, "{sections}");
    }
    let mut priced = body(&theatre(), json!({}));
    priced["price"] = json!(5);
    let refusal = world.rest.post(&path, priced).send().await.problem(400, "INVALID_ARGUMENT");
    assert_eq!(violated(&refusal), ["price"]);
}

async fn a_large_hall_fits_into_a_request_and_its_plan_into_an_answer(world: World) {
    let row = |nth: usize| json!({"name": format!("Row {nth}"), "seats": 50, "firstSeat": 1});
    let section = |nth: usize| json!({"name": format!("Block {nth}"), "price": nth, "rows": (0..40).map(row).collect::<Vec<_>>()});
    let sections = Value::from((0..50).map(section).collect::<Vec<_>>());
    let (sale, show) = sale(&world, &sections, json!({})).await;
    assert_eq!((&show["seatCount"], &show["price"]), (&json!(100_000), &json!(0)));
    let plan = world.rest.get(&format!("/v1/shows/{}/plan", sale.show)).expect(200).await;
    let last = &plan["sections"][49]["rows"][39];
    assert_eq!((last["name"].as_str(), &last["lastSeat"]), (Some("Row 39"), &json!(100_000)));
    let buyer = world.buyer(&sale).await;
    let held = world.holding(&buyer, sale.show, &[1, 99_999, 100_000]).expect(201).await;
    assert_eq!(held["amount"], 98);
}

async fn a_sale_that_is_not_open_says_when_it_opens(world: World) {
    let opens_at = json!({"opensAt": "2031-01-01T09:00:00+09:00", "closesAt": "2031-02-01T00:00:00Z"});
    let (sale, show) = sale(&world, &theatre(), opens_at).await;
    assert_eq!(show["opensAt"], "2031-01-01T00:00:00.000000Z");
    assert_eq!(show["closesAt"], "2031-02-01T00:00:00.000000Z");
    let buyer = world.buyer(&sale).await;
    let early = world.holding(&buyer, sale.show, &[1]).send().await;
    assert!(early.header("retry-after").parse::<u64>().unwrap() > 3_600, "{}", early.header("retry-after"));
    assert_eq!(early.problem(409, "SALES_NOT_OPEN")["opensAt"], "2031-01-01T00:00:00.000000Z");
}

async fn three_hundred_at_once_get_no_more_seats_than_the_show_allows(world: World) {
    let hall = json!([{"name": "Floor", "price": 1, "capacity": 400}]);
    let (sale, show) = sale(&world, &hall, json!({"maxSeatsPerUser": 5})).await;
    assert_eq!(show["maxSeatsPerUser"], 5);
    // One seat is bought with a place of before.
    let before = world.buyer_with(&sale, 10).await;
    let bought = world.hold(&before, sale.show, &[400]).await;
    let _ = world.paying(&before, &bought).expect(201).await;
    let buyer = world.admitted(&sale.queue, &before.user).await;
    let answers = all_at_once((1..=300).map(|seat| world.holding(&buyer, sale.show, &[seat]))).await;
    let (granted, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(granted.len(), 4, "held and bought together");
    for answer in refused {
        assert_eq!(answer.problem(409, "HOLD_LIMIT")["maxHeldSeats"], 5);
    }
}
