//! Seats that are left to the service to choose, as buyers meet it.

use std::collections::HashSet;

use futures::future::join_all;
use serde_json::{Value, json};
use tests::{
    client::violated,
    scenarios,
    suite::Scenario,
    world::{World, all_at_once, int, unique},
};

use crate::halls::{sale, theatre};

pub(crate) const TOGETHER: &[Scenario] =
    scenarios![the_best_seats_are_chosen_or_it_is_told_what_there_is, a_wish_names_seats_or_how_many];
pub(crate) const ALONE: &[Scenario] = scenarios![three_hundred_who_want_two_get_three_hundred_pairs];

async fn the_best_seats_are_chosen_or_it_is_told_what_there_is(world: World) {
    let (sale, _) = sale(&world, &theatre(), json!({})).await;
    let ann = world.buyer(&sale).await;
    let ask = |wish: Value| {
        let mut body = json!({"userId": ann.user, "showId": sale.show});
        body.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
        world.rest.post("/v1/reservations", body).token(&ann.token)
    };
    let key = unique("click");
    let first = ask(json!({"count": 2})).key(&key).expect(201).await;
    assert_eq!(first["seatNumbers"], json!([1, 2]), "the first row has two");
    assert_eq!(
        ask(json!({"count": 2})).key(&key).expect(201).await,
        first,
        "a repetition gets the same seats"
    );
    let standing = ask(json!({"count": 2, "section": "Floor", "together": true})).expect(201).await;
    assert_eq!(standing["seatNumbers"], json!([6, 7]));
    let short = ask(json!({"count": 4})).send().await.problem(409, "SEATS_UNAVAILABLE");
    assert_eq!((&short["available"], &short["together"]), (&json!(6), &json!(3)), "{short}");
    let apart = ask(json!({"count": 5, "together": false})).expect(201).await;
    assert_eq!(apart["seatNumbers"], json!([3, 4, 5, 9, 10]), "place 8 instead would leave seat 10 alone");
}

async fn a_wish_names_seats_or_how_many(world: World) {
    let (sale, _) = sale(&world, &theatre(), json!({})).await;
    let ann = world.buyer(&sale).await;
    for (wish, fields) in [
        (json!({}), &["seatNumbers"][..]),
        (json!({"seatNumbers": [1], "count": 1}), &["count"]),
        (json!({"seatNumbers": [1], "together": true}), &["together"]),
        (json!({"section": "Floor"}), &["count"]),
        (json!({"count": 0}), &["count"]),
        (json!({"count": 51, "together": "yes"}), &["count", "together"]),
        (json!({"count": 1, "section": "Boxes"}), &["section"]),
    ] {
        let mut body = json!({"userId": ann.user, "showId": sale.show});
        body.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
        let refusal = world.rest.post("/v1/reservations", body).token(&ann.token).send().await;
        assert_eq!(violated(&refusal.problem(400, "INVALID_ARGUMENT")), fields, "{wish}");
    }
}

async fn three_hundred_who_want_two_get_three_hundred_pairs(world: World) {
    let rows: Vec<Value> = (1..=34).map(|row| json!({"name": row.to_string(), "seats": 20})).collect();
    let (sale, _) = sale(&world, &json!([{"name": "Stalls", "price": 9, "rows": rows}]), json!({})).await;
    let people = join_all((0..300).map(|_| world.buyer(&sale))).await;
    let wishes = people.iter().map(|buyer| {
        let wish = json!({"userId": buyer.user, "showId": sale.show, "count": 2});
        world.rest.post("/v1/reservations", wish).token(&buyer.token).key(&unique("hold"))
    });
    let mut seats = HashSet::new();
    // Nobody asks twice but who is told that the mesh is busy.
    for answer in all_at_once(wishes).await {
        let held = answer.expect(201);
        let pair: Vec<i64> = held["seatNumbers"].as_array().unwrap().iter().map(int).collect();
        assert!(pair.len() == 2 && pair[0] + 1 == pair[1] && (pair[0] - 1) / 20 == (pair[1] - 1) / 20);
        seats.extend(pair);
    }
    assert_eq!(seats.len(), 600, "no two got one seat");
}
