//! Lists in pages, caching, and what the answers look like.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use boxoffice_proto::{booking, queue, wallet};
use futures::future::join_all;
use serde_json::{Value, json};
use tests::{
    eventually::{eventually, holds},
    requests::show_body,
    scenarios,
    suite::Scenario,
    world::{DATE, STARTS_AT, World, int, text, unique},
};

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    entries_come_in_pages_newest_first,
    shows_reservations_and_payments_come_in_pages_newest_first,
    concerts_come_in_pages_by_rest_and_grpc,
    a_page_token_survives_what_is_added_meanwhile,
    an_unchanged_token_is_not_modified,
    a_line_is_the_same_small_cacheable_answer_for_all,
    answers_have_the_fields_of_the_contract,
    dates_and_seats_show_what_is_free,
    a_day_of_many_shows_is_told_whole,
    entries_tell_every_movement,
];

/// Reads all pages of a list; checks that none is larger than asked and that there is more than one.
async fn pages(world: &World, path: &str, plural: &str, size: usize) -> Vec<Value> {
    let (mut all, mut token, mut count) = (Vec::new(), String::new(), 0);
    loop {
        let next = if token.is_empty() { String::new() } else { format!("&pageToken={token}") };
        let page = world.rest.get(&format!("{path}?pageSize={size}{next}")).expect(200).await;
        let items = page[plural].as_array().unwrap_or_else(|| panic!("{plural} of {page}")).clone();
        assert!(items.len() <= size, "{} of {size}", items.len());
        all.extend(items);
        count += 1;
        token = page["nextPageToken"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            assert!(count > 1, "{path} came in one page");
            return all;
        }
    }
}

async fn entries_come_in_pages_newest_first(world: World) {
    let user = unique("user");
    for amount in 1..=7 {
        world.charge(&user, amount).await;
    }
    let entries = pages(&world, &format!("/v1/wallets/{user}/entries"), "entries", 3).await;
    let amounts: Vec<_> = entries.iter().map(|entry| int(&entry["amount"])).collect();
    assert_eq!(amounts, [7, 6, 5, 4, 3, 2, 1]);
    // More than a page may hold is no mistake.
    for size in ["1001", "2147483647"] {
        let page = world.rest.get(&format!("/v1/wallets/{user}/entries?pageSize={size}")).expect(200).await;
        assert_eq!(page["entries"], json!(entries), "{size}");
    }
    let balances: Vec<_> = entries.iter().map(|entry| int(&entry["balanceAfter"])).collect();
    assert_eq!(balances, [28, 21, 15, 10, 6, 3, 1]);
}

async fn shows_reservations_and_payments_come_in_pages_newest_first(world: World) {
    let sale = world.sale(1_000, 20).await;
    let user = unique("user");
    world.charge(&user, 3_000).await;
    let (mut shows, mut reservations, mut payments) = (vec![sale.show], Vec::new(), Vec::new());
    for seat in 1..=3 {
        shows.push(world.show(sale.concert, 1_000, 5).await);
        let buyer = world.admitted(&sale.queue, &user).await;
        let reservation = world.hold(&buyer, sale.show, &[seat]).await;
        payments.push(text(&world.paying(&buyer, &reservation).expect(201).await["paymentId"]));
        reservations.push(reservation);
        world.until(&buyer.token, "COMPLETED").await;
    }
    let newest =
        |list: Vec<Value>, field: &str| list.iter().map(|item| item[field].clone()).collect::<Vec<_>>();
    let rev = |list: &[String]| list.iter().rev().map(|item| json!(item)).collect::<Vec<_>>();
    let seen = newest(
        pages(&world, &format!("/v1/users/{user}/reservations"), "reservations", 2).await,
        "reservationId",
    );
    assert_eq!(seen, rev(&reservations));
    let seen = newest(pages(&world, &format!("/v1/users/{user}/payments"), "payments", 2).await, "paymentId");
    assert_eq!(seen, rev(&payments));
    let seen =
        newest(pages(&world, &format!("/v1/concerts/{}/shows", sale.concert), "shows", 3).await, "showId");
    assert_eq!(seen, shows.iter().rev().map(|show| json!(show)).collect::<Vec<_>>());
    let list = wallet::ListPaymentsRequest { user_id: user, page_size: 2, page_token: String::new() };
    let page = world.grpc.wallet().list_payments(list).await.unwrap().into_inner();
    assert_eq!(
        page.payments.iter().map(|payment| payment.payment_id.clone()).collect::<Vec<_>>(),
        [payments[2].clone(), payments[1].clone()]
    );
    assert!(!page.next_page_token.is_empty());
}

