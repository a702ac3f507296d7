//! Every reason that the contract names for this service, with its gRPC code, and bad input of every field.
//!
//! [`super::plain`] checks on every refusal of every test that the code is the reason's.

use boxoffice_proto::{Fault, Reason, wallet as pb, wallet::wallet_service_server::WalletService};
use chassis::{clock::Clock, db::Db, testing::databases};
use tonic::{Code, Request};

use super::{id, order, plain, reason, worlds};
use crate::{app::Ledger, grpc::Service};

#[tokio::test]
async fn every_reason_of_the_contract_comes_with_its_code() {
    for world in worlds().await {
        world.charge("ann", 4_321, "r").await.unwrap();
        world.cancel(9, "", "").await.unwrap();
        let told = [
            (world.charge("ann", 0, "").await.unwrap_err(), Reason::InvalidArgument, Code::InvalidArgument),
            (
                world.charge("ann", 5_000, "r").await.unwrap_err(),
                Reason::RequestIdReused,
                Code::AlreadyExists,
            ),
            (world.spend("nobody", 1, "").await.unwrap_err(), Reason::WalletNotFound, Code::NotFound),
            (
                world.spend("ann", 5_000, "").await.unwrap_err(),
                Reason::InsufficientFunds,
                Code::FailedPrecondition,
            ),
            (world.balance("nobody").await.unwrap_err(), Reason::WalletNotFound, Code::NotFound),
            (world.entries("nobody", 0, "").await.unwrap_err(), Reason::WalletNotFound, Code::NotFound),
            (
                world.pay(order(1, "ann", 5_000)).await.unwrap_err(),
                Reason::InsufficientFunds,
                Code::FailedPrecondition,
            ),
            (
                world.pay(order(1, "ann", 5_001)).await.unwrap_err(),
                Reason::RequestIdReused,
                Code::AlreadyExists,
            ),
            (
                world.pay(order(9, "ann", 1)).await.unwrap_err(),
                Reason::ReservationCancelled,
                Code::FailedPrecondition,
            ),
            (world.payment(77).await.unwrap_err(), Reason::PaymentNotFound, Code::NotFound),
        ];
        for (fault, reason, code) in told {
            assert_eq!((fault.reason, fault.reason.grpc()), (reason, code), "{fault}");
            assert!(!fault.detail.contains("4321"), "no refusal tells the balance: {fault}");
        }
        world.audit().await;
    }
}

#[tokio::test]
async fn every_bad_field_is_named_and_changes_nothing() {
    let wrong_users = ["", " ", "a b", "a\0b", &"x".repeat(65)];
    let wrong_amounts = [-1, i64::MIN, i64::MAX, 1_000_000_000_001];
    for world in worlds().await {
        let fields = |fault: Fault| {
            assert_eq!(fault.reason, Reason::InvalidArgument);
            fault.violations.into_iter().map(|violation| violation.field).collect::<Vec<_>>()
        };
        for user in wrong_users {
            assert_eq!(fields(world.charge(user, 1, "").await.unwrap_err()), ["user_id"]);
            assert_eq!(fields(world.spend(user, 1, "").await.unwrap_err()), ["user_id"]);
            assert_eq!(fields(world.balance(user).await.unwrap_err()), ["user_id"]);
            assert_eq!(fields(world.entries(user, 0, "").await.unwrap_err()), ["user_id"]);
            assert_eq!(fields(world.payments(user, 0, "").await.unwrap_err()), ["user_id"]);
            assert_eq!(fields(world.pay(order(1, user, 1)).await.unwrap_err()), ["user_id"]);
        }
        for amount in wrong_amounts.into_iter().chain([0]) {
            assert_eq!(fields(world.charge("ann", amount, "").await.unwrap_err()), ["amount"]);
            assert_eq!(fields(world.spend("ann", amount, "").await.unwrap_err()), ["amount"]);
        }
        for amount in wrong_amounts {
            assert_eq!(fields(world.pay(order(1, "ann", amount)).await.unwrap_err()), ["amount"]);
        }
        for request_id in ["a b", "é", "\n", &"r".repeat(129)] {
            assert_eq!(fields(world.charge("ann", 1, request_id).await.unwrap_err()), ["request_id"]);
            assert_eq!(fields(world.cancel(1, "", request_id).await.unwrap_err()), ["request_id"]);
        }
        assert_eq!(fields(world.cancel(1, &"x".repeat(129), "").await.unwrap_err()), ["reason"]);
        assert_eq!(fields(world.cancel(1, "a\0b", "").await.unwrap_err()), ["reason"]);

        let all_wrong = pb::CreatePaymentRequest {
            payment_id: "1".to_owned(),
            user_id: String::new(),
            reservation_id: "x".repeat(10_000),
            amount: -5,
            request_id: " ".to_owned(),
        };
        let all = ["payment_id", "user_id", "reservation_id", "amount", "request_id"];
        assert_eq!(fields(world.pay(all_wrong).await.unwrap_err()), all);
        let unknown = pb::GetPaymentRequest::default();
        assert_eq!(
            fields(plain(world.service.get_payment(Request::new(unknown)).await).unwrap_err()),
            ["payment_id"]
        );

        for table in [
            "SELECT COUNT(*) AS n FROM wallet",
            "SELECT COUNT(*) AS n FROM payment",
            "SELECT COUNT(*) AS n FROM request",
        ] {
            assert_eq!(world.count(table).await, 0, "{table}");
        }
    }
}

#[tokio::test]
async fn unusual_but_visible_names_and_ids_work_like_any_other() {
    for world in worlds().await {
        for user in ["42", "Zoë-🎟", "'; DROP TABLE wallet; --".replace(' ', "_").as_str(), &"한".repeat(64)]
        {
            assert_eq!(world.charge(user, 5, "").await.unwrap().wallet.unwrap().user_id, user);
            assert_eq!(world.balance(user).await, Ok(5));
        }
        let upper =
            pb::CreatePaymentRequest { payment_id: id(0xABCDEF).to_uppercase(), ..order(0xABCDEF, "42", 5) };
        world.pay(upper).await.unwrap();
        assert_eq!(
            world.payment(0xABCDEF).await.unwrap().payment_id,
            id(0xABCDEF),
            "one payment, however its id is written"
        );
        assert_eq!(world.pay(order(0xABCDEF, "42", 5)).await.unwrap().balance, 0);
    }
}

#[tokio::test]
async fn a_database_that_refuses_what_should_work_is_an_internal_error_without_its_text() {
    for database in databases().await {
        let db = Db::open(&database.config, &chassis::migrations!()).await.unwrap();
        let mut session = db.begin().await.unwrap();
        session.execute("ALTER TABLE entry RENAME TO gone", vec![]).await.unwrap();
        session.commit().await.unwrap();
        let service = Service::new(Ledger::new(db, Clock::manual(0)), "KRW".parse().unwrap());
        let request =
            pb::ChargeWalletRequest { user_id: "ann".to_owned(), amount: 5, request_id: String::new() };
        let fault = plain(service.charge_wallet(Request::new(request)).await).unwrap_err();
        assert_eq!(fault.reason, Reason::Internal);
        assert!(!fault.detail.contains("entry"), "{fault}");
        let request = pb::GetWalletRequest { user_id: "ann".to_owned() };
        let answer = plain(service.get_wallet(Request::new(request)).await);
        assert_eq!(reason(answer), Reason::WalletNotFound, "and the wallet that it opened is undone with it");
    }
}
