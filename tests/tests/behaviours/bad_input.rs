//! Whatever a client sends, it is told what is wrong, nothing changes, and nothing is a 500.

use std::ops::RangeInclusive;

use boxoffice_proto::bounds;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    client::{Call, Rest, violated},
    requests::{hold_body, show_body},
    scenarios,
    suite::Scenario,
    world::{World, int, text, unique},
};
use uuid::Uuid;

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    wrong_fields_are_named_and_nothing_changes,
    several_wrong_fields_are_told_at_once,
    bodies_that_are_no_json_objects_are_refused,
    a_body_over_64_kib_is_refused,
    paths_and_queries_that_are_absurd_are_refused,
    headers_that_are_absurd_are_refused,
    unknown_fields_are_ignored_and_user_ids_may_be_numbers,
    the_edges_of_every_range_are_accepted,
    a_new_show_has_in_the_api_document_the_bounds_that_are_checked,
];

/// Refused with INVALID_ARGUMENT naming this field (camelCase as in the JSON).
async fn refuses(call: Call, field: &str) {
    let answer = call.send().await;
    let what = answer.what.clone();
    let problem = answer.problem(400, "INVALID_ARGUMENT");
    let named = violated(&problem);
    assert!(
        named.iter().any(|name| name == field || name.starts_with(&format!("{field}["))),
        "{what}: {field} is not among {named:?}"
    );
}

fn without(body: &Value, field: &str) -> Value {
    let mut body = body.clone();
    body.as_object_mut().unwrap().remove(field);
    body
}

fn with(body: &Value, field: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[field] = value;
    body
}

async fn wrong_fields_are_named_and_nothing_changes(world: World) {
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 5_000).await;
    let (long, user) = ("x".repeat(65), buyer.user.as_str());
    let shows = format!("/v1/concerts/{}/shows", sale.concert);
    let show = show_body(json!({"seatCount": 5}));
    let hold = hold_body(user, sale.show, [1]);
    let charges = format!("/v1/wallets/{user}/charges");
    let tokens = format!("/v1/queues/{}/tokens", sale.queue);
    let of = |path: &str, base: &Value, field: &'static str, bad: Vec<Value>| {
        bad.into_iter().map(|value| (path.to_owned(), with(base, field, value), field)).collect::<Vec<_>>()
    };
    let mut posts: Vec<(String, Value, &str)> = [
        of(
            &tokens,
            &json!({}),
            "userId",
            vec![
                json!(""),
                json!("a b"),
                json!("a\u{0}b"),
                json!(long),
                json!([1]),
                json!({}),
                json!(true),
                json!(1.5),
                json!(null),
            ],
        ),
        of(
            &tokens,
            &json!({"userId": user}),
            "priority",
            vec![json!(-1), json!(10), json!("high"), json!(1e99), json!(99_999_999_999_i64), json!(0.5)],
        ),
        of(
            &charges,
            &json!({}),
            "amount",
            vec![
                json!(0),
                json!(-1),
                json!(1.5),
                json!("ten"),
                json!(1_000_000_000_001_i64),
                json!(i64::MAX),
                json!(1e300),
                json!(u64::MAX),
                json!(null),
                json!([]),
                json!(true),
            ],
        ),
        of(
            "/v1/concerts",
            &json!({}),
            "title",
            vec![
                json!(""),
                json!("   "),
                json!("x".repeat(201)),
                json!(5),
                json!(null),
                json!("a\u{0}b"),
                json!(["x"]),
            ],
        ),
        of(
            "/v1/concerts",
            &json!({"title": "x"}),
            "queueId",
            vec![json!("no spaces"), json!("x".repeat(65)), json!("é"), json!(7), json!("a/b")],
        ),
        of(
            &shows,
            &show,
            "startsAt",
            vec![
                json!(""),
                json!("tomorrow"),
                json!("2031-13-01T00:00:00Z"),
                json!("2031-01-01"),
                json!(0),
                json!("99999-01-01T00:00:00Z"),
                json!(null),
            ],
        ),
        of(
            &shows,
            &show,
            "durationMinutes",
            vec![json!(0), json!(-5), json!(1_441), json!("long"), json!(i64::MAX), json!(1.5)],
        ),
        of(&shows, &show, "title", vec![json!(""), json!("x".repeat(201)), json!(null)]),
        of(&shows, &show, "description", vec![json!("x".repeat(4_001)), json!(5)]),
        of(
            &shows,
            &show,
            "price",
            vec![json!(-1), json!(1_000_000_001), json!(0.5), json!("free"), json!(1e30)],
        ),
        of(
            &shows,
            &show,
            "seatCount",
            vec![json!(0), json!(-1), json!(100_001), json!("many"), json!(i64::MAX)],
        ),
        of("/v1/reservations", &hold, "userId", vec![json!(""), json!(long), json!([]), json!(null)]),
        of(
            "/v1/reservations",
            &hold,
            "showId",
            vec![json!("one"), json!(1.5), json!(1e40), json!(null), json!([1])],
        ),
        of(
            "/v1/reservations",
            &hold,
            "seatNumbers",
            vec![
                json!([]),
                json!([0]),
                json!([-1]),
                json!([1, 1]),
                json!("1"),
                json!([1.5]),
                json!(["one"]),
                json!([i64::MAX]),
                json!(null),
                json!((1..=51).collect::<Vec<_>>()),
            ],
        ),
        of(
            "/v1/payments",
            &json!({"userId": user}),
            "reservationId",
            vec![json!(""), json!("nope"), json!(5), json!(null), json!("3fa85f64-5717-4562-b3fc")],
        ),
    ]
    .concat();
    for (path, body, fields) in [
        (&shows, &show, vec!["startsAt", "durationMinutes", "title", "price"]),
        (&"/v1/reservations".to_owned(), &hold, vec!["userId", "showId", "seatNumbers"]),
    ] {
        posts.extend(fields.into_iter().map(|field| (path.clone(), without(body, field), field)));
    }
    for (path, body, field) in posts {
        refuses(world.rest.post(&path, body).token(&buyer.token), field).await;
    }
    nothing_changed(&world, &buyer.user, &sale.queue, &shows).await;
}

