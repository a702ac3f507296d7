//! Calling shows off: nothing of a show is held or sold any more from that moment on, whoever races with it,
//! and it is CANCELLED when no sale of it is left.

use std::sync::Arc;

use booking_svc::domain::{Availability, Refusal, ShowChange, Standing, Status};
use futures::future::join_all;
use uuid::Uuid;

use crate::world::{SECOND, TTL, hold, hold_with_id, id, refusal, worlds};

const PAYMENT: Uuid = Uuid::from_u128(1);
const OTHER_PAYMENT: Uuid = Uuid::from_u128(2);

#[tokio::test]
async fn nothing_of_a_show_that_is_called_off_is_had_and_what_was_sold_stays_sold_until_it_is_refunded() {
    for world in worlds().await {
        let (show, app) = (world.show(4).await, &world.app);
        let sold = world.hold("ann", &show, &[1]).await.unwrap();
        app.confirm_reservation(id(&sold), "ann", PAYMENT, None).await.unwrap();
        let held = hold_with_id(app, "bob", show.show_id, &[2], Some("hold-2")).await.unwrap();
        let given_back = world.hold("cid", &show, &[3]).await.unwrap();
        app.cancel_reservation(id(&given_back), "cid", None).await.unwrap();
        // Both replicas have the show in their memory as it was.
        let replica = world.replica(world.clock.clone());
        replica.show(show.show_id).await.unwrap();
        let (off, left) = app.cancel_show(show.show_id).await.unwrap();
        assert_eq!((off.standing, left), (Standing::Cancelling, 1), "{}", world.database.name);
        assert_ne!(off.etag(), show.etag());
        let again = replica.cancel_show(show.show_id).await.unwrap();
        assert_eq!(again, (off.clone(), 1), "calling it off again changes nothing");

        assert_eq!(world.map(&off).await, [Availability::Sold; 4]);
        assert!(app.available_dates(show.concert_id).await.unwrap().is_empty());
        for replica in [&**app, &replica] {
            assert_eq!(refusal(hold(replica, "dan", show.show_id, &[4]).await), Refusal::ShowCancelled);
        }
        assert_eq!(world.status(&held).await, Status::Cancelled);
        let wishes = [id(&held), id(&given_back)];
        for (reservation, user) in wishes.into_iter().zip(["bob", "cid"]) {
            let late = app.confirm_reservation(reservation, user, OTHER_PAYMENT, None).await;
            assert_eq!(refusal(late), Refusal::ShowCancelled);
            let late = app.extend_hold(reservation, user, OTHER_PAYMENT, SECOND, None).await;
            assert_eq!(refusal(late), Refusal::ShowCancelled);
        }
        // What was answered before is answered again.
        assert_eq!(hold_with_id(app, "bob", show.show_id, &[2], Some("hold-2")).await.unwrap(), held);
        let sold_again = app.confirm_reservation(id(&sold), "ann", PAYMENT, None).await.unwrap();
        assert_eq!(sold_again.status, Status::Confirmed);
        let change = ShowChange { title: Some("New".to_owned()), ..ShowChange::default() };
        let stale = Some("another state".to_owned());
        let changed = app.update_show(show.show_id, change, stale, None).await;
        assert_eq!(refusal(changed), Refusal::ShowCancelled);

        let not_yet = app.finish_cancelling(show.show_id).await.unwrap();
        assert_eq!(not_yet.standing, Standing::Cancelling, "a sale is left");
        app.refund_reservation(id(&sold), "ann", PAYMENT).await.unwrap();
        let finished = app.finish_cancelling(show.show_id).await.unwrap();
        assert_eq!(finished.standing, Standing::Cancelled);
        // The other one may serve what it read within the last quarter of a second.
        world.clock.advance(SECOND);
        assert_eq!(*replica.show(show.show_id).await.unwrap(), finished);
        assert_eq!(app.finish_cancelling(show.show_id).await.unwrap(), finished);
        assert_eq!(app.cancel_show(show.show_id).await.unwrap(), (finished, 0));
        world.audit().await;
    }
}

