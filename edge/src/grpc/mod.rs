//! `CheckoutService`: requests become commands and checkouts become answers; nothing is decided here.

mod convert;
mod read;

use boxoffice_proto::{
    checkout::{
        GetCheckoutRequest, GetCheckoutResponse, ListCheckoutsRequest, ListCheckoutsResponse, PayRequest,
        PayResponse, RetryCheckoutRequest, RetryCheckoutResponse, checkout_service_server::CheckoutService,
    },
    fault::Answer,
};
use tonic::{Request, Response};

use crate::app::{Caller, Till, cursor};

/// The gRPC service of the [`Till`].
pub(crate) struct Service {
    till: Till,
}

impl Service {
    pub(crate) const fn new(till: Till) -> Self {
        Self { till }
    }
}

#[tonic::async_trait]
impl CheckoutService for Service {
    async fn pay(&self, request: Request<PayRequest>) -> Answer<PayResponse> {
        let request = request.into_inner();
        let caller = Caller::new("token", Some(&request.token));
        let checkout = self.till.pay(&caller, read::pay(&request)?).await?;
        Ok(Response::new(PayResponse { checkout: Some(convert::checkout(checkout)) }))
    }

    async fn get_checkout(&self, request: Request<GetCheckoutRequest>) -> Answer<GetCheckoutResponse> {
        let checkout_id = read::checkout_id(&request.get_ref().checkout_id)?;
        let checkout = self.till.get(&nobody(), checkout_id).await?;
        Ok(Response::new(GetCheckoutResponse { checkout: Some(convert::checkout(checkout)) }))
    }

    async fn retry_checkout(&self, request: Request<RetryCheckoutRequest>) -> Answer<RetryCheckoutResponse> {
        let checkout_id = read::checkout_id(&request.get_ref().checkout_id)?;
        let checkout = self.till.retry(&nobody(), checkout_id).await?;
        Ok(Response::new(RetryCheckoutResponse { checkout: Some(convert::checkout(checkout)) }))
    }

    async fn list_checkouts(&self, request: Request<ListCheckoutsRequest>) -> Answer<ListCheckoutsResponse> {
        let (filter, page) = read::list_checkouts(&request.into_inner())?;
        let found = self.till.list(&nobody(), filter, *page.from(), page.limit()).await?;
        let (checkouts, next_page_token) = page.answer(found, cursor, convert::checkout);
        Ok(Response::new(ListCheckoutsResponse { checkouts, next_page_token }))
    }
}

/// A caller who presents no queue token.
fn nobody() -> Caller {
    Caller::new("token", None)
}
