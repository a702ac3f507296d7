//! Events of reservations: written down while somebody takes them, handed over in order until they are taken.

use std::{collections::BTreeSet, time::Duration};

use booking_svc::{
    Config, Policy,
    app::App,
    domain::{HoldEvent, Release, WaitingEvent},
};
use chassis::{args, db::Sql, prune};
use futures::future::join_all;
use uuid::Uuid;

use crate::world::{DAY, PRICE, SECOND, TTL, World, hold, id, worlds};

async fn take(app: &App, taken: &[&WaitingEvent]) -> Vec<WaitingEvent> {
    app.take_events(taken.iter().map(|event| event.number).collect()).await.unwrap()
}

/// What happened, without what is told of it.
fn bare(events: &[WaitingEvent]) -> Vec<HoldEvent> {
    events.iter().map(|waiting| waiting.event).collect()
}

async fn rows(world: &World) -> i64 {
    let sql = "SELECT COUNT(*) AS rows FROM reservation_event";
    world.db.read().await.unwrap().one(sql, args![]).await.unwrap().get("rows").unwrap()
}

/// Removes what is old.
async fn prune(world: &World, hold_retention: Duration) {
    let config = Config {
        database: world.database.config.clone(),
        policy: Policy::default(),
        currency: "KRW".parse().unwrap(),
        requests: Default::default(),
        retention: booking_svc::Retention { hold_retention },
        doors: access::Doors::open(),
    };
    prune::round(&world.db, &world.clock, &config.old()).await;
}

#[tokio::test]
async fn what_happens_to_holds_is_handed_over_in_order_until_it_is_taken() {
    for world in worlds().await {
        let (show, app) = (world.show(9).await, &world.app);
        assert!(take(app, &[]).await.is_empty());
        let given_back = world.hold("ann", &show, &[2, 1]).await.unwrap();
        let sold = world.hold("bob", &show, &[3]).await.unwrap();
        app.cancel_reservation(id(&given_back), "ann", None).await.unwrap();
        // What changes nothing tells nothing.
        app.cancel_reservation(id(&given_back), "ann", None).await.unwrap();
        hold(app, "cid", show.show_id, &[3]).await.unwrap_err();
        let payment = Uuid::from_u128(7);
        app.extend_hold(id(&sold), "bob", payment, TTL + SECOND, None).await.unwrap();
        app.confirm_reservation(id(&sold), "bob", payment, None).await.unwrap();
        app.refund_reservation(id(&sold), "bob", payment).await.unwrap();
        let told = take(app, &[]).await;
        let held = |reservation| HoldEvent::held(id(reservation));
        let released = |reservation, why| HoldEvent::released(id(reservation), why);
        let so_far = [held(&given_back), held(&sold), released(&given_back, Release::Cancelled)];
        assert_eq!(bare(&told), so_far, "{}", world.database.name);
        let first = &told[0];
        assert_eq!((first.user_id.as_str(), &first.seats[..], first.amount), ("ann", &[1, 2][..], 2 * PRICE));
        assert_eq!((first.show_id, first.concert_id), (show.show_id, show.concert_id));
        assert_eq!((first.happened_at, first.promised_until), (world.clock.now(), world.clock.now() + TTL));

        let (lapsed, late) =
            (world.hold("cid", &show, &[4]).await.unwrap(), world.hold("dan", &show, &[5]).await.unwrap());
        let ended = world.hold("eve", &show, &[6]).await.unwrap();
        app.extend_hold(id(&ended), "eve", payment, TTL + SECOND, None).await.unwrap();
        world.clock.advance(TTL);
        // The refusal of one that comes too late closes its hold; the other one is swept.
        app.confirm_reservation(id(&late), "dan", payment, None).await.unwrap_err();
        assert_eq!(app.sweep().await.unwrap(), 1);
        app.cancel_show(show.show_id).await.unwrap();
        // Two of the first were taken; another replica hands over the rest.
        let replica = world.replica(world.clock.clone());
        let told = take(&replica, &[&told[0], &told[2]]).await;
        let since = [
            so_far[1],
            held(&lapsed),
            held(&late),
            held(&ended),
            released(&late, Release::Expired),
            released(&lapsed, Release::Expired),
            released(&ended, Release::ShowCancelled),
        ];
        assert_eq!(bare(&told), since, "{}", world.database.name);
        let all: Vec<&WaitingEvent> = told.iter().collect();
        // An answer that was lost is asked for again.
        assert!(take(app, &all).await.is_empty());
        assert!(take(&replica, &all).await.is_empty());
        assert_eq!(rows(&world).await, 0);
    }
}

