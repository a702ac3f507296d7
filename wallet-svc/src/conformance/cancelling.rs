//! Cancelling payments, also those that have not arrived yet.

use boxoffice_proto::{Reason, wallet as pb};

use super::{at_once, order, reason, worlds};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_payment_cancelled_any_number_of_times_is_refunded_once() {
    for world in worlds().await {
        world.charge("ann", 1_000, "").await.unwrap();
        world.pay(order(1, "ann", 300)).await.unwrap();
        world.clock.advance(1_000_000);
        let answers =
            at_once(&world, 50, |world, _| async move { world.cancel(1, "SEAT_LOST", "").await.unwrap() })
                .await;
        assert!(answers.iter().all(|answer| answer == &answers[0]), "{}", world.name());
        assert_eq!((answers[0].balance, answers[0].refunded), (1_000, true));
        let payment = answers[0].payment.clone().unwrap();
        assert_eq!((payment.status(), payment.reason.as_str()), (pb::PaymentStatus::Cancelled, "SEAT_LOST"));
        assert_eq!(payment.settled_at.unwrap().seconds - payment.created_at.unwrap().seconds, 1);
        assert_eq!(world.balance("ann").await, Ok(1_000));

        let again = world.cancel(1, "ANOTHER_REASON", "").await.unwrap();
        assert_eq!(again, answers[0], "the first cancellation stands");
        let replay = world.pay(order(1, "ann", 300)).await.unwrap();
        assert_eq!(
            (replay.payment, replay.balance),
            (Some(payment), 1_000),
            "the order again is told what became of it"
        );
        world.audit().await;
    }
}

#[tokio::test]
async fn a_cancellation_that_comes_first_bars_its_payment() {
    for world in worlds().await {
        world.charge("ann", 1_000, "").await.unwrap();
        for _ in 0..2 {
            let answer = world.cancel(1, "TIMED_OUT", "").await.unwrap();
            assert_eq!((answer.balance, answer.refunded), (0, false));
            let tombstone = answer.payment.unwrap();
            assert_eq!(
                (tombstone.status(), tombstone.reason.as_str()),
                (pb::PaymentStatus::Cancelled, "TIMED_OUT")
            );
            assert_eq!(
                (tombstone.user_id.as_str(), tombstone.reservation_id.as_str(), tombstone.amount),
                ("", "", 0)
            );
        }
        let fault = world.pay(order(1, "ann", 300)).await.unwrap_err();
        assert_eq!(fault.reason, Reason::ReservationCancelled);
        assert_eq!(fault.metadata["payment_id"], super::id(1));
        assert_eq!(world.balance("ann").await, Ok(1_000));
        assert_eq!(
            world.payments("ann", 0, "").await.unwrap().payments,
            [],
            "a tombstone is nobody's payment"
        );
        world.audit().await;
    }
}

#[tokio::test]
async fn a_failed_payment_stays_failed_when_it_is_cancelled() {
    for world in worlds().await {
        world.charge("ann", 100, "").await.unwrap();
        world.pay(order(1, "ann", 300)).await.unwrap_err();
        let answer = world.cancel(1, "", "").await.unwrap();
        assert_eq!((answer.balance, answer.refunded), (100, false));
        assert_eq!(answer.payment.unwrap().status(), pb::PaymentStatus::Failed);
        world.audit().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_payment_racing_its_cancellation_ends_refunded_or_barred_and_never_in_between() {
    for world in worlds().await {
        world.charge("ann", 10_000, "").await.unwrap();
        for round in 0..60_u128 {
            // The call that is spawned first changes every round, so that each of them wins sometimes.
            let answers = at_once(&world, 6, |world, index| async move {
                if (index as u128 + round).is_multiple_of(2) {
                    world.pay(order(round, "ann", 300)).await.map(|_| false)
                } else {
                    world.cancel(round, "RACE", "").await.map(|answer| answer.refunded)
                }
            });
            let answers = answers.await;
            let payment = world.payment(round).await.unwrap();
            assert_eq!(payment.status(), pb::PaymentStatus::Cancelled, "round {round} ({})", world.name());
            let refunds = answers.iter().filter(|answer| **answer == Ok(true)).count();
            if payment.user_id.is_empty() {
                assert_eq!(refunds, 0);
                let refused = answers.into_iter().filter_map(Result::err).map(|fault| fault.reason);
                assert_eq!(refused.collect::<Vec<_>>(), [Reason::ReservationCancelled; 3]);
            } else {
                assert_eq!(refunds, 3, "whoever cancels a refunded payment is told so");
                assert!(answers.iter().all(Result::is_ok));
            }
            assert_eq!(world.balance("ann").await, Ok(10_000));
        }
        world.audit().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn charges_uses_payments_and_cancellations_of_one_user_all_at_once_do_not_deadlock_and_add_up() {
    for world in worlds().await {
        world.charge("ann", 100_000, "").await.unwrap();
        let answers = at_once(&world, 300, |world, index| async move {
            let payment = index as u128 / 10;
            match index % 5 {
                0 => world.charge("ann", 100, &format!("move-{index}")).await.map(drop),
                1 => world.spend("ann", 100, &format!("move-{index}")).await.map(drop),
                2 | 3 => world.pay(order(payment, "ann", 700)).await.map(drop),
                _ => world.cancel(payment, "", "").await.map(drop),
            }
        });
        for answer in answers.await {
            match answer {
                Ok(()) => {}
                Err(fault) => {
                    assert_eq!(fault.reason, Reason::ReservationCancelled, "{fault} ({})", world.name())
                }
            }
        }
        assert_eq!(
            world.balance("ann").await,
            Ok(100_000),
            "every payment was cancelled, every use was charged"
        );
        world.audit().await;
    }
}

#[tokio::test]
async fn a_request_id_on_a_cancellation_is_kept_from_other_cancellations() {
    for world in worlds().await {
        world.charge("ann", 1_000, "").await.unwrap();
        world.pay(order(1, "ann", 300)).await.unwrap();
        let first = world.cancel(1, "", "r").await.unwrap();
        assert_eq!(world.cancel(1, "", "r").await.unwrap(), first);
        assert_eq!(reason(world.cancel(2, "", "r").await), Reason::RequestIdReused);
        assert_eq!(reason(world.payment(2).await), Reason::PaymentNotFound);
        world.audit().await;
    }
}
