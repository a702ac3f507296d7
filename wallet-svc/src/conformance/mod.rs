//! Tests of what the service promises, through its gRPC service, on SQLite and on PostgreSQL.
//!
//! Each behaviour is a test of its own and runs on both databases, at full width; afterwards an
//! [`World::audit`] that shares no code with the rules reads the tables and adds up.

#![allow(clippy::unwrap_used, reason = "tests")]

mod cancelling;
mod database;
mod listing;
mod moving;
mod paying;
mod refusals;
mod serving;

use std::{future::Future, sync::Arc, time::Duration};

use boxoffice_proto::{
    Fault, Reason,
    wallet::{self as pb, wallet_service_server::WalletService},
};
use chassis::{
    args,
    clock::Clock,
    db::Db,
    testing::{TestDatabase, databases, patience::Patience},
};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use crate::{app::Ledger, grpc::Service};

const START: i64 = 1_800_000_000_000_000;

/// A service on a database of its own.
struct World {
    service: Service,
    ledger: Ledger,
    clock: Clock,
    database: TestDatabase,
}

/// The same world on each kind of database.
async fn worlds() -> Vec<Arc<World>> {
    let mut worlds = Vec::new();
    for database in databases().await {
        let db = Db::open(&database.config, &chassis::migrations!()).await.unwrap();
        let clock = Clock::manual(START);
        let ledger = Ledger::new(db, clock.clone());
        let service = Service::new(ledger.clone(), "KRW".parse().unwrap());
        worlds.push(Arc::new(World { service, ledger, clock, database }));
    }
    worlds
}

/// Runs `count` calls at once, on tasks of their own, and gives their answers in order.
async fn at_once<T, F, Fut>(world: &Arc<World>, count: usize, call: F) -> Vec<T>
where
    F: Fn(Arc<World>, usize) -> Fut,
    Fut: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let calls: Vec<_> = (0..count).map(|index| tokio::spawn(call(Arc::clone(world), index))).collect();
    let mut answers = Vec::with_capacity(count);
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers
}

/// Makes a call as clients are asked to: repeats it with the same id while it is answered that it may be
/// retried. A call without an id is made once.
async fn patiently<T, F>(id: &str, call: impl Fn() -> F) -> Result<Response<T>, Status>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let patience = Patience::new(Duration::from_secs(15));
    loop {
        match call().await {
            Err(status) if status.code() == Code::Unavailable && !id.is_empty() && !patience.is_over() => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            answer => return answer,
        }
    }
}

fn plain<T>(answer: Result<Response<T>, Status>) -> Result<T, Fault> {
    answer.map(Response::into_inner).map_err(|status| {
        let fault = Fault::from(&status);
        assert_eq!(status.code(), fault.reason.grpc(), "the code of {fault}");
        fault
    })
}

/// The reason of a refusal that must be one.
fn reason<T: std::fmt::Debug>(answer: Result<T, Fault>) -> Reason {
    answer.unwrap_err().reason
}

fn id(number: u128) -> String {
    Uuid::from_u128(number).to_string()
}

fn order(payment: u128, user_id: &str, amount: i64) -> pb::CreatePaymentRequest {
    pb::CreatePaymentRequest {
        payment_id: id(payment),
        user_id: user_id.to_owned(),
        reservation_id: id(payment + 1_000_000),
        amount,
        request_id: String::new(),
    }
}

