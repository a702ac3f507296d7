//! `CheckoutService`: requests become commands and checkouts become answers; nothing is decided here.

mod alerts;
mod booking;
mod convert;
mod door;
mod limited;
mod queue;
mod read;
mod wallet;

use access::Doors;
use boxoffice_proto::{
    checkout::{
        GetCheckoutRequest, GetCheckoutResponse, GetHistoryRequest, GetHistoryResponse, GetMetricsRequest,
        GetMetricsResponse, ListCheckoutsRequest, ListCheckoutsResponse, ListOperatorActionsRequest,
        ListOperatorActionsResponse, PayRequest, PayResponse, RefundCheckoutRequest, RefundCheckoutResponse,
        RetryCheckoutRequest, RetryCheckoutResponse, checkout_service_server::CheckoutService,
    },
    fault::Answer,
};
use chassis::server::for_grpc_web;
use tonic::{Request, Response};
use tower_http::cors::CorsLayer;

pub(crate) use self::{door::Door, limited::Limited};
use crate::{
    app::{Caller, History, Till, acted, actions_page, cursor, metrics},
    config::Origins,
};

/// Which web pages may call over gRPC-Web, and what they may send; `None` without any.
pub(crate) fn cors(origins: &Origins) -> Option<CorsLayer> {
    Some(for_grpc_web(origins.cors()?, &[door::QUEUE_TOKEN]))
}

/// The gRPC service of the [`Till`], with what operators see of this edge and of all of them.
pub(crate) struct Service {
    till: Till,
    history: History,
    doors: Doors,
}

impl Service {
    pub(crate) const fn new(till: Till, history: History, doors: Doors) -> Self {
        Self { till, history, doors }
    }

    /// Who makes this call, with the queue token of its message.
    fn caller<T>(&self, request: &Request<T>, queue_token: Option<&str>) -> Caller {
        Caller::new(self.doors.called(request.extensions()), self.doors.house, "token", queue_token)
    }
}

#[tonic::async_trait]
impl CheckoutService for Service {
    async fn pay(&self, request: Request<PayRequest>) -> Answer<PayResponse> {
        let of_message = Some(&*request.get_ref().token).filter(|token| !token.is_empty());
        let caller = self.caller(&request, of_message.or_else(|| door::queue_token(&request)));
        let command = read::pay(&request.into_inner(), self.doors.are_secured())?;
        let checkout = self.till.pay(&caller, command).await?;
        Ok(Response::new(PayResponse { checkout: Some(convert::checkout(checkout)) }))
    }

    async fn get_checkout(&self, request: Request<GetCheckoutRequest>) -> Answer<GetCheckoutResponse> {
        let (checkout_id, user_id) = read::get_checkout(request.get_ref())?;
        let checkout = self.till.get(&self.caller(&request, None), checkout_id, user_id).await?;
        Ok(Response::new(GetCheckoutResponse { checkout: Some(convert::checkout(checkout)) }))
    }

    async fn retry_checkout(&self, request: Request<RetryCheckoutRequest>) -> Answer<RetryCheckoutResponse> {
        let checkout_id = read::retry_checkout(request.get_ref())?;
        let checkout = self.till.retry(&self.caller(&request, None), checkout_id).await?;
        Ok(Response::new(RetryCheckoutResponse { checkout: Some(convert::checkout(checkout)) }))
    }

    async fn refund_checkout(
        &self,
        request: Request<RefundCheckoutRequest>,
    ) -> Answer<RefundCheckoutResponse> {
        let (checkout_id, reason) = read::refund_checkout(request.get_ref())?;
        let checkout = self.till.refund(&self.caller(&request, None), checkout_id, reason).await?;
        Ok(Response::new(RefundCheckoutResponse { checkout: Some(convert::checkout(checkout)) }))
    }

    async fn list_checkouts(&self, request: Request<ListCheckoutsRequest>) -> Answer<ListCheckoutsResponse> {
        let caller = self.caller(&request, None);
        let (filter, page) = read::list_checkouts(&request.into_inner())?;
        let found = self.till.list(&caller, filter, *page.from(), page.limit()).await?;
        let (checkouts, next_page_token) = page.answer(found, cursor, convert::checkout);
        Ok(Response::new(ListCheckoutsResponse { checkouts, next_page_token }))
    }

    async fn list_operator_actions(
        &self,
        request: Request<ListOperatorActionsRequest>,
    ) -> Answer<ListOperatorActionsResponse> {
        let caller = self.caller(&request, None);
        let (of, page) = actions_page(request.get_ref())?;
        let found = self.till.acting.list(&caller, &of, &page).await?;
        let (actions, next_page_token) = page.answer(found, acted, convert::action);
        Ok(Response::new(ListOperatorActionsResponse { actions, next_page_token }))
    }

    async fn get_metrics(&self, request: Request<GetMetricsRequest>) -> Answer<GetMetricsResponse> {
        let text = metrics(&self.caller(&request, None))?;
        Ok(Response::new(GetMetricsResponse { text }))
    }

    async fn get_history(&self, request: Request<GetHistoryRequest>) -> Answer<GetHistoryResponse> {
        let caller = self.caller(&request, None);
        Ok(Response::new(self.history.tell(&caller, request.into_inner()).await?))
    }
}