async fn concerts_come_in_pages_by_rest_and_grpc(world: World) {
    let titles: Vec<_> = (0..3).map(|_| unique("Paged")).collect();
    for title in &titles {
        let _ = world.rest.post("/v1/concerts", json!({"title": title})).expect(201).await;
    }
    let mine = |title: &str| titles.iter().any(|mine| mine == title);
    let listed = pages(&world, "/v1/concerts", "concerts", 2).await;
    let ids: HashSet<_> = listed.iter().map(|concert| int(&concert["concertId"])).collect();
    assert_eq!(ids.len(), listed.len(), "none is listed twice");
    let seen: Vec<_> =
        listed.iter().map(|concert| text(&concert["title"])).filter(|title| mine(title)).collect();
    assert_eq!(seen, titles.iter().rev().cloned().collect::<Vec<_>>());
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = booking::ListConcertsRequest { page_size: 2, page_token, ..Default::default() };
        let page = world.grpc.booking().list_concerts(request).await.unwrap().into_inner();
        seen.extend(page.concerts.into_iter().map(|concert| concert.title).filter(|title| mine(title)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, titles.iter().rev().cloned().collect::<Vec<_>>());
    let all = queue::ListQueuesRequest { page_size: 1_000, ..Default::default() };
    let queues = world.grpc.queue().list_queues(all).await.unwrap().into_inner().queues;
    assert!(queues.iter().any(|queue| queue.queue_id == "default"));
}

async fn a_page_token_survives_what_is_added_meanwhile(world: World) {
    let user = unique("user");
    for amount in 1..=4 {
        world.charge(&user, amount).await;
    }
    let path = format!("/v1/wallets/{user}/entries");
    let first = world.rest.get(&format!("{path}?pageSize=2")).expect(200).await;
    world.charge(&user, 100).await;
    let second = world
        .rest
        .get(&format!("{path}?pageSize=2&pageToken={}", text(&first["nextPageToken"])))
        .expect(200)
        .await;
    let amounts: Vec<_> =
        second["entries"].as_array().unwrap().iter().map(|entry| int(&entry["amount"])).collect();
    assert_eq!(amounts, [2, 1], "nothing twice, nothing left out");
    assert!(second["nextPageToken"].as_str().unwrap_or_default().is_empty());
}

async fn an_unchanged_token_is_not_modified(world: World) {
    let queue = world.queue(json!({"maxActive": 0})).await;
    let token = text(&world.join(&queue, &unique("user")).await["token"]);
    let path = format!("/v1/tokens/{token}");
    world.level().await;
    let tag = world.rest.get(&path).send().await.header("etag");
    let same = world.rest.get(&path).header("if-none-match", &tag).send().await;
    assert_eq!((same.status, same.text.as_str()), (304, ""), "{}", same.text);
    assert!(!same.header("retry-after").is_empty(), "when to ask again is told all the same");
    let _ = world.rest.put(&format!("/v1/queues/{queue}"), json!({"maxActive": 1})).expect(200).await;
    eventually(Duration::from_secs(3), || async {
        let answer = world.rest.get(&path).header("if-none-match", &tag).send().await;
        holds(
            (answer.status, answer.body["status"].clone(), answer.header("etag")),
            |(status, state, fresh)| *status == 200 && state == "ACTIVE" && *fresh != tag,
        )
    })
    .await;
}

async fn a_line_is_the_same_small_cacheable_answer_for_all(world: World) {
    let queue = world.queue(json!({"maxActive": 2})).await;
    let users: Vec<_> = (0..5).map(|_| unique("user")).collect();
    for user in &users {
        world.join(&queue, user).await;
    }
    world.level().await;
    let answer = world.rest.get(&format!("/v1/queues/{queue}")).send().await;
    assert!(answer.header("cache-control").contains("max-age=1"), "{:?}", answer.headers);
    let line = answer.body;
    assert_eq!((int(&line["servingTicket"]), int(&line["active"]), int(&line["waiting"])), (2, 2, 3));
    let schema = properties(&world, "Queue").await;
    for field in
        schema.iter().filter(|field| !["delayReason", "message", "opensAt"].contains(&field.as_str()))
    {
        assert!(!line[field].is_null(), "{field} of {line}");
    }
    let _ = world.rest.get("/v1/queues/default").expect(200).await;
}

/// The members of an answer as the API document names them.
async fn properties(world: &World, schema: &str) -> Vec<String> {
    let document = world.rest.get("/openapi.json").expect(200).await;
    let properties = document["components"]["schemas"][schema]["properties"].as_object().unwrap();
    properties.keys().cloned().collect()
}

/// Has an answer every member of its schema, and no other?
async fn is(world: &World, value: &Value, schema: &str) {
    let object = value.as_object().unwrap_or_else(|| panic!("{value} should be an object"));
    let members: BTreeSet<_> = object.keys().cloned().collect();
    assert_eq!(members, properties(world, schema).await.into_iter().collect(), "{schema}: {value}");
}

async fn answers_have_the_fields_of_the_contract(world: World) {
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 1_000).await;
    is(&world, &world.rest.get(&format!("/v1/concerts/{}", sale.concert)).expect(200).await, "Concert").await;
    let shows = world.rest.get(&format!("/v1/concerts/{}/shows", sale.concert)).expect(200).await;
    is(&world, &shows["shows"][0], "Show").await;
    let starts = text(&shows["shows"][0]["startsAt"]);
    assert!(starts.starts_with(STARTS_AT.trim_end_matches('Z')) && starts.ends_with('Z'), "{starts}");
    let token = world.rest.get(&format!("/v1/tokens/{}", buyer.token)).expect(200).await;
    is(&world, &token, "Token").await;
    let reservation = world.holding(&buyer, sale.show, &[1]).expect(201).await;
    is(&world, &reservation, "Reservation").await;
    let paid = world.paying(&buyer, &text(&reservation["reservationId"])).send().await;
    is(&world, &paid.body, "Payment").await;
    let read = world.rest.get(&format!("/v1/payments/{}", text(&paid.body["paymentId"]))).expect(200).await;
    assert_eq!(read, paid.body);
    assert_eq!(
        world.rest.get(&format!("/v1/wallets/{}", buyer.user)).expect(200).await,
        json!({"userId": buyer.user, "balance": 0, "currency": "KRW", "currencyExponent": 0})
    );
}

