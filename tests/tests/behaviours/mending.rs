//! Changing concerts and shows that are on sale: whoever was slower is told, what is held keeps its price,
//! and what depends on a show moves along.

use std::time::Duration;

use boxoffice_proto::{
    Reason,
    booking::{CancelReservationRequest, UpdateConcertRequest, UpdateShowRequest},
};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    client::Call,
    eventually::{eventually, holds},
    grpc::refused,
    scenarios,
    suite::Scenario,
    world::{World, int, text, unique},
};

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    who_was_slower_is_told_and_changes_nothing,
    a_tag_that_was_just_answered_is_good_at_every_replica,
    what_is_held_keeps_its_price_when_a_show_becomes_dearer,
    a_show_that_moves_takes_its_date_and_the_end_of_its_sale_along,
    a_concert_moves_behind_another_queue_and_into_another_time_zone,
    what_cannot_be_is_refused_by_name,
];

fn patch(world: &World, path: &str, body: Value) -> Call {
    world.rest.call(Method::PATCH, path).json(body)
}

async fn who_was_slower_is_told_and_changes_nothing(world: World) {
    let sale = world.sale(1_000, 5).await;
    let path = format!("/v1/shows/{}", sale.show);
    let read = world.rest.get(&path).send().await;
    let tag = read.header("etag");
    let again = world.rest.get(&path).header("if-none-match", &tag).send().await;
    assert_eq!((again.status, again.header("etag")), (304, tag.clone()));
    let title = |title: &str| patch(&world, &path, json!({"title": title})).header("if-match", &tag);
    let first = title("First").send().await;
    assert_eq!((first.status, &first.body["title"]), (200, &json!("First")), "{}", first.text);
    assert_ne!(first.header("etag"), tag);
    let _ = title("Second").send().await.problem(412, "PRECONDITION_FAILED");
    // Whichever replica is asked, and over gRPC.
    let changed = |etag: &str| UpdateShowRequest {
        show_id: sale.show,
        description: Some("x".into()),
        etag: etag.into(),
        ..UpdateShowRequest::default()
    };
    let stale = changed(tag.trim_matches('"'));
    refused(world.grpc.booking().update_show(stale).await, Reason::PreconditionFailed);
    let now = first.header("etag");
    let done = world.grpc.booking().update_show(changed(now.trim_matches('"'))).await.unwrap().into_inner();
    assert_eq!(done.show.unwrap().title, "First");
    // Without a tag the last one wins.
    let last = patch(&world, &path, json!({"title": "Last"})).expect(200).await;
    assert_eq!((&last["title"], &last["description"]), (&json!("Last"), &json!("x")));
    let any = patch(&world, &path, json!({"title": "Any"})).header("if-match", "*").expect(200).await;
    assert_eq!(any["title"], "Any");
    let journal = world.rest.get(&format!("/v1/operator/journal?target={}&what=UpdateShow", sale.show));
    let actions = journal.expect(200).await["actions"].as_array().unwrap().clone();
    let told: Vec<_> = actions.iter().map(|one| text(&one["outcome"])).collect();
    // What was asked of the service itself, past the edge, is not in it.
    assert_eq!(told, ["DONE", "DONE", "REFUSED", "DONE"], "{actions:?}");
    // What there was before is as a replica knew it, a quarter of a second ago or later.
    assert!(actions[0]["before"]["title"].is_string(), "{actions:?}");
    assert_eq!(actions[0]["after"]["title"], "Any");
}

async fn a_tag_that_was_just_answered_is_good_at_every_replica(world: World) {
    let sale = world.sale(1_000, 5).await;
    let concert = world.rest.get(&format!("/v1/shows/{}", sale.show)).expect(200).await["concertId"].clone();
    for path in [format!("/v1/shows/{}", sale.show), format!("/v1/concerts/{concert}")] {
        let mut tag = world.rest.get(&path).send().await.header("etag");
        for n in 0..8 {
            // Each replica has just read what is older than the tag, and remembers it for a moment.
            for _ in 0..4 {
                let _ = world.rest.get(&path).expect(200).await;
            }
            // Several states may be named; those that are no longer do no harm.
            let tags = if n % 2 == 0 { tag } else { format!("\"gone\", {tag}") };
            let change = patch(&world, &path, json!({"title": format!("{n}")}));
            let changed = change.header("if-match", &tags).send().await;
            assert_eq!(changed.status, 200, "{path}, change {n}: {}", changed.text);
            tag = changed.header("etag");
        }
        let none = patch(&world, &path, json!({"title": "none"})).header("if-match", "\"gone\", \"\"");
        let _ = none.send().await.problem(412, "PRECONDITION_FAILED");
    }
}

async fn what_is_held_keeps_its_price_when_a_show_becomes_dearer(world: World) {
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 10_000).await;
    let held = world.hold(&buyer, sale.show, &[1]).await;
    let dearer = json!({"prices": [{"section": "", "price": 3_000}]});
    let show = patch(&world, &format!("/v1/shows/{}", sale.show), dearer).expect(200).await;
    assert_eq!(show["price"], 3_000);
    let next = eventually(Duration::from_secs(5), || async {
        let other = world.buyer(&sale).await;
        let next = world.hold(&other, sale.show, &[2]).await;
        let amount = int(&world.reservation(&next).await["amount"]);
        if amount != 3_000 {
            let path = format!("/v1/reservations/{next}");
            let _ = world.rest.delete(&path).token(&other.token).expect(204).await;
        }
        holds(amount, |amount| *amount == 3_000)
    })
    .await;
    assert_eq!(next, 3_000);
    let paid = world.paying(&buyer, &held).expect(201).await;
    assert_eq!((&paid["amount"], world.balance(&buyer.user).await), (&json!(1_000), 9_000));
}