async fn nothing_changed(world: &World, user: &str, queue: &str, shows: &str) {
    assert_eq!(world.balance(user).await, 5_000);
    let page = world.rest.get(&format!("/v1/users/{user}/reservations")).expect(200).await;
    assert_eq!(page["reservations"], json!([]));
    let line = world.line(queue).await;
    assert_eq!((int(&line["maxActive"]), int(&line["active"]), int(&line["waiting"])), (1_000, 1, 0));
    assert_eq!(world.rest.get(shows).expect(200).await["shows"].as_array().unwrap().len(), 1);
}

async fn several_wrong_fields_are_told_at_once(world: World) {
    let sale = world.sale(1_000, 5).await;
    let body = show_body(json!({"durationMinutes": 0, "title": "", "price": -1, "seatCount": 0}));
    let problem = world
        .rest
        .post(&format!("/v1/concerts/{}/shows", sale.concert), body)
        .send()
        .await
        .problem(400, "INVALID_ARGUMENT");
    let named = violated(&problem);
    for field in ["durationMinutes", "title", "price", "seatCount"] {
        assert!(named.contains(&field.to_owned()), "{field} is not among {named:?}");
    }
}

async fn bodies_that_are_no_json_objects_are_refused(world: World) {
    let user = unique("user");
    let paths = [
        format!("/v1/wallets/{user}/charges"),
        "/v1/concerts".into(),
        "/v1/reservations".into(),
        "/v1/payments".into(),
        "/v1/queues/default/tokens".into(),
    ];
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let bodies: [&[u8]; 12] = [
        b"",
        b" ",
        b"{",
        b"null",
        b"[]",
        b"\"x\"",
        b"5",
        b"{\"amount\":}",
        b"amount=5",
        b"\xff\xfe\x00",
        b"{\"userId\": \"\xff\"}",
        deep.as_bytes(),
    ];
    for path in &paths {
        for body in bodies {
            let answer = world
                .rest
                .call(Method::POST, path)
                .raw("application/json", body)
                .token(&Uuid::new_v4().to_string())
                .send()
                .await;
            let _ = answer.problem(400, "INVALID_ARGUMENT");
        }
    }
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
    {
        let answer =
            world.rest.call(Method::POST, &paths[0]).raw(content_type, "{\"amount\": 5}").send().await;
        assert!(matches!(answer.status, 400 | 415), "{content_type}: {} {}", answer.status, answer.text);
        assert!(answer.header("content-type").starts_with("application/problem+json"), "{}", answer.text);
    }
    let _ = world.rest.get(&format!("/v1/wallets/{user}")).send().await.problem(404, "WALLET_NOT_FOUND");
}