impl World {
    const fn name(&self) -> &'static str {
        self.database.name
    }

    async fn charge(
        &self,
        user_id: &str,
        amount: i64,
        request_id: &str,
    ) -> Result<pb::ChargeWalletResponse, Fault> {
        let charge = pb::ChargeWalletRequest {
            user_id: user_id.to_owned(),
            amount,
            request_id: request_id.to_owned(),
        };
        plain(patiently(request_id, || self.service.charge_wallet(Request::new(charge.clone()))).await)
    }

    async fn spend(
        &self,
        user_id: &str,
        amount: i64,
        request_id: &str,
    ) -> Result<pb::UseWalletResponse, Fault> {
        let spend =
            pb::UseWalletRequest { user_id: user_id.to_owned(), amount, request_id: request_id.to_owned() };
        plain(patiently(request_id, || self.service.use_wallet(Request::new(spend.clone()))).await)
    }

    async fn balance(&self, user_id: &str) -> Result<i64, Fault> {
        let user_id = user_id.to_owned();
        let answer = plain(self.service.get_wallet(Request::new(pb::GetWalletRequest { user_id })).await)?;
        Ok(answer.wallet.unwrap().balance)
    }

    async fn pay(&self, order: pb::CreatePaymentRequest) -> Result<pb::CreatePaymentResponse, Fault> {
        let id = order.payment_id.clone();
        plain(patiently(&id, || self.service.create_payment(Request::new(order.clone()))).await)
    }

    async fn payment(&self, payment: u128) -> Result<pb::Payment, Fault> {
        let answer = plain(
            self.service
                .get_payment(Request::new(pb::GetPaymentRequest {
                    payment_id: id(payment),
                    ..Default::default()
                }))
                .await,
        )?;
        Ok(answer.payment.unwrap())
    }

    async fn cancel(
        &self,
        payment: u128,
        reason: &str,
        request_id: &str,
    ) -> Result<pb::CancelPaymentResponse, Fault> {
        let request = pb::CancelPaymentRequest {
            payment_id: id(payment),
            reason: reason.to_owned(),
            request_id: request_id.to_owned(),
        };
        plain(
            patiently(&request.payment_id, || self.service.cancel_payment(Request::new(request.clone())))
                .await,
        )
    }

    async fn entries(&self, user_id: &str, size: i32, token: &str) -> Result<pb::ListEntriesResponse, Fault> {
        let request = pb::ListEntriesRequest {
            user_id: user_id.to_owned(),
            page_size: size,
            page_token: token.to_owned(),
        };
        plain(self.service.list_entries(Request::new(request)).await)
    }

    async fn payments(
        &self,
        user_id: &str,
        size: i32,
        token: &str,
    ) -> Result<pb::ListPaymentsResponse, Fault> {
        let request = pb::ListPaymentsRequest {
            user_id: user_id.to_owned(),
            page_size: size,
            page_token: token.to_owned(),
        };
        plain(self.service.list_payments(Request::new(request)).await)
    }

    /// How many rows a query finds.
    async fn count(&self, sql: &'static str) -> i64 {
        let mut session = self.ledger.db().read().await.unwrap();
        session.one(sql, args![]).await.unwrap().get("n").unwrap()
    }

    /// Checks the invariants on the tables. Each query finds the rows that break one of them.
    async fn audit(&self) {
        let broken = [
            (
                "I-LEDGER-SUM: a balance that is not the sum of its entries",
                "SELECT COUNT(*) AS n FROM wallet w WHERE balance <> \
                 (SELECT COALESCE(CAST(SUM(amount) AS BIGINT), 0) FROM entry e WHERE e.user_id = w.user_id)",
            ),
            (
                "I-LEDGER-NO-GAP: a wallet whose entries are not 1 to n",
                "SELECT COUNT(*) AS n FROM wallet w WHERE entries <> (SELECT COUNT(*) FROM entry e WHERE e.user_id = w.user_id) \
                 OR entries <> (SELECT COALESCE(MAX(sequence), 0) FROM entry e WHERE e.user_id = w.user_id)",
            ),
            (
                "an entry that does not follow from the one before",
                "SELECT COUNT(*) AS n FROM entry e WHERE balance_after - amount <> COALESCE( \
                 (SELECT balance_after FROM entry b WHERE b.user_id = e.user_id AND b.sequence = e.sequence - 1), 0)",
            ),
            (
                "I-PAY-ONCE: a payment whose entries do not say what its status says",
                "SELECT COUNT(*) AS n FROM payment p WHERE amount > 0 AND \
                 (SELECT COALESCE(CAST(SUM(amount) AS BIGINT), 0) FROM entry e WHERE e.payment_id = p.payment_id) \
                 <> CASE status WHEN 'COMPLETED' THEN -amount ELSE 0 END",
            ),
            (
                "a payment's entry in another user's wallet",
                "SELECT COUNT(*) AS n FROM entry e JOIN payment p ON p.payment_id = e.payment_id WHERE p.user_id <> e.user_id",
            ),
        ];
        for (what, query) in broken {
            assert_eq!(self.count(query).await, 0, "{what} ({})", self.name());
        }
    }
}
