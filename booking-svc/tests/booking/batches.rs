//! Requests that share a transaction, on several replicas: each has an outcome of its own.

use std::sync::Arc;

use booking_svc::{
    app::App,
    domain::{Refusal, Reservation, Show, Status},
    error::Error,
};
use futures::future::join_all;
use uuid::Uuid;

use crate::world::{MINUTE, TTL, World, hold, hold_with_id, id, refusal, taken, worlds};

/// Three replicas on one database, with one clock.
fn replicas(world: &World) -> Vec<Arc<App>> {
    let more = (0..2).map(|_| Arc::new(world.replica(world.clock.clone())));
    more.chain([Arc::clone(&world.app)]).collect()
}

/// What each of these requests was answered, made at once.
async fn at_once(
    requests: impl IntoIterator<Item = impl Future<Output = Result<Reservation, Error>> + Send + 'static>,
) -> Vec<Result<Reservation, Error>> {
    let tasks: Vec<_> = requests.into_iter().map(tokio::spawn).collect();
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

fn holds<'a>(
    apps: &'a [Arc<App>],
    show: &'a Show,
    wanted: impl Iterator<Item = (String, Vec<i32>)> + 'a,
) -> impl Iterator<Item = impl Future<Output = Result<Reservation, Error>> + Send + 'static> + 'a {
    wanted.enumerate().map(|(nth, (user, seats))| {
        let (app, show) = (Arc::clone(&apps[nth % apps.len()]), show.show_id);
        async move { hold(&app, &user, show, &seats).await }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn over_replicas_a_seat_has_one_winner_and_crossing_holds_are_all_or_none_without_deadlock() {
    for world in worlds().await {
        let apps = replicas(&world);
        for round in 0..6 {
            let show = world.show(30).await;
            let wanted = (0..180).map(|n| {
                let first = n * 7 % 26 + 1;
                let mut seats = vec![first, first + 1, 30 - n % 3];
                if n % 2 == 0 {
                    seats.reverse();
                }
                (format!("user-{n}"), seats)
            });
            let answers = at_once(holds(&apps, &show, wanted)).await;
            let mut held = Vec::new();
            for answer in answers {
                match answer {
                    Ok(reservation) => held.extend(reservation.hold.seats),
                    lost => assert!(matches!(refusal(lost), Refusal::SeatTaken(_))),
                }
            }
            let all = held.len();
            held.sort_unstable();
            held.dedup();
            assert!(all > 0 && held.len() == all, "{} round {round}: {held:?}", world.database.name);
            // What other replicas wrote is known within a tenth of a second.
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
            let shown = world.map(&show).await;
            let shown = shown.iter().filter(|seat| **seat != booking_svc::domain::Availability::Available);
            assert_eq!(shown.count(), all, "{}: a lost hold keeps nothing", world.database.name);
        }
        world.audit().await;
        world.assert_no_deadlock().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_replicas_a_user_holds_no_more_than_the_limit() {
    for world in worlds().await {
        let apps = replicas(&world);
        let show = world.show(200).await;
        let wanted = (0..60).map(|n| ("ann".to_owned(), vec![3 * n + 1, 3 * n + 2, 3 * n + 3]));
        let answers = at_once(holds(&apps, &show, wanted)).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 16, "{}: sixteen holds of three seats are 48 of 50", world.database.name);
        assert!(lost.into_iter().all(|lost| refusal(lost) == Refusal::HoldLimit(50)));
        world.audit().await;
        world.assert_no_deadlock().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_come_and_end_in_one_batch_on_every_replica_without_deadlock() {
    for world in worlds().await {
        let apps = replicas(&world);
        let show = world.show(40).await;
        let mut live: Vec<Reservation> = Vec::new();
        for seat in 1..=40 {
            live.push(world.hold("early", &show, &[seat]).await.unwrap());
        }
        for round in 0..8 {
            let ends = live.drain(..).enumerate().map(|(nth, held)| {
                let app = Arc::clone(&apps[nth % 3]);
                let held = id(&held);
                let user = if round == 0 { "early" } else { "late" };
                async move {
                    match nth % 3 {
                        0 => app.extend_hold(held, user, Uuid::from_u128(1), 4 * MINUTE, None).await?,
                        _ => app.cancel_reservation(held, user, Some(format!("end {held}"))).await?,
                    };
                    app.cancel_reservation(held, user, None).await
                }
            });
            let takes = (1..=40).map(|seat| {
                let (app, show) = (Arc::clone(&apps[usize::try_from(seat).unwrap() % 3]), show.show_id);
                async move {
                    loop {
                        match hold(&app, "late", show, &[seat]).await {
                            Err(Error::Refused(Refusal::SeatTaken(_))) => tokio::task::yield_now().await,
                            answer => return answer,
                        }
                    }
                }
            });
            let (ended, taken) = futures::join!(at_once(ends), at_once(takes));
            assert!(ended.into_iter().all(|one| one.unwrap().status == Status::Cancelled));
            live = taken.into_iter().map(Result::unwrap).collect();
            assert_eq!(live.len(), 40, "{} round {round}", world.database.name);
        }
        world.audit().await;
        world.assert_no_deadlock().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_equal_request_is_one_hold_and_another_under_its_id_is_refused_over_all_replicas() {
    for world in worlds().await {
        let apps = replicas(&world);
        let show = world.show(60).await;
        for nth in 0..10 {
            let (one, other) = (3 * nth + 1, 3 * nth + 2);
            let requests = (0..12).map(|n| {
                let (app, show) = (Arc::clone(&apps[n % 3]), show.show_id);
                let seats = if n % 4 == 3 { [other] } else { [one] };
                async move { hold_with_id(&app, "ann", show, &seats, Some(&format!("click-{nth}"))).await }
            });
            let answers = at_once(requests).await;
            let told: Vec<&Reservation> = answers.iter().flatten().collect();
            assert!(told.len() == 9 || told.len() == 3, "{}: {answers:?}", world.database.name);
            assert!(told.iter().all(|one| *one == told[0]));
            let reused = |one: &Result<_, _>| matches!(one, Ok(_) | Err(Error::RequestIdReused));
            assert!(answers.iter().all(reused), "{}: {answers:?}", world.database.name);
        }
        let anns = world.app.reservations("ann", (i64::MAX, Uuid::max()), 50).await.unwrap();
        assert_eq!(anns.len(), 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_was_used_spoils_no_other_confirmation_of_its_batch() {
    for world in worlds().await {
        let show = world.show(30).await;
        let used = Uuid::from_u128(7);
        let first = world.hold("ann", &show, &[1]).await.unwrap();
        world.app.confirm_reservation(id(&first), "ann", used, None).await.unwrap();
        let mut held = Vec::new();
        for seat in 2..=21 {
            held.push(world.hold("ann", &show, &[seat]).await.unwrap());
        }
        let requests = held.iter().map(id).enumerate().map(|(nth, held)| {
            let app = Arc::clone(&world.app);
            let payment = if nth == 5 { used } else { Uuid::new_v4() };
            async move { app.confirm_reservation(held, "ann", payment, None).await }
        });
        for (nth, answer) in at_once(requests).await.into_iter().enumerate() {
            match nth {
                5 => assert_eq!(refusal(answer), Refusal::PaymentUsed, "{}", world.database.name),
                _ => assert_eq!(answer.unwrap().status, Status::Confirmed, "{}", world.database.name),
            }
        }
        assert_eq!(world.status(&held[5]).await, Status::Held, "it may be paid for by another payment");
        world.audit().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_in_a_batch_is_its_own() {
    for world in worlds().await {
        let show = world.show(30).await;
        let lapsed = world.hold("ann", &show, &[1, 2]).await.unwrap();
        world.clock.advance(TTL);
        let bobs = world.hold("bob", &show, &[3]).await.unwrap();
        let wanted = [("cid", vec![1, 4]), ("dan", vec![4, 5]), ("eve", vec![3]), ("fay", vec![31, 6])];
        let wanted = wanted.into_iter().map(|(user, seats)| (user.to_owned(), seats));
        let apps = [Arc::clone(&world.app)];
        let late = {
            let (app, held) = (Arc::clone(&world.app), id(&lapsed));
            tokio::spawn(async move { app.confirm_reservation(held, "ann", Uuid::from_u128(1), None).await })
        };
        let answers = at_once(holds(&apps, &show, wanted)).await;
        assert_eq!(refusal(late.await.unwrap()), Refusal::HoldExpired);
        let [cid, dan, eve, fay] = <[_; 4]>::try_from(answers).unwrap();
        let (won, lost) = if cid.is_ok() { (cid, dan) } else { (dan, cid) };
        assert_eq!(won.unwrap().hold.seats.len(), 2);
        assert_eq!(refusal(lost), taken(&[4]), "{}", world.database.name);
        assert_eq!(refusal(eve), taken(&[3]));
        assert_eq!(refusal(fay), Refusal::SeatNotFound([31].into()));
        assert_eq!(world.status(&bobs).await, Status::Held);
        assert_eq!(world.status(&lapsed).await, Status::Expired);
        world.audit().await;
    }
}
