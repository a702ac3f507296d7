//! Payments: what one id does, however it is sent.

use boxoffice_proto::{Reason, wallet as pb};

use super::{at_once, id, order, reason, worlds};

#[tokio::test]
async fn a_payment_debits_the_wallet_and_is_recorded() {
    for world in worlds().await {
        world.charge("ann", 1_000, "").await.unwrap();
        let answer = world.pay(order(1, "ann", 300)).await.unwrap();
        assert_eq!(answer.balance, 700);
        let payment = answer.payment.unwrap();
        assert_eq!(payment.status(), pb::PaymentStatus::Completed);
        assert_eq!((payment.user_id.as_str(), payment.amount, payment.reason.as_str()), ("ann", 300, ""));
        assert_eq!((payment.payment_id.clone(), payment.reservation_id.clone()), (id(1), id(1_000_001)));
        assert_eq!(world.payment(1).await, Ok(payment));

        let newest = world.entries("ann", 1, "").await.unwrap().entries.remove(0);
        assert_eq!((newest.kind(), newest.amount, newest.balance_after), (pb::EntryKind::Payment, -300, 700));
        assert_eq!(newest.payment_id, id(1));
        world.audit().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_4_000_and_2_000_and_3_500_from_5_000_exactly_what_fits_completes_and_the_rest_is_recorded_as_failed()
 {
    for world in worlds().await {
        for round in 0..20_u128 {
            let user = format!("user-{round}");
            world.charge(&user, 5_000, "").await.unwrap();
            let amounts = [4_000, 2_000, 3_500];
            let answers = at_once(&world, 3, |world, index| {
                let order = order(round * 10 + index as u128, &format!("user-{round}"), amounts[index]);
                async move { world.pay(order).await }
            });
            let answers = answers.await;
            let mut spent = 0;
            for (index, answer) in answers.into_iter().enumerate() {
                let payment = world.payment(round * 10 + index as u128).await.unwrap();
                let Err(fault) = answer else {
                    spent += amounts[index];
                    assert_eq!(payment.status(), pb::PaymentStatus::Completed);
                    continue;
                };
                assert_eq!(fault.reason, Reason::InsufficientFunds);
                let told: Vec<_> = fault.metadata.into_iter().collect();
                assert_eq!(
                    told,
                    [("payment_id".to_owned(), payment.payment_id.clone())],
                    "and not the balance"
                );
                assert_eq!(
                    (payment.status(), payment.reason.as_str()),
                    (pb::PaymentStatus::Failed, "INSUFFICIENT_FUNDS")
                );
            }
            assert!(
                amounts.contains(&spent),
                "exactly one completed, but {spent} was spent ({})",
                world.name()
            );
            assert_eq!(world.balance(&user).await, Ok(5_000 - spent));
        }
        world.audit().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_id_fifty_times_at_once_is_one_debit_and_one_answer() {
    for world in worlds().await {
        world.charge("ann", 10_000, "").await.unwrap();
        let answers =
            at_once(&world, 50, |world, _| async move { world.pay(order(1, "ann", 300)).await.unwrap() })
                .await;
        assert!(answers.iter().all(|answer| answer == &answers[0]), "{}", world.name());
        assert_eq!(world.balance("ann").await, Ok(9_700));
        assert_eq!(world.count("SELECT COUNT(*) AS n FROM entry WHERE kind = 'PAYMENT'").await, 1);

        world.charge("ann", 1, "").await.unwrap();
        assert_eq!(
            world.pay(order(1, "ann", 300)).await.unwrap().balance,
            9_700,
            "the balance after it, then as now"
        );
        world.audit().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_payment_that_failed_once_has_failed_even_when_the_money_comes_later() {
    for world in worlds().await {
        world.charge("ann", 100, "").await.unwrap();
        let answers =
            at_once(&world, 20, |world, _| async move { world.pay(order(1, "ann", 300)).await }).await;
        assert!(answers.into_iter().all(|answer| reason(answer) == Reason::InsufficientFunds));
        world.charge("ann", 10_000, "").await.unwrap();
        assert_eq!(reason(world.pay(order(1, "ann", 300)).await), Reason::InsufficientFunds);
        assert_eq!(world.balance("ann").await, Ok(10_100));
        assert_eq!(
            world.pay(order(2, "ann", 300)).await.unwrap().balance,
            9_800,
            "another id is another payment"
        );
        world.audit().await;
    }
}

#[tokio::test]
async fn a_used_payment_id_is_refused_for_another_payment() {
    for world in worlds().await {
        world.charge("ann", 1_000, "").await.unwrap();
        world.pay(order(1, "ann", 300)).await.unwrap();
        let others = [
            pb::CreatePaymentRequest { amount: 301, ..order(1, "ann", 300) },
            pb::CreatePaymentRequest { user_id: "bob".to_owned(), ..order(1, "ann", 300) },
            pb::CreatePaymentRequest { reservation_id: id(9), ..order(1, "ann", 300) },
        ];
        for other in others {
            assert_eq!(reason(world.pay(other).await), Reason::RequestIdReused);
        }
        assert_eq!(world.balance("ann").await, Ok(700));
    }
}

#[tokio::test]
async fn who_has_no_wallet_cannot_pay_and_the_attempt_is_recorded() {
    for world in worlds().await {
        assert_eq!(reason(world.pay(order(1, "ann", 300)).await), Reason::InsufficientFunds);
        assert_eq!(world.payment(1).await.unwrap().status(), pb::PaymentStatus::Failed);
        assert_eq!(reason(world.balance("ann").await), Reason::WalletNotFound);
    }
}

#[tokio::test]
async fn a_payment_of_nothing_completes_without_a_movement_even_without_a_wallet() {
    for world in worlds().await {
        for _ in 0..2 {
            let answer = world.pay(order(1, "ann", 0)).await.unwrap();
            assert_eq!((answer.balance, answer.payment.unwrap().status()), (0, pb::PaymentStatus::Completed));
        }
        world.charge("bob", 50, "").await.unwrap();
        assert_eq!(world.pay(order(2, "bob", 0)).await.unwrap().balance, 50);
        let cancelled = world.cancel(2, "", "").await.unwrap();
        assert_eq!(
            (cancelled.balance, cancelled.refunded),
            (50, false),
            "nothing was taken, so nothing is given back"
        );
        assert_eq!(cancelled.payment.unwrap().status(), pb::PaymentStatus::Cancelled);
        assert_eq!(world.count("SELECT COUNT(*) AS n FROM entry").await, 1);
        world.audit().await;
    }
}

#[tokio::test]
async fn a_request_id_on_a_payment_is_kept_from_the_users_other_payments() {
    for world in worlds().await {
        world.charge("ann", 1_000, "").await.unwrap();
        let with_id = |number, amount| pb::CreatePaymentRequest {
            request_id: "r".to_owned(),
            ..order(number, "ann", amount)
        };
        let first = world.pay(with_id(1, 300)).await.unwrap();
        assert_eq!(world.pay(with_id(1, 300)).await.unwrap(), first);
        assert_eq!(world.pay(order(1, "ann", 300)).await.unwrap(), first);
        assert_eq!(reason(world.pay(with_id(2, 300)).await), Reason::RequestIdReused);
        assert_eq!(
            reason(world.payment(2).await),
            Reason::PaymentNotFound,
            "the refused request left nothing behind"
        );

        let failed = pb::CreatePaymentRequest { request_id: "f".to_owned(), ..order(3, "ann", 5_000) };
        for _ in 0..2 {
            assert_eq!(reason(world.pay(failed.clone()).await), Reason::InsufficientFunds);
        }
        let other = pb::CreatePaymentRequest { request_id: "f".to_owned(), ..order(4, "ann", 1) };
        assert_eq!(
            reason(world.pay(other).await),
            Reason::RequestIdReused,
            "a recorded failure is an answer"
        );
        world.audit().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_request_id_for_two_payments_at_once_lets_one_through() {
    for world in worlds().await {
        world.charge("ann", 100_000, "").await.unwrap();
        for round in 0..10_u128 {
            let answers = at_once(&world, 4, |world, index| {
                let order = order(round * 10 + index as u128, "ann", 100);
                let order = pb::CreatePaymentRequest { request_id: format!("r-{round}"), ..order };
                async move { world.pay(order).await }
            });
            let (done, refused): (Vec<_>, Vec<_>) = answers.await.into_iter().partition(Result::is_ok);
            assert_eq!(done.len(), 1);
            assert!(refused.into_iter().all(|answer| reason(answer) == Reason::RequestIdReused));
        }
        assert_eq!(world.balance("ann").await, Ok(99_000));
        world.audit().await;
    }
}
