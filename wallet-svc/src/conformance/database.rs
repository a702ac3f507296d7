//! The database by itself refuses what must never be, whoever writes to it.

use chassis::{args, db::Error};
use uuid::Uuid;

use super::{World, order, worlds};

async fn attempt(world: &World, sql: &'static str) -> Result<u64, Error> {
    let mut session = world.ledger.db().begin().await.unwrap();
    let written = session.execute(sql, args![]).await?;
    session.commit().await?;
    Ok(written)
}

/// Writes an entry that is right except for the values that the test gives.
async fn entry(
    world: &World,
    sequence: i64,
    kind: &str,
    amount: i64,
    after: i64,
    payment: Option<u128>,
) -> Result<u64, Error> {
    let mut session = world.ledger.db().begin().await.unwrap();
    let line =
        args!["ann", sequence, Uuid::new_v4(), kind, amount, after, payment.map(Uuid::from_u128), 0_i64];
    let written = session
        .execute(
            "INSERT INTO entry (user_id, sequence, entry_id, kind, amount, balance_after, payment_id, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            line,
        )
        .await?;
    session.commit().await?;
    Ok(written)
}

#[tokio::test]
async fn a_negative_balance_is_refused() {
    for world in worlds().await {
        world.charge("ann", 100, "").await.unwrap();
        let refused =
            attempt(&world, "UPDATE wallet SET balance = balance - 101 WHERE user_id = 'ann'").await;
        assert!(matches!(refused, Err(Error::Check { .. })), "{refused:?}");
        assert!(entry(&world, 2, "USE", -101, -1, None).await.is_err());
        assert_eq!(world.balance("ann").await, Ok(100));
        world.audit().await;
    }
}

#[tokio::test]
async fn a_second_wallet_is_refused() {
    for world in worlds().await {
        world.charge("ann", 100, "").await.unwrap();
        let refused =
            attempt(&world, "INSERT INTO wallet (user_id, balance, entries) VALUES ('ann', 0, 0)").await;
        assert!(refused.as_ref().is_err_and(Error::is_unique), "{refused:?}");
    }
}

#[tokio::test]
async fn a_second_debit_or_refund_of_a_payment_is_refused() {
    for world in worlds().await {
        world.charge("ann", 1_000, "").await.unwrap();
        world.pay(order(1, "ann", 300)).await.unwrap();
        let refused = entry(&world, 3, "PAYMENT", -300, 400, Some(1)).await;
        assert!(refused.as_ref().is_err_and(Error::is_unique), "{refused:?}");
        world.cancel(1, "", "").await.unwrap();
        let refused = entry(&world, 4, "REFUND", 300, 1_300, Some(1)).await;
        assert!(refused.as_ref().is_err_and(Error::is_unique), "{refused:?}");
        world.audit().await;
    }
}

#[tokio::test]
async fn the_ledger_is_append_only() {
    for world in worlds().await {
        world.charge("ann", 100, "").await.unwrap();
        for rewrite in [
            "UPDATE entry SET amount = 200, balance_after = 200",
            "UPDATE entry SET created_at = 0",
            "DELETE FROM entry",
            "DELETE FROM wallet",
        ] {
            assert!(attempt(&world, rewrite).await.is_err(), "{rewrite} ({})", world.name());
        }
        if world.name() == "postgres" {
            assert!(attempt(&world, "TRUNCATE entry").await.is_err());
        }
        assert_eq!(world.entries("ann", 0, "").await.unwrap().entries[0].amount, 100);
        world.audit().await;
    }
}

#[tokio::test]
async fn entries_that_make_no_sense_are_refused() {
    for world in worlds().await {
        world.charge("ann", 1_000, "").await.unwrap();
        world.pay(order(1, "ann", 1_001)).await.unwrap_err();
        let wrong = [
            ("a number twice", entry(&world, 1, "CHARGE", 5, 1_005, None).await),
            ("the number 0", entry(&world, 0, "CHARGE", 5, 5, None).await),
            ("a negative charge", entry(&world, 2, "CHARGE", -5, 995, None).await),
            ("a positive use", entry(&world, 2, "USE", 5, 1_005, None).await),
            ("a movement of nothing", entry(&world, 2, "CHARGE", 0, 1_000, None).await),
            ("a movement from below zero", entry(&world, 2, "CHARGE", 5, 4, None).await),
            ("an unknown kind", entry(&world, 2, "GIFT", 5, 1_005, None).await),
            ("a payment's entry without payment", entry(&world, 2, "PAYMENT", -5, 995, None).await),
            ("a charge with a payment", entry(&world, 2, "CHARGE", 5, 1_005, Some(1)).await),
            ("an entry of an unknown payment", entry(&world, 2, "PAYMENT", -5, 995, Some(2)).await),
        ];
        for (what, refused) in wrong {
            assert!(refused.is_err(), "{what} ({})", world.name());
        }
        world.audit().await;
    }
}

#[tokio::test]
async fn payments_that_make_no_sense_are_refused() {
    for world in worlds().await {
        world.charge("ann", 1_000, "").await.unwrap();
        world.pay(order(1, "ann", 300)).await.unwrap();
        for nonsense in [
            "UPDATE payment SET status = 'LOST'",
            "UPDATE payment SET status = 'CANCELLED'",
            "UPDATE payment SET reason = 'WHY'",
            "UPDATE payment SET amount = -1",
            "UPDATE payment SET user_id = NULL",
            "UPDATE payment SET user_id = NULL, reservation_id = NULL",
            "DELETE FROM payment",
        ] {
            assert!(attempt(&world, nonsense).await.is_err(), "{nonsense} ({})", world.name());
        }
        world.audit().await;
    }
}
