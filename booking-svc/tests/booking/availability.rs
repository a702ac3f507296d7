//! What can be had of a show, from memory: own writes at once, others' soon, and always what the rows say.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use booking_svc::{
    app::App,
    domain::{Availability, HallView, Refusal, Show},
    store::changes,
};
use chassis::{args, clock::Clock, prune};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::world::{DAY, MINUTE, START, TTL, World, hold, id, new_show, refusal, worlds};

/// Longer than a replica goes without a look at the log.
const SOON: Duration = Duration::from_millis(150);

async fn view(app: &App, show: &Show) -> Arc<HallView> {
    app.availability(show.show_id, None).await.unwrap()
}

fn taken(view: &Arc<HallView>) -> Vec<i32> {
    (1..=view.taken.seats()).filter(|seat| view.taken.has(*seat)).collect()
}

/// Writes a seat's row as programs of before the log do.
async fn sell_without_log(world: &World, show: &Show, seat: i32) {
    let sql =
        "INSERT INTO seat (show_id, seat_number, hold_id, held_until, sold) VALUES ($1, $2, $3, 1, TRUE)";
    world.db.write(sql, args![show.show_id, seat, Uuid::new_v4()]).await.unwrap();
}

#[tokio::test]
async fn a_replica_tells_its_own_writes_at_once_and_another_soon_under_the_same_versions() {
    for world in worlds().await {
        let (show, other) = (world.show(70).await, world.replica(world.clock.clone()));
        let none = view(&world.app, &show).await;
        assert_eq!((taken(&none), none.available()), (vec![], 70));
        assert_eq!(view(&other, &show).await.version, none.version);
        let held = world.hold("ann", &show, &[1, 65]).await.unwrap();
        let now = view(&world.app, &show).await;
        assert_eq!((taken(&now), now.available()), (vec![1, 65], 68), "{}", world.database.name);
        assert!(now.version > none.version);
        assert!(Arc::ptr_eq(&now, &view(&world.app, &show).await), "it is made once");
        // Whoever has seen a version is told nothing older, by no replica.
        let same = other.availability(show.show_id, Some(now.version)).await.unwrap();
        assert_eq!((taken(&same), same.version), (vec![1, 65], now.version));

        world.app.confirm_reservation(id(&held), "ann", Uuid::new_v4(), None).await.unwrap();
        hold(&other, "bob", show.show_id, &[2]).await.unwrap();
        tokio::time::sleep(SOON).await;
        let (one, two) = (view(&world.app, &show).await, view(&other, &show).await);
        assert_eq!((taken(&one), one.version), (taken(&two), two.version));
        assert_eq!(taken(&one), [1, 2, 65]);
        world.audit().await;
    }
}

#[tokio::test]
async fn a_seat_is_told_as_free_by_the_clock_and_as_gone_when_the_sale_closes() {
    for world in worlds().await {
        let show = new_show(&world.app, 3, START + DAY).await;
        world.hold("ann", &show, &[1]).await.unwrap();
        let paid = world.hold("ann", &show, &[2]).await.unwrap();
        let payment = Uuid::new_v4();
        world.app.confirm_reservation(id(&paid), "ann", payment, None).await.unwrap();
        let before = view(&world.app, &show).await;
        assert_eq!(taken(&before), [1, 2]);
        world.clock.advance(TTL);
        let lapsed = view(&world.app, &show).await;
        assert_eq!(taken(&lapsed), [2], "nobody has swept");
        assert!(lapsed.version > before.version);
        // A replica whose clock is behind tells the older state under the older version.
        let behind = world.replica(Clock::manual(START + TTL - 1));
        let older = view(&behind, &show).await;
        assert_eq!((taken(&older), older.version), (vec![1, 2], before.version), "{}", world.database.name);

        assert_eq!(world.app.sweep().await.unwrap(), 1);
        tokio::time::sleep(SOON).await;
        let swept = view(&world.app, &show).await;
        assert_eq!(taken(&swept), [2]);
        assert_eq!(taken(&view(&behind, &show).await), [2], "what is swept is free for every clock");
        world.app.refund_reservation(id(&paid), "ann", payment).await.unwrap();
        assert_eq!(taken(&view(&world.app, &show).await), [] as [i32; 0], "given back");
        world.clock.advance(DAY);
        let over = view(&world.app, &show).await;
        assert_eq!((taken(&over), over.available()), (vec![1, 2, 3], 0));
        assert!(over.sections().all(|(_, available)| available == 0));
        assert_eq!(world.map(&show).await, [Availability::Sold; 3], "as the seat map has it");
        assert_eq!(refusal(world.app.availability(999, None).await.map(drop)), Refusal::ShowNotFound);
    }
}

