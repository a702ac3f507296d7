//! Followers over a queue service that does as it is told: many streams, few calls, and each hears what it
//! must.

#![allow(clippy::unwrap_used, reason = "tests")]

use boxoffice_proto::queue::{Token, TokenStatus};
use chassis::testing::patience::{nothing_comes, timeout};
use futures::{StreamExt, future::join_all};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    app::{fakes::Fakes, fakes::Mishap, news::News},
    clients::Clients,
};

/// Followers over a queue that says of every token that it waits at the same place.
async fn over_a_fake() -> (Followers, Fakes, CancellationToken) {
    let (fakes, upstreams) = Fakes::start(0, 0).await;
    stands_at(&fakes, TokenStatus::Waiting, 1, 3);
    let shutdown = CancellationToken::new();
    (
        Followers::new(Places::new(Clients::new(&upstreams).queue), Vital::new(shutdown.clone())),
        fakes,
        shutdown,
    )
}

fn stands_at(fakes: &Fakes, status: TokenStatus, version: i64, position: i64) {
    let mut world = fakes.0.lock();
    (world.token, world.place) = (status, (version, position));
}

fn third(id: u128) -> Token {
    let token = Uuid::from_u128((1 << 96) | id).to_string();
    Token {
        token,
        queue_id: "default".into(),
        status: TokenStatus::Waiting.into(),
        version: 1,
        position: 3,
        ..Token::default()
    }
}

fn id(token: &Token) -> EventId {
    EventId::of(&standing(&token.clone().into()))
}

async fn next(following: &mut Following) -> Option<News> {
    timeout(Duration::from_secs(5), following.next()).await.unwrap()
}

fn told(news: Option<News>) -> (TokenStatus, i64) {
    match news {
        Some(News::Place(place)) => (place.token.status(), place.token.position),
        other @ (Some(News::Heartbeat | News::End(_)) | None) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn many_streams_share_calls_and_each_hears_every_step_to_the_end() {
    let (followers, fakes, _shutdown) = over_a_fake().await;
    let begun = Instant::now();
    // Two streams a token: two tabs.
    let mut streams: Vec<Following> =
        (2..2_502).map(|n| followers.follow(third(n / 2).into(), None).unwrap()).collect();
    for (status, version, position) in [
        (TokenStatus::Waiting, 1, 3),
        (TokenStatus::Waiting, 1, 2),
        (TokenStatus::Active, 2, 0),
        (TokenStatus::Completed, 3, 0),
    ] {
        stands_at(&fakes, status, version, position);
        for news in join_all(streams.iter_mut().map(next)).await {
            assert_eq!(told(news), (status, position));
        }
    }
    for end in join_all(streams.iter_mut().map(next)).await {
        assert_eq!(end, Some(News::End(StreamEnd::Final)));
    }
    // Two calls hold them all, every 100 ms in front and every second once admitted.
    let calls = fakes.0.lock().calls["batch_get_tokens"];
    let ticks = begun.elapsed().as_millis() / TICK.as_millis() + 10;
    assert!(u128::try_from(calls).unwrap() < 4 * ticks, "{calls} calls in {ticks} ticks");
    assert!(followers.0.inboxes.lock().is_empty(), "a follower without streams ends");
    drop(streams);
    timeout(Duration::from_secs(1), followers.ended()).await.unwrap();
}

#[tokio::test]
async fn who_comes_back_hears_only_what_is_news() {
    let (followers, fakes, _shutdown) = over_a_fake().await;
    let mut knows = followers.follow(third(1).into(), Some(id(&third(1)))).unwrap();
    let at = |n, version, position| Some(id(&Token { version, position, ..third(n) }));
    let mut missed = followers.follow(third(2).into(), at(2, 1, 4)).unwrap();
    let mut ahead = followers.follow(third(3).into(), at(3, 2, 2)).unwrap();
    assert_eq!(told(next(&mut missed).await), (TokenStatus::Waiting, 3));
    assert!(nothing_comes(Duration::from_millis(500), knows.next()).await);
    stands_at(&fakes, TokenStatus::Waiting, 2, 2);
    assert_eq!(told(next(&mut knows).await), (TokenStatus::Waiting, 2));
    // A replica that lagged behind said the older state, which was not told.
    stands_at(&fakes, TokenStatus::Waiting, 2, 1);
    assert_eq!(told(next(&mut ahead).await), (TokenStatus::Waiting, 1));
}

/// One stream, so that nobody else's look finds it; and more than a call takes, of which most wait for long.
#[tokio::test]
async fn what_is_said_anew_reaches_everybody_soon_and_not_at_once() {
    for crowd in [1_u32, 3_000] {
        let (followers, fakes, _shutdown) = over_a_fake().await;
        stands_at(&fakes, TokenStatus::Waiting, 1, 50_000);
        let far = |n| Token { position: 50_000, ..third(n) };
        let ids = 1..=u128::from(crowd);
        let mut streams: Vec<Following> =
            ids.map(|n| followers.follow(far(n).into(), Some(id(&far(n)))).unwrap()).collect();
        assert!(nothing_comes(Duration::from_millis(700), streams[0].next()).await, "nothing is new");
        let (before, begun) = (fakes.0.lock().calls.get("batch_get_tokens").copied(), Instant::now());
        fakes.0.lock().said = "Doors at 7";
        let all = join_all(streams.iter_mut().map(StreamExt::next));
        for news in timeout(Duration::from_secs(3), all).await.unwrap() {
            let Some(News::Place(place)) = news else { panic!("{news:?}") };
            assert_eq!(place.notice.as_ref().unwrap().message().en, "Doors at 7");
        }
        let ticks = begun.elapsed().as_millis() / TICK.as_millis();
        let calls = fakes.0.lock().calls["batch_get_tokens"] - before.unwrap_or(0);
        assert!(u128::try_from(calls).unwrap() <= 2 * ticks + 2, "{calls} calls in {ticks} ticks");
    }
}

#[tokio::test]
async fn streams_outlive_a_queue_that_is_away() {
    let (followers, fakes, _shutdown) = over_a_fake().await;
    let mut stream = followers.follow(third(1).into(), None).unwrap();
    assert_eq!(told(next(&mut stream).await), (TokenStatus::Waiting, 3));
    fakes.0.lock().mishaps.insert("batch_get_tokens", Mishap::Lost);
    while fakes.0.lock().mishaps.contains_key("batch_get_tokens") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stands_at(&fakes, TokenStatus::Waiting, 1, 2);
    assert_eq!(told(next(&mut stream).await), (TokenStatus::Waiting, 2));
}

#[tokio::test]
async fn at_shutdown_everyone_is_told_to_come_back() {
    let (followers, _fakes, shutdown) = over_a_fake().await;
    let mut streams: Vec<Following> =
        (0..50).map(|n| followers.follow(third(n).into(), None).unwrap()).collect();
    shutdown.cancel();
    streams.push(followers.follow(third(50).into(), None).unwrap());
    for mut stream in streams {
        assert_eq!(told(next(&mut stream).await), (TokenStatus::Waiting, 3));
        assert_eq!(next(&mut stream).await, Some(News::End(StreamEnd::Restart)));
    }
    timeout(Duration::from_secs(1), followers.ended()).await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_forgotten_ends_its_stream() {
    let (followers, ..) = over_a_fake().await;
    let mut stream =
        followers.follow(Token { token: Uuid::nil().to_string(), ..third(0) }.into(), None).unwrap();
    assert_eq!(told(next(&mut stream).await), (TokenStatus::Waiting, 3));
    assert_eq!(next(&mut stream).await, Some(News::End(StreamEnd::Unknown)));
}