async fn dates_and_seats_show_what_is_free(world: World) {
    let sale = world.sale(2_500, 3).await;
    let matinee = show_body(json!({"startsAt": "2031-04-30T23:59:59Z", "seatCount": 1}));
    let matinee = int(&world
        .rest
        .post(&format!("/v1/concerts/{}/shows", sale.concert), matinee)
        .expect(201)
        .await["showId"]);
    let (buyer, other) = (world.buyer(&sale).await, world.buyer(&sale).await);
    let dates = || async {
        world.rest.get(&format!("/v1/concerts/{}/dates", sale.concert)).token(&buyer.token).expect(200).await
    };
    assert_eq!(dates().await, json!({"concertId": sale.concert, "availableDates": ["2031-04-30", DATE]}));
    let seats = |date: &str| {
        world
            .rest
            .get(&format!("/v1/concerts/{}/seats?date={date}", sale.concert))
            .token(&buyer.token)
            .expect(200)
    };
    let free = |numbers: &[i64]| {
        numbers.iter().map(|n| json!({"seatNumber": n, "price": 2_500})).collect::<Vec<_>>()
    };
    let expected = json!({"concertId": sale.concert, "date": DATE, "shows": [{"showId": sale.show, "availableSeats": free(&[1, 2, 3])}]});
    assert_eq!(seats(DATE).await, expected);
    join_all([world.hold(&other, sale.show, &[2]), world.hold(&other, matinee, &[1])]).await;
    let expected = json!({"concertId": sale.concert, "date": DATE, "shows": [{"showId": sale.show, "availableSeats": free(&[1, 3])}]});
    eventually(Duration::from_secs(3), || async { holds(seats(DATE).await, |seen| *seen == expected) }).await;
    eventually(Duration::from_secs(3), || async {
        holds(dates().await, |seen| seen["availableDates"] == json!([DATE]))
    })
    .await;
    assert_eq!(seats("2031-06-01").await["shows"], json!([]));
}

