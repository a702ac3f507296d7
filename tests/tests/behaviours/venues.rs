//! A venue's clock: dates and times of day are those that it shows, over every door.

use boxoffice_proto::{
    Reason,
    booking::{CreateConcertRequest, ListSeatsRequest},
};
use serde_json::{Value, json};
use tests::{
    client::violated,
    grpc::refused,
    requests::{show_body, show_message},
    scenarios,
    suite::Scenario,
    world::{World, int, text, unique},
};

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    a_show_after_midnight_in_seoul_is_found_on_its_date_at_every_door,
    an_instant_that_a_clock_leaves_out_or_shows_twice_is_still_one_instant,
    a_venue_without_a_zone_is_in_utc_and_no_zone_is_made_up,
];

const ORIGINAL: &str = "/api-orchestration/api/reservations";

/// A concert behind a queue of its own in this zone; its id and the queue's.
async fn concert(world: &World, zone: &str) -> (i64, String) {
    let queue = world.queue(json!({})).await;
    let body = json!({"title": "Night", "queueId": queue, "timeZone": zone});
    let concert = world.rest.post("/v1/concerts", body).expect(201).await;
    assert_eq!(concert["timeZone"], zone);
    (int(&concert["concertId"]), queue)
}

async fn show(world: &World, concert: i64, starts_at: &str) -> Value {
    let body = show_body(json!({"startsAt": starts_at, "seatCount": 2}));
    world.rest.post(&format!("/v1/concerts/{concert}/shows"), body).expect(201).await
}

async fn a_show_after_midnight_in_seoul_is_found_on_its_date_at_every_door(world: World) {
    let (concert, queue) = concert(&world, "Asia/Seoul").await;
    let show = show(&world, concert, "2031-05-02T00:30:00+09:00").await;
    assert_eq!(show["startsAt"], "2031-05-01T15:30:00.000000Z");
    assert_eq!((&show["localDate"], &show["localTime"]), (&json!("2031-05-02"), &json!("00:30")));
    assert_eq!(show["timeZone"], "Asia/Seoul");
    let id = int(&show["showId"]);
    let token = world.admitted(&queue, &unique("user")).await.token;
    let get = |path: String| world.rest.get(&path).token(&token);

    for path in [format!("/v1/concerts/{concert}/dates"), format!("{ORIGINAL}/available-dates/{concert}")] {
        assert_eq!(get(path).expect(200).await["availableDates"], json!(["2031-05-02"]));
    }
    let seats = async |date: &str| {
        let ours = get(format!("/v1/concerts/{concert}/seats?date={date}")).expect(200).await;
        let original = get(format!("{ORIGINAL}/available-seats?concertId={concert}&date={date}"));
        let of_grpc =
            ListSeatsRequest { concert_id: concert, date: date.to_owned(), ..ListSeatsRequest::default() };
        let maps = world.grpc.booking().list_seats(of_grpc).await.unwrap().into_inner().seat_maps;
        let original = original.expect(200).await["availableSeats"].as_array().unwrap().len();
        (ours["shows"].as_array().unwrap().len(), original, maps.len())
    };
    assert_eq!(seats("2031-05-02").await, (1, 2, 1));
    assert_eq!(seats("2031-05-01").await, (0, 0, 0), "the date in Greenwich is not that of the show");

    let user = unique("user");
    let token = world.admitted(&queue, &user).await.token;
    let reserve = |date: &str| {
        let body = json!({"userId": user, "concertOptionId": id, "seatId": 1, "date": date});
        world.rest.post(&format!("{ORIGINAL}/reserve-seat"), body).token(&token)
    };
    let refused = reserve("2031-05-01").send().await.problem(400, "INVALID_ARGUMENT");
    assert_eq!(violated(&refused), ["date"]);
    reserve("2031-05-02").expect(200).await;
}

async fn an_instant_that_a_clock_leaves_out_or_shows_twice_is_still_one_instant(world: World) {
    for (zone, starts_at, date, time) in [
        // Berlin has no 02:30 on this day. With the offset of winter it is an instant, at which it is 03:30
        // there.
        ("Europe/Berlin", "2031-03-30T02:30:00+01:00", "2031-03-30", "03:30"),
        ("Europe/Berlin", "2031-10-26T02:30:00+02:00", "2031-10-26", "02:30"),
        ("Europe/Berlin", "2031-10-26T02:30:00+01:00", "2031-10-26", "02:30"),
        ("America/New_York", "2031-11-02T05:30:00Z", "2031-11-02", "01:30"),
        ("America/New_York", "2031-11-02T06:30:00Z", "2031-11-02", "01:30"),
        ("Australia/Lord_Howe", "2031-04-05T14:45:00Z", "2031-04-06", "01:45"),
        ("Australia/Lord_Howe", "2031-04-05T15:15:00Z", "2031-04-06", "01:45"),
        ("Asia/Kathmandu", "2031-12-24T19:30:00Z", "2031-12-25", "01:15"),
    ] {
        let (concert, _) = concert(&world, zone).await;
        let show = show(&world, concert, starts_at).await;
        let told = (&show["localDate"], &show["localTime"]);
        assert_eq!(told, (&json!(date), &json!(time)), "{zone} {starts_at}");
        let read = world.rest.get(&format!("/v1/shows/{}", show["showId"])).expect(200).await;
        assert_eq!(read, show);
    }
}

async fn a_venue_without_a_zone_is_in_utc_and_no_zone_is_made_up(world: World) {
    let plain = world.rest.post("/v1/concerts", json!({"title": "Night"})).expect(201).await;
    assert_eq!(plain["timeZone"], "UTC");
    let show = world.grpc.booking().create_show(show_message(int(&plain["concertId"]))).await.unwrap();
    let show = show.into_inner().show.unwrap();
    assert_eq!((show.local_date.as_str(), show.local_time.as_str()), ("2033-05-18", "03:33"));
    for zone in ["Seoul", "asia/seoul", "+09:00", "KST", "Asia/Seoul\u{0}", &"x".repeat(65)] {
        let body = json!({"title": "Night", "timeZone": zone});
        let refusal = world.rest.post("/v1/concerts", body).send().await.problem(400, "INVALID_ARGUMENT");
        assert_eq!(violated(&refusal), ["timeZone"], "{zone}: {}", text(&refusal["detail"]));
    }
    let request = CreateConcertRequest {
        title: "Night".to_owned(),
        time_zone: "Mars/Olympus".to_owned(),
        ..CreateConcertRequest::default()
    };
    let fault = refused(world.grpc.booking().create_concert(request).await, Reason::InvalidArgument);
    assert_eq!(fault.violations[0].field, "time_zone");
}