#[tokio::test]
async fn nothing_is_written_for_nobody_nor_a_day_after_somebody_nor_while_a_million_wait() {
    for world in worlds().await {
        let (show, app) = (world.show(9).await, &world.app);
        app.look_for_taker().await.unwrap();
        world.hold("ann", &show, &[1]).await.unwrap();
        assert_eq!(rows(&world).await, 0, "{}: nobody takes any", world.database.name);
        assert!(take(app, &[]).await.is_empty());
        // Another replica learns of it when it looks.
        let replica = world.replica(world.clock.clone());
        replica.look_for_taker().await.unwrap();
        hold(&replica, "bob", show.show_id, &[2]).await.unwrap();
        assert_eq!(rows(&world).await, 1);
        // One that was numbered a million later.
        let much_later = Sql {
            postgres:
                "INSERT INTO reservation_event (number, reservation_id, happened_at) OVERRIDING SYSTEM VALUE
                       SELECT number + 1000000, reservation_id, happened_at FROM reservation_event",
            sqlite: "INSERT INTO reservation_event (number, reservation_id, happened_at)
                     SELECT number + 1000000, reservation_id, happened_at FROM reservation_event",
        };
        world.db.write(much_later, args![]).await.unwrap();
        app.look_for_taker().await.unwrap();
        world.hold("cid", &show, &[3]).await.unwrap();
        assert_eq!(rows(&world).await, 2, "{}", world.database.name);
        let told = take(app, &[]).await;
        assert!(take(app, &told.iter().collect::<Vec<_>>()).await.is_empty());
        app.look_for_taker().await.unwrap();
        world.hold("dan", &show, &[4]).await.unwrap();
        assert_eq!(rows(&world).await, 1);

        world.clock.advance(DAY - SECOND);
        prune(&world, Duration::from_secs(30 * 86_400)).await;
        app.look_for_taker().await.unwrap();
        app.sweep().await.unwrap();
        assert!(
            rows(&world).await > 1,
            "{}: written for whoever comes back within a day",
            world.database.name
        );
        world.clock.advance(SECOND);
        prune(&world, Duration::from_secs(30 * 86_400)).await;
        app.look_for_taker().await.unwrap();
        let before = rows(&world).await;
        world.hold("eve", &show, &[5]).await.unwrap();
        assert_eq!(rows(&world).await, before);
        world.clock.advance(DAY);
        prune(&world, Duration::from_secs(30 * 86_400)).await;
        assert_eq!(rows(&world).await, 0, "{}: nobody has taken them for a day", world.database.name);
    }
}

#[tokio::test]
async fn an_event_is_not_kept_for_longer_than_the_hold_of_which_it_tells() {
    for world in worlds().await {
        let (show, app) = (world.show(9).await, &world.app);
        take(app, &[]).await;
        let gone = world.hold("ann", &show, &[1]).await.unwrap();
        app.cancel_reservation(id(&gone), "ann", None).await.unwrap();
        world.clock.advance(3_600 * SECOND + 1);
        let young = world.hold("bob", &show, &[2]).await.unwrap();
        prune(&world, Duration::from_secs(3_600)).await;
        assert_eq!(bare(&take(app, &[]).await), [HoldEvent::held(id(&young))], "{}", world.database.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_a_crowd_over_three_replicas_is_told_once() {
    const SEATS: i32 = 60;
    for world in worlds().await {
        let show = world.show(SEATS).await;
        take(&world.app, &[]).await;
        let replicas: Vec<_> = (0..3).map(|_| world.replica(world.clock.clone())).collect();
        for replica in &replicas {
            replica.look_for_taker().await.unwrap();
        }
        // Two want each seat.
        let wishes = (0..2 * SEATS).map(|nth| {
            let replica = &replicas[usize::try_from(nth % 3).unwrap()];
            let user = format!("user-{nth}");
            async move { hold(replica, &user, show.show_id, &[nth % SEATS + 1]).await }
        });
        let held: BTreeSet<Uuid> = join_all(wishes).await.into_iter().flatten().map(|one| id(&one)).collect();
        assert_eq!(i32::try_from(held.len()), Ok(SEATS));
        world.clock.advance(TTL);
        let swept = join_all(replicas.iter().map(App::sweep)).await;
        let swept: usize = swept.into_iter().map(Result::unwrap).sum();
        assert_eq!(i32::try_from(swept), Ok(SEATS));
        let told = take(&world.app, &[]).await;
        for released in [None, Some(Release::Expired)] {
            let of: Vec<_> = told.iter().filter(|waiting| waiting.event.released == released).collect();
            let ids: BTreeSet<Uuid> = of.iter().map(|waiting| waiting.event.reservation_id).collect();
            assert_eq!((of.len(), &ids), (held.len(), &held), "{}", world.database.name);
        }
    }
}
