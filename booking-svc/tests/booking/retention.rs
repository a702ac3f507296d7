//! Which holds are removed after a while, and which are kept.

use booking_svc::{
    Config, Policy,
    domain::{Refusal, Status},
};
use chassis::{args, db::Dialect, prune};
use uuid::Uuid;

use crate::world::{DAY, START, TTL, World, id, new_show, refusal, worlds};

fn old(world: &World) -> Vec<prune::Old> {
    let (requests, retention) = Default::default();
    Config {
        database: world.database.config.clone(),
        policy: Policy::default(),
        currency: "KRW".parse().unwrap(),
        requests,
        retention,
        doors: access::Doors::open(),
    }
    .old()
}

#[tokio::test]
async fn holds_that_ended_unpaid_are_forgotten_after_a_while_and_what_is_paid_for_never() {
    for world in worlds().await {
        let show = new_show(&world.app, 5, START + 100 * DAY).await;
        let lapsed = world.hold("ann", &show, &[1]).await.unwrap();
        let cancelled = world.hold("bob", &show, &[2]).await.unwrap();
        let paid = world.hold("cid", &show, &[3]).await.unwrap();
        world.app.cancel_reservation(id(&cancelled), "bob", None).await.unwrap();
        world.app.confirm_reservation(id(&paid), "cid", Uuid::from_u128(7), None).await.unwrap();
        world.clock.advance(TTL);
        assert_eq!(world.app.sweep().await.unwrap(), 1);
        let young = world.hold("ann", &show, &[1]).await.unwrap();
        world.clock.advance(TTL);
        assert_eq!(world.app.sweep().await.unwrap(), 1);
        let live = world.hold("dan", &show, &[4]).await.unwrap();
        let map = world.map(&show).await;

        world.clock.advance(30 * DAY - TTL);
        prune::round(&world.db, &world.clock, &old(&world)).await;
        assert_eq!(
            refusal(world.app.reservation(id(&cancelled)).await),
            Refusal::ReservationNotFound,
            "{}",
            world.database.name
        );
        assert_eq!(world.status(&lapsed).await, Status::Expired, "for thirty days");
        world.clock.advance(1);
        prune::round(&world.db, &world.clock, &old(&world)).await;
        assert_eq!(refusal(world.app.reservation(id(&lapsed)).await), Refusal::ReservationNotFound);
        assert_eq!(world.status(&young).await, Status::Expired);
        // Lapsed by the clock, and not closed yet.
        assert_eq!(world.status(&live).await, Status::Expired);
        assert_eq!(world.status(&paid).await, Status::Confirmed);
        let anns = world.app.reservations("ann", (i64::MAX, Uuid::max()), 10).await.unwrap();
        assert_eq!(anns.len(), 1);
        assert_eq!(world.map(&show).await[..3], map[..3], "no seat changed hands");

        world.app.sweep().await.unwrap();
        world.clock.advance(3_650 * DAY);
        prune::round(&world.db, &world.clock, &old(&world)).await;
        assert_eq!(world.status(&paid).await, Status::Confirmed);
        assert_eq!(refusal(world.app.reservation(id(&live)).await), Refusal::ReservationNotFound);
        world.audit().await;
    }
}

#[tokio::test]
async fn who_held_seats_of_a_show_is_forgotten_when_it_is_long_over() {
    for world in worlds().await {
        // SQLite has one writer, who needs no such rows.
        if world.db.dialect() == Dialect::Sqlite {
            prune::round(&world.db, &world.clock, &old(&world)).await;
            continue;
        }
        let (early, late) =
            (new_show(&world.app, 5, START + DAY).await, new_show(&world.app, 5, START + 50 * DAY).await);
        for (show, user, seat) in [(&early, "ann", 1), (&early, "bob", 2), (&late, "ann", 1)] {
            world.hold(user, show, &[seat]).await.unwrap();
        }
        let holders = async || {
            let sql = "SELECT COUNT(*) AS holders FROM holder";
            let row = world.db.read().await.unwrap().one(sql, args![]).await.unwrap();
            row.get::<i64>("holders").unwrap()
        };
        world.clock.advance(31 * DAY);
        prune::round(&world.db, &world.clock, &old(&world)).await;
        assert_eq!(holders().await, 3, "{}: for thirty days", world.database.name);
        world.clock.advance(1);
        prune::round(&world.db, &world.clock, &old(&world)).await;
        assert_eq!(holders().await, 1, "{}", world.database.name);
        world.hold("bob", &late, &[2]).await.unwrap();
        assert_eq!(holders().await, 2);
    }
}
