//! Paying, with fake services that lose calls and replies, and runners that die: on both databases.

#![expect(clippy::print_stderr, reason = "tests; a failure says on which database")]

use std::time::Duration;

use boxoffice_proto::{Fault, Reason, booking::ReservationStatus, queue::TokenStatus};
use chassis::{
    background::Vital,
    clock::{Clock, SECOND},
    db::{Db, DbConfig},
    testing::{databases, patience::Patience},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Undoing sales, on the same stage.
mod refunds;

use super::{
    Acting, Caller, Filter, Gate, Pay, Places, Polls, Till,
    fakes::{Fakes, Mishap, PRICE, USER, World},
    runner::LEASE,
    telling::Bell,
};
use crate::{
    clients::Clients,
    config::{OnPaymentFailure, Upstreams},
    domain::{
        checkout::{Checkout, Status},
        saga::STUCK_AFTER,
        story::Tried,
    },
    store::{Actions, Journal},
};

const NOW: i64 = 1_764_000_000_000_000;
const TOKEN: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";

/// One database, the fakes, and the means to start replicas of the edge on them.
struct Stage {
    fakes: Fakes,
    upstreams: Upstreams,
    database: DbConfig,
    clock: Clock,
    shutdown: CancellationToken,
}

impl Stage {
    fn with_clock(&self, clock: Clock) -> Self {
        Self {
            fakes: self.fakes.clone(),
            upstreams: self.upstreams.clone(),
            database: self.database.clone(),
            clock,
            shutdown: self.shutdown.clone(),
        }
    }

    fn mishap(&self, method: &'static str, mishap: Mishap) {
        self.world(|world| world.mishaps.insert(method, mishap));
    }

    async fn replica(&self) -> Till {
        self.replica_with(OnPaymentFailure::Release).await
    }

    async fn replica_with(&self, on_payment_failure: OnPaymentFailure) -> Till {
        let clients = Clients::new(&self.upstreams);
        let db = Db::open(&self.database, &chassis::migrations!()).await.unwrap();
        let acting = Acting::new(Actions::new(db.clone()), self.clock.clone());
        let journal = Journal::new(db);
        let bell = Bell::default();
        let gate = Gate::new(clients.clone());
        let till = Till::new(journal, acting, clients, gate, bell, self.clock.clone(), on_payment_failure);
        tokio::spawn(till.clone().recover_until(self.shutdown.clone()));
        till
    }

    fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.fakes.0.lock())
    }

    fn assert_sold(&self) {
        let (balance, hold, token) = self.world(|world| (world.balance, world.hold, world.token));
        assert_eq!((balance, hold, token), (0, ReservationStatus::Confirmed, TokenStatus::Completed));
    }
}

async fn on_both(balance: i64, test: impl AsyncFn(&Stage)) {
    for database in databases().await {
        eprintln!("on {}", database.name);
        let (fakes, upstreams) = Fakes::start(balance, NOW + 300 * SECOND).await;
        let (clock, shutdown) = (Clock::manual(NOW), CancellationToken::new());
        let stage = Stage { fakes, upstreams, database: database.config.clone(), clock, shutdown };
        test(&stage).await;
        stage.shutdown.cancel();
    }
}

/// Anybody, in an open house, who shows this queue token.
fn showing(token: Option<&str>) -> Caller {
    Caller::new(access::Caller::Unasked, access::House::default(), "token", token)
}

fn caller() -> Caller {
    showing(Some(TOKEN))
}

fn click(key: Option<&str>) -> Pay {
    Pay {
        user_id: USER.into(),
        reservation_id: Uuid::from_u128(9),
        request_id: key.map(str::to_owned),
        price: None,
    }
}

