//! Subscribers that do not always take what they are sent.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode, header::RETRY_AFTER},
    response::IntoResponse,
    routing::post,
};
use boxoffice_proto::{
    booking::{ReservationEvent, ShowEvent},
    time::timestamp,
};
use chassis::{
    clock::{Clock, SECOND},
    db::{Db, DbConfig},
    testing::{databases, patience::Patience},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Relay;
use crate::{
    app::fakes::{Fakes, Mishap},
    clients::Clients,
    config::TellingArgs,
    domain::{
        checkout::{Checkout, RecordedCheckout, Status},
        event,
    },
    store::{Events, Journal, Settlement, Subscription},
};

const SALE: [&str; 2] = ["boxoffice.payment.completed", "boxoffice.reservation.confirmed"];

/// What a receiver got: its headers, what it is, and whether it was taken.
type Got = Arc<Mutex<Vec<(HeaderMap, Value, StatusCode)>>>;

/// A receiver that answers the n-th request as `answer` says. Its address, and what it got.
async fn receiver(answer: impl Fn(usize) -> StatusCode + Send + Sync + 'static) -> (String, Got) {
    reader(move |nth, _| answer(nth)).await
}

/// The same, whose answer also depends on the event.
async fn reader(answer: impl Fn(usize, &Value) -> StatusCode + Send + Sync + 'static) -> (String, Got) {
    let (got, answer) = (Got::default(), Arc::new(answer));
    let log = Arc::clone(&got);
    let take = move |headers: HeaderMap, body: Bytes| {
        let mut log = log.lock();
        let event = serde_json::from_slice(&body).unwrap();
        let status = answer(log.len(), &event);
        log.push((headers, event, status));
        let asked =
            if status == StatusCode::TOO_MANY_REQUESTS { vec![(RETRY_AFTER, "600")] } else { Vec::new() };
        let location = [("location", "/elsewhere")];
        let answer = (status, location, "x".repeat(1_000)).into_response();
        let answer = asked.into_iter().fold(answer, |mut answer, (name, value)| {
            answer.headers_mut().insert(name, value.parse().unwrap());
            answer
        });
        std::future::ready(answer)
    };
    let log = Arc::clone(&got);
    let elsewhere = move || {
        log.lock().push((HeaderMap::new(), Value::Null, StatusCode::OK));
        std::future::ready(StatusCode::OK)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let router = Router::new().route("/events", post(take)).route("/elsewhere", post(elsewhere));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, got)
}

/// One edge's database, its relays, and who is told.
struct House {
    events: Events,
    journal: Journal,
    clock: Clock,
    args: TellingArgs,
    clients: Option<Clients>,
    shutdown: CancellationToken,
}

impl House {
    async fn open(database: &DbConfig, urls: &[&str]) -> Self {
        let db = Db::open(database, &chassis::migrations!()).await.unwrap();
        let (events, journal) = (Events::new(db.clone()), Journal::new(db));
        let args = TellingArgs {
            events_url: urls.iter().map(|&url| url.to_owned()).collect(),
            ..TellingArgs::default()
        };
        let (clock, shutdown) = (Clock::system(), CancellationToken::new());
        Self { events, journal, clock, args, clients: None, shutdown }
    }

    fn edge(&self) -> tokio::task::JoinHandle<()> {
        let relay = Relay::new(self.events.clone(), self.clock.clone(), &self.args, self.clients.as_ref());
        let relay = relay.unwrap();
        tokio::spawn(relay.run_until(self.shutdown.clone()))
    }

    /// Waits until all subscribers are known.
    async fn known(&self) {
        let urls = self.args.events_url.len().max(1);
        self.until(|subscribers| subscribers.len() == urls).await;
    }

    async fn until(&self, is_so: impl Fn(&[Subscription]) -> bool) -> Vec<Subscription> {
        let patience = Patience::new(Duration::from_secs(20));
        loop {
            let subscribers = self.events.subscriptions().await.unwrap();
            if is_so(&subscribers) {
                return subscribers;
            }
            assert!(!patience.is_over(), "{subscribers:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn sell(&self) -> Uuid {
        self.sell_as(Uuid::new_v4()).await
    }

    async fn sell_as(&self, id: Uuid) -> Uuid {
        let now = self.clock.now();
        let checkout = Checkout::begun(id, "ann".into(), Uuid::new_v4(), 1, now);
        let entry =
            RecordedCheckout { checkout: checkout.clone(), token: Uuid::nil(), refusal: None, trace: None };
        self.journal.begin(&entry, None, Uuid::nil(), now).await.unwrap();
        let checkout = Checkout { status: Status::Completed, settled_at: Some(now), ..checkout };
        let events = event::outcome(&checkout);
        let settlement = Settlement { checkout: checkout.clone(), refusal: None, rounds: 0, events };
        self.journal.settle(&settlement).await.unwrap();
        checkout.checkout_id
    }

    async fn close(self, edges: Vec<tokio::task::JoinHandle<()>>) {
        self.shutdown.cancel();
        for edge in edges {
            edge.await.unwrap();
        }
    }
}

fn taken(got: &Got) -> Vec<Value> {
    let got = got.lock();
    got.iter().filter(|(_, _, status)| status.is_success()).map(|(_, body, _)| body.clone()).collect()
}

fn kinds_of(events: &[Value], checkout: Uuid) -> Vec<String> {
    let ours = events.iter().filter(|event| event["subject"] == checkout.to_string());
    ours.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_subscriber_gets_every_event_once_and_in_order_from_two_edges_and_one_that_is_down_holds_up_nobody()
 {
    for database in databases().await {
        // The first refuses every third request, another one takes all, and nobody listens at the last.
        let (shaky, seen_by_shaky) =
            receiver(|nth| if nth % 3 == 0 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::ACCEPTED })
                .await;
        let (sound, seen_by_sound) = receiver(|_| StatusCode::OK).await;
        let house = House::open(&database.config, &[&shaky, &sound, "http://127.0.0.1:1/x"]).await;
        let edges = vec![house.edge(), house.edge()];
        house.known().await;
        let mut checkouts = Vec::new();
        for _ in 0..5 {
            checkouts.push(house.sell().await);
        }
        let told = house.until(|all| all.iter().filter(|one| one.position == 10).count() == 2).await;
        let down = told.iter().find(|one| one.position == 0).unwrap();
        assert!(down.name.starts_with("127.0.0.1:1#"), "{down:?}");
        house.close(edges).await;
        for got in [seen_by_shaky, seen_by_sound] {
            let events = taken(&got);
            assert_eq!(events.len(), 10, "each once when nothing dies, on {}", database.name);
            for checkout in &checkouts {
                assert_eq!(kinds_of(&events, *checkout), SALE, "{}", database.name);
            }
            let is_named = |(headers, body, _): &(HeaderMap, Value, StatusCode)| {
                headers["webhook-id"] == body["id"].as_str().unwrap()
                    && headers["content-type"] == "application/cloudevents+json"
            };
            assert!(got.lock().iter().all(is_named), "also those that were not taken");
        }
    }
}

#[tokio::test]
async fn what_happens_in_a_service_is_told_once_though_its_answers_are_lost_and_edges_go() {
    for database in databases().await {
        let (fakes, upstreams) = Fakes::start(0, 0).await;
        let event = |number: i64| ReservationEvent {
            number,
            released: i32::try_from(number % 2 * 9).unwrap(),
            reservation_id: format!("r-{}", number / 2),
            ..ReservationEvent::default()
        };
        fakes.0.lock().events = (0..10).map(event).collect();
        fakes.0.lock().mishaps.insert("take_reservation_events", Mishap::ReplyLost);
        // One takes everything, and nobody listens to the other subscriber.
        let (sound, got) = receiver(|_| StatusCode::OK).await;
        let mut house = House::open(&database.config, &[&sound, "http://127.0.0.1:1/x"]).await;
        house.clients = Some(Clients::new(&upstreams));
        let edges = vec![house.edge(), house.edge()];
        house.until(|all| all.iter().any(|one| one.position >= 4)).await;
        // What was taken is not named any more; and the next ones hear of all of it again.
        fakes.0.lock().mishaps.insert("take_reservation_events", Mishap::Lost);
        house.close(edges).await;
        let waiting = fakes.0.lock().events.clone();
        fakes.0.lock().events =
            (0..4).map(event).chain(waiting.into_iter().filter(|event| event.number >= 4)).collect();
        let mut house = House::open(&database.config, &[&sound, "http://127.0.0.1:1/x"]).await;
        house.clients = Some(Clients::new(&upstreams));
        let edges = vec![house.edge(), house.edge()];
        let patience = Patience::new(Duration::from_secs(20));
        while !fakes.0.lock().events.is_empty() || taken(&got).len() < 10 {
            assert!(!patience.is_over(), "{:?} on {}", taken(&got), database.name);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        house.close(edges).await;
        let told = taken(&got);
        assert_eq!(told.len(), 10, "each once on {}", database.name);
        for number in 0..5 {
            let subject = format!("r-{number}");
            let of: Vec<_> = told.iter().filter(|event| event["subject"] == *subject).collect();
            assert_eq!(
                (&of[0]["type"], &of[1]["type"]),
                (&json!("boxoffice.reservation.held"), &json!("boxoffice.reservation.released"))
            );
            assert_eq!(of[1]["data"]["reason"], "OTHER", "a reason of a newer release");
        }
    }
}

#[tokio::test]
async fn a_show_that_moves_and_moves_back_is_told_both_times_and_each_time_once() {
    for database in databases().await {
        let (fakes, upstreams) = Fakes::start(0, 0).await;
        let moved = |number: i64, from: i64, to: i64| ShowEvent {
            number,
            event_id: Uuid::from_u128(u128::from(number.unsigned_abs())).to_string(),
            show_id: 3,
            starts_at: Some(timestamp(to * SECOND)),
            previous_starts_at: Some(timestamp(from * SECOND)),
            time_zone: "Asia/Seoul".to_owned(),
            local_date: "1970-01-01".to_owned(),
            local_time: "09:00".to_owned(),
            ..ShowEvent::default()
        };
        let both = vec![moved(1, 5, 6), moved(2, 6, 5)];
        fakes.0.lock().moves.clone_from(&both);
        fakes.0.lock().mishaps.insert("take_show_events", Mishap::ReplyLost);
        let (sound, got) = receiver(|_| StatusCode::OK).await;
        for _ in 0..2 {
            let mut house = House::open(&database.config, &[&sound]).await;
            house.clients = Some(Clients::new(&upstreams));
            let edges = vec![house.edge(), house.edge()];
            house.until(|all| all.iter().any(|one| one.position >= 2)).await;
            let patience = Patience::new(Duration::from_secs(20));
            while !fakes.0.lock().moves.is_empty() {
                assert!(!patience.is_over(), "what was written down is named as taken");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            house.close(edges).await;
            // As if the last call had not arrived: they are handed over once more.
            fakes.0.lock().moves.clone_from(&both);
        }
        let told = taken(&got);
        let times: Vec<_> = told
            .iter()
            .map(|event| [&event["data"]["previousStartsAt"], &event["data"]["startsAt"]])
            .collect();
        let (five, six) = (json!("1970-01-01T00:00:05.000000Z"), json!("1970-01-01T00:00:06.000000Z"));
        assert_eq!(times, [[&five, &six], [&six, &five]], "{}", database.name);
        assert!(
            told.iter().all(|event| event["type"] == "boxoffice.show.changed" && event["subject"] == "3")
        );
        for event in &told {
            let there = ["timeZone", "localDate", "localTime"].map(|name| event["data"][name].as_str());
            assert_eq!(there, [Some("Asia/Seoul"), Some("1970-01-01"), Some("09:00")]);
        }
    }
}

#[tokio::test]
async fn a_subscriber_that_is_gone_is_left_alone_until_an_operator_begins_again() {
    for database in databases().await {
        let (url, got) =
            receiver(|nth| if nth == 0 { StatusCode::GONE } else { StatusCode::NO_CONTENT }).await;
        let house = House::open(&database.config, &[&url]).await;
        let edges = vec![house.edge()];
        house.known().await;
        let first = house.sell().await;
        let told = house.until(|all| all[0].gone_at.is_some()).await;
        assert_eq!(told[0].position, 0);
        house.sell().await;
        // Also another edge leaves it alone.
        house.close(edges).await;
        let house = House::open(&database.config, &[&url]).await;
        let edges = vec![house.edge()];
        house.until(|all| all[0].newest == 4).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(got.lock().len(), 1);

        let from = house.events.position_of(&format!("{first}/payment")).await.unwrap().unwrap();
        assert!(house.events.replay(&told[0].name, from - 1, house.clock.now()).await.unwrap());
        house.until(|all| all[0].position == 4).await;
        house.close(edges).await;
        let events = taken(&got);
        assert_eq!((events.len(), kinds_of(&events, first)), (4, SALE.map(str::to_owned).to_vec()));
    }
}

#[tokio::test]
async fn a_replay_from_where_a_subscriber_stands_sends_again_what_it_took_beyond_that() {
    for database in databases().await {
        let disliked = Uuid::new_v4();
        let is_disliked = Arc::new(AtomicBool::new(true));
        let dislikes = Arc::clone(&is_disliked);
        let (url, got) = reader(move |_, event| {
            let is_it = event["subject"] == disliked.to_string();
            if is_it && dislikes.load(Ordering::SeqCst) { StatusCode::CONFLICT } else { StatusCode::OK }
        })
        .await;
        let house = House::open(&database.config, &[&url]).await;
        let edges = vec![house.edge()];
        house.known().await;
        house.sell_as(disliked).await;
        let others = [house.sell().await, house.sell().await];
        let is_told = async |times: usize| {
            let patience = Patience::new(Duration::from_secs(20));
            let told = || {
                let events = taken(&got);
                others.iter().all(|other| kinds_of(&events, *other).len() == 2 * times)
            };
            while !told() {
                assert!(!patience.is_over(), "{times} times: {:#?}", taken(&got));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        is_told(1).await;
        let subscribers = house.until(|all| all[0].failing.is_some()).await;
        assert_eq!(subscribers[0].position, 0);
        assert!(house.events.replay(&subscribers[0].name, 0, house.clock.now()).await.unwrap());
        is_told(2).await;
        is_disliked.store(false, Ordering::SeqCst);
        house.until(|all| all[0].position == 6).await;
        house.close(edges).await;
        assert_eq!(taken(&got).len(), 10, "{}", database.name);
    }
}

#[tokio::test]
async fn a_subscriber_is_left_alone_for_as_long_as_it_says_and_redirects_are_not_followed() {
    for database in databases().await {
        for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::TEMPORARY_REDIRECT] {
            let (url, got) = receiver(move |_| status).await;
            let house = House::open(&database.config, &[&url]).await;
            let edges = vec![house.edge()];
            let begun = house.clock.now();
            house.until(|all| all.iter().any(|one| one.name.starts_with(&url[7..url.len() - 7]))).await;
            house.sell().await;
            let is_ours = |one: &&Subscription| one.name.starts_with(&url[7..url.len() - 7]);
            let all = house.until(|all| all.iter().find(is_ours).unwrap().failing.is_some()).await;
            let one = all.iter().find(is_ours).unwrap();
            let failing = one.failing.as_ref().unwrap();
            assert!(failing.why.contains(status.as_str()), "{failing:?}");
            let asked = status == StatusCode::TOO_MANY_REQUESTS;
            assert_eq!(one.due_at - begun >= 600 * SECOND, asked, "{one:?}");
            house.close(edges).await;
            assert!(taken(&got).is_empty());
        }
    }
}

#[tokio::test]
async fn a_new_subscriber_is_told_what_happens_from_now_on_and_a_known_one_what_it_missed() {
    for database in databases().await {
        let (url, got) = receiver(|_| StatusCode::OK).await;
        // Nobody is told but the log.
        let house = House::open(&database.config, &[]).await;
        let edges = vec![house.edge()];
        house.known().await;
        house.sell().await;
        house.until(|all| all[0].position == 2).await;
        house.close(edges).await;

        let house = House::open(&database.config, &[&url]).await;
        let edges = vec![house.edge()];
        house.until(|all| all.len() == 2).await;
        let second = house.sell().await;
        house.until(|all| all.iter().any(|one| one.name != "log" && one.position == 4)).await;
        house.close(edges).await;
        assert_eq!(kinds_of(&taken(&got), second), SALE);
        assert_eq!(taken(&got).len(), 2, "nothing of the past");

        let house = House::open(&database.config, &[&url]).await;
        let third = house.sell().await;
        let edges = vec![house.edge()];
        house.until(|all| all.iter().any(|one| one.name != "log" && one.position == 6)).await;
        house.close(edges).await;
        assert_eq!((taken(&got).len(), kinds_of(&taken(&got), third)), (4, SALE.map(str::to_owned).to_vec()));
    }
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_anything_starts_and_no_secret_is_repeated() {
    let good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let database = databases().await.remove(0);
    let events = Events::new(Db::open(&database.config, &chassis::migrations!()).await.unwrap());
    for (urls, secrets) in [
        ("nowhere/S3CR3T", ""),
        ("ftp://S3CR3T.example/", ""),
        ("http://", ""),
        ("https://x/S3CR3T,https://x/S3CR3T", ""),
        ("https://x/", "S3CR3T"),
        ("https://x/,https://y/,https://z/", &format!("{good},{good}")),
        ("", good),
    ] {
        let args = TellingArgs {
            events_url: vec![urls.to_owned()],
            events_secret: vec![secrets.to_owned()],
            ..TellingArgs::default()
        };
        let relay = Relay::new(events.clone(), Clock::system(), &args, None);
        let Err(chassis::Error::Config(why)) = relay.map(drop) else { panic!("{urls}") };
        assert!(why.contains("EVENTS_") && !why.contains("S3CR3T") && !why.contains("MfKQ"), "{why}");
    }
    for servers in ["S3CR3T", "http://S3CR3T@x", "nats://", "nats://x:S3CR3T"] {
        let args = TellingArgs { nats_url: Some(servers.to_owned()), ..TellingArgs::default() };
        let Err(chassis::Error::Config(why)) =
            Relay::new(events.clone(), Clock::system(), &args, None).map(drop)
        else {
            panic!("{servers}")
        };
        assert!(why.contains("--nats-url (NATS_URL)") && !why.contains("S3CR3T"), "{why}");
    }
}
