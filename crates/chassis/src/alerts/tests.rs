//! Alerts on their way through both databases to a chat that is not always there.

use std::sync::Arc;

use axum::{Router, body::Bytes, routing::post};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;

use super::*;
use crate::{db::Migrations, testing::databases, web::client_tls};

const NOW: i64 = 1_764_000_000_000_000;

fn migrations() -> Migrations {
    Migrations {
        postgres: sqlx::migrate!("./tests/migrations/postgres"),
        sqlite: sqlx::migrate!("./tests/migrations/sqlite"),
    }
}

/// A chat that is away for its first message. What it took.
async fn chat() -> (Chat, Arc<Mutex<Vec<String>>>) {
    let (heard, seen) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    let log = Arc::clone(&heard);
    let take = move |body: Bytes| {
        let nth = std::mem::replace(&mut *seen.lock(), 1);
        if nth > 0 {
            let body: Value = serde_json::from_slice(&body).unwrap();
            log.lock().push(body["text"].as_str().unwrap().to_owned());
        }
        std::future::ready(if nth > 0 { StatusCode::OK } else { StatusCode::BAD_GATEWAY })
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", post(take))).await });
    (Chat { web: Web::new(BOUNDS, client_tls(None).unwrap()), address, manual: None }, heard)
}

/// A program that tells its chat of all but one kind.
fn manner() -> Manner {
    Manner { program: "toy", is_told: true, silenced: vec!["hushed".to_owned()] }
}

fn alert(kind: &str, text: &str) -> Alert {
    Alert { kind: kind.to_owned(), text: text.to_owned(), times: 1 }
}

#[tokio::test]
async fn a_thousand_alerts_of_a_kind_are_one_message_and_none_is_lost_while_the_chat_is_away() {
    for database in databases().await {
        let db = Db::open(&database.config, &migrations()).await.unwrap();
        let (store, clock) = (Store::new(db, manner()), Clock::manual(NOW));
        let (chat, heard) = chat().await;
        let many: Vec<_> = (1..=1_000).map(|nth| alert("it-broke", &format!("it broke <{nth}>"))).collect();
        store.add(&many, NOW).await.unwrap();
        let send = async || send_one("toy", &store, &clock, &chat).await.unwrap();
        assert!(send().await && !send().await, "it is away, and left alone");
        assert_eq!(*heard.lock(), Vec::<String>::new());
        store
            .add(&[alert("it-broke", "it broke <last>"), alert("other", "other & one")], NOW + 1)
            .await
            .unwrap();
        clock.advance(3 * SECOND);
        assert!(send().await && send().await && !send().await);
        let mut told = std::mem::take(&mut *heard.lock());
        told.sort();
        assert_eq!(
            told,
            [
                "toy [it-broke], 1001 times since 2025-11-24T16:00:00.000000Z: it broke &lt;last&gt;",
                "toy [other]: other &amp; one"
            ],
            "{}",
            database.name
        );
        // Not again for a minute, and then what has come since.
        for _ in 0..2 {
            store.add(&[alert("it-broke", "again")], clock.now()).await.unwrap();
            assert!(!send().await);
        }
        clock.advance(FOLD + 1);
        assert!(send().await && !send().await);
        let told = heard.lock().clone();
        assert!(
            told.len() == 1 && told[0].contains(", 2 times since ") && told[0].ends_with(": again"),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn a_kind_is_sent_by_one_replica_at_a_time_and_what_comes_meanwhile_is_not_taken_for_sent() {
    for database in databases().await {
        let store = Store::new(Db::open(&database.config, &migrations()).await.unwrap(), manner());
        store.add(&[alert("it-broke", "one")], NOW).await.unwrap();
        let claimed = store.claim(NOW, NOW + CLAIM).await.unwrap().unwrap();
        assert_eq!(store.claim(NOW, NOW + CLAIM).await.unwrap(), None);
        store.add(&[alert("it-broke", "two")], NOW).await.unwrap();
        store.sent(&claimed, NOW + FOLD).await.unwrap();
        let left = store.claim(NOW + FOLD, NOW + FOLD + CLAIM).await.unwrap().unwrap();
        assert_eq!((left.times, left.text.as_str(), left.attempts), (1, "two", 1));
        // Whoever had taken it is gone: it is sent by another one.
        assert_eq!(store.claim(NOW + FOLD + CLAIM, NOW).await.unwrap().unwrap().attempts, 2);
    }
}

#[test]
fn a_message_links_to_what_is_to_be_done_where_the_manual_is_known() {
    let folded = Folded {
        kind: "it-broke".to_owned(),
        text: "it broke".to_owned(),
        times: 1,
        since: NOW,
        attempts: 1,
    };
    assert_eq!(message("toy", &folded, None), "toy [it-broke]: it broke");
    let manual = "https://tickets.example.com/manual".parse().unwrap();
    let link = "What to do: https://tickets.example.com/manual#it-broke";
    assert_eq!(message("toy", &folded, Some(&manual)), format!("toy [it-broke]: it broke\n{link}"));
}

#[tokio::test]
async fn what_operators_are_shown_is_counted_until_an_hour_without_one_has_passed() {
    const HOUR: i64 = 3_600 * SECOND;
    for database in databases().await {
        let db = Db::open(&database.config, &migrations()).await.unwrap();
        let store = Store::new(db.clone(), manner());
        let shown = async |at: i64| {
            let shown = seen(&db, at).await.unwrap();
            let row = |SeenAlert { program, kind, text, times, since, latest_at, is_silenced }| {
                assert_eq!(program, "toy");
                (kind, text, times, since - NOW, latest_at - NOW, is_silenced)
            };
            shown.into_iter().map(row).collect::<Vec<_>>()
        };
        let told = |kind: &str, text: &str, times, since, latest_at, is_silenced| {
            (kind.to_owned(), text.to_owned(), times, since, latest_at, is_silenced)
        };
        store.add(&[alert("it-broke", "one"), alert("hushed", "h")], NOW).await.unwrap();
        // That it was sent, and that there is nobody to send it to, changes nothing.
        let claimed = store.claim(NOW, NOW + CLAIM).await.unwrap().unwrap();
        store.sent(&claimed, NOW + FOLD).await.unwrap();
        let alone = Store::new(db.clone(), Manner { is_told: false, ..manner() });
        alone.add(&[alert("it-broke", "two"), alert("it-broke", "three")], NOW + HOUR).await.unwrap();
        let first = [told("it-broke", "three", 3, 0, HOUR, false), told("hushed", "h", 1, 0, 0, true)];
        assert_eq!(shown(NOW + HOUR).await, first, "{}", database.name);
        // Of all that a chat is owed nothing: one kind was sent, and later ones are for nobody.
        assert_eq!(store.claim(NOW + 9 * HOUR, NOW + 10 * HOUR).await.unwrap(), None, "{}", database.name);
        store.add(&[alert("it-broke", "four")], NOW + 2 * HOUR + 1).await.unwrap();
        let again = told("it-broke", "four", 1, 2 * HOUR + 1, 2 * HOUR + 1, false);
        assert_eq!(shown(NOW + 24 * HOUR).await, [again.clone(), first[1].clone()], "{}", database.name);
        assert_eq!(shown(NOW + 24 * HOUR + 1).await, [again], "{}", database.name);
        assert_eq!(shown(NOW + 27 * HOUR).await, [], "{}", database.name);
    }
}

#[test]
fn an_address_that_cannot_work_is_refused_and_not_repeated() {
    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        alerts: AlertArgs,
    }
    let read = |url: &str| <Line as clap::Parser>::try_parse_from(["toy", "--alert-url", url]);
    for bad in ["S3CR3T", "ftp://x/S3CR3T", "https:// S3CR3T", "https://"] {
        let why = read(bad).map(drop).unwrap_err().to_string();
        assert!(why.contains("--alert-url (ALERT_URL)") && !why.contains("S3CR3T"), "{why}");
    }
    let silenced = |kinds: &str| <Line as clap::Parser>::try_parse_from(["toy", "--alert-silence", kinds]);
    assert_eq!(silenced("a-kind, other").unwrap().alerts.alert_silence, ["a-kind", "other"]);
    assert!(["?!", "A kind", ""].into_iter().all(|bad| silenced(bad).is_err()));
    let manual = |url: &str| <Line as clap::Parser>::try_parse_from(["toy", "--alert-manual", url]);
    assert!(["x/manual", "ftp://x/manual", "https://x/manual#a"].into_iter().all(|bad| manual(bad).is_err()));
    assert_eq!(
        manual("https://x/manual").unwrap().alerts.alert_manual,
        Some("https://x/manual".parse().unwrap())
    );
    let line = read("https://hooks.example/S3CR3T").unwrap();
    assert!(line.alerts.alert_url.is_some() && !format!("{line:?}").contains("S3CR3T"));
}
