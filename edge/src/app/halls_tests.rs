//! Halls over a booking service that does as it is told: many readers, few calls, and each is told what is
//! so.

#![allow(clippy::unwrap_used, reason = "tests")]

use boxoffice_proto::booking::AvailabilityChanges;
use chassis::testing::patience::{nothing_comes, timeout};
use futures::future::join_all;
use hyper::body::Bytes;

use super::*;
use crate::app::{HallNews, StreamEnd, fakes::Fakes, fakes::Mishap};

async fn over_a_fake() -> (Halls, Fakes, CancellationToken) {
    let (fakes, upstreams) = Fakes::start(0, 0).await;
    let shutdown = CancellationToken::new();
    (Halls::new(Clients::new(&upstreams), Vital::new(shutdown.clone())), fakes, shutdown)
}

/// What is so from now on: of two bytes of seats these are taken.
fn is(fakes: &Fakes, version: i64, taken: [u8; 2]) {
    fakes.0.lock().hall = (version, Bytes::copy_from_slice(&taken));
}

async fn next(stream: &mut HallStream) -> HallNews {
    timeout(Duration::from_secs(5), stream.next()).await.unwrap().unwrap()
}

async fn map(stream: &mut HallStream) -> i64 {
    match next(stream).await {
        HallNews::Map(map) => map.message.version,
        other @ (HallNews::Change(_) | HallNews::Heartbeat(_) | HallNews::End(_)) => panic!("{other:?}"),
    }
}