async fn settled(till: &Till) -> Checkout {
    let patience = Patience::new(Duration::from_secs(10));
    while !patience.is_over() {
        let mut all = till.list(&caller(), Filter::default(), None, 51).await.unwrap();
        if let Some(checkout) = all.pop().filter(|checkout| checkout.status != Status::Pending) {
            return checkout;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    unreachable!("not settled {patience}")
}

#[tokio::test]
async fn a_payment_takes_the_money_once_and_makes_the_seats_the_users() {
    on_both(PRICE, async |stage| {
        let till = stage.replica().await;
        let checkout = till.pay(&caller(), click(None)).await.unwrap();
        assert_eq!((checkout.status, checkout.amount, checkout.attempts), (Status::Completed, PRICE, 1));
        stage.assert_sold();
        assert_eq!(till.get(&caller(), checkout.checkout_id, String::new()).await.unwrap(), checkout);
        let again = till.pay(&caller(), click(None)).await.unwrap_err();
        assert_eq!(again.reason, Reason::TokenNotActive);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_at_once_on_several_replicas_are_one_debit_with_one_answer() {
    on_both(PRICE * 20, async |stage| {
        // What is "at once" shows only on a clock that runs.
        let stage = stage.with_clock(Clock::system());
        let replicas = [stage.replica().await, stage.replica().await];
        let clicks = (0..20).map(|n| {
            let (replica, command) = (replicas[n % 2].clone(), click(None));
            tokio::spawn(async move { replica.pay(&caller(), command).await })
        });
        let mut answers = Vec::new();
        for click in clicks.collect::<Vec<_>>() {
            answers.push(click.await.unwrap());
        }
        assert_eq!(stage.world(|world| (world.payments.len(), world.balance)), (1, PRICE * 19));
        assert!(answers.iter().all(|answer| answer.is_ok() && *answer == answers[0]), "{answers:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_that_was_overtaken_while_it_was_being_checked_gets_the_others_answer() {
    on_both(PRICE, async |stage| {
        let stage = stage.with_clock(Clock::system());
        let (fast, slow) = (stage.replica().await, stage.replica().await);
        stage.mishap("verify_token", Mishap::Late);
        let overtaken = tokio::spawn(async move { slow.pay(&caller(), click(Some("k-2"))).await });
        while stage.world(|world| world.mishaps.contains_key("verify_token")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let first = fast.pay(&caller(), click(Some("k-1"))).await.unwrap();
        assert_eq!(overtaken.await.unwrap().unwrap(), first);
        assert_eq!(
            fast.pay(&caller(), click(Some("k-2"))).await.unwrap(),
            first,
            "its key stands for that checkout from now on"
        );
    })
    .await;
}

#[tokio::test]
async fn a_replay_gets_the_first_answer_before_any_other_check() {
    on_both(PRICE, async |stage| {
        let till = stage.replica().await;
        let first = till.pay(&caller(), click(Some("k-1"))).await.unwrap();
        assert_eq!(
            till.pay(&caller(), click(Some("k-1"))).await.unwrap(),
            first,
            "although the token is used up"
        );
        // Whoever only knows names and keys is told nothing of it.
        let as_caller = |token: Option<&str>| {
            let (till, caller) = (till.clone(), showing(token));
            async move { till.pay(&caller, click(Some("k-1"))).await }
        };
        assert_eq!(as_caller(None).await.unwrap_err().reason, Reason::TokenMissing);
        assert_eq!(as_caller(Some("ann's")).await.unwrap_err().reason, Reason::InvalidArgument);
        let hers = Uuid::from_u128(77).to_string();
        assert_eq!(as_caller(Some(&hers)).await.unwrap(), first, "another one of hers");
        let other = Pay { reservation_id: Uuid::from_u128(10), ..click(Some("k-1")) };
        assert_eq!(till.pay(&caller(), other).await.unwrap_err().reason, Reason::RequestIdReused);
    })
    .await;
}

#[tokio::test]
async fn without_money_the_hold_is_released_and_the_replay_is_refused_the_same() {
    on_both(PRICE - 1, async |stage| {
        let till = stage.replica().await;
        let refused = till.pay(&caller(), click(Some("k-1"))).await.unwrap_err();
        assert_eq!(refused.reason, Reason::InsufficientFunds);
        assert_eq!(refused.metadata["payment_status"], "FAILED");
        assert_eq!(stage.world(|world| world.hold), ReservationStatus::Cancelled);
        assert_eq!(till.pay(&caller(), click(Some("k-1"))).await.unwrap_err(), refused);
    })
    .await;
}

#[tokio::test]
async fn with_policy_keep_the_user_tops_up_and_pays_for_the_same_hold() {
    on_both(PRICE - 1, async |stage| {
        let till = stage.replica_with(OnPaymentFailure::Keep).await;
        assert_eq!(till.pay(&caller(), click(None)).await.unwrap_err().reason, Reason::InsufficientFunds);
        stage.world(|world| world.balance += 1);
        assert_eq!(till.pay(&caller(), click(None)).await.unwrap().status, Status::Completed);
        stage.assert_sold();
    })
    .await;
}

#[tokio::test]
async fn a_refused_confirmation_gives_the_money_back_and_says_so() {
    on_both(PRICE, async |stage| {
        stage.world(|world| world.lapses_after_debit = true);
        let till = stage.replica().await;
        let refused = till.pay(&caller(), click(None)).await.unwrap_err();
        assert_eq!(
            (refused.reason, refused.metadata["payment_status"].as_str()),
            (Reason::HoldExpired, "CANCELLED")
        );
        assert!(refused.detail.contains("back"), "{}", refused.detail);
        assert_eq!(stage.world(|world| world.balance), PRICE);
        assert_eq!(settled(&till).await.status, Status::Compensated);
    })
    .await;
}

#[tokio::test]
async fn whichever_call_or_reply_is_lost_the_payment_happens_once() {
    for step in ["create_payment", "confirm_reservation", "complete_token"] {
        for mishap in [Mishap::Lost, Mishap::ReplyLost] {
            on_both(PRICE, async |stage| {
                stage.mishap(step, mishap);
                let checkout = stage.replica().await.pay(&caller(), click(None)).await.unwrap();
                assert_eq!((checkout.status, checkout.attempts), (Status::Completed, 2), "{step} {mishap:?}");
                stage.assert_sold();
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_lost_refund_is_asked_for_until_it_is_known() {
    for mishap in [Mishap::Lost, Mishap::ReplyLost] {
        on_both(PRICE, async |stage| {
            stage.world(|world| {
                world.lapses_after_debit = true;
                world.mishaps.insert("cancel_payment", mishap);
            });
            let refused = stage.replica().await.pay(&caller(), click(None)).await.unwrap_err();
            assert_eq!(refused.metadata["payment_status"], "CANCELLED");
            assert_eq!(stage.world(|world| world.balance), PRICE);
        })
        .await;
    }
}

#[tokio::test]
async fn a_checkout_whose_refund_keeps_being_refused_is_parked_until_an_operator_has_it_tried_again() {
    on_both(PRICE, async |stage| {
        stage.world(|world| {
            world.lapses_after_debit = true;
            world.mishaps.insert("cancel_payment", Mishap::Refused);
        });
        let replica = stage.replica().await;
        let parked = async || {
            replica.list(&caller(), Filter { parked: true, ..Filter::default() }, None, 51).await.unwrap()
        };
        let begun = replica.pay(&caller(), click(None)).await.unwrap();
        assert_eq!(begun.status, Status::Pending, "nothing is promised while the refund stays out");
        while parked().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let checkout = &parked().await[0];
        assert!(checkout.checkout_id == begun.checkout_id && checkout.parked_at.is_some());
        let told = |checkout: &Checkout| -> Vec<_> {
            let lines = checkout.story.lines().iter();
            lines.map(|line| (line.step.clone(), line.outcome, line.reason.clone(), line.times)).collect()
        };
        let line = |step: &str, outcome, reason: Option<&str>, times| {
            (step.to_owned(), outcome, reason.map(str::to_owned), times)
        };
        let until_parked = [
            line("create_payment", Tried::Done, None, 1),
            line("confirm_reservation", Tried::Refused, Some("HOLD_EXPIRED"), 1),
            line("cancel_payment", Tried::Refused, Some("INVALID_ARGUMENT"), STUCK_AFTER),
        ];
        assert_eq!(told(checkout), until_parked);

        stage.world(|world| world.mishaps.clear());
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(parked().await.len(), 1, "it is left alone");
        assert_eq!(replica.retry(&caller(), begun.checkout_id).await.unwrap().parked_at, None);
        let ended = settled(&replica).await;
        assert_eq!((ended.status, ended.parked_at), (Status::Compensated, None));
        assert_eq!(stage.world(|world| world.balance), PRICE);
        let since = [
            line("taken_over", Tried::Done, None, 1),
            line("extend_hold", Tried::Refused, Some("HOLD_EXPIRED"), 1),
            line("cancel_payment", Tried::Done, None, 1),
        ];
        assert_eq!(told(&ended)[until_parked.len()..], since);
        assert_eq!(
            replica.retry(&caller(), begun.checkout_id).await.unwrap(),
            ended,
            "what is settled stays settled"
        );
    })
    .await;
}

/// A replica on a runtime of its own, which goes away in the middle of a call, as a killed process does.
async fn dies_during<F>(
    stage: &Stage,
    step: &'static str,
    mishap: Mishap,
    act: impl FnOnce(Till) -> F + Send + 'static,
) where
    F: Future<Output = Result<Checkout, Fault>> + Send + 'static,
{
    stage.mishap(step, mishap);
    let doomed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let shared = stage.with_clock(stage.clock.clone());
    let acting = doomed.spawn(async move { act(shared.replica().await).await });
    while stage.world(|world| world.mishaps.contains_key(step)) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    doomed.shutdown_background();
    assert!(acting.await.is_err(), "it was to die in {step}");
}

async fn pays(till: Till) -> Result<Checkout, Fault> {
    till.pay(&caller(), click(Some("k-1"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_ends_what_a_dead_one_began_wherever_it_died() {
    for step in ["create_payment", "confirm_reservation", "complete_token"] {
        for mishap in [Mishap::Swallowed, Mishap::Hangs] {
            on_both(PRICE, async |stage| {
                dies_during(stage, step, mishap, pays).await;
                let other = stage.replica().await;
                stage.clock.advance(LEASE + 1);
                let checkout = settled(&other).await;
                assert_eq!((checkout.status, checkout.attempts), (Status::Completed, 2), "{step} {mishap:?}");
                stage.assert_sold();
                assert_eq!(other.pay(&caller(), click(Some("k-1"))).await.unwrap(), checkout);
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_gives_back_the_money_that_a_dead_one_owed() {
    for mishap in [Mishap::Swallowed, Mishap::Hangs] {
        on_both(PRICE, async |stage| {
            stage.world(|world| world.lapses_after_debit = true);
            dies_during(stage, "cancel_payment", mishap, pays).await;
            let other = stage.replica().await;
            stage.clock.advance(LEASE + 1);
            assert_eq!(settled(&other).await.status, Status::Compensated);
            assert_eq!(stage.world(|world| world.balance), PRICE);
            assert_eq!(
                other.pay(&caller(), click(Some("k-1"))).await.unwrap_err().reason,
                Reason::HoldExpired
            );
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_stops_leaves_what_is_stuck_to_another_at_once() {
    on_both(PRICE, async |stage| {
        let stopping = stage.replica().await;
        stage.mishap("confirm_reservation", Mishap::Lost);
        let paying = {
            let stopping = stopping.clone();
            tokio::spawn(async move { stopping.pay(&caller(), click(None)).await })
        };
        while stage.world(|world| world.mishaps.contains_key("confirm_reservation")) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stopping.drain().await;
        let other = stage.replica().await;
        // Without the clock moving: no lease has to lapse.
        assert_eq!(settled(&other).await.status, Status::Completed);
        assert_eq!(paying.await.unwrap().map(|checkout| checkout.status), Ok(Status::Completed));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_in_flight_share_calls_and_each_gets_its_own_answer() {
    let (fakes, upstreams) = Fakes::start(0, NOW).await;
    let polls = Polls::new(Places::new(Clients::new(&upstreams).queue), Vital::default());
    let asked = (0..500_u128).map(|n| {
        let polls = polls.clone();
        tokio::spawn(async move { (n, polls.get(Uuid::from_u128((1 << 96) | (n / 2))).await) })
    });
    for poll in asked.collect::<Vec<_>>() {
        let (n, answer) = poll.await.unwrap();
        match answer {
            Ok(place) => assert_eq!(place.token.token, Uuid::from_u128((1 << 96) | (n / 2)).to_string()),
            Err(Fault { reason, .. }) => assert_eq!((reason, n / 2), (Reason::TokenNotFound, 0)),
        }
    }
    let calls = fakes.0.lock().calls["batch_get_tokens"];
    assert!(calls < 50, "500 polls made {calls} calls");

    fakes.0.lock().mishaps.insert("batch_get_tokens", Mishap::Lost);
    assert_eq!(polls.get(Uuid::from_u128(77)).await.unwrap_err().reason, Reason::Internal);
}
