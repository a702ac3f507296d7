//! The journal's conformance: the same promises on SQLite and on PostgreSQL.

#![expect(clippy::print_stderr, reason = "tests; a failure says on which database")]

use boxoffice_proto::{Fault, Reason};
use chassis::{
    args,
    clock::{Clock, SECOND},
    db::{Db, Error},
    idempotency::Key,
    prune,
    testing::databases,
};
use uuid::Uuid;

use super::{Events, Failing, Journal, Narrowed, Progress, Settlement};
use crate::{
    config::Retention,
    domain::{
        checkout::{Checkout, RecordedCheckout, Status},
        event,
        saga::Ending,
        story::Story,
    },
};

pub(super) const NOW: i64 = 1_764_000_000_000_000;
const ANN: &str = "ann";

/// Runs a test on a fresh database of each dialect.
pub(super) async fn on_both(test: impl AsyncFn(Journal)) {
    for database in databases().await {
        eprintln!("on {}", database.name);
        test(Journal::new(Db::open(&database.config, &chassis::migrations!()).await.unwrap())).await;
    }
}

pub(super) fn new(reservation_id: Uuid, created_at: i64) -> RecordedCheckout {
    let checkout = Checkout::begun(Uuid::new_v4(), ANN.into(), reservation_id, 150_000, created_at);
    RecordedCheckout { checkout, token: Uuid::new_v4(), refusal: None, trace: None }
}

fn settlement(entry: &RecordedCheckout, ending: Ending, settled_at: i64) -> Settlement {
    let status = ending.status();
    let refusal = ending.refusal(entry.checkout.checkout_id);
    let reason = refusal.as_ref().map(|fault| fault.reason.to_string());
    let checkout = Checkout { status, reason, settled_at: Some(settled_at), ..entry.checkout.clone() };
    Settlement { events: event::outcome(&checkout), checkout, refusal, rounds: 2 }
}

fn failed() -> Ending {
    Ending::Failed(Fault::new(Reason::InsufficientFunds, "Short of money.").with("shortfall", 7))
}

fn key(request_id: &str, entry: &RecordedCheckout) -> Key {
    Key::new(request_id.to_owned(), "Pay", &entry.checkout.user_id, &entry.checkout.reservation_id)
}

pub(super) async fn begin(journal: &Journal, entry: &RecordedCheckout, request_id: Option<&str>) -> bool {
    let key = request_id.map(|id| key(id, entry));
    journal.begin(entry, key.as_ref(), Uuid::nil(), NOW + 3 * SECOND).await.unwrap()
}

/// A checkout that was paid.
pub(super) async fn completed(journal: &Journal) -> RecordedCheckout {
    let entry = new(Uuid::new_v4(), NOW);
    assert!(begin(journal, &entry, None).await);
    journal.settle(&settlement(&entry, Ending::Completed, NOW + 1)).await.unwrap();
    entry
}

/// The checkout that an id stands for, when it comes with what `entry` was begun with.
async fn named(journal: &Journal, request_id: &str, entry: &RecordedCheckout) -> Option<RecordedCheckout> {
    let Checkout { user_id, reservation_id, .. } = &entry.checkout;
    journal.known(Some(&key(request_id, entry)), user_id, *reservation_id).await.unwrap().named
}