async fn a_show_that_moves_takes_its_date_and_the_end_of_its_sale_along(world: World) {
    let sale = world.sale(1_000, 5).await;
    let path = format!("/v1/shows/{}", sale.show);
    let moved = patch(&world, &path, json!({"startsAt": "2032-06-02T19:00:00+09:00"})).expect(200).await;
    assert_eq!(
        (&moved["startsAt"], &moved["localDate"]),
        (&json!("2032-06-02T10:00:00.000000Z"), &json!("2032-06-02"))
    );
    assert_eq!(moved["closesAt"], json!(null));
    let buyer = world.buyer(&sale).await;
    eventually(Duration::from_secs(5), || async {
        let dates = world.rest.get(&format!("/v1/concerts/{}/dates", sale.concert)).token(&buyer.token);
        holds(dates.expect(200).await, |dates| dates["availableDates"] == json!(["2032-06-02"]))
    })
    .await;
    // A sale that closes later than the show ends cannot be, nor one that closes before it opens.
    let early = json!({"closesAt": "2033-01-01T00:00:00Z"});
    let _ = patch(&world, &path, early).send().await.problem(400, "INVALID_ARGUMENT");
    let closed = json!({"closesAt": "2020-01-01T00:00:00Z"});
    patch(&world, &path, closed).expect(200).await;
    eventually(Duration::from_secs(5), || async {
        let answer = world.holding(&buyer, sale.show, &[1]).send().await;
        if answer.status == 201 {
            let path = format!("/v1/reservations/{}", text(&answer.body["reservationId"]));
            let _ = world.rest.delete(&path).token(&buyer.token).expect(204).await;
        }
        holds(answer.code().to_owned(), |code| code == "SALES_CLOSED")
    })
    .await;
    patch(&world, &path, json!({"closesAt": null, "maxSeatsPerUser": 1})).expect(200).await;
    eventually(Duration::from_secs(5), || async {
        let answer = world.holding(&buyer, sale.show, &[1, 2]).send().await;
        holds(answer.code().to_owned(), |code| code == "HOLD_LIMIT")
    })
    .await;
}

async fn a_concert_moves_behind_another_queue_and_into_another_time_zone(world: World) {
    let sale = world.sale(1_000, 5).await;
    let path = format!("/v1/concerts/{}", sale.concert);
    let read = world.rest.get(&path).send().await;
    let (tag, other) = (read.header("etag"), world.queue(json!({"maxActive": 1000})).await);
    let change = json!({"queueId": other, "timeZone": "Asia/Seoul", "title": "Moved"});
    let moved = patch(&world, &path, change).header("if-match", &tag).expect(200).await;
    assert_eq!((&moved["queueId"], &moved["title"]), (&json!(other), &json!("Moved")));
    let user = unique("user");
    let (before, after) = (world.admitted(&sale.queue, &user).await, world.admitted(&other, &user).await);
    eventually(Duration::from_secs(10), || async {
        let refused = world.holding(&before, sale.show, &[1]).send().await;
        if refused.status == 201 {
            // An edge that did not know of the change yet. Which queue the hold is of depends on the service.
            let cancel = CancelReservationRequest {
                reservation_id: text(&refused.body["reservationId"]),
                user_id: user.clone(),
                request_id: String::new(),
            };
            world.grpc.booking().cancel_reservation(cancel).await.unwrap();
        }
        holds(refused.code().to_owned(), |code| code == "TOKEN_WRONG_QUEUE")
    })
    .await;
    eventually(Duration::from_secs(10), || async {
        holds(world.holding(&after, sale.show, &[2]).send().await.status, |status| *status == 201)
    })
    .await;
    eventually(Duration::from_secs(10), || async {
        let show = world.rest.get(&format!("/v1/shows/{}", sale.show)).expect(200).await;
        holds(show, |show| show["localDate"] == "2031-05-02" && show["localTime"] == "04:00")
    })
    .await;
    let stale = UpdateConcertRequest {
        concert_id: sale.concert,
        title: Some("x".into()),
        etag: tag.trim_matches('"').into(),
        ..UpdateConcertRequest::default()
    };
    refused(world.grpc.booking().update_concert(stale).await, Reason::PreconditionFailed);
}

async fn what_cannot_be_is_refused_by_name(world: World) {
    let sale = world.sale(1_000, 5).await;
    let path = format!("/v1/shows/{}", sale.show);
    let wrong = |body: Value| {
        let call = patch(&world, &path, body);
        async move {
            let problem = call.send().await.problem(400, "INVALID_ARGUMENT");
            let fields = problem["violations"].as_array().unwrap().iter();
            fields.map(|violation| text(&violation["field"])).collect::<Vec<_>>()
        }
    };
    assert_eq!(wrong(json!({"title": null, "startsAt": null})).await, ["title", "startsAt"]);
    assert_eq!(wrong(json!({"title": "", "durationMinutes": 0})).await, ["title", "durationMinutes"]);
    assert_eq!(wrong(json!({"startsAt": "2020-01-01T00:00:00Z"})).await, ["startsAt"]);
    assert_eq!(wrong(json!({"prices": [{"section": "Stalls", "price": 1}]})).await, ["prices"]);
    assert_eq!(wrong(json!({"prices": [{"price": -1}]})).await, ["prices[0].price"]);
    let _ = patch(&world, "/v1/shows/999999999", json!({})).send().await.problem(404, "SHOW_NOT_FOUND");
    let _ = patch(&world, "/v1/concerts/999999999", json!({})).send().await.problem(404, "CONCERT_NOT_FOUND");
    let zone = patch(&world, &format!("/v1/concerts/{}", sale.concert), json!({"timeZone": "Mars/Olympus"}));
    let _ = zone.send().await.problem(400, "INVALID_ARGUMENT");
}