async fn change(stream: &mut HallStream) -> (i64, Vec<i32>, Vec<i32>) {
    match next(stream).await {
        HallNews::Change(change) => {
            let AvailabilityChanges { version, taken, freed } = change.message.clone();
            (version, taken, freed)
        }
        other @ (HallNews::Map(_) | HallNews::Heartbeat(_) | HallNews::End(_)) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn readers_share_calls_and_none_is_told_what_was_read_before_it_asked() {
    let (halls, fakes, _shutdown) = over_a_fake().await;
    let maps = join_all((0..100).map(|_| halls.map(7))).await;
    assert!(maps.iter().all(|map| map.as_ref().unwrap().message.version == 1));
    let calls = fakes.0.lock().calls["get_availability"];
    assert!(calls <= 2, "{calls} calls");
    // The call that is on its way was made before the change.
    let begun = tokio::spawn({
        let halls = halls.clone();
        async move { halls.map(7).await.unwrap().message.version }
    });
    tokio::time::sleep(Duration::from_millis(5)).await;
    is(&fakes, 2, [1, 0]);
    assert_eq!(halls.map(7).await.unwrap().message.version, 2);
    begun.await.unwrap();
    let (one, two) = (halls.map(7).await.unwrap(), halls.map(7).await.unwrap());
    assert!(Arc::ptr_eq(&one, &two), "nothing is sent or written again");
    let written = one.json(|_| Bytes::from_static(b"once"));
    assert_eq!((written, two.json(|_| Bytes::from_static(b"twice"))), ("once".into(), "once".into()));
}

#[tokio::test]
async fn a_failure_is_told_to_those_who_waited_for_it_and_to_nobody_else() {
    let (halls, fakes, _shutdown) = over_a_fake().await;
    fakes.0.lock().mishaps.insert("get_availability", Mishap::Refused);
    assert!(join_all((0..10).map(|_| halls.map(7))).await.iter().all(Result::is_err));
    fakes.0.lock().mishaps.clear();
    assert_eq!(halls.map(7).await.unwrap().message.version, 1);
}

#[tokio::test]
async fn streams_of_a_show_share_its_board_and_hear_every_change() {
    let (halls, fakes, _shutdown) = over_a_fake().await;
    let mut streams = Vec::new();
    for _ in 0..300 {
        streams.push(halls.follow(7, None, None).await.unwrap());
    }
    assert!(join_all(streams.iter_mut().map(map)).await.iter().all(|version| *version == 1));
    let before = fakes.0.lock().calls["get_availability"];
    is(&fakes, 2, [0b11, 0]);
    for told in join_all(streams.iter_mut().map(change)).await {
        assert_eq!(told, (2, vec![1, 2], vec![]));
    }
    is(&fakes, 3, [0b10, 0b1]);
    for told in join_all(streams.iter_mut().map(change)).await {
        assert_eq!(told, (3, vec![9], vec![1]));
    }
    let calls = fakes.0.lock().calls["get_availability"] - before;
    assert!(calls < 100, "{calls} calls for two changes and 300 streams");
    drop(streams);
    timeout(Duration::from_secs(5), async {
        while !halls.0.boards.lock().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    timeout(Duration::from_secs(1), halls.ended()).await.unwrap();
}

#[tokio::test]
async fn who_comes_back_goes_on_where_it_was_and_who_is_late_begins_anew() {
    let (halls, fakes, _shutdown) = over_a_fake().await;
    let mut first = halls.follow(7, None, None).await.unwrap();
    let mut slow = halls.follow(7, None, None).await.unwrap();
    assert_eq!((map(&mut first).await, map(&mut slow).await), (1, 1));
    for version in 2..5_u8 {
        is(&fakes, version.into(), [version, 0]);
        assert_eq!(change(&mut first).await.0, i64::from(version));
    }
    let mut back = halls.follow(7, Some(3), None).await.unwrap();
    assert_eq!(change(&mut back).await, (4, vec![3], vec![1, 2]), "what it has missed");
    let mut knows = halls.follow(7, Some(4), None).await.unwrap();
    assert!(nothing_comes(Duration::from_millis(600), knows.next()).await);
    assert_eq!(map(&mut halls.follow(7, Some(99), None).await.unwrap()).await, 4);
    for version in 5..13_u8 {
        is(&fakes, version.into(), [version, 0]);
        assert_eq!(change(&mut first).await.0, i64::from(version));
    }
    assert_eq!(map(&mut slow).await, 12, "no backlog");
    assert_eq!(change(&mut knows).await.0, 5, "all of two seconds");
    let mut late = halls.follow(7, Some(3), None).await.unwrap();
    for version in 4..13 {
        assert_eq!(change(&mut late).await.0, version, "whoever comes back is told all that was missed");
    }
}

#[tokio::test]
async fn streams_outlive_a_service_that_is_away_and_the_ninth_of_a_token_ends_the_first() {
    let (halls, fakes, _shutdown) = over_a_fake().await;
    let token = Some(Uuid::from_u128(7));
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(halls.follow(7, Some(1), token).await.unwrap());
    }
    fakes.0.lock().mishaps.insert("get_availability", Mishap::Lost);
    while fakes.0.lock().mishaps.contains_key("get_availability") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    is(&fakes, 2, [1, 0]);
    assert!(join_all(streams.iter_mut().map(change)).await.iter().all(|(version, ..)| *version == 2));
    let _ninth = halls.follow(7, Some(2), token).await.unwrap();
    assert!(matches!(next(&mut streams[0]).await, HallNews::End(StreamEnd::Displaced)));
    assert!(streams[0].next().await.is_none());
    is(&fakes, 3, [0, 0]);
    assert_eq!(change(&mut streams[1]).await, (3, vec![], vec![1]));
}

#[tokio::test]
async fn at_shutdown_everyone_is_told_to_come_back() {
    let (halls, _fakes, shutdown) = over_a_fake().await;
    let mut open = halls.follow(7, Some(1), None).await.unwrap();
    shutdown.cancel();
    assert!(matches!(next(&mut open).await, HallNews::End(StreamEnd::Restart)));
    let mut late = halls.follow(7, Some(1), None).await.unwrap();
    assert!(matches!(next(&mut late).await, HallNews::End(StreamEnd::Restart)));
    drop((open, late));
    timeout(Duration::from_secs(1), halls.ended()).await.unwrap();
}