pub(super) async fn count(journal: &Journal, sql: &'static str) -> i64 {
    journal.db.read().await.unwrap().one(sql, Vec::new()).await.unwrap().get("n").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_concurrent_checkouts_of_a_reservation_one_is_begun() {
    on_both(async |journal| {
        let reservation = Uuid::new_v4();
        let clicks = (0..20).map(|_| {
            let (journal, entry) = (journal.clone(), new(reservation, NOW));
            tokio::spawn(async move { begin(&journal, &entry, None).await })
        });
        let mut begun = 0;
        for click in clicks.collect::<Vec<_>>() {
            begun += i32::from(click.await.unwrap());
        }
        assert_eq!(begun, 1);
    })
    .await;
}

#[tokio::test]
async fn a_reservation_can_be_tried_again_after_a_failure_and_never_after_a_sale() {
    on_both(async |journal| {
        let reservation = Uuid::new_v4();
        let (first, second, third) =
            (new(reservation, NOW), new(reservation, NOW + 1), new(reservation, NOW + 2));
        assert!(begin(&journal, &first, None).await);
        assert!(!begin(&journal, &second, None).await);
        journal.settle(&settlement(&first, failed(), NOW + 5)).await.unwrap();
        assert!(begin(&journal, &second, None).await);
        journal.settle(&settlement(&second, Ending::Completed, NOW + 9)).await.unwrap();
        assert!(!begin(&journal, &third, None).await);
    })
    .await;
}

#[tokio::test]
async fn a_checkout_is_settled_once_and_told_the_same_for_ever() {
    on_both(async |journal| {
        let entry = new(Uuid::new_v4(), NOW);
        begin(&journal, &entry, None).await;
        let (settled, ours) = journal.settle(&settlement(&entry, failed(), NOW + 5)).await.unwrap();
        let settled = settled.unwrap();
        assert!(ours);
        assert_eq!(settled.checkout.attempts, 3);

        let (again, ours) = journal.settle(&settlement(&entry, Ending::Completed, NOW + 9)).await.unwrap();
        assert!(!ours);
        assert_eq!(again.as_ref(), Some(&settled));
        let refusal = settled.refusal.unwrap();
        assert_eq!(
            (refusal.reason, refusal.detail.as_str()),
            (Reason::InsufficientFunds, "Short of money. No money was taken.")
        );
        assert_eq!(refusal.metadata["shortfall"], "7");
        assert_eq!(refusal.metadata["payment_id"], entry.checkout.checkout_id.to_string());
        assert_eq!(count(&journal, "SELECT count(*) AS n FROM outbox").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_request_id_stands_for_one_checkout() {
    on_both(async |journal| {
        let (entry, other) = (new(Uuid::new_v4(), NOW), new(Uuid::new_v4(), NOW));
        let named = async |request_id| named(&journal, request_id, &new(Uuid::new_v4(), NOW)).await;
        assert!(begin(&journal, &entry, Some("r-1")).await);
        assert!(!begin(&journal, &other, Some("r-1")).await, "and nothing of the other is left behind");
        assert_eq!(journal.get(other.checkout.checkout_id).await.unwrap(), None);
        assert_eq!(named("r-1").await.as_ref(), Some(&entry));
        assert_eq!(named("r-2").await, None);

        assert!(begin(&journal, &other, Some("r-2")).await);
        journal.name(&key("r-3", &entry), entry.checkout.checkout_id).await.unwrap();
        journal.name(&key("r-2", &entry), entry.checkout.checkout_id).await.unwrap();
        assert_eq!(named("r-3").await, Some(entry));
        assert_eq!(named("r-2").await, Some(other));
    })
    .await;
}

#[tokio::test]
async fn a_request_id_is_its_users_own() {
    on_both(async |journal| {
        let (anns, mut bobs) = (new(Uuid::new_v4(), NOW), new(Uuid::new_v4(), NOW));
        bobs.checkout.user_id = "bob".into();
        assert!(
            begin(&journal, &anns, Some("order-2")).await && begin(&journal, &bobs, Some("order-2")).await
        );
        assert_eq!(named(&journal, "order-2", &anns).await.as_ref(), Some(&anns));
        assert_eq!(named(&journal, "order-2", &bobs).await.as_ref(), Some(&bobs));
    })
    .await;
}

/// A program of release 0.1 writes and reads the bare id.
#[tokio::test]
async fn what_an_older_program_was_asked_is_not_done_again_nor_taken_for_somebody_elses() {
    on_both(async |journal| {
        let (entry, other) = (new(Uuid::new_v4(), NOW), new(Uuid::new_v4(), NOW));
        assert!(begin(&journal, &entry, None).await);
        let mut session = journal.db.begin().await.unwrap();
        let older = "INSERT INTO checkout_request (request_id, checkout_id) VALUES ($1, $2)";
        session.execute(older, args!["r-1", entry.checkout.checkout_id]).await.unwrap();
        session.commit().await.unwrap();
        assert_eq!(named(&journal, "r-1", &entry).await.as_ref(), Some(&entry));
        assert_eq!(named(&journal, "r-1", &other).await, None);
        assert!(begin(&journal, &other, Some("r-1")).await);
        assert_eq!(named(&journal, "r-1", &other).await.as_ref(), Some(&other));

        let third = new(Uuid::new_v4(), NOW);
        assert!(begin(&journal, &third, Some("r-3")).await);
        let sql = "SELECT checkout_id FROM checkout_request WHERE request_id = 'r-3'";
        let found: Uuid =
            journal.db.read().await.unwrap().one(sql, vec![]).await.unwrap().get("checkout_id").unwrap();
        assert_eq!(found, third.checkout.checkout_id, "and it finds what was begun here");
    })
    .await;
}

#[tokio::test]
async fn workings_of_old_checkouts_are_forgotten_and_the_checkouts_stay() {
    on_both(async |journal| {
        let day = 24 * 3_600 * SECOND;
        let (old, young, pending) =
            (new(Uuid::new_v4(), NOW), new(Uuid::new_v4(), NOW), new(Uuid::new_v4(), NOW));
        for (entry, id) in [(&old, "old"), (&young, "young"), (&pending, "pending")] {
            assert!(begin(&journal, entry, Some(id)).await);
        }
        journal.settle(&settlement(&old, failed(), NOW)).await.unwrap();
        journal.settle(&settlement(&young, failed(), NOW + day)).await.unwrap();
        let kept = journal.get(young.checkout.checkout_id).await.unwrap();
        let clock = Clock::manual(NOW + 30 * day);
        prune::round(&journal.db, &clock, &Retention::default().old()).await;
        assert!(named(&journal, "old", &old).await.is_some(), "for thirty days");

        clock.advance(1);
        prune::round(&journal.db, &clock, &Retention::default().old()).await;
        assert_eq!(named(&journal, "old", &old).await, None);
        assert_eq!(
            count(&journal, "SELECT count(*) AS n FROM checkout_request").await,
            4,
            "both names of the others"
        );
        let left = journal.get(old.checkout.checkout_id).await.unwrap().unwrap();
        assert_eq!(
            (left.checkout.status, left.checkout.reason.as_deref()),
            (Status::Failed, Some("INSUFFICIENT_FUNDS"))
        );
        assert_eq!(left.checkout.story, Story::default());
        assert_eq!(
            left.refusal.unwrap().reason,
            Reason::InsufficientFunds,
            "the reason is told all the same"
        );
        assert_eq!(journal.get(young.checkout.checkout_id).await.unwrap(), kept);
        assert!(named(&journal, "pending", &pending).await.is_some(), "what is under way is forgotten never");
        assert_eq!(count(&journal, "SELECT count(*) AS n FROM checkout WHERE story IS NOT NULL").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_click_finds_what_is_under_way_or_ended_since_and_only_its_own_users() {
    on_both(async |journal| {
        let reservation = Uuid::new_v4();
        let entry = new(reservation, NOW);
        begin(&journal, &entry, None).await;
        assert_eq!(journal.under_way(ANN, reservation, NOW + 1).await.unwrap().as_ref(), Some(&entry));
        assert_eq!(journal.under_way("bob", reservation, i64::MIN).await.unwrap(), None);
        journal.settle(&settlement(&entry, Ending::Completed, NOW + 5)).await.unwrap();
        let found = journal.under_way(ANN, reservation, NOW + 4).await.unwrap().unwrap();
        assert_eq!(found.checkout.status, Status::Completed);
        assert_eq!(journal.under_way(ANN, reservation, NOW + 5).await.unwrap(), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lapsed_checkout_is_taken_over_by_exactly_one_runner() {
    on_both(async |journal| {
        for _ in 0..30 {
            begin(&journal, &new(Uuid::new_v4(), NOW), None).await;
        }
        let settled = new(Uuid::new_v4(), NOW);
        begin(&journal, &settled, None).await;
        journal.settle(&settlement(&settled, Ending::Completed, NOW + 1)).await.unwrap();
        let lapse = NOW + 3 * SECOND;
        assert_eq!(
            journal.take_over(Uuid::new_v4(), lapse, lapse, 100).await.unwrap(),
            [],
            "none has lapsed yet"
        );

        let runners = (0..6).map(|_| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.take_over(Uuid::new_v4(), lapse + 1, lapse + 9, 10).await })
        });
        let mut taken = Vec::new();
        for runner in runners.collect::<Vec<_>>() {
            match runner.await.unwrap() {
                Ok(some) => taken.extend(some),
                Err(error) => assert!(error.is_contended(), "{error}"),
            }
        }
        taken.extend(journal.take_over(Uuid::new_v4(), lapse + 1, lapse + 9, 100).await.unwrap());
        assert!(taken.iter().all(|entry| entry.checkout.attempts == 2));
        let mut ids: Vec<_> = taken.iter().map(|entry| entry.checkout.checkout_id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ids.len(), taken.len()), (30, 30), "each once");
    })
    .await;
}

#[tokio::test]
async fn a_runner_renews_only_what_it_still_has_and_works_on() {
    on_both(async |journal| {
        let (me, other) = (Uuid::new_v4(), Uuid::new_v4());
        let (working, lost, stolen) =
            (new(Uuid::new_v4(), NOW), new(Uuid::new_v4(), NOW), new(Uuid::new_v4(), NOW));
        for (entry, runner) in [(&working, me), (&lost, me), (&stolen, other)] {
            assert!(journal.begin(entry, None, runner, NOW).await.unwrap());
        }
        let ids = vec![working.checkout.checkout_id, stolen.checkout.checkout_id];
        journal.renew(me, ids, NOW + 9).await.unwrap();
        let mut lapsed: Vec<_> = journal.take_over(Uuid::new_v4(), NOW + 5, NOW + 99, 10).await.unwrap();
        lapsed.sort_by_key(|entry| entry.checkout.checkout_id == stolen.checkout.checkout_id);
        let ids: Vec<_> = lapsed.iter().map(|entry| entry.checkout.checkout_id).collect();
        assert_eq!(ids, [lost.checkout.checkout_id, stolen.checkout.checkout_id]);

        assert_eq!(journal.release_leases(me).await.unwrap(), 1);
        let left = journal.take_over(Uuid::new_v4(), NOW + 5, NOW + 99, 10).await.unwrap();
        assert_eq!(left[0].checkout.checkout_id, working.checkout.checkout_id);
    })
    .await;
}

#[tokio::test]
async fn who_renews_shortens_no_lease_of_a_checkout_that_was_parked_meanwhile() {
    on_both(async |journal| {
        let (me, entry) = (Uuid::new_v4(), new(Uuid::new_v4(), NOW));
        assert!(journal.begin(&entry, None, me, NOW + 3).await.unwrap());
        let id = entry.checkout.checkout_id;
        journal.park(id, me, NOW, NOW + 60, &entry.checkout.story).await.unwrap();
        journal.renew(me, vec![id], NOW + 9).await.unwrap();
        assert!(journal.take_over(Uuid::new_v4(), NOW + 20, NOW + 99, 10).await.unwrap().is_empty());
        assert_eq!(journal.take_over(Uuid::new_v4(), NOW + 61, NOW + 99, 10).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn lists_page_newest_first_and_narrow_by_user_and_status() {
    on_both(async |journal| {
        let mut newest_first = Vec::new();
        for at in 0..5 {
            let entry = new(Uuid::new_v4(), NOW + at / 2);
            begin(&journal, &entry, None).await;
            newest_first.push((entry.checkout.created_at, entry.checkout.checkout_id));
        }
        let last = journal.get(newest_first[4].1).await.unwrap().unwrap();
        journal.settle(&settlement(&last, failed(), NOW + 50)).await.unwrap();
        newest_first.sort_unstable_by(|a, b| b.cmp(a));

        let mut walked = Vec::new();
        let mut narrowed = Narrowed { user_id: Some(ANN.into()), limit: 2, ..Narrowed::default() };
        loop {
            let page = journal.list(&narrowed).await.unwrap();
            let Some(last) = page.last() else { break };
            narrowed.before = Some((last.checkout.created_at, last.checkout.checkout_id));
            walked.extend(page.iter().map(|entry| (entry.checkout.created_at, entry.checkout.checkout_id)));
        }
        assert_eq!(walked, newest_first);

        let of = async |user: Option<&str>, status| {
            let narrowed =
                Narrowed { user_id: user.map(str::to_owned), status, limit: 10, ..Narrowed::default() };
            journal.list(&narrowed).await.unwrap().len()
        };
        assert_eq!((of(None, None).await, of(Some("bob"), None).await), (5, 0));
        assert_eq!(
            (of(None, Some(Status::Failed)).await, of(Some(ANN), Some(Status::Pending)).await),
            (1, 4)
        );

        let parked = async |user: Option<&str>| {
            let narrowed =
                Narrowed { user_id: user.map(str::to_owned), parked: true, limit: 10, ..Narrowed::default() };
            journal.list(&narrowed).await.unwrap().len()
        };
        let pending = Narrowed { status: Some(Status::Pending), limit: 1, ..Narrowed::default() };
        let stuck = journal.list(&pending).await.unwrap()[0].checkout.checkout_id;
        journal.park(stuck, Uuid::nil(), NOW, NOW + 60 * SECOND, &Story::default()).await.unwrap();
        assert_eq!((parked(None).await, parked(Some(ANN)).await, parked(Some("bob")).await), (1, 1, 0));
        assert_eq!(journal.parked().await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn events_get_rising_positions_in_their_order_and_are_forgotten_by_age() {
    on_both(async |journal| {
        let events = Events::new(journal.db.clone());
        assert_eq!(events.order(NOW).await.unwrap(), None);
        let entries = [new(Uuid::new_v4(), NOW), new(Uuid::new_v4(), NOW)];
        for entry in &entries {
            begin(&journal, entry, None).await;
            journal.settle(&settlement(entry, Ending::Completed, NOW)).await.unwrap();
        }
        assert_eq!(events.order(NOW).await.unwrap(), Some(4));
        assert_eq!(count(&journal, "SELECT count(*) AS n FROM outbox").await, 0);
        let told = events.after(0, 10).await.unwrap();
        let seen: Vec<_> =
            told.iter().map(|one| (one.position, one.subject.clone(), one.kind.as_str())).collect();
        let [first, second] = entries.map(|entry| entry.checkout.checkout_id.to_string());
        let (payment, reservation) = ("boxoffice.payment.completed", "boxoffice.reservation.confirmed");
        assert_eq!(
            seen,
            [
                (1, first.clone(), payment),
                (2, first.clone(), reservation),
                (3, second.clone(), payment),
                (4, second, reservation)
            ]
        );
        assert_eq!(events.position_of(&format!("{first}/reservation")).await.unwrap(), Some(2));
        assert_eq!(events.after(3, 10).await.unwrap(), told[3..]);

        let all = "SELECT count(*) AS n FROM event";
        let clock = Clock::manual(NOW + 7 * 24 * 3_600 * SECOND);
        prune::round(&journal.db, &clock, &Retention::default().old()).await;
        assert_eq!(count(&journal, all).await, 4);
        clock.advance(1);
        prune::round(&journal.db, &clock, &Retention::default().old()).await;
        assert_eq!((count(&journal, all).await, events.newest().await.unwrap()), (0, 4), "positions go on");
    })
    .await;
}

#[tokio::test]
async fn a_subscriber_is_told_by_one_edge_at_a_time_and_moved_by_nobody_else() {
    on_both(async |journal| {
        let events = Events::new(journal.db.clone());
        let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
        let failing = Some(Failing { attempts: 2, since: NOW, why: "it answered 503".into() });
        let to = |position| Progress { position, due_at: NOW + 7, failing: failing.clone(), gone_at: None };
        assert!(events.subscribe("crm", one, NOW).await.unwrap());
        assert!(!events.subscribe("crm", other, NOW).await.unwrap(), "it is known");
        assert!(events.lease("crm", one, one, NOW, NOW + SECOND).await.unwrap());
        assert!(!events.lease("crm", one, other, NOW, NOW + SECOND).await.unwrap());
        assert!(!events.advance("crm", other, 0, &to(5)).await.unwrap());
        assert!(!events.advance("crm", one, 1, &to(5)).await.unwrap(), "it was not there");
        assert!(events.advance("crm", one, 0, &to(5)).await.unwrap());
        let known = events.subscription("crm").await.unwrap().unwrap();
        assert_eq!((known.position, known.due_at, &known.failing), (5, NOW + 7, &failing));
        assert!(events.lease("crm", one, other, NOW + SECOND, NOW + 9 * SECOND).await.unwrap(), "it lapsed");
        assert!(!events.advance("crm", one, 5, &to(6)).await.unwrap());
        events.release(other, NOW).await.unwrap();
        assert!(events.lease("crm", other, one, NOW, NOW + SECOND).await.unwrap(), "it was let go");
        assert!(events.replay("crm", 2, NOW).await.unwrap() && !events.replay("erp", 2, NOW).await.unwrap());
        let known = events.subscription("crm").await.unwrap().unwrap();
        assert_eq!((known.position, known.due_at, known.failing), (2, 0, None));

        let clock = Clock::manual(NOW + 8 * 24 * 3_600 * SECOND);
        prune::round(&journal.db, &clock, &Retention::default().old()).await;
        assert_eq!(events.subscription("crm").await.unwrap(), None, "no edge tells it any more");
    })
    .await;
}

#[tokio::test]
async fn the_database_itself_refuses_what_must_not_be() {
    on_both(async |journal| {
        let entry = new(Uuid::new_v4(), NOW);
        begin(&journal, &entry, None).await;
        for broken in [
            "UPDATE checkout SET amount = -1 WHERE checkout_id = $1",
            "UPDATE checkout SET status = 'PAID' WHERE checkout_id = $1",
            "UPDATE checkout SET status = 'COMPLETED' WHERE checkout_id = $1",
            "UPDATE checkout SET status = 'FAILED', settled_at = 1 WHERE checkout_id = $1",
        ] {
            let mut session = journal.db.begin().await.unwrap();
            let refused = session.execute(broken, args![entry.checkout.checkout_id]).await;
            assert!(matches!(refused, Err(Error::Check { .. })), "{broken}: {refused:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_handed_over_again_is_written_once_and_one_edge_at_a_time_takes_it() {
    on_both(async |journal| {
        let events = Events::new(journal.db.clone());
        let opened = |version| event::queue_opened("q", version, "FIFO", None, 0, NOW);
        completed(&journal).await;
        assert_eq!(events.append(&[opened(1), opened(2)], NOW).await.unwrap(), 2);
        assert_eq!(events.order(NOW).await.unwrap(), Some(4), "the two of the sale are next");
        // The same edge again, or another one.
        events.append(&[opened(2), opened(3), opened(3)], NOW).await.unwrap();
        let told: Vec<_> = events.after(0, 9).await.unwrap().into_iter().map(|event| event.id).collect();
        assert_eq!(
            told.iter().map(|id| id.split('/').next_back().unwrap()).collect::<Vec<_>>(),
            ["1", "2", "payment", "reservation", "3"]
        );

        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let lease = async |edge, now| events.lease_feed("booking", edge, now, now + 10).await.unwrap();
        assert!(lease(one, NOW).await && lease(one, NOW + 5).await);
        assert!(!lease(other, NOW + 14).await, "the other one has it");
        assert!(lease(other, NOW + 15).await && !lease(one, NOW + 15).await);
        events.release(other, NOW + 16).await.unwrap();
        assert!(lease(one, NOW + 16).await);
    })
    .await;
}