/// I-SEAT-FOLLOWED, whoever writes and however far a reader is behind.
#[tokio::test(flavor = "multi_thread")]
async fn every_replica_knows_in_the_end_what_the_rows_say() {
    for world in worlds().await {
        let show = Arc::new(world.show(60).await);
        let replicas: Vec<_> = (0..3)
            .map(|_| Arc::new(world.replica(world.clock.clone())))
            .chain([Arc::clone(&world.app)])
            .collect();
        let buyers = (0..12_i32).map(|nth| {
            let (app, show) = (Arc::clone(&replicas[usize::try_from(nth % 4).unwrap()]), Arc::clone(&show));
            tokio::spawn(async move {
                let user = format!("user{nth}");
                for round in 0..6 {
                    let seat = (nth * 7 + round * 11) % 59 + 1;
                    let Ok(held) = hold(&app, &user, show.show_id, &[seat, seat + 1]).await else { continue };
                    match round % 3 {
                        0 => drop(app.cancel_reservation(id(&held), &user, None).await.unwrap()),
                        1 => drop(
                            app.confirm_reservation(id(&held), &user, Uuid::new_v4(), None).await.unwrap(),
                        ),
                        _ => {}
                    }
                    let view = app.availability(show.show_id, None).await.unwrap();
                    if round % 3 != 0 {
                        assert!(view.taken.has(seat), "a replica tells its own writes");
                    }
                }
            })
        });
        let buyers: Vec<_> = buyers.collect();
        for buyer in buyers {
            buyer.await.unwrap();
        }
        tokio::time::sleep(SOON).await;
        let mut session = world.db.read().await.unwrap();
        let rows = changes::load(&mut session, show.show_id, 60).await.unwrap();
        let truth: Vec<i32> = rows
            .seen_at(world.clock.now())
            .filter(|(_, look)| *look != Availability::Available)
            .map(|(seat, _)| seat)
            .collect();
        let mut versions = BTreeSet::new();
        for app in &replicas {
            let view = view(app, &show).await;
            assert_eq!(taken(&view), truth, "{}", world.database.name);
            versions.insert(view.version);
        }
        assert_eq!(versions.len(), 1);
        // The log by itself leads from nothing to the rows.
        let nothing = Arc::new(booking_svc::domain::Occupancy::new(0, 60, []));
        let followed = changes::follow(&mut session, show.show_id, nothing).await.unwrap();
        assert_eq!(followed.as_deref(), Some(&rows));
        world.assert_no_deadlock().await;
    }
}

#[tokio::test]
async fn whoever_is_behind_the_log_reads_the_rows() {
    for world in worlds().await {
        let (show, other) = (world.show(5).await, world.replica(world.clock.clone()));
        assert_eq!(taken(&view(&other, &show).await), [] as [i32; 0]);
        world.hold("ann", &show, &[1]).await.unwrap();
        world.clock.advance(MINUTE);
        world.hold("ann", &show, &[2]).await.unwrap();
        world.clock.advance(9 * MINUTE + 1);
        let old = [prune::Old::new("seat_change", Duration::from_secs(600), changes::forget)];
        prune::round(&world.db, &world.clock, &old).await;
        let sql = "SELECT COUNT(*) AS rows FROM seat_change";
        let left: i64 = world.db.read().await.unwrap().one(sql, args![]).await.unwrap().get("rows").unwrap();
        assert_eq!(left, 1, "{}: ten minutes are kept", world.database.name);
        world.hold("bob", &show, &[3]).await.unwrap();
        tokio::time::sleep(SOON).await;
        assert_eq!(taken(&view(&other, &show).await), [3], "the others have lapsed");
    }
}

#[tokio::test]
async fn what_programs_of_before_the_log_do_is_found_and_written_down() {
    for world in worlds().await {
        let (show, other) = (world.show(5).await, world.replica(world.clock.clone()));
        world.hold("ann", &show, &[1]).await.unwrap();
        let versions = [&world.app, &Arc::new(other)].map(|app| (Arc::clone(app), show.show_id));
        for (app, show) in &versions {
            assert_eq!(taken(&app.availability(*show, None).await.unwrap()), [1]);
        }
        sell_without_log(&world, &show, 4).await;
        tokio::time::sleep(SOON).await;
        assert_eq!(taken(&view(&world.app, &show).await), [1], "the log does not say so");
        tokio::time::sleep(Duration::from_secs(5)).await;
        let [one, two] = [&versions[0].0, &versions[1].0].map(|app| view(app, &show));
        let (one, two) = tokio::join!(one, two);
        assert_eq!((taken(&one), one.version), (vec![1, 4], two.version), "{}", world.database.name);
        assert_eq!(taken(&two), [1, 4]);
    }
}

#[tokio::test]
async fn a_stream_tells_all_at_once_then_changes_and_ends_at_the_shutdown() {
    for world in worlds().await {
        let (show, stop) = (world.show(9).await, CancellationToken::new());
        let stream = world.app.watch_availability(show.show_id, None, &stop).await.unwrap();
        let mut stream = std::pin::pin!(stream);
        let (told, first) = stream.next().await.unwrap().unwrap();
        assert!(told.is_none() && taken(&first).is_empty());
        for seat in 1..=5 {
            world.hold("ann", &show, &[seat]).await.unwrap();
        }
        let (told, next) = stream.next().await.unwrap().unwrap();
        assert_eq!(told.unwrap().version, first.version);
        assert_eq!(taken(&next), [1, 2, 3, 4, 5], "{}: one message for all of them", world.database.name);
        // Who knows the present state hears of the first change alone.
        let known = world.app.watch_availability(show.show_id, Some(next.version), &stop).await.unwrap();
        let mut known = std::pin::pin!(known);
        let (told, later) = tokio::join!(known.next(), world.hold("bob", &show, &[9]));
        later.unwrap();
        let (told, now) = told.unwrap().unwrap();
        assert_eq!((taken(&told.unwrap()), taken(&now)), (vec![1, 2, 3, 4, 5], vec![1, 2, 3, 4, 5, 9]));
        stop.cancel();
        assert!(known.next().await.is_none());
        assert!(stream.next().await.is_none());
        let unknown = world.app.watch_availability(999, None, &stop).await;
        assert_eq!(refusal(unknown.map(|_| ())), Refusal::ShowNotFound);
    }
}
