//! Changing concerts and shows: of those who have read the same state one is faster, on whatever replica, and
//! what is held keeps what it was promised.

use booking_svc::{
    domain::{ConcertChange, Refusal, ShowChange},
    error::Error,
};
use chassis::clock::Clock;
use futures::future::join_all;

use crate::world::{DAY, PRICE, SECOND, START, id, refusal, worlds};

fn titled(title: &str) -> ShowChange {
    ShowChange { title: Some(title.to_owned()), ..ShowChange::default() }
}

#[tokio::test]
async fn of_those_who_change_the_same_state_at_once_one_is_faster() {
    for world in worlds().await {
        let show = world.show(3).await;
        let replicas = [world.replica(world.clock.clone()), world.replica(world.clock.clone())];
        let change = |nth: usize| {
            let (replica, etag) = (&replicas[nth % 2], show.etag());
            async move { replica.update_show(show.show_id, titled(&nth.to_string()), Some(etag), None).await }
        };
        let answers = join_all((0..10).map(change)).await;
        let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!((made.len(), refused.len()), (1, 9), "{}", world.database.name);
        assert!(refused.into_iter().all(|answer| refusal(answer) == Refusal::Outdated));
        let other = world.replica(Clock::manual(START + SECOND));
        assert_eq!(*other.show(show.show_id).await.unwrap(), *made[0].as_ref().unwrap());
        world.assert_no_deadlock().await;
    }
}

#[tokio::test]
async fn a_hold_keeps_its_price_and_its_queue() {
    for world in worlds().await {
        let show = world.show(3).await;
        let held = world.hold("ann", &show, &[1]).await.unwrap();
        let dearer = ShowChange { prices: vec![(String::new(), 2 * PRICE)], ..ShowChange::default() };
        let dear = world.app.update_show(show.show_id, dearer, None, None).await.unwrap();
        let moved = ConcertChange { queue_id: Some("other".to_owned()), ..ConcertChange::default() };
        world.app.update_concert(show.concert_id, moved, None, None).await.unwrap();
        let now = world.hold("bob", &dear, &[2]).await.unwrap();
        assert_eq!((now.hold.amount, now.hold.queue_id.as_str()), (2 * PRICE, "other"));
        let kept = world.app.reservation(id(&held)).await.unwrap();
        assert_eq!((kept.hold.amount, kept.hold.queue_id.as_str()), (PRICE, "vip"));
    }
}

#[tokio::test]
async fn a_change_is_made_once_for_a_request_id_and_refused_for_what_is_not_there() {
    for world in worlds().await {
        let show = world.show(3).await;
        let id = || Some("change-1".to_owned());
        let etag = || Some(show.etag());
        let first = world.app.update_show(show.show_id, titled("New"), etag(), id()).await.unwrap();
        let again = world.app.update_show(show.show_id, titled("New"), etag(), id()).await.unwrap();
        assert_eq!((&first, first.title.as_str()), (&again, "New"));
        let other = world.app.update_show(show.show_id, titled("Other"), etag(), id()).await;
        assert!(matches!(other, Err(Error::RequestIdReused)), "{other:?}");
        let none = world.app.update_show(show.show_id + 1, titled("New"), None, None).await;
        assert_eq!(refusal(none), Refusal::ShowNotFound);
        let none = world.app.update_concert(show.concert_id + 1, ConcertChange::default(), None, None).await;
        assert_eq!(refusal(none), Refusal::ConcertNotFound);
        let past = ShowChange { starts_at: Some(START - DAY), ..ShowChange::default() };
        let past = world.app.update_show(show.show_id, past, None, None).await;
        assert_eq!(refusal(past), Refusal::BeginsInThePast);
    }
}
