//! The gRPC service: checks the form of each request's fields, calls the use case and converts its answer. It
//! decides no rule.

mod convert;
mod read;

use boxoffice_proto::{
    Currency, Fault, Reason, access,
    fault::{Answer, refuse},
    wallet::{self as pb, wallet_service_server::WalletService},
};
use tonic::{Request, Response};

use crate::{
    app::{EntryCursor, Ledger, PaymentCursor},
    domain::Entry,
};

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
    ) -> Answer<pb::ChargeWalletResponse> {
        let (command, request_id) = read::charge_wallet(&request.into_inner())?;
        let entry = self.ledger.charge(&command, request_id).await.map_err(refuse)?;
        Ok(Response::new(pb::ChargeWalletResponse {
            wallet: Some(self.wallet_after(&entry)),
            entry: Some(entry.into()),
        }))
    }

    async fn use_wallet(&self, request: Request<pb::UseWalletRequest>) -> Answer<pb::UseWalletResponse> {
        let (command, request_id) = read::use_wallet(&request.into_inner())?;
        let entry = self.ledger.spend(&command, request_id).await.map_err(refuse)?;
        Ok(Response::new(pb::UseWalletResponse {
            wallet: Some(self.wallet_after(&entry)),
            entry: Some(entry.into()),
        }))
    }

    async fn get_wallet(&self, request: Request<pb::GetWalletRequest>) -> Answer<pb::GetWalletResponse> {
        let user_id = read::get_wallet(&request.into_inner())?;
        let wallet = self.ledger.wallet(&user_id).await.map_err(refuse)?;
        Ok(Response::new(pb::GetWalletResponse { wallet: Some(self.wallet(&user_id, wallet.balance)) }))
    }

    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Answer<pb::ListEntriesResponse> {
        let (user_id, page) = read::list_entries(&request.into_inner())?;
        let found = self.ledger.entries(&user_id, *page.from(), page.limit()).await.map_err(refuse)?;
        let (entries, next_page_token) = page.answer(found, EntryCursor::of, Into::into);
        Ok(Response::new(pb::ListEntriesResponse { entries, next_page_token }))
    }

    async fn create_payment(
        &self,
        request: Request<pb::CreatePaymentRequest>,
    ) -> Answer<pb::CreatePaymentResponse> {
        let (order, request_id) = read::create_payment(&request.into_inner())?;
        let paid = self.ledger.pay(&order, request_id).await.map_err(refuse)?;
        Ok(Response::new(pb::CreatePaymentResponse {
            payment: Some(paid.payment.into()),
            balance: paid.balance,
        }))
    }

    async fn get_payment(&self, request: Request<pb::GetPaymentRequest>) -> Answer<pb::GetPaymentResponse> {
        let (payment_id, user) = read::get_payment(&request.into_inner())?;
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
    ) -> Answer<pb::ListPaymentsResponse> {
        let (user_id, page) = read::list_payments(&request.into_inner())?;
        let found = self.ledger.payments(&user_id, *page.from(), page.limit()).await.map_err(refuse)?;
        let (payments, next_page_token) = page.answer(found, PaymentCursor::of, Into::into);
        Ok(Response::new(pb::ListPaymentsResponse { payments, next_page_token }))
    }

    async fn cancel_payment(
        &self,
        request: Request<pb::CancelPaymentRequest>,
    ) -> Answer<pb::CancelPaymentResponse> {
        let (command, request_id) = read::cancel_payment(&request.into_inner())?;
        let cancelled = self.ledger.cancel(&command, request_id).await.map_err(refuse)?;
        let payment = Some(cancelled.payment.into());
        Ok(Response::new(pb::CancelPaymentResponse {
            payment,
            balance: cancelled.balance,
            refunded: cancelled.refunded,
        }))
    }
}
