//! Other systems are told what has happened: all of it, whoever dies meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_nats::jetstream;
use chassis::{clock::Clock, rfc3339::Rfc3339};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tests::{
    databases::Databases,
    eventually::{eventually, holds},
    load::{Load, kills},
    mesh::{Role, Shape},
    process::binary,
    receiver::{Chat, Receiver, SECRETS},
    server::NatsServer,
    solos,
    suite::Solo,
    world::{STARTS_AT, World, int, text, unique},
};
use tokio::process::{Child, Command};

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::ApartSqlite, Shape::Cluster];
    two_subscribers_hear_of_every_purchase_through_kills_of_the_edge,
    nats_has_every_event_once_through_kills_of_the_server_and_of_the_edge,
    holds_releases_moves_and_openings_are_told_once_through_kills_of_every_program,
    alerts_reach_people_though_the_chat_was_away_and_the_program_killed_and_many_are_one_message,
];

/// After a kill the lease of whoever was telling must lapse first.
const SOON: Duration = Duration::from_secs(60);
const AT_MOST: Duration = Duration::from_secs(30);

/// The ids of the events that are owed of checkouts and of reservations, each with its type.
async fn owed(world: &World) -> BTreeMap<String, String> {
    let mut events = owed_of_checkouts(world).await;
    let mut booking = world.mesh.databases.with_table("hold").await;
    let holds = "SELECT {id:reservation_id}, status, {id:refunded_payment_id} FROM hold";
    for row in booking.rows(holds).await {
        let about =
            |what: &str| (format!("reservation/{}/{what}", row[0]), format!("boxoffice.reservation.{what}"));
        events.extend([about("held")]);
        let is_released = matches!(row[1].as_str(), "EXPIRED" | "CANCELLED") && row[2].is_empty();
        events.extend(is_released.then(|| about("released")));
    }
    events
}

async fn owed_of_checkouts(world: &World) -> BTreeMap<String, String> {
    let mut edge = world.mesh.databases.with_table("checkout").await;
    let settled =
        edge.rows("SELECT {id:checkout_id}, status FROM checkout WHERE settled_at IS NOT NULL").await;
    let events = settled.into_iter().flat_map(|row| {
        let (payment, reservation) =
            if row[1] == "COMPLETED" { ("completed", "confirmed") } else { ("failed", "failed") };
        [
            (format!("{}/payment", row[0]), format!("boxoffice.payment.{payment}")),
            (format!("{}/reservation", row[0]), format!("boxoffice.reservation.{reservation}")),
        ]
    });
    events.collect()
}

/// Ids without dashes, as the databases tell them, each with its type.
fn told(events: &[Value]) -> BTreeMap<String, String> {
    events.iter().map(|event| (text(&event["id"]).replace('-', ""), text(&event["type"]))).collect()
}

/// Waits until every replica of booking-svc knows that somebody is told.
async fn known_to_booking(world: &World) {
    for node in world.mesh.of(Role::Booking) {
        let metrics = format!("http://{}/metrics", node.http);
        eventually(SOON, || async {
            let told = reqwest::get(&metrics).await.map_err(|error| error.to_string())?;
            let told = told.text().await.map_err(|error| error.to_string())?;
            holds(told.lines().any(|line| line == "booking_events_kept 1"), |is_so| *is_so)
        })
        .await;
    }
}

/// Where the edge's database is.
fn edge_database(world: &World) -> String {
    match &world.mesh.databases {
        Databases::Sqlite(dir) => format!("sqlite:{}", dir.join("edge.db").display()),
        Databases::Postgres(urls) => urls[3].clone(),
    }
}

