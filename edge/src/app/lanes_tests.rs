//! Batches over lanes, and what becomes of them where a lane ends, is silent, or cannot be had.

use std::time::{Duration, Instant};

use chassis::testing::patience::{is_prompt, timeout};
use uuid::Uuid;

use super::{
    super::{
        batch::{Lookup, Places},
        fakes::{Fakes, Mishap},
    },
    PATIENCE,
};
use crate::clients::Clients;

/// A token that the fake finds, and one that it does not.
fn batch(n: u32) -> [Uuid; 2] {
    [Uuid::from_u128((u128::from(n) << 64) | 1), Uuid::from_u128(u128::from(n + 1) << 64)]
}

async fn over_a_fake(lanes: Option<i64>) -> (Places, Fakes) {
    let (fakes, upstreams) = Fakes::start(0, 0).await;
    fakes.0.lock().lanes = lanes;
    (Places::new(Clients::new(&upstreams).queue), fakes)
}

/// Looks a batch up, and sees that each has its own answer.
async fn look_up(places: &Places, n: u32) {
    let ids = batch(n);
    let found = places.look_up(&ids).await.unwrap();
    let [Lookup::Found(place), Lookup::Unknown] = &found[..] else { panic!("{found:?}") };
    assert_eq!(place.token.token, ids[0].to_string());
}

fn count(fakes: &Fakes, method: &str) -> usize {
    fakes.0.lock().calls.get(method).copied().unwrap_or(0)
}

/// Looks up until a batch has gone over a lane.
async fn until_a_lane_is_used(places: &Places, fakes: &Fakes) {
    let before = count(fakes, "poll_tokens");
    let used = async {
        while count(fakes, "poll_tokens") == before {
            look_up(places, 1).await;
        }
    };
    timeout(Duration::from_secs(10), used).await.unwrap();
}

#[tokio::test]
async fn batches_go_over_lanes_once_these_are_open() {
    let (places, fakes) = over_a_fake(Some(0)).await;
    until_a_lane_is_used(&places, &fakes).await;
    let calls = count(&fakes, "batch_get_tokens");
    for n in 0..20 {
        look_up(&places, n).await;
    }
    assert_eq!(count(&fakes, "batch_get_tokens"), calls);
    // Two dozen at once are more than there are lanes: the others are calls, and none waits.
    let together = (0..24).map(|n| {
        let places = places.clone();
        tokio::spawn(async move { look_up(&places, n).await })
    });
    for one in together.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    assert!(count(&fakes, "batch_get_tokens") >= calls + 20 && count(&fakes, "open_lane") <= super::LANES);
}

#[tokio::test]
async fn a_batch_that_its_lane_does_not_answer_is_asked_for_by_a_call() {
    for mishap in [Mishap::Lost, Mishap::ReplyLost, Mishap::Swallowed] {
        let (places, fakes) = over_a_fake(Some(0)).await;
        until_a_lane_is_used(&places, &fakes).await;
        let calls = count(&fakes, "batch_get_tokens");
        fakes.0.lock().mishaps.insert("poll_tokens", mishap);
        let began = Instant::now();
        look_up(&places, 7).await;
        assert_eq!(count(&fakes, "batch_get_tokens"), calls + 1, "{mishap:?}");
        assert!(is_prompt(began.elapsed(), 2 * PATIENCE), "{mishap:?}: {:?}", began.elapsed());
        until_a_lane_is_used(&places, &fakes).await;
    }
}

#[tokio::test]
async fn the_answer_to_another_batch_is_nobodys() {
    let (places, fakes) = over_a_fake(Some(-1)).await;
    for n in 0..50 {
        look_up(&places, n).await;
    }
    let answered = count(&fakes, "poll_tokens");
    assert!(answered > 0 && count(&fakes, "batch_get_tokens") == 50, "{answered}");
}

/// An older release, and one from which nothing comes back.
#[tokio::test]
async fn no_batch_waits_for_a_lane_that_cannot_be_had() {
    for (lanes, mishap) in [(None, None), (Some(0), Some(Mishap::Swallowed))] {
        let (places, fakes) = over_a_fake(lanes).await;
        fakes.0.lock().mishaps.extend(mishap.map(|mishap| ("open_lane", mishap)));
        let began = Instant::now();
        for n in 0..20 {
            look_up(&places, n).await;
        }
        assert!(is_prompt(began.elapsed(), Duration::from_secs(1)), "{:?}", began.elapsed());
        assert_eq!((count(&fakes, "batch_get_tokens"), count(&fakes, "poll_tokens")), (20, 0));
        // After a failure there is a pause, of half a second at the least.
        let opened = count(&fakes, "open_lane") as u128;
        assert!((1..=1 + began.elapsed().as_millis() / 500).contains(&opened), "{opened}");
    }
}