#[tokio::test]
async fn only_a_show_that_is_called_off_is_ever_cancelled() {
    for world in worlds().await {
        let show = world.show(1).await;
        let same = world.app.finish_cancelling(show.show_id).await.unwrap();
        assert_eq!(same, show);
        assert_eq!(refusal(world.app.finish_cancelling(show.show_id + 1).await), Refusal::ShowNotFound);
        assert_eq!(refusal(world.app.cancel_show(show.show_id + 1).await), Refusal::ShowNotFound);
        // One that has begun, long ago: the rain came at half time.
        world.clock.advance(90 * 86_400 * SECOND);
        let (off, left) = world.app.cancel_show(show.show_id).await.unwrap();
        assert_eq!((off.standing, left), (Standing::Cancelling, 0));
    }
}

#[tokio::test]
async fn a_hold_that_lapsed_unswept_ends_with_its_show() {
    for world in worlds().await {
        let show = world.show(1).await;
        let lapsed = world.hold("ann", &show, &[1]).await.unwrap();
        world.clock.advance(TTL);
        world.app.cancel_show(show.show_id).await.unwrap();
        assert_eq!(world.status(&lapsed).await, Status::Cancelled);
        world.audit().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_race_with_it_each_is_sold_and_found_or_refused_for_good() {
    const CROWD: usize = 60;
    for world in worlds().await {
        let show = world.show(200).await;
        let replicas: Vec<_> = (0..3).map(|_| Arc::new(world.replica(world.clock.clone()))).collect();
        let mut held = Vec::new();
        for n in 1..=CROWD {
            let seat = i32::try_from(n).unwrap();
            held.push(hold(&replicas[n % 3], &format!("user-{n}"), show.show_id, &[seat]).await.unwrap());
        }
        let confirms: Vec<_> = held
            .iter()
            .enumerate()
            .map(|(n, held)| {
                let (app, reservation, user) =
                    (Arc::clone(&replicas[n % 3]), id(held), held.hold.user_id.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(std::time::Duration::from_millis(n as u64 / 2)).await;
                    let payment = Uuid::from_u128(1_000 + n as u128);
                    (n, app.confirm_reservation(reservation, &user, payment, None).await)
                })
            })
            .collect();
        let news: Vec<_> = (0..CROWD)
            .map(|n| {
                let (app, show_id) = (Arc::clone(&replicas[n % 3]), show.show_id);
                tokio::spawn(async move {
                    let seat = i32::try_from(CROWD + 1 + n).unwrap();
                    hold(&app, &format!("new-{n}"), show_id, &[seat]).await
                })
            })
            .collect();
        let off = join_all(replicas.iter().map(|replica| replica.cancel_show(show.show_id))).await;
        assert!(off.iter().all(Result::is_ok), "{off:?}");
        let mut sold = Vec::new();
        for answer in join_all(confirms).await {
            match answer.unwrap() {
                (n, Ok(_)) => sold.push(n),
                (_, refused) => assert_eq!(refusal(refused), Refusal::ShowCancelled),
            }
        }
        for answer in join_all(news).await {
            let Ok(held) = answer.unwrap() else { continue };
            let late = replicas[0].confirm_reservation(id(&held), &held.hold.user_id, Uuid::new_v4(), None);
            assert_eq!(refusal(late.await), Refusal::ShowCancelled, "{}", world.database.name);
        }
        // Every sale is found, and when all are taken back the show is cancelled.
        let left = replicas[1].cancel_show(show.show_id).await.unwrap().1;
        assert_eq!(usize::try_from(left).unwrap(), sold.len(), "{}", world.database.name);
        world.audit().await;
        for n in sold {
            let (reservation, payment) = (&held[n], Uuid::from_u128(1_000 + n as u128));
            let user = &reservation.hold.user_id;
            replicas[n % 3].refund_reservation(id(reservation), user, payment).await.unwrap();
        }
        let finished = replicas[2].finish_cancelling(show.show_id).await.unwrap();
        assert_eq!(finished.standing, Standing::Cancelled);
        world.audit().await;
        world.assert_no_deadlock().await;
    }
}