/// Runs a command of `boxoffice events`.
async fn events(world: &World, args: &[&str]) -> String {
    let place = edge_database(world);
    let run = Command::new(binary("boxoffice"))
        .arg("events")
        .args(args)
        .args(["--edge-database-url", &place])
        .output()
        .await
        .unwrap();
    assert!(run.status.success(), "{args:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

/// `boxoffice events tail` from now on, and the file that it writes to.
fn follow(world: &World) -> (Child, NamedTempFile) {
    let file = NamedTempFile::new().unwrap();
    let following = Command::new(binary("boxoffice"))
        .args(["events", "tail", "--from", "oldest", "--edge-database-url", &edge_database(world)])
        .stdout(file.reopen().unwrap())
        .kill_on_drop(true)
        .spawn();
    (following.unwrap(), file)
}

/// The events in such a file, so far.
fn lines(file: &NamedTempFile) -> Vec<Value> {
    let text = std::fs::read_to_string(file.path()).unwrap();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Buys so many times at least, and kills an edge now and then meanwhile, and before that NATS or starts it
/// again.
async fn buy_and_kill(world: &World, purchases: usize, nats: Option<&NatsServer>) {
    let load = Load::start(world, 8, 100_000).await;
    let kills = kills(4);
    for nth in 0..kills {
        tokio::time::sleep(Duration::from_millis(300 + u64::from(nth) * 137)).await;
        match nats {
            Some(nats) if nth % 2 == 0 => nats.kill(),
            Some(nats) => nats.restart().await,
            None => {}
        }
        let edges = world.mesh.of(Role::Edge);
        edges[nth as usize % edges.len()].process.restart();
        if let Err(why) = load.recovered(AT_MOST).await {
            panic!("kill {nth}: {why}\n{}", world.mesh.logs(15));
        }
        let by_now = purchases * (nth as usize + 1) / kills as usize;
        load.bought(by_now).await.unwrap_or_else(|why| panic!("{why}\n{}", world.mesh.logs(15)));
    }
    load.finish(world).await.unwrap_or_else(|why| panic!("{why}"));
}

async fn two_subscribers_hear_of_every_purchase_through_kills_of_the_edge(shape: Shape) {
    // Each has a secret of its own.
    let [first, second] = SECRETS;
    let crm = Receiver::start(first, |_| false).await;
    let shaky = Receiver::start(second, |nth| nth % 7 == 0 && nth < 300).await;
    let urls = format!("{},{},http://127.0.0.1:1/nobody", crm.url, shaky.url);
    let secrets = format!("{first},{second},{first}");
    let flags = ["--events-url", &urls, "--events-secret", &secrets, "--hold-ttl", "1h"];
    let world = World::start(shape, &flags).await;
    let (mut following, followed) = follow(&world);
    eventually(SOON, || async {
        holds(events(&world, &["subscribers"]).await, |text| text.lines().count() == 3)
    })
    .await;
    known_to_booking(&world).await;
    buy_and_kill(&world, 1_000, None).await;

    let owed = owed(&world).await;
    for receiver in [&crm, &shaky] {
        eventually(SOON, || async {
            let heard = told(&receiver.heard().events);
            if heard == owed { Ok(()) } else { Err(format!("{} of {}", heard.len(), owed.len())) }
        })
        .await;
        let heard = receiver.heard();
        assert_eq!(heard.wrong, Vec::<String>::new());
        // What is about one checkout or one reservation comes in order.
        let mut last = BTreeMap::new();
        for (at, event) in heard.events.iter().enumerate() {
            let is_second = ["/reservation", "/released"].iter().any(|end| text(&event["id"]).ends_with(end));
            let before = last.insert(text(&event["subject"]), at);
            assert_eq!(before.is_some(), is_second, "{event}");
        }
    }
    // The one that is down has missed all, and the journal of events is what the others heard.
    let listed = events(&world, &["subscribers"]).await;
    let down = listed.lines().find(|line| line.starts_with("127.0.0.1:1#")).unwrap();
    // What was handed over again has a position that no event has.
    let behind = down.split('\t').find_map(|part| part.strip_suffix(" behind")?.parse().ok());
    assert!(
        behind.is_some_and(|behind: usize| behind >= owed.len()) && down.contains("\tfails, "),
        "{listed}"
    );
    // Who follows on the terminal has seen the same, each once.
    eventually(SOON, || async { holds(lines(&followed).len(), |seen| *seen >= owed.len()) }).await;
    following.kill().await.unwrap();
    assert_eq!((lines(&followed).len(), told(&lines(&followed))), (owed.len(), owed.clone()));
    let printed = events(&world, &["tail", "--until-now", "--from", "oldest"]).await;
    let printed: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told(&printed), owed);
    let first = text(&printed[0]["id"]);
    // One of them is told all of it again, and nobody else anything.
    let again = (crm.heard().again, shaky.heard().again);
    events(&world, &["replay", "--subscriber", &crm.url, "--from", &first]).await;
    eventually(SOON, || async { holds(crm.heard().again, |now| *now >= again.0 + owed.len()) }).await;
    assert_eq!(shaky.heard().again, again.1);
    world.finish().await;
}

async fn nats_has_every_event_once_through_kills_of_the_server_and_of_the_edge(shape: Shape) {
    let nats = NatsServer::start().await;
    let world = World::start(shape, &["--nats-url", &nats.url(), "--hold-ttl", "1h"]).await;
    eventually(SOON, || async {
        holds(events(&world, &["subscribers"]).await, |text| text.contains("nats\t"))
    })
    .await;
    known_to_booking(&world).await;
    buy_and_kill(&world, 200, Some(&nats)).await;
    nats.restart().await;

    let owed = owed(&world).await;
    let context = jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let made = || async { context.get_stream("BOXOFFICE").await.map_err(|error| error.to_string()) };
    let stream = eventually(SOON, made).await;
    let stored = async || stream.get_info().await.unwrap().state.messages;
    let all = u64::try_from(owed.len()).unwrap();
    eventually(SOON, || async { holds(stored().await, |stored| *stored == all) }).await;
    let mut published = Vec::new();
    for sequence in 1..=all {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let event: Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(message.subject.as_str(), format!("boxoffice.events.{}", text(&event["type"])));
        assert_eq!(message.headers.get("Nats-Msg-Id").unwrap().as_str(), text(&event["id"]));
        published.push(event);
    }
    assert_eq!(told(&published), owed);
    // Published once more, they are known again.
    events(&world, &["replay", "--subscriber", "nats", "--from", &text(&published[0]["id"])]).await;
    let caught_up = "nats\t0 behind\tis told";
    eventually(SOON, || async {
        holds(events(&world, &["subscribers"]).await, |text| text.contains(caught_up))
    })
    .await;
    assert_eq!(stored().await, all, "{}", json!(owed.len()));
    world.finish().await;
}

async fn holds_releases_moves_and_openings_are_told_once_through_kills_of_every_program(shape: Shape) {
    let crm = Receiver::start(SECRETS[0], |nth| nth % 5 == 0).await;
    let flags = ["--events-url", &crm.url, "--events-secret", SECRETS[0], "--hold-ttl", "3s"];
    let world = World::start(shape, &flags).await;
    known_to_booking(&world).await;
    let sale = world.sale(1_000, 1_000).await;
    let venue = format!("/v1/concerts/{}", sale.concert);
    world.rest.call(Method::PATCH, &venue).json(json!({"timeZone": "Asia/Seoul"})).expect(200).await;
    let buyer = world.buyer(&sale).await;
    let off = world.show(sale.concert, 1_000, 10).await;
    let mut lines = BTreeMap::new();
    let mut moves = vec![STARTS_AT.to_owned()];
    for nth in 0..kills(6) {
        let soon = Rfc3339::of(Clock::system().now() + 2_000_000);
        let opening = ["FIFO", "DRAW"][nth as usize % 2];
        let line = world.queue(json!({"opensAt": soon.as_str(), "opening": opening})).await;
        let came = world.join(&line, &unique("user")).await;
        lines.insert(line, i64::from(came["status"] == "REGISTERED"));
        let seats = |at: u32| [i32::try_from(nth * 4 + at).unwrap()];
        let mut held = Vec::new();
        for at in 1..=4 {
            held.push(world.hold(&buyer, sale.show, &seats(at)).await);
        }
        world.hold(&buyer, off, &[i32::try_from(nth + 1).unwrap()]).await;
        for reservation in &held[..2] {
            // One that has lapsed already is given back too.
            let path = format!("/v1/reservations/{reservation}");
            world.rest.delete(&path).token(&buyer.token).expect(204).await;
        }
        // To a day of its own and back at once, right before the blow.
        for at in [format!("2032-07-{:02}T19:00:00Z", nth % 28 + 1), STARTS_AT.to_owned()] {
            let path = format!("/v1/shows/{off}");
            world.rest.call(Method::PATCH, &path).json(json!({"startsAt": at})).expect(200).await;
            moves.push(at);
        }
        let role = [Role::Booking, Role::Edge, Role::Queue][nth as usize % 3];
        for node in world.mesh.of(role) {
            node.process.restart();
        }
        world.mesh.ready().await;
    }
    world.hold(&buyer, off, &[10]).await;
    world.call_off(off).await;
    eventually(SOON, || async {
        let mut booking = world.mesh.databases.with_table("hold").await;
        let open = booking.rows("SELECT CAST(COUNT(*) AS TEXT) FROM hold WHERE status = 'HELD'").await;
        holds(open, |open| open == &[["0"]])
    })
    .await;
    let owed = owed(&world).await;
    let expected = owed.len() + lines.len() + moves.len();
    eventually(SOON, || async { holds(crm.heard().events.len(), |heard| *heard >= expected) }).await;
    let heard = crm.heard();
    assert_eq!(heard.wrong, Vec::<String>::new());
    let of = |kind: &str| heard.events.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
    // An opening has the id of its version; one a line.
    let opened = of("boxoffice.queue.opened");
    let told_of = opened.iter().map(|event| (text(&event["subject"]), int(&event["data"]["registered"])));
    assert_eq!((opened.len(), told_of.collect()), (lines.len(), lines), "{opened:#?}");
    // Each move begins where the one before has ended.
    let times = |event: &&Value| {
        ["previousStartsAt", "startsAt"].map(|name| text(&event["data"][name]).replace(".000000Z", "Z"))
    };
    let told_of: Vec<_> = of("boxoffice.show.changed").iter().map(times).collect();
    let made: Vec<_> = moves.windows(2).map(|pair| [pair[0].clone(), pair[1].clone()]).collect();
    assert_eq!(told_of, made);
    // Each begins at 19:00Z, which is on the next day there.
    for event in of("boxoffice.show.changed").into_iter().chain(of("boxoffice.show.cancelled")) {
        let [zone, date, time, begins] =
            ["timeZone", "localDate", "localTime", "startsAt"].map(|name| text(&event["data"][name]));
        assert_eq!((zone.as_str(), time.as_str()), ("Asia/Seoul", "04:00"), "{event}");
        assert!(date > begins, "{event}");
    }
    assert_eq!(of("boxoffice.show.cancelled").len(), 1);
    let mut told = told(&heard.events);
    told.retain(|_, kind| kind.starts_with("boxoffice.reservation."));
    assert_eq!(told, owed);
    let reasons: BTreeSet<String> =
        of("boxoffice.reservation.released").iter().map(|event| text(&event["data"]["reason"])).collect();
    assert!(reasons.contains("EXPIRED") && reasons.contains("SHOW_CANCELLED"), "{reasons:?}");
    world.finish().await;
}

async fn alerts_reach_people_though_the_chat_was_away_and_the_program_killed_and_many_are_one_message(
    shape: Shape,
) {
    const MANY: usize = 60;
    let chat = Chat::away().await;
    let world = World::start(
        shape,
        &[
            "--alert-url",
            &chat.url,
            "--alert-silence",
            "no-such-kind, nor-this",
            "--alert-manual",
            "https://tickets.example.com/manual",
        ],
    )
    .await;
    let databases = &world.mesh.databases;
    let mut wallets = databases.with_table("payment").await;
    // Its table loses its name under wallet-svc, which is a failure that nobody expected.
    databases.rename("wallet", "hidden").await;
    for _ in 0..MANY {
        world.rest.get("/v1/wallets/ann").expect(500).await;
    }
    databases.rename("hidden", "wallet").await;
    let kind = "something-went-wrong-that-should-not";
    let written = format!("SELECT CAST(times AS TEXT) FROM alert WHERE kind = '{kind}'");
    let mut seen = Vec::new();
    for _ in 0..200 {
        seen = wallets.rows(&written).await;
        if seen == [[MANY.to_string()]] && chat.missed() > 0 {
            break;
        }
        tests::patience::pause(Duration::from_millis(100)).await;
    }
    assert_eq!((seen, chat.missed() > 0), (vec![vec![MANY.to_string()]], true), "{}", world.mesh.logs(10));
    for node in world.mesh.of(Role::Wallet) {
        node.process.restart();
    }
    world.mesh.ready().await;
    chat.come_back();
    let texts = eventually(SOON, || async { holds(chat.texts(), |texts| !texts.is_empty()) }).await;
    let told = format!("wallet-svc [{kind}], {MANY} times since ");
    assert!(texts.len() == 1 && texts[0].starts_with(&told) && texts[0].contains("wallet"), "{texts:?}");
    let link = format!("\nWhat to do: https://tickets.example.com/manual#{kind}");
    assert!(texts[0].ends_with(&link), "{texts:?}");
    // Operators see it, from whichever edge, sent or not, and it was counted before the program was killed.
    for _ in world.mesh.of(Role::Edge) {
        let told = world.rest.get("/v1/operator/alerts").expect(200).await;
        let of_kind = told["alerts"].as_array().unwrap().iter().find(|alert| alert["kind"] == kind).unwrap();
        let alert = ["program", "times", "silenced"].map(|member| of_kind[member].clone());
        assert_eq!(alert, [json!("wallet-svc"), json!(MANY), json!(false)], "{told}");
        assert_eq!(told["unread"], json!([]));
    }
    // That it could not be sent is no alert: there is one kind.
    assert_eq!(wallets.rows("SELECT kind, CAST(times AS TEXT) FROM alert").await.len(), 1);
    drop(wallets);
    world.finish().await;
}