async fn a_body_over_64_kib_is_refused(world: World) {
    let user = unique("user");
    let path = format!("/v1/wallets/{user}/charges");
    let padded = |size: usize| json!({"amount": 5, "padding": "x".repeat(size)});
    // Clients of their own: after a body that it will not read, a server closes the connection.
    let alone = || Rest::new(world.mesh.rest());
    let answer = alone().post(&path, padded(65 * 1024)).send().await;
    assert!(matches!(answer.status, 400 | 413), "{} {}", answer.status, answer.text);
    assert!(answer.header("content-type").starts_with("application/problem+json"), "{}", answer.text);
    let _ = world.rest.get(&format!("/v1/wallets/{user}")).send().await.problem(404, "WALLET_NOT_FOUND");
    let _ = world.rest.post(&path, padded(60 * 1024)).expect(201).await;
    // Far beyond it the connection may be cut before all is sent; it is never accepted.
    if let Ok(answer) = alone().post(&path, padded(8 * 1024 * 1024)).try_send().await {
        assert!(matches!(answer.status, 400 | 413), "{}", answer.status);
    }
    assert_eq!(world.balance(&user).await, 5);
}

async fn paths_and_queries_that_are_absurd_are_refused(world: World) {
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer(&sale).await;
    let seats = |query: &str| format!("/v1/concerts/{}/seats{query}", sale.concert);
    for (path, field) in [
        ("/v1/tokens/nope".to_owned(), "token"),
        ("/v1/tokens/%00".to_owned(), "token"),
        ("/v1/reservations/1".to_owned(), "reservationId"),
        ("/v1/payments/xyz".to_owned(), "paymentId"),
        (seats(""), "date"),
        (seats("?date="), "date"),
        (seats("?date=2031-02-30"), "date"),
        (seats("?date=yesterday"), "date"),
        (format!("/v1/wallets/{}", "x".repeat(65)), "userId"),
        (format!("/v1/users/{}/reservations", "x".repeat(65)), "userId"),
        (format!("/v1/queues/{}", "x".repeat(65)), "queueId"),
        ("/v1/payments?status=PAID".to_owned(), "status"),
        ("/v1/payments?parked=yes".to_owned(), "parked"),
        ("/v1/payments/x/story".to_owned(), "paymentId"),
        ("/v1/concerts?pageSize=-1".to_owned(), "pageSize"),
        ("/v1/concerts?pageSize=ten".to_owned(), "pageSize"),
        ("/v1/concerts?pageSize=2147483648".to_owned(), "pageSize"),
        ("/v1/concerts?pageToken=%F0%9F%8E%9F".to_owned(), "pageToken"),
        ("/v1/concerts?pageToken=bm90aGluZw".to_owned(), "pageToken"),
    ] {
        refuses(world.rest.get(&path).token(&buyer.token), field).await;
    }
    // Numbers that are none, or beyond any number, and text that is not UTF-8.
    for path in [
        "/v1/concerts/one",
        "/v1/concerts/1.5",
        "/v1/concerts/99999999999999999999999",
        "/v1/concerts/-1",
        "/v1/shows/one/seats",
        "/v1/shows/-9223372036854775809/seats",
        "/v1/wallets/%FF%FE",
        "/v1/users/%C3%28/reservations",
        "/v1/queues/%2e%2e%2f%2e%2e",
        "/v1/queues/a%20b",
    ] {
        let answer = world.rest.get(path).token(&buyer.token).send().await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {} {}", answer.status, answer.text);
        assert!(
            answer.header("content-type").starts_with("application/problem+json"),
            "{path}: {}",
            answer.text
        );
    }
    let absurd = world.rest.get(&format!("/v1/wallets/{}", "x".repeat(10_000))).send().await;
    assert!((400..500).contains(&absurd.status), "{} {}", absurd.status, absurd.text);
}

