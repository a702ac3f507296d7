//! Changing concerts and shows: of those who have read the same state one is faster, on whatever replica, and
//! what is held keeps what it was promised.

use booking_svc::{
    Config, Policy, Retention,
    app::App,
    domain::{ConcertChange, Refusal, ShowChange, WaitingMove},
    error::Error,
};
use chassis::{args, clock::Clock, prune};
use chrono_tz::Tz;
use futures::future::join_all;
use uuid::Uuid;

use crate::world::{DAY, PRICE, SECOND, START, World, id, refusal, worlds};

fn moved(starts_at: i64) -> ShowChange {
    ShowChange { starts_at: Some(starts_at), ..ShowChange::default() }
}

async fn take(app: &App, taken: &[&WaitingMove]) -> Vec<WaitingMove> {
    app.take_moves(taken.iter().map(|waiting| waiting.number).collect()).await.unwrap()
}

/// From when to when a show was moved.
fn times(waiting: &WaitingMove) -> (i64, i64) {
    (waiting.moved.previous_starts_at, waiting.moved.starts_at)
}

async fn forget_old(world: &World) {
    let config = Config {
        database: world.database.config.clone(),
        policy: Policy::default(),
        currency: "KRW".parse().unwrap(),
        requests: Default::default(),
        retention: Retention::default(),
        doors: access::Doors::open(),
    };
    prune::round(&world.db, &world.clock, &config.old()).await;
}

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

#[tokio::test]
async fn a_move_and_a_move_back_are_told_both_in_order_and_each_until_it_is_taken() {
    for world in worlds().await {
        let show = world.show(3).await;
        let (app, show_id, name) = (&world.app, show.show_id, &world.database.name);
        let there = show.starts_at + DAY;
        // Another replica moves it back at once, of which the first one has heard nothing.
        let replica = world.replica(world.clock.clone());
        let titled = ShowChange { title: Some("Later".to_owned()), ..moved(there) };
        app.update_show(show_id, titled, None, None).await.unwrap();
        let back = || replica.update_show(show_id, moved(show.starts_at), None, Some("back".to_owned()));
        back().await.unwrap();
        // What moves nothing is no news: the same beginning, a repetition, a refusal.
        back().await.unwrap();
        app.update_show(show_id, moved(show.starts_at), None, None).await.unwrap();
        app.update_show(show_id, moved(START - DAY), None, None).await.unwrap_err();
        app.update_show(show_id, moved(there), Some("another".to_owned()), None).await.unwrap_err();
        let told = take(app, &[]).await;
        let all: Vec<_> = told.iter().map(times).collect();
        assert_eq!(all, [(show.starts_at, there), (there, show.starts_at)], "{name}");
        let first = &told[0].moved;
        assert_eq!((first.show_id, first.title.as_str(), first.happened_at), (show_id, "Later", START));
        assert_eq!(told[0].concert_id, show.concert_id);
        assert_ne!(first.event_id, told[1].moved.event_id);
        // Until it is named it is handed over again, by whichever replica.
        assert_eq!(take(&replica, &[]).await, told, "{name}");
        assert_eq!(take(&replica, &[&told[0]]).await, told[1..], "{name}");
        assert!(take(app, &[&told[0], &told[1]]).await.is_empty(), "{name}");
        // The number of one that was taken is nobody else's.
        app.update_show(show_id, moved(there), None, None).await.unwrap();
        let told = take(app, &[&told[0], &told[1]]).await;
        assert_eq!(told.len(), 1, "{name}");
        // Nobody takes it for a day.
        world.clock.advance(DAY - SECOND);
        forget_old(&world).await;
        assert_eq!(take(app, &[]).await, told, "{name}");
        world.clock.advance(SECOND + 1);
        forget_old(&world).await;
        assert!(take(app, &[]).await.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_move_is_told_by_the_clock_that_its_venue_had_and_that_of_an_earlier_program_by_the_one_it_has() {
    for world in worlds().await {
        let show = world.show(3).await;
        let at = async |zone| {
            let change = ConcertChange { time_zone: Some(zone), ..ConcertChange::default() };
            let seen = async || world.app.show(show.show_id).await.unwrap().time_zone;
            assert_ne!(seen().await, zone, "{}", world.database.name);
            world.app.update_concert(show.concert_id, change, None, None).await.unwrap();
            assert_eq!(seen().await, zone, "a replica shows what it has written");
        };
        at(Tz::Asia__Seoul).await;
        world.app.update_show(show.show_id, moved(show.starts_at + DAY), None, None).await.unwrap();
        let earlier =
            "INSERT INTO show_event (event_id, show_id, title, starts_at, previous_starts_at, happened_at)
                       VALUES ($1, $2, 'Evening', $3, $4, $5)";
        let (back, there) = (show.starts_at, show.starts_at + DAY);
        let written = args![Uuid::from_u128(7), show.show_id, back, there, START];
        world.db.write(earlier, written).await.unwrap();
        at(Tz::Europe__Berlin).await;
        let told = take(&world.app, &[]).await;
        let zones: Vec<_> = told.iter().map(|waiting| (times(waiting), waiting.moved.time_zone)).collect();
        let expected = [((back, there), Tz::Asia__Seoul), ((there, back), Tz::Europe__Berlin)];
        assert_eq!(zones, expected, "{}", world.database.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn moves_by_many_at_once_are_told_as_one_chain() {
    for world in worlds().await {
        let show = world.show(3).await;
        let replicas = [world.replica(world.clock.clone()), world.replica(world.clock.clone())];
        let moves = (1..=20).map(|nth: i64| {
            let replica = &replicas[usize::try_from(nth % 2).unwrap()];
            replica.update_show(show.show_id, moved(show.starts_at + nth * DAY), None, None)
        });
        assert!(join_all(moves).await.iter().all(Result::is_ok));
        let told = take(&world.app, &[]).await;
        let begins = [show.starts_at].into_iter().chain(told.iter().map(|waiting| waiting.moved.starts_at));
        let chain: Vec<_> = begins.collect();
        let pairs: Vec<_> = chain.windows(2).map(|pair| (pair[0], pair[1])).collect();
        assert_eq!(told.iter().map(times).collect::<Vec<_>>(), pairs, "{}", world.database.name);
        assert_eq!(told.len(), 20);
        world.assert_no_deadlock().await;
    }
}
