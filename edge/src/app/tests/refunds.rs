//! Undoing a sale, with calls and runners that get lost.

use futures::future::join_all;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_gives_money_and_seats_back_once_however_many_ask() {
    on_both(PRICE, async |stage| {
        let replicas = [stage.replica().await, stage.replica().await];
        let paid = replicas[0].pay(&caller(), click(Some("k-1"))).await.unwrap();
        stage.mishap("cancel_payment", Mishap::ReplyLost);
        let asked = (0..10).map(|n| {
            let replica = replicas[n % 2].clone();
            tokio::spawn(
                async move { replica.refund(&caller(), paid.checkout_id, format!("reason {n}")).await },
            )
        });
        let mut answers = Vec::new();
        for asked in asked.collect::<Vec<_>>() {
            answers.push(asked.await.unwrap().unwrap());
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        let undone = &answers[0];
        assert_eq!(undone.status, Status::Compensated);
        assert!(undone.refund.as_ref().is_some_and(|refund| refund.done_at.is_some()), "{undone:?}");
        assert_eq!(undone.reason.as_deref(), Some("RESERVATION_CANCELLED"));
        let (hold, balance) = stage.world(|world| (world.hold, world.balance));
        assert_eq!((hold, balance), (ReservationStatus::Refunded, PRICE));
        assert_eq!(replicas[1].pay(&caller(), click(Some("k-1"))).await.unwrap(), *undone);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_sold_is_not_refunded() {
    on_both(PRICE - 1, async |stage| {
        let till = stage.replica().await;
        let refused = till.pay(&caller(), click(None)).await.unwrap_err();
        let failed = refused.metadata["payment_id"].parse().unwrap();
        let refused = till.refund(&caller(), failed, String::new()).await.unwrap_err();
        assert_eq!(refused.reason, Reason::RefundNotPossible);
        assert_eq!(stage.world(|world| world.calls.get("refund_reservation").copied()), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_ends_a_refund_that_a_dead_one_began_wherever_it_died() {
    for step in ["refund_reservation", "cancel_payment"] {
        for mishap in [Mishap::Swallowed, Mishap::Hangs] {
            on_both(PRICE, async |stage| {
                let paid = stage.replica().await.pay(&caller(), click(None)).await.unwrap();
                let refund =
                    async move |till: Till| till.refund(&caller(), paid.checkout_id, String::new()).await;
                dies_during(stage, step, mishap, refund).await;
                let other = stage.replica().await;
                assert!(settled(&other).await.is_being_refunded(), "the seats are sold until it is done");
                stage.clock.advance(LEASE + 1);
                undone(&other, paid.checkout_id).await;
                let (hold, balance) = stage.world(|world| (world.hold, world.balance));
                assert_eq!((hold, balance), (ReservationStatus::Refunded, PRICE));
            })
            .await;
        }
    }
}

/// Asks for a refund until it is done, as operators would: many at once, who must not be in the way of
/// whoever takes it over. The clock stands still, so what is leased by mistake stays so.
async fn undone(till: &Till, checkout_id: Uuid) {
    let patience = Patience::new(Duration::from_secs(20));
    let ask = async || {
        let asked = (0..50).map(|_| async { till.refund(&caller(), checkout_id, String::new()).await });
        join_all(asked).await.into_iter().map(Result::unwrap).all(|told| told.status == Status::Compensated)
    };
    while !ask().await {
        assert!(!patience.is_over(), "not refunded {patience}");
    }
}
