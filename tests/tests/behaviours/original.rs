//! The routes of the original API document, for the clients it had.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    client::violated,
    eventually::{eventually, holds},
    scenarios,
    suite::Scenario,
    world::{DATE, World, int, text, unique},
};

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    the_line_is_joined_and_read_by_user,
    money_is_charged_and_read,
    a_sale_from_dates_to_payment,
    a_date_is_judged_after_who_asks_and_what_was_answered_before,
    an_amount_that_is_not_the_price_is_refused_and_nothing_changes,
    amounts_with_a_fraction_are_refused,
    the_token_is_needed_here_too,
];

const QUEUE: &str = "/queue-management/api/token";
const BOOKING: &str = "/api-orchestration/api/reservations";
const BALANCE: &str = "/api-orchestration/api/balance";

/// The user's id as text, whether it is answered as a text or as a number.
fn who(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

async fn the_line_is_joined_and_read_by_user(world: World) {
    let user = unique("user");
    let body = json!({"userId": user, "requestedTime": "2026-01-01T00:00:00Z", "priority": 1});
    let joined = world.rest.post(QUEUE, body.clone()).expect(201).await;
    for field in ["userId", "tokenValue", "remainingTime", "position", "validUntil", "status"] {
        assert!(!joined[field].is_null(), "{field} of {joined}");
    }
    let read = eventually(Duration::from_secs(2), || async {
        holds(world.rest.get(&format!("{QUEUE}/{user}")).send().await, |answer| answer.status == 200)
    })
    .await
    .body;
    assert_eq!((&read["tokenValue"], who(&read["userId"])), (&joined["tokenValue"], user.clone()));
    let again = world.rest.post(QUEUE, body).send().await;
    assert!(matches!(again.status, 200 | 201), "{}", again.text);
    assert_eq!(again.body["tokenValue"], joined["tokenValue"], "joining again keeps the place");
    let _ =
        world.rest.get(&format!("{QUEUE}/{}", unique("nobody"))).send().await.problem(404, "TOKEN_NOT_FOUND");
    let _ = world.rest.post(QUEUE, json!({})).send().await.problem(400, "INVALID_ARGUMENT");
}

async fn money_is_charged_and_read(world: World) {
    let user = unique("user");
    let unknown = world.rest.get(&format!("{BALANCE}/{user}")).send().await;
    assert_eq!((unknown.status, unknown.text.as_str()), (204, ""));
    let charge = |amount: Value| {
        world.rest.post(&format!("{BALANCE}/charge"), json!({"userId": user, "amount": amount}))
    };
    let answer = charge(json!(500)).expect(200).await;
    assert_eq!((who(&answer["userId"]), int(&answer["amount"])), (user.clone(), 500));
    assert_eq!(charge(json!(100.00)).expect(200).await["amount"], 600);
    let read = world.rest.get(&format!("{BALANCE}/{user}")).expect(200).await;
    assert_eq!((who(&read["userId"]), int(&read["amount"])), (user, 600));
}

async fn amounts_with_a_fraction_are_refused(world: World) {
    let user = unique("user");
    for amount in
        [json!(100.5), json!(0), json!(-1), json!("x"), json!(1e300), json!(0.000_000_1), json!(null)]
    {
        let call = world.rest.post(&format!("{BALANCE}/charge"), json!({"userId": user, "amount": amount}));
        let _ = call.send().await.problem(400, "INVALID_ARGUMENT");
    }
    let exact = world.rest.call(reqwest::Method::POST, &format!("{BALANCE}/charge"));
    let exact = exact.raw("application/json", format!("{{\"userId\": \"{user}\", \"amount\": 100.00}}"));
    assert_eq!(exact.expect(200).await["amount"], 100);
}

/// A sale behind the default line, where the original's users stand, and a user who has been let in.
async fn opening(world: &World, price: i64) -> (tests::world::Sale, String, String) {
    let sale = world.sale_behind("default".to_owned(), price, 5).await;
    let user = unique("user");
    let token = text(&world.rest.post(QUEUE, json!({"userId": user})).expect(201).await["tokenValue"]);
    world.until(&token, "ACTIVE").await;
    (sale, user, token)
}

async fn a_sale_from_dates_to_payment(world: World) {
    let (sale, user, token) = opening(&world, 3_000).await;
    let dates = world
        .rest
        .get(&format!("{BOOKING}/available-dates/{}", sale.concert))
        .token(&token)
        .expect(200)
        .await;
    assert_eq!(dates, json!({"concertId": sale.concert, "availableDates": [DATE]}));
    let path = format!("{BOOKING}/available-seats?concertId={}&date={DATE}", sale.concert);
    let seats = world.rest.get(&path).token(&token).expect(200).await;
    assert_eq!((int(&seats["concertId"]), text(&seats["date"])), (sale.concert, DATE.to_owned()));
    assert_eq!(seats["availableSeats"].as_array().unwrap().len(), 5);
    assert_eq!(
        (&seats["availableSeats"][1]["seatId"], &seats["availableSeats"][1]["seatNumber"]),
        (&json!(2), &json!(2))
    );
    let body = json!({"userId": user, "concertOptionId": sale.show, "seatId": 2, "date": DATE});
    let reserved =
        world.rest.post(&format!("{BOOKING}/reserve-seat"), body.clone()).token(&token).expect(200).await;
    assert_eq!(
        (&reserved["status"], &reserved["seatId"], &reserved["concertOptionId"]),
        (&json!("TEMPORARY_RESERVED"), &json!(2), &json!(sale.show))
    );
    assert!(!text(&reserved["message"]).is_empty());
    let other = world.admitted("default", &unique("user")).await;
    let second = json!({"userId": other.user, "concertOptionId": sale.show, "seatId": 2});
    let _ = world
        .rest
        .post(&format!("{BOOKING}/reserve-seat"), second)
        .token(&other.token)
        .send()
        .await
        .problem(409, "SEAT_TAKEN");
    let _ = world
        .rest
        .post(&format!("{BALANCE}/charge"), json!({"userId": user, "amount": 3_500}))
        .expect(200)
        .await;
    let body = json!({"userId": user, "reservationId": reserved["reservationId"], "amount": 3_000});
    let key = unique("key");
    let paying = |body: &Value| world.rest.post(&format!("{BALANCE}/payment"), body.clone()).key(&key);
    let paid = paying(&body).token(&token).expect(200).await;
    assert_eq!(paying(&body).token(&token).expect(200).await, paid, "the first answer again");
    let _ = paying(&body).send().await.problem(401, "TOKEN_MISSING");
    let mut other_amount = body;
    other_amount["amount"] = json!(1);
    let _ = paying(&other_amount).token(&token).send().await.problem(422, "REQUEST_ID_REUSED");
    assert_eq!((&paid["status"], int(&paid["amount"])), (&json!("CONFIRMED"), 3_000));
    assert_eq!((&paid["reservationId"], who(&paid["userId"])), (&reserved["reservationId"], user.clone()));
    assert!(!text(&paid["paymentId"]).is_empty() && !text(&paid["message"]).is_empty());
    assert_eq!(world.rest.get(&format!("{BALANCE}/{user}")).expect(200).await["amount"], 500);
    assert_eq!(world.reservation(&text(&reserved["reservationId"])).await["status"], "CONFIRMED");
}

async fn a_date_is_judged_after_who_asks_and_what_was_answered_before(world: World) {
    let (sale, user, token) = opening(&world, 3_000).await;
    let key = unique("hold");
    let reserving = |date: &str| {
        let body = json!({"userId": user, "concertOptionId": sale.show, "seatId": 3, "date": date});
        world.rest.post(&format!("{BOOKING}/reserve-seat"), body)
    };
    const WRONG: &str = "2030-01-01";
    let _ = reserving(WRONG).send().await.problem(401, "TOKEN_MISSING");
    let other = world.admitted("default", &unique("user")).await;
    let _ = reserving(WRONG).token(&other.token).send().await.problem(403, "TOKEN_WRONG_USER");
    let refusal = reserving(WRONG).token(&token).key(&key).send().await.problem(400, "INVALID_ARGUMENT");
    assert_eq!(violated(&refusal), ["date"]);
    let first = reserving(DATE).token(&token).key(&key).expect(200).await;
    // The show moves; and the place is given up.
    let later = json!({"startsAt": "2031-06-01T19:00:00Z"});
    world.rest.call(Method::PATCH, &format!("/v1/shows/{}", sale.show)).json(later).expect(200).await;
    assert_eq!(reserving(DATE).token(&token).key(&key).expect(200).await, first, "the first answer again");
    let _ = world.rest.delete(&format!("/v1/tokens/{token}")).expect(204).await;
    assert_eq!(reserving(DATE).token(&token).key(&key).expect(200).await, first, "and again");
}

async fn an_amount_that_is_not_the_price_is_refused_and_nothing_changes(world: World) {
    let (sale, user, token) = opening(&world, 3_000).await;
    world.charge(&user, 10_000).await;
    let body = json!({"userId": user, "concertOptionId": sale.show, "seatId": 1});
    let reserved = world.rest.post(&format!("{BOOKING}/reserve-seat"), body).token(&token).expect(200).await;
    for amount in [json!(1), json!(2_999), json!(3_001), json!(0), json!(-3_000), json!(3_000.5)] {
        let body = json!({"userId": user, "reservationId": reserved["reservationId"], "amount": amount});
        let _ = world
            .rest
            .post(&format!("{BALANCE}/payment"), body)
            .token(&token)
            .send()
            .await
            .problem(400, "INVALID_ARGUMENT");
    }
    assert_eq!(world.balance(&user).await, 10_000);
    assert_eq!(world.reservation(&text(&reserved["reservationId"])).await["status"], "HELD");
    let raw = format!(
        "{{\"userId\": \"{user}\", \"reservationId\": {}, \"amount\": 3000.00}}",
        reserved["reservationId"]
    );
    let pay = world
        .rest
        .call(reqwest::Method::POST, &format!("{BALANCE}/payment"))
        .raw("application/json", raw)
        .token(&token);
    assert_eq!(pay.expect(200).await["status"], "CONFIRMED");
    assert_eq!(world.balance(&user).await, 7_000);
}

async fn the_token_is_needed_here_too(world: World) {
    let sale = world.sale_behind("default".to_owned(), 1_000, 5).await;
    let path = format!("{BOOKING}/available-dates/{}", sale.concert);
    let _ = world.rest.get(&path).send().await.problem(401, "TOKEN_MISSING");
    let body = json!({"userId": "ann", "concertOptionId": sale.show, "seatId": 2});
    let _ =
        world.rest.post(&format!("{BOOKING}/reserve-seat"), body).send().await.problem(401, "TOKEN_MISSING");
    let body = json!({"userId": "ann", "reservationId": uuid::Uuid::new_v4(), "amount": 1});
    let _ = world.rest.post(&format!("{BALANCE}/payment"), body).send().await.problem(401, "TOKEN_MISSING");
}
