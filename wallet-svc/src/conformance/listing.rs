//! Lists: newest first, page by page, whatever is written meanwhile.

use boxoffice_proto::{Reason, wallet as pb};

use super::{order, reason, worlds};

#[tokio::test]
async fn entries_are_listed_newest_first_without_gap_or_repeat_while_more_arrive() {
    for world in worlds().await {
        for amount in 1..=25 {
            world.charge("ann", amount, "").await.unwrap();
        }
        world.charge("bob", 1, "").await.unwrap();
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let page = world.entries("ann", 10, &token).await.unwrap();
            assert!(page.entries.iter().all(|entry| entry.user_id == "ann"));
            seen.extend(page.entries.iter().map(|entry| entry.sequence));
            world.charge("ann", 1_000, "").await.unwrap();
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, (1..=25).rev().collect::<Vec<_>>(), "{}", world.name());
    }
}

#[tokio::test]
async fn a_full_last_page_has_no_next_one() {
    for world in worlds().await {
        for _ in 0..50 {
            world.charge("ann", 1, "").await.unwrap();
        }
        let page = world.entries("ann", 0, "").await.unwrap();
        assert_eq!((page.entries.len(), page.next_page_token.as_str()), (50, ""));
        world.charge("ann", 1, "").await.unwrap();
        let page = world.entries("ann", 0, "").await.unwrap();
        assert_eq!((page.entries.len(), page.next_page_token.is_empty()), (50, false));
    }
}

#[tokio::test]
async fn payments_of_the_same_instant_are_each_listed_once() {
    for world in worlds().await {
        world.charge("ann", 100, "").await.unwrap();
        // Completed, failed and cancelled ones, several in each instant.
        for number in 0..12_u128 {
            if number.is_multiple_of(5) {
                world.clock.advance(1);
            }
            let answer = world.pay(order(number, "ann", 15)).await;
            assert_eq!(answer.is_ok(), number < 6 || number == 8, "{answer:?}");
            if number == 7 {
                world.cancel(0, "", "").await.unwrap();
            }
        }
        let (mut seen, mut token) = (Vec::<pb::Payment>::new(), String::new());
        loop {
            let page = world.payments("ann", 4, &token).await.unwrap();
            seen.extend(page.payments);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let order: Vec<u128> =
            seen.iter().map(|p| p.payment_id.parse::<uuid::Uuid>().unwrap().as_u128()).collect();
        assert_eq!(
            order,
            [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
            "newest first, then by id ({})",
            world.name()
        );
        assert_eq!(seen[11].status(), pb::PaymentStatus::Cancelled);
        assert_eq!(seen[4].status(), pb::PaymentStatus::Failed);
    }
}

#[tokio::test]
async fn an_unknown_user_has_no_entries_to_list_but_an_empty_list_of_payments() {
    for world in worlds().await {
        assert_eq!(reason(world.entries("nobody", 0, "").await), Reason::WalletNotFound);
        let page = world.payments("nobody", 0, "").await.unwrap();
        assert_eq!((page.payments, page.next_page_token), (Vec::new(), String::new()));
    }
}

#[tokio::test]
async fn bad_sizes_and_foreign_page_tokens_are_refused_by_field() {
    for world in worlds().await {
        for _ in 0..3 {
            world.charge("ann", 1, "").await.unwrap();
        }
        for size in [-1, i32::MIN] {
            let fault = world.entries("ann", size, "").await.unwrap_err();
            assert_eq!(fault.violations[0].field, "page_size");
            assert_eq!(world.payments("ann", size, "").await.unwrap_err().violations[0].field, "page_size");
        }
        // More than a page may hold is no mistake.
        for size in [1_001, i32::MAX] {
            assert_eq!(world.entries("ann", size, "").await.unwrap().entries.len(), 3);
        }
        let of_entries = world.entries("ann", 1, "").await.unwrap().next_page_token;
        let fault = world.payments("ann", 1, &of_entries).await.unwrap_err();
        assert_eq!(
            (fault.reason, fault.violations[0].field.as_str()),
            (Reason::InvalidArgument, "page_token")
        );
        for _ in 0..2 {
            world.charge("bob", 1, "").await.unwrap();
        }
        let of_bob = world.entries("bob", 1, "").await.unwrap().next_page_token;
        assert_eq!(world.entries("ann", 1, &of_bob).await.unwrap_err().violations[0].field, "page_token");
        for token in ["x", "AAAA", "\u{1f39f}", &"A".repeat(5_000)] {
            assert_eq!(world.entries("ann", 1, token).await.unwrap_err().violations[0].field, "page_token");
        }
    }
}
