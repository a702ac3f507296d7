//! The gRPC service: checks the form of each request's fields, calls the use case and converts its answer. It
//! decides no rule.

mod convert;

use boxoffice_proto::{
    Currency, Fault, Reason, access,
    validate::Checks,
    wallet::{self as pb, wallet_service_server::WalletService},
};
use chassis::page::List;
use tonic::{Request, Response, Status};

use crate::{
    app::{Cancel, EntryCursor, Ledger, Move, PaymentCursor},
    domain::{Entry, Order, payment::PAYABLE, wallet::AMOUNT},
    error::Error,
};

/// How many characters a cancellation's reason may have.
const REASON: std::ops::RangeInclusive<usize> = 0..=128;

/// The gRPC service `boxoffice.wallet.v1.WalletService`, as a front of the use cases.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    ledger: Ledger,
    currency: Currency,
}

impl Service {
    /// A service that calls a ledger's use cases and tells every amount in this currency.
    pub(crate) const fn new(ledger: Ledger, currency: Currency) -> Self {
        Self { ledger, currency }
    }

    fn wallet(&self, user_id: &str, balance: i64) -> pb::Wallet {
        let currency = self.currency.code().to_owned();
        pb::Wallet {
            user_id: user_id.to_owned(),
            balance,
            currency,
            currency_exponent: self.currency.exponent(),
        }
    }

    fn wallet_after(&self, entry: &Entry) -> pb::Wallet {
        self.wallet(&entry.user_id, entry.balance_after)
    }
}

#[tonic::async_trait]
impl WalletService for Service {
    async fn charge_wallet(
        &self,
        request: Request<pb::ChargeWalletRequest>,
    ) -> Result<Response<pb::ChargeWalletResponse>, Status> {
        let request = request.into_inner();
        let (command, request_id) = movement(&request.user_id, request.amount, &request.request_id)?;
        let entry = self.ledger.charge(&command, request_id).await.map_err(refused)?;
        Ok(Response::new(pb::ChargeWalletResponse {
            wallet: Some(self.wallet_after(&entry)),
            entry: Some(entry.into()),
        }))
    }

    async fn use_wallet(
        &self,
        request: Request<pb::UseWalletRequest>,
    ) -> Result<Response<pb::UseWalletResponse>, Status> {
        let request = request.into_inner();
        let (command, request_id) = movement(&request.user_id, request.amount, &request.request_id)?;
        let entry = self.ledger.spend(&command, request_id).await.map_err(refused)?;
        Ok(Response::new(pb::UseWalletResponse {
            wallet: Some(self.wallet_after(&entry)),
            entry: Some(entry.into()),
        }))
    }

    async fn get_wallet(
        &self,
        request: Request<pb::GetWalletRequest>,
    ) -> Result<Response<pb::GetWalletResponse>, Status> {
        let mut checks = Checks::default();
        let user_id = checks.user_id("user_id", &request.get_ref().user_id);
        checks.finish()?;
        let wallet = self.ledger.wallet(&user_id).await.map_err(refused)?;
        Ok(Response::new(pb::GetWalletResponse { wallet: Some(self.wallet(&user_id, wallet.balance)) }))
    }

    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Result<Response<pb::ListEntriesResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let user_id = checks.user_id("user_id", &request.user_id);
        let (list, refuse) =
            (List::of("entries", &user_id), |field: &str, wrong: &str| checks.refuse(field, wrong));
        let page = list.read(request.page_size, &request.page_token, EntryCursor::START, refuse);
        checks.finish()?;
        let found = self.ledger.entries(&user_id, *page.from(), page.limit()).await.map_err(refused)?;
        let (entries, next_page_token) = page.answer(found, EntryCursor::of, Into::into);
        Ok(Response::new(pb::ListEntriesResponse { entries, next_page_token }))
    }

    async fn create_payment(
        &self,
        request: Request<pb::CreatePaymentRequest>,
    ) -> Result<Response<pb::CreatePaymentResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let order = Order {
            payment_id: checks.uuid("payment_id", &request.payment_id),
            user_id: checks.user_id("user_id", &request.user_id),
            reservation_id: checks.uuid("reservation_id", &request.reservation_id),
            amount: checks.range("amount", request.amount, PAYABLE),
        };
        let request_id = checks.request_id(&request.request_id);
        checks.finish()?;
        let paid = self.ledger.pay(&order, request_id).await.map_err(refused)?;
        Ok(Response::new(pb::CreatePaymentResponse {
            payment: Some(paid.payment.into()),
            balance: paid.balance,
        }))
    }

    async fn get_payment(
        &self,
        request: Request<pb::GetPaymentRequest>,
    ) -> Result<Response<pb::GetPaymentResponse>, Status> {
        let mut checks = Checks::default();
        let payment_id = checks.uuid("payment_id", &request.get_ref().payment_id);
        let user = checks.any_user("user_id", &request.get_ref().user_id);
        checks.finish()?;
        let found = self.ledger.payment(payment_id).await.map_err(Fault::from);
        // A payment that was cancelled before it was made is nobody's.
        let payment = access::for_user(
            &user,
            found,
            |found| found.purpose.as_ref().map_or("", |purpose| &purpose.user_id),
            Reason::PaymentNotFound,
        )?;
        Ok(Response::new(pb::GetPaymentResponse { payment: Some(payment.into()) }))
    }

    async fn list_payments(
        &self,
        request: Request<pb::ListPaymentsRequest>,
    ) -> Result<Response<pb::ListPaymentsResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let user_id = checks.user_id("user_id", &request.user_id);
        let (list, refuse) =
            (List::of("payments", &user_id), |field: &str, wrong: &str| checks.refuse(field, wrong));
        let page = list.read(request.page_size, &request.page_token, PaymentCursor::START, refuse);
        checks.finish()?;
        let found = self.ledger.payments(&user_id, *page.from(), page.limit()).await.map_err(refused)?;
        let (payments, next_page_token) = page.answer(found, PaymentCursor::of, Into::into);
        Ok(Response::new(pb::ListPaymentsResponse { payments, next_page_token }))
    }

    async fn cancel_payment(
        &self,
        request: Request<pb::CancelPaymentRequest>,
    ) -> Result<Response<pb::CancelPaymentResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let command = Cancel {
            payment_id: checks.uuid("payment_id", &request.payment_id),
            reason: checks.text("reason", &request.reason, REASON),
        };
        let request_id = checks.request_id(&request.request_id);
        checks.finish()?;
        let cancelled = self.ledger.cancel(&command, request_id).await.map_err(refused)?;
        let payment = Some(cancelled.payment.into());
        Ok(Response::new(pb::CancelPaymentResponse {
            payment,
            balance: cancelled.balance,
            refunded: cancelled.refunded,
        }))
    }
}

/// Reads the fields that ChargeWallet and UseWallet have in common.
fn movement(user_id: &str, amount: i64, request_id: &str) -> Result<(Move, Option<String>), Fault> {
    let mut checks = Checks::default();
    let command =
        Move { user_id: checks.user_id("user_id", user_id), amount: checks.range("amount", amount, AMOUNT) };
    let request_id = checks.request_id(request_id);
    checks.finish()?;
    Ok((command, request_id))
}

fn refused(error: Error) -> Status {
    Fault::from(error).into()
}
