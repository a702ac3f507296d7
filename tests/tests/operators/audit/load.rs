//! The audit beside a mesh at work: people join, hold, pay, fail to pay, cancel and leave, and no look finds
//! anything.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tests::{
    audit::{report, sources},
    mesh::Shape,
    patience::Patience,
    world::{Sale, World, text, unique},
};
use tokio::{task::JoinHandle, time::sleep};

use super::planted::strict;

const PEOPLE_AT_ONCE: usize = 8;
const WORK_FOR: Duration = Duration::from_secs(12);
const SEATS: i32 = 400;

/// People who are busy with a mesh that was started with `--hold-ttl 2s`.
pub(crate) struct People {
    work: Arc<Work>,
    tasks: Vec<JoinHandle<()>>,
}

impl People {
    pub(crate) async fn start(world: &World) -> Self {
        let sale = world.sale(4_000, SEATS).await;
        let line = world.queue(json!({"maxActive": 5})).await;
        let (next, bought, done) = (AtomicI32::new(1), AtomicU64::new(0), AtomicBool::new(false));
        let work = Arc::new(Work { world: world.clone(), sale, line, next, bought, done });
        let tasks = (0..PEOPLE_AT_ONCE).map(|_| tokio::spawn(people(Arc::clone(&work)))).collect();
        Self { work, tasks }
    }

    fn bought(&self) -> u64 {
        self.work.bought.load(Ordering::Relaxed)
    }

    /// Waits until all have finished what they are at. Answers how many payments went through.
    pub(crate) async fn end(self) -> u64 {
        self.work.done.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.work.bought.load(Ordering::Relaxed)
    }
}

/// What the people of one run share.
struct Work {
    world: World,
    sale: Sale,
    line: String,
    next: AtomicI32,
    bought: AtomicU64,
    done: AtomicBool,
}

/// One person after the other, each doing one of the things that people do.
async fn people(work: Arc<Work>) {
    let Work { world, sale, .. } = &*work;
    while !work.done.load(Ordering::Relaxed) {
        let turn = work.next.fetch_add(1, Ordering::Relaxed);
        let buyer = world.buyer(sale).await;
        world.charge(&buyer.user, if turn % 5 == 0 { 500 } else { 9_000 }).await;
        // Neighbours want overlapping seats: some are told that they are taken.
        let seat = (turn * 2) % (SEATS - 1) + 1;
        let held = world.holding(&buyer, sale.show, &[seat, seat + 1]).send().await;
        if held.status != 201 {
            let _ = world.rest.delete(&format!("/v1/tokens/{}", buyer.token)).send().await;
            continue;
        }
        let reservation = text(&held.body["reservationId"]);
        if turn % 7 == 0 {
            let _ = world
                .rest
                .delete(&format!("/v1/reservations/{reservation}"))
                .token(&buyer.token)
                .send()
                .await;
            continue;
        }
        // Two clicks at once: one payment.
        let (one, other) = tokio::join!(
            world.paying(&buyer, &reservation).send(),
            world.paying(&buyer, &reservation).send()
        );
        work.bought.fetch_add(u64::from(one.status == 201), Ordering::Relaxed);
        assert!(one.status < 500 && other.status < 500, "{} {}", one.text, other.text);
        // A line with few places, which people join and leave.
        let token = text(&world.join(&work.line, &unique("user")).await["token"]);
        if turn % 2 == 0 {
            let _ = world.rest.delete(&format!("/v1/tokens/{token}")).send().await;
        }
    }
}

pub(super) async fn a_mesh_at_work_raises_no_false_alarm(shape: Shape) {
    let world = World::start(shape, &["--hold-ttl", "2s"]).await;
    let people = People::start(&world).await;
    let databases = sources(&world.mesh.databases);
    let patience = Patience::new(WORK_FOR);
    let (mut looks, mut in_flight) = (0, 0);
    // Until enough was seen to say something, however long this machine takes.
    while patience.spent() < WORK_FOR
        || (looks < 10 || people.bought() < 20 || in_flight == 0) && !patience.is_over()
    {
        // One look each: what is in flight must be told apart at once, not because it has gone away when
        // looked at again.
        let report = report(&databases, &strict()).await;
        assert!(report.is_clean(), "look {looks}: {:#?}", report.differences);
        assert!(report.skipped.is_empty(), "{:?}", report.skipped);
        looks += 1;
        in_flight += report.checked.in_flight;
        sleep(Duration::from_millis(50)).await;
    }
    let bought = people.end().await;
    assert!(
        looks >= 10 && bought >= 20,
        "{looks} looks at {bought} payments, {in_flight} in flight: too few to say anything"
    );
    assert!(in_flight > 0, "no look met a payment in flight");
    world.finish().await;
}
