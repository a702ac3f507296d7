//! `WalletService` at the edge.

use boxoffice_proto::{
    fault::Answer,
    wallet::{
        CancelPaymentRequest, CancelPaymentResponse, ChargeWalletRequest, ChargeWalletResponse,
        CreatePaymentRequest, CreatePaymentResponse, GetPaymentRequest, GetPaymentResponse, GetWalletRequest,
        GetWalletResponse, ListEntriesRequest, ListEntriesResponse, ListPaymentsRequest,
        ListPaymentsResponse, UseWalletRequest, UseWalletResponse, wallet_service_server::WalletService,
    },
};
use tonic::Request;

use super::door::{Door, answer};
use crate::app::wallet;

#[tonic::async_trait]
impl WalletService for Door {
    async fn charge_wallet(&self, request: Request<ChargeWalletRequest>) -> Answer<ChargeWalletResponse> {
        answer!(self, request, |edge, caller, message| wallet::charge(edge, &caller, message).await?)
    }

    async fn use_wallet(&self, request: Request<UseWalletRequest>) -> Answer<UseWalletResponse> {
        answer!(self, request, |edge, caller, message| wallet::use_wallet(edge, &caller, message).await?)
    }

    async fn get_wallet(&self, request: Request<GetWalletRequest>) -> Answer<GetWalletResponse> {
        answer!(self, request, |edge, caller, message| GetWalletResponse {
            wallet: Some(wallet::get(edge, &caller, message.user_id).await?)
        })
    }

    async fn list_entries(&self, request: Request<ListEntriesRequest>) -> Answer<ListEntriesResponse> {
        answer!(self, request, |edge, caller, message| wallet::entries(edge, &caller, message).await?)
    }

    async fn create_payment(&self, request: Request<CreatePaymentRequest>) -> Answer<CreatePaymentResponse> {
        Err(self.caller(&request).refusal(request.into_inner()).into())
    }

    async fn get_payment(&self, request: Request<GetPaymentRequest>) -> Answer<GetPaymentResponse> {
        answer!(self, request, |edge, caller, message| wallet::get_payment(edge, &caller, message).await?)
    }

    async fn cancel_payment(&self, request: Request<CancelPaymentRequest>) -> Answer<CancelPaymentResponse> {
        Err(self.caller(&request).refusal(request.into_inner()).into())
    }

    async fn list_payments(&self, request: Request<ListPaymentsRequest>) -> Answer<ListPaymentsResponse> {
        answer!(self, request, |edge, caller, message| wallet::list_payments(edge, &caller, message).await?)
    }
}
