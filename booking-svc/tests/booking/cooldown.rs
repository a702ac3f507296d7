//! The pause of who lets holds end unpaid.

use std::{sync::Arc, time::Duration};

use booking_svc::{Cooldown, Policy, app::App, domain::Refusal};
use chrono_tz::Tz;
use futures::future::join_all;
use uuid::Uuid;

use crate::world::{MINUTE, SECOND, TTL, hold, hold_with_id, id, refusal, worlds_with};

fn policy() -> Policy {
    Policy { hold_cooldown: Some(Cooldown(Some(Duration::from_secs(60)))), ..Policy::default() }
}

#[tokio::test]
async fn after_three_holds_that_ended_unpaid_the_next_waits_and_longer_each_time() {
    for world in worlds_with(policy()).await {
        let show = world.show(30).await;
        let other = world.show(5).await;
        let give_back = async |seat: i32| {
            let held = world.hold("ann", &show, &[seat]).await.unwrap();
            world.app.cancel_reservation(id(&held), "ann", None).await.unwrap();
        };
        let waits = |wait| Refusal::CoolingDown { wait, limit: 50 };
        give_back(1).await;
        let sold = world.hold("ann", &show, &[20]).await.unwrap();
        world.app.confirm_reservation(id(&sold), "ann", Uuid::from_u128(1), None).await.unwrap();
        give_back(2).await;
        let first = hold_with_id(&world.app, "ann", show.show_id, &[3], Some("third")).await.unwrap();
        world.clock.advance(TTL);
        // The third lapsed by the clock, and no sweep has closed it.
        let lapsed = |wait| (waits(wait), world.database.name);
        assert_eq!((refusal(world.hold("ann", &show, &[1]).await), world.database.name), lapsed(MINUTE));
        world.clock.advance(20 * SECOND);
        world.app.sweep().await.unwrap();
        assert_eq!(refusal(world.hold("ann", &show, &[1]).await), waits(40 * SECOND));
        // Neither others nor other shows are concerned, and a repeated request is answered as before.
        world.hold("bob", &show, &[1]).await.unwrap();
        world.hold("ann", &other, &[1]).await.unwrap();
        let again = hold_with_id(&world.app, "ann", show.show_id, &[3], Some("third")).await.unwrap();
        assert_eq!(again, first);
        world.clock.advance(40 * SECOND);
        give_back(2).await;
        assert_eq!(refusal(world.hold("ann", &show, &[2]).await), waits(2 * MINUTE));
        world.clock.advance(2 * MINUTE);
        give_back(2).await;
        assert_eq!(refusal(world.hold("ann", &show, &[2]).await), waits(4 * MINUTE));
        world.clock.advance(4 * MINUTE);
        world.hold("ann", &show, &[2]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_counts_what_was_given_back_at_another() {
    for world in worlds_with(policy()).await {
        let show = world.show(30).await;
        let replica =
            || Arc::new(App::new(world.db.clone(), world.clock.clone(), policy().rules(false), Tz::UTC));
        let apps = [Arc::clone(&world.app), replica(), replica()];
        for (seat, app) in (1..).zip(&apps) {
            let held = hold(app, "ann", show.show_id, &[seat]).await.unwrap();
            app.cancel_reservation(id(&held), "ann", None).await.unwrap();
        }
        let tries = apps.iter().map(|app| hold(app, "ann", show.show_id, &[9]));
        for answer in join_all(tries).await {
            assert_eq!(refusal(answer), Refusal::CoolingDown { wait: MINUTE, limit: 50 });
        }
    }
}