async fn headers_that_are_absurd_are_refused(world: World) {
    let sale = world.sale(1_000, 5).await;
    let seats = format!("/v1/shows/{}/seats", sale.show);
    for token in [
        b"nope".to_vec(),
        vec![b'x'; 5_000],
        b"\xff\xfe".to_vec(),
        b"00000000-0000-0000-0000-00000000000g".to_vec(),
    ] {
        let answer = world.rest.get(&seats).header("x-queue-token", &token).send().await;
        assert!(matches!(answer.status, 400 | 401 | 404 | 431), "{} {}", answer.status, answer.text);
        assert!(
            matches!(answer.code(), "INVALID_ARGUMENT" | "TOKEN_MISSING" | "TOKEN_NOT_FOUND"),
            "{}",
            answer.text
        );
    }
    let user = unique("user");
    for key in [vec![b'k'; 129], b"two words".to_vec(), b"\xff".to_vec(), b"\xc3\xa9".to_vec()] {
        let answer = world
            .rest
            .post(&format!("/v1/wallets/{user}/charges"), json!({"amount": 5}))
            .header("idempotency-key", &key)
            .send()
            .await;
        let _ = answer.problem(400, "INVALID_ARGUMENT");
    }
    let _ = world.rest.get(&format!("/v1/wallets/{user}")).send().await.problem(404, "WALLET_NOT_FOUND");
    let huge = world.rest.get("/v1/concerts").header("x-noise", vec![b'n'; 200_000]).try_send().await;
    assert!(huge.is_err() || huge.is_ok_and(|answer| (400..500).contains(&answer.status)), "cut or refused");
    let noisy =
        world.rest.get("/v1/concerts").header("traceparent", "garbage").header("accept", "nothing/known");
    let _ = noisy.expect(200).await;
}

async fn unknown_fields_are_ignored_and_user_ids_may_be_numbers(world: World) {
    let queue = world.queue(json!({"maxActive": 5, "surprise": {"a": [1]}})).await;
    let body = json!({"userId": 42, "surprise": null, "token": 7});
    let token = world.rest.post(&format!("/v1/queues/{queue}/tokens"), body).expect(201).await;
    assert_eq!(token["userId"], "42");
    let again =
        world.rest.post(&format!("/v1/queues/{queue}/tokens"), json!({"userId": "42"})).expect(200).await;
    assert_eq!(token["token"], again["token"]);
}

async fn the_edges_of_every_range_are_accepted(world: World) {
    let user = format!("{}{}", unique("Zoë-🎟-"), "x".repeat(40));
    let path: String = user.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let most = 1_000_000_000_000_i64;
    let wallet =
        world.rest.post(&format!("/v1/wallets/{path}/charges"), json!({"amount": most})).expect(201).await;
    assert_eq!((text(&wallet["userId"]), int(&wallet["balance"])), (user, most));
    let concert = world.rest.post("/v1/concerts", json!({"title": "é".repeat(200)})).expect(201).await;
    assert_eq!(concert["queueId"], "default");
    for show in [
        json!({"startsAt": "2031-01-01T09:00:00.5+09:00", "durationMinutes": 1, "title": "x", "price": 0, "seatCount": 1}),
        json!({"startsAt": "2099-12-31T23:59:59Z", "durationMinutes": 1_440, "title": "x", "price": 1_000_000_000, "description": "d".repeat(4_000)}),
    ] {
        let made = world
            .rest
            .post(&format!("/v1/concerts/{}/shows", concert["concertId"]), show.clone())
            .expect(201)
            .await;
        assert_eq!((&made["price"], &made["durationMinutes"]), (&show["price"], &show["durationMinutes"]));
        assert!(text(&made["startsAt"]).ends_with('Z'), "UTC: {made}");
    }
    for key in ["k", &"k".repeat(128)] {
        let key = if key.len() == 1 { unique(key) } else { format!("{}{}", unique("k"), &key[20..]) };
        let _ = world.rest.post("/v1/concerts", json!({"title": "x"})).key(&key).expect(201).await;
    }
}

async fn a_new_show_has_in_the_api_document_the_bounds_that_are_checked(world: World) {
    let document = world.rest.get("/openapi.json").expect(200).await;
    let members = &document["components"]["schemas"]["NewShow"]["properties"];
    let number = |name: &str| int(&members[name]["minimum"])..=int(&members[name]["maximum"]);
    let wide = |bounds: RangeInclusive<i32>| i64::from(*bounds.start())..=i64::from(*bounds.end());
    assert_eq!(number("durationMinutes"), wide(bounds::MINUTES));
    assert_eq!(number("seatCount"), wide(bounds::SEATS));
    assert_eq!(number("price"), bounds::PRICE);
    assert_eq!(members["title"]["minLength"], *bounds::TITLE.start());
    assert_eq!(members["title"]["maxLength"], *bounds::TITLE.end());
    assert_eq!(members["description"]["maxLength"], *bounds::DESCRIPTION.end());
}
