//! What the journal keeps of shows that are called off, on SQLite and on PostgreSQL.

use serde_json::json;

use super::super::{
    events::Events,
    tests::{NOW, begin, completed, new, on_both},
};
use super::*;
use crate::domain::call_off::REASON;

const SHOW: i64 = 7;
const RUNNER: Uuid = Uuid::from_u128(1);
const SECOND: i64 = 1_000_000;

/// The types of all events that were written.
async fn kinds(journal: &Journal) -> Vec<String> {
    let events = Events::new(journal.db.clone());
    while events.order(NOW).await.unwrap().is_some() {}
    events.after(0, 10).await.unwrap().into_iter().map(|event| event.kind).collect()
}

fn refund() -> Refund {
    Refund { asked_at: NOW, reason: REASON.to_owned(), done_at: None }
}

#[tokio::test]
async fn a_show_is_called_off_once_and_told_once() {
    on_both(async |journal| {
        for at in [NOW, NOW + 1] {
            journal.call_off(SHOW, at).await.unwrap();
        }
        for (sales, at) in [(3, NOW - 5), (2, NOW + 9)] {
            journal.close_show(SHOW, sales, &json!({"id": "1", "type": "x"}), at).await.unwrap();
        }
        assert_eq!(kinds(&journal).await, ["x"]);
        let known = journal.called_off(vec![SHOW, 8]).await.unwrap();
        let tally = Tally { sales: 3, ..Tally::default() };
        assert_eq!(known, [CallOff { show_id: SHOW, tally, is_closed: true, is_done: false }]);
    })
    .await;
}

#[tokio::test]
async fn one_runner_at_a_time_works_on_a_show() {
    on_both(async |journal| {
        journal.call_off(SHOW, NOW).await.unwrap();
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let take = async |turn, now| {
            journal.take_over_call_offs(turn, now, now + 3 * SECOND, 4).await.unwrap().len()
        };
        assert_eq!((take(one, NOW).await, take(other, NOW + SECOND).await), (1, 0));
        assert!(journal.renew_call_off(SHOW, one, NOW + 4 * SECOND).await.unwrap());
        assert_eq!(take(other, NOW + 3 * SECOND).await, 0);
        assert_eq!(take(other, NOW + 5 * SECOND).await, 1, "the first is lost");
        assert!(!journal.renew_call_off(SHOW, one, NOW + 9 * SECOND).await.unwrap(), "and finds out");
        assert!(journal.renew_call_off(SHOW, other, 0).await.unwrap());
        assert_eq!(take(one, NOW + 5 * SECOND).await, 1);
        journal.close_show(SHOW, 0, &json!({}), NOW).await.unwrap();
        journal.finish_call_off(SHOW, NOW + 1).await.unwrap();
        assert_eq!(take(one, i64::MAX - 3 * SECOND).await, 0, "it is done");
    })
    .await;
}

#[tokio::test]
async fn each_sale_is_asked_back_once_and_counted_until_all_are_back() {
    on_both(async |journal| {
        journal.call_off(SHOW, NOW).await.unwrap();
        let sold = completed(&journal).await;
        let asked_before = completed(&journal).await;
        let ill = Refund { reason: "ill".to_owned(), ..refund() };
        journal.ask_refund(asked_before.checkout.checkout_id, &ill, RUNNER, NOW).await.unwrap().unwrap();
        let pending = new(Uuid::new_v4(), NOW);
        assert!(begin(&journal, &pending, None).await);
        let ids = || {
            let known = [&sold, &asked_before, &pending].map(|entry| entry.checkout.checkout_id);
            known.into_iter().chain([Uuid::from_u128(99)]).collect::<Vec<_>>()
        };
        let undo = async || journal.undo_sales(SHOW, ids(), &refund(), RUNNER, NOW).await.unwrap();
        let (asked, strays) = undo().await;
        assert_eq!(
            asked.iter().map(|entry| entry.checkout.checkout_id).collect::<Vec<_>>(),
            [sold.checkout.checkout_id]
        );
        assert_eq!(strays, 1, "a sale that no checkout knows");
        assert_eq!(undo().await, (Vec::new(), 1));
        let kept = journal.get(asked_before.checkout.checkout_id).await.unwrap().unwrap();
        assert_eq!(kept.checkout.refund, Some(ill.clone()), "who asked first gave the reason");

        journal.close_show(SHOW, 2, &json!({}), NOW).await.unwrap();
        assert_eq!(journal.tally(SHOW, 1).await.unwrap(), Tally { sales: 2, refunded: 0, parked: 0 });
        let told = async || journal.called_off(vec![SHOW]).await.unwrap()[0];
        assert_eq!(told().await.tally, Tally { sales: 3, refunded: 0, parked: 1 });
        let settle = async |entry: &RecordedCheckout| {
            let asked = journal.get(entry.checkout.checkout_id).await.unwrap().unwrap().checkout;
            let done = Refund { done_at: Some(NOW + 1), ..asked.refund.clone().unwrap() };
            let done = crate::domain::checkout::Checkout { refund: Some(done), ..asked };
            assert!(journal.settle_refund(&done, 0, &[]).await.unwrap().1);
        };
        settle(&sold).await;
        journal.finish_call_off(SHOW, NOW + 2).await.unwrap();
        assert!(!told().await.is_done, "a refund is under way");
        settle(&asked_before).await;
        journal.finish_call_off(SHOW, NOW + 2).await.unwrap();
        let tally = Tally { sales: 2, refunded: 2, parked: 0 };
        assert_eq!((told().await.tally, told().await.is_done), (tally, true));
    })
    .await;
}