async fn entries_tell_every_movement(world: World) {
    let sale = world.sale(4_000, 5).await;
    let buyer = world.buyer_with(&sale, 10_000).await;
    let spend =
        wallet::UseWalletRequest { user_id: buyer.user.clone(), amount: 1_000, request_id: String::new() };
    world.grpc.wallet().use_wallet(spend).await.unwrap();
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    let payment = text(&world.paying(&buyer, &reservation).expect(201).await["paymentId"]);
    assert_eq!(world.entries(&buyer.user).await[0]["paymentId"], payment.as_str());
    // Not through the saga: the audit must not see a confirmed reservation without its payment, so another
    // payment is refunded.
    let extra = wallet::CreatePaymentRequest {
        payment_id: uuid::Uuid::new_v4().to_string(),
        user_id: buyer.user.clone(),
        reservation_id: reservation,
        amount: 300,
        request_id: String::new(),
    };
    world.grpc.wallet().create_payment(extra.clone()).await.unwrap();
    let cancel = wallet::CancelPaymentRequest {
        payment_id: extra.payment_id,
        reason: "TEST".into(),
        request_id: String::new(),
    };
    let (first, again) = (
        world.grpc.wallet().cancel_payment(cancel.clone()).await,
        world.grpc.wallet().cancel_payment(cancel).await,
    );
    let (first, again) = (first.unwrap().into_inner(), again.unwrap().into_inner());
    assert_eq!(first, again, "refunded once, answered the same");
    assert!(first.refunded && first.balance == 5_000, "{first:?}");
    let told: Vec<_> = world
        .entries(&buyer.user)
        .await
        .iter()
        .map(|entry| (text(&entry["kind"]), int(&entry["amount"])))
        .collect();
    let expected =
        [("REFUND", 300), ("PAYMENT", -300), ("PAYMENT", -4_000), ("USE", -1_000), ("CHARGE", 10_000)];
    assert_eq!(told, expected.map(|(kind, amount)| (kind.to_owned(), amount)));
    assert_eq!(world.balance(&buyer.user).await, 5_000);
    // Of one that was taken back before it arrived there is nothing to tell, and nothing to refund.
    let never = uuid::Uuid::new_v4().to_string();
    let barred = wallet::CancelPaymentRequest {
        payment_id: never.clone(),
        reason: "TEST".into(),
        request_id: String::new(),
    };
    let barred = world.grpc.wallet().cancel_payment(barred).await.unwrap().into_inner();
    assert!(!barred.refunded);
    let path = format!("/v1/payments/{never}");
    let _ = world.rest.get(&path).send().await.problem(404, "PAYMENT_NOT_FOUND");
    // A reason may be given, so a refund needs no body.
    let refund = world.rest.call(reqwest::Method::POST, &format!("{path}/refund"));
    let _ = refund.send().await.problem(404, "PAYMENT_NOT_FOUND");
}

/// More shows than the service tells in one page: the edge reads on while it sends.
async fn a_day_of_many_shows_is_told_whole(world: World) {
    let sale = world.sale(1_000, 2).await;
    let mut shows = vec![sale.show];
    for _ in 1..120 {
        shows.push(world.show(sale.concert, 1_000, 2).await);
    }
    let buyer = world.buyer(&sale).await;
    let _ = world.hold(&buyer, shows[110], &[1]).await;

    // Another replica may have told of the held seat's show a moment ago.
    let path = format!("/v1/concerts/{}/seats?date={DATE}", sale.concert);
    let told =
        |day: &Value| day["shows"][110]["availableSeats"].as_array().is_some_and(|seats| seats.len() == 1);
    let day = eventually(Duration::from_secs(60), || async {
        holds(world.rest.get(&path).token(&buyer.token).expect(200).await, told)
    })
    .await;
    assert_eq!((int(&day["concertId"]), text(&day["date"]).as_str()), (sale.concert, DATE));
    let told: Vec<_> = day["shows"].as_array().unwrap().iter().map(|show| int(&show["showId"])).collect();
    assert_eq!(told, shows, "each once, in order");
    assert_eq!(day["shows"][110]["availableSeats"], json!([{"seatNumber": 2, "price": 1_000}]));

    let path =
        format!("/api-orchestration/api/reservations/available-seats?concertId={}&date={DATE}", sale.concert);
    let day = world.rest.get(&path).token(&buyer.token).expect(200).await;
    let seats = day["availableSeats"].as_array().unwrap();
    assert!(seats.len() >= 239, "{}", seats.len());
    assert_eq!(int(&seats[238]["concertOptionId"]), shows[119]);
}
