//! Charging and using a wallet.

use std::{collections::HashSet, sync::Arc};

use boxoffice_proto::{Reason, wallet as pb};

use super::{World, at_once, reason, worlds};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_hundred_concurrent_charges_of_a_new_user_make_one_wallet_with_their_sum() {
    for world in worlds().await {
        let charge =
            |world: Arc<World>, nth| async move { world.charge("ann", 500, &format!("charge-{nth}")).await };
        let answers = at_once(&world, 300, charge).await;
        let balances: HashSet<i64> =
            answers.into_iter().map(|answer| answer.unwrap().wallet.unwrap().balance).collect();
        assert_eq!(
            balances.len(),
            300,
            "every reply carries the balance after its own charge ({})",
            world.name()
        );
        assert_eq!(world.balance("ann").await, Ok(150_000));
        assert_eq!(world.count("SELECT COUNT(*) AS n FROM wallet").await, 1);
        world.audit().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_and_three_hundred_concurrent_charges_are_151_000() {
    for world in worlds().await {
        world.charge("ann", 1_000, "").await.unwrap();
        let charge =
            |world: Arc<World>, nth| async move { world.charge("ann", 500, &format!("charge-{nth}")).await };
        for answer in at_once(&world, 300, charge).await {
            answer.unwrap();
        }
        assert_eq!(world.balance("ann").await, Ok(151_000));
        world.audit().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn from_500_000_three_hundred_concurrent_uses_of_1_000_leave_200_000() {
    for world in worlds().await {
        world.charge("ann", 500_000, "").await.unwrap();
        let spend =
            |world: Arc<World>, nth| async move { world.spend("ann", 1_000, &format!("use-{nth}")).await };
        for answer in at_once(&world, 300, spend).await {
            answer.unwrap();
        }
        assert_eq!(world.balance("ann").await, Ok(200_000));
        world.audit().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_wallets_charged_and_used_at_once_do_not_disturb_each_other() {
    for world in worlds().await {
        let answers = at_once(&world, 300, |world, index| async move {
            let user = format!("user-{}", index % 30);
            world.charge(&user, 100, &format!("charge-{index}")).await.unwrap();
            world.spend(&user, 60, &format!("use-{index}")).await
        });
        answers.await.into_iter().for_each(|answer| drop(answer.unwrap()));
        for user in 0..30 {
            assert_eq!(world.balance(&format!("user-{user}")).await, Ok(400));
        }
        world.audit().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn more_uses_than_the_balance_covers_stop_at_zero() {
    for world in worlds().await {
        world.charge("ann", 10_000, "").await.unwrap();
        let spend =
            |world: Arc<World>, nth| async move { world.spend("ann", 1_000, &format!("use-{nth}")).await };
        let answers = at_once(&world, 50, spend).await;
        let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(done.len(), 10);
        assert!(refused.into_iter().all(|answer| reason(answer) == Reason::InsufficientFunds));
        assert_eq!(world.balance("ann").await, Ok(0));
        world.audit().await;
    }
}

#[tokio::test]
async fn a_charge_is_answered_with_the_wallet_and_the_entry() {
    for world in worlds().await {
        world.charge("ann", 700, "").await.unwrap();
        world.clock.advance(5_000_000);
        let answer = world.charge("ann", 300, "").await.unwrap();
        let wallet = pb::Wallet {
            user_id: "ann".to_owned(),
            balance: 1_000,
            currency: "KRW".to_owned(),
            currency_exponent: 0,
        };
        assert_eq!(answer.wallet, Some(wallet));
        let entry = answer.entry.unwrap();
        assert_eq!((entry.sequence, entry.amount, entry.balance_after), (2, 300, 1_000));
        assert_eq!((entry.kind(), entry.payment_id.as_str()), (pb::EntryKind::Charge, ""));
        assert_eq!(entry.created_at.unwrap().seconds, super::START / 1_000_000 + 5);

        let entry = world.spend("ann", 400, "").await.unwrap().entry.unwrap();
        assert_eq!((entry.sequence, entry.amount, entry.balance_after), (3, -400, 600));
        assert_eq!(entry.kind(), pb::EntryKind::Use);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_id_sent_fifty_times_at_once_moves_money_once_and_answers_all_alike() {
    for world in worlds().await {
        let answers =
            at_once(
                &world,
                50,
                |world, _| async move { world.charge("ann", 500, "top-up-1").await.unwrap() },
            )
            .await;
        assert!(answers.iter().all(|answer| answer == &answers[0]), "{}", world.name());
        let answers =
            at_once(&world, 50, |world, _| async move { world.spend("ann", 200, "use-1").await.unwrap() })
                .await;
        assert!(answers.iter().all(|answer| answer == &answers[0]), "{}", world.name());
        assert_eq!(world.balance("ann").await, Ok(300));

        world.charge("ann", 9_000, "").await.unwrap();
        let replay = world.charge("ann", 500, "top-up-1").await.unwrap();
        assert_eq!(replay.wallet.unwrap().balance, 500, "the first answer, not the state of today");
        world.audit().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn equal_uses_of_all_the_money_at_once_get_one_answer_and_no_refusal() {
    for world in worlds().await {
        for round in 0..5 {
            world.charge("ann", 500, "").await.unwrap();
            let use_all = |world: Arc<World>, _| async move {
                world.spend("ann", 500, &format!("all-{round}")).await.unwrap()
            };
            let answers = at_once(&world, 20, use_all).await;
            assert!(answers.iter().all(|answer| answer == &answers[0]), "{}", world.name());
            assert_eq!(world.balance("ann").await, Ok(0));
        }
        world.audit().await;
    }
}

#[tokio::test]
async fn a_request_id_is_refused_for_another_request_and_is_its_users_and_methods_own() {
    for world in worlds().await {
        world.charge("ann", 500, "r").await.unwrap();
        assert_eq!(reason(world.charge("ann", 501, "r").await), Reason::RequestIdReused);
        let bobs = world.charge("bob", 700, "r").await.unwrap();
        let spent = world.spend("ann", 200, "r").await.unwrap();
        assert_eq!(
            world.charge("bob", 700, "r").await.unwrap(),
            bobs,
            "and each gets their own first answer again"
        );
        assert_eq!(world.spend("ann", 200, "r").await.unwrap(), spent);
        assert_eq!(reason(world.charge("bob", 701, "r").await), Reason::RequestIdReused);
        assert_eq!(world.balance("ann").await, Ok(300));
        assert_eq!(world.balance("bob").await, Ok(700));
        world.audit().await;
    }
}

#[tokio::test]
async fn a_refused_use_does_not_use_up_its_request_id() {
    for world in worlds().await {
        world.charge("ann", 100, "").await.unwrap();
        assert_eq!(reason(world.spend("ann", 500, "r").await), Reason::InsufficientFunds);
        world.charge("ann", 400, "").await.unwrap();
        assert_eq!(world.spend("ann", 500, "r").await.unwrap().wallet.unwrap().balance, 0);
    }
}

#[tokio::test]
async fn a_charge_beyond_what_a_wallet_may_hold_changes_nothing() {
    for world in worlds().await {
        let largest = 1_000_000_000_000;
        for _ in 0..1_000 {
            world.charge("ann", largest, "").await.unwrap();
        }
        let fault = world.charge("ann", 1, "").await.unwrap_err();
        assert_eq!((fault.reason, fault.violations[0].field.as_str()), (Reason::InvalidArgument, "amount"));
        assert!(!fault.to_string().contains(&"9".repeat(6)));
        assert_eq!(world.balance("ann").await, Ok(1_000_000_000_000_000));
        world.audit().await;
    }
}
